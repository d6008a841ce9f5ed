"""An API server in this process, on the memory store, spoken to by requests without sockets."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from attrs import define
from pytest_trio import trio_fixture

from kubrick_api.catalog import Catalog
from kubrick_api.errors import StatusError
from kubrick_api.storage import Reader, UserInfo
from kubrick_apiserver.handler import ResourceHandler
from kubrick_apiserver.registry import Registry
from kubrick_apiserver.request_info import parse_target
from kubrick_apiserver.web import Request, Response
from kubrick_testing import Cluster, run_cluster

ADMIN = UserInfo("kubernetes-admin", groups=("system:masters", "system:authenticated"))


@define
class Web:
    """Resource requests, past authentication and authorization. `cluster` is the server behind them."""

    cluster: Cluster
    registry: Registry
    handler: ResourceHandler

    async def respond(
        self, method: str, target: str, body: Any = b"", headers: dict[str, str] | None = None
    ) -> Response:
        """The response; refusals are raised. `body` is bytes or will be JSON."""
        path, query, repeated, info = parse_target(method, target)
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        sent = {name.lower(): value for name, value in (headers or {}).items()}
        if data and "content-type" not in sent:
            sent["content-type"] = "application/json"
        return await self.handler(Request(method, path, query, sent, data, info, ADMIN, repeated))

    async def __call__(
        self, method: str, target: str, body: Any = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """(HTTP status, decoded body); refusals are the Status they would be sent as."""
        try:
            response = await self.respond(method, target, body, headers)
        except StatusError as error:
            return error.code, error.status()
        assert isinstance(response.body, bytes | list)
        data = response.body if isinstance(response.body, bytes) else b"".join(response.body)
        if response.content_type.startswith("text/"):
            return response.status, data.decode()
        return response.status, orjson.loads(data) if data else None


@trio_fixture  # type: ignore[untyped-decorator]  # pytest-trio has no types
async def web(request: pytest.FixtureRequest) -> AsyncIterator[Web]:
    """A server with the namespaces it comes with, and a default service account."""
    async with run_cluster("api") as cluster:
        registry = cluster.kernel.find(Reader)  # type: ignore[type-abstract]  # a contract, found by its type
        assert isinstance(registry, Registry)
        handler = ResourceHandler(cluster.kernel, cluster.kernel.find(Catalog), registry)
        server = Web(cluster, registry, handler)
        await server("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
        yield server
