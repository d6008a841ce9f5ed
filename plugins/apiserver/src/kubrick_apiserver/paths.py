"""Which handler a request goes to: resources, discovery and OpenAPI on one side; health, version and
metrics here."""

from collections.abc import Callable, Iterable, Mapping

import orjson

from kubrick_api.errors import method_not_allowed
from kubrick_apiserver.exposition import CONTENT_TYPE, Exposition
from kubrick_apiserver.health import Health
from kubrick_apiserver.version import version_json
from kubrick_apiserver.web import Handler, Request, Response
from kubrick_http.writer import NOT_FOUND, text_response

RESOURCES = frozenset(("api", "apis", "openapi"))


class Paths:
    """Routes by the first part of the path. `group_paths` lists the API's own roots for the index;
    `further` are whole paths that plugins answer."""

    def __init__(
        self,
        resources: Handler,
        health: Health,
        exposition: Exposition,
        group_paths: Callable[[], Iterable[str]],
        further: Mapping[str, Handler],
    ) -> None:
        self._resources = resources
        self._health = health
        self._exposition = exposition
        self._group_paths = group_paths
        self._further = further
        self._version = version_json()

    async def __call__(self, request: Request) -> Response:
        if request.info.resource_request:
            return await self._resources(request)
        path = request.path.rstrip("/")
        first = path[1:].partition("/")[0]
        if first in RESOURCES:
            return await self._resources(request)
        handler = self._further.get(path)
        if handler is not None:
            return await handler(request)
        response = await self._own(first, path, request)
        return response or text_response(404, NOT_FOUND)

    async def _own(self, first: str, path: str, request: Request) -> Response | None:
        """The answer of one of the server's own paths; None when it is none."""
        if first in self._health.checks:
            answer = self._health.answer
        elif path in ("", "/version", "/metrics"):
            answer = self._fixed
        else:
            return None
        if request.method not in ("GET", "HEAD"):
            raise method_not_allowed()
        return await answer(request)

    async def _fixed(self, request: Request) -> Response:
        path = request.path.rstrip("/")
        if path == "/version":
            return Response(200, body=self._version)
        if path == "/metrics":
            return Response(200, CONTENT_TYPE, self._exposition.text())
        return Response(200, body=orjson.dumps({"paths": self._index()}, option=orjson.OPT_INDENT_2))

    def _index(self) -> list[str]:
        """Every path this server knows by name."""
        paths = {"/metrics", "/version", "/openapi/v2", "/openapi/v3", *self._group_paths(), *self._further}
        for root, checks in self._health.checks.items():
            paths.add(f"/{root}")
            paths.update(f"/{root}/{name}" for name in checks)
        return sorted(paths)
