"""The agent's paths, as the kubelet has them: which part of the service answers what."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from kubrick_api.errors import StatusError, bad_request
from kubrick_api_core.agents import Target
from kubrick_http import Response, portforward, remotecommand
from kubrick_http.remotecommand import Streams
from kubrick_http.target import flag, split_target
from kubrick_http.writer import text_response
from kubrick_node.runtime import PodStats, RuntimeFailure
from kubrick_node.serving import figures
from kubrick_node.serving.service import PodService

if TYPE_CHECKING:
    from kubrick_kernel import Clock

Object = dict[str, Any]
TEXT = "text/plain; version=0.0.4; charset=utf-8"
RUN_TIMEOUT = 60.0


class AgentPaths:
    """Answers a request that may be made. Raises StatusError."""

    def __init__(self, node: str, service: PodService, clock: "Clock", configuration: Object | None = None) -> None:
        self._node = node
        self._service = service
        self._clock = clock
        self._configuration = configuration or {}
        service.paths = self.request

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        """A request from this process: `Agent.request`."""
        return await self(method, target, headers, {})

    async def __call__(
        self, method: str, target: str, headers: Mapping[str, str], lists: Mapping[str, Sequence[str]]
    ) -> Response:
        try:
            path, query, repeated = split_target(target)
        except ValueError as error:
            raise bad_request(f"malformed request target: {error}") from None
        first, *rest = path.strip("/").split("/")
        if first in ("exec", "attach", "run", "portForward"):
            if method not in ("GET", "POST"):
                raise _not_allowed()
            return await self._stream(first, rest, query, repeated, headers, lists)
        if method not in ("GET", "HEAD"):
            raise _not_allowed()
        if first == "containerLogs" and len(rest) == 3:
            return Response(200, "text/plain", self._service.logs(Target(rest[0], rest[1], rest[2]), query))
        return await self._document(path.rstrip("/"))

    async def _document(self, path: str) -> Response:
        if path in ("/healthz", "/livez", "/readyz"):
            health = await self._service.runtime.health()
            if health.ready:
                return text_response(200, "ok")
            return text_response(500, f"{health.message}\n")
        if path in ("/pods", "/runningpods"):
            pods = self._service.pods()
            if path == "/runningpods":
                pods = [pod for pod in pods if (pod.get("status") or {}).get("phase") == "Running"]
            return _json({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": list(pods)})
        if path == "/stats/summary":
            return _json(figures.summary(self._node, await self._measured(), self._clock.now()))
        if path == "/metrics/resource":
            return Response(200, TEXT, figures.resource_metrics(await self._measured()).encode())
        if path == "/metrics/cadvisor":
            return Response(200, TEXT, figures.cadvisor_metrics(await self._measured()).encode())
        if path == "/metrics":
            return Response(200, TEXT, figures.agent_metrics(self._node, self._service.pods()).encode())
        if path == "/configz":
            return _json({"kubeletconfig": self._configuration})
        return text_response(404, "404 page not found\n")

    async def _measured(self) -> list[tuple[Object, PodStats]]:
        measured = []
        for pod in self._service.pods():
            try:
                measured.append((pod, await self._service.runtime.stats(pod)))
            except RuntimeFailure:
                continue  # one pod that can't be measured doesn't hide the others
        return measured

    async def _stream(
        self,
        kind: str,
        rest: Sequence[str],
        query: Mapping[str, str],
        repeated: Mapping[str, Sequence[str]],
        headers: Mapping[str, str],
        lists: Mapping[str, Sequence[str]],
    ) -> Response:
        """Exec, attach, run, port-forward; the uid is an optional third part of the path."""
        service = self._service
        if kind == "portForward":
            if len(rest) not in (2, 3):
                return text_response(404, "404 page not found\n")
            target = Target(rest[0], rest[1], uid=rest[2] if len(rest) == 3 else "")
            asked = portforward.handshake(headers, lists, _values(query, repeated, "ports", "port"))
            return asked.response(service.port_forward(target, asked.ports))
        if len(rest) not in (3, 4):
            return text_response(404, "404 page not found\n")
        target = Target(rest[0], rest[1], rest[-1], rest[2] if len(rest) == 4 else "")
        if kind == "run":
            _, output = await service.run(target, _values(query, repeated, "cmd"), RUN_TIMEOUT)
            return Response(200, "text/plain", output)
        streams = Streams(flag(query, "input"), flag(query, "output"), flag(query, "error"), flag(query, "tty"))
        if not (streams.stdin or streams.stdout or streams.stderr):
            raise bad_request("you must specify at least 1 of stdin, stdout, stderr")
        spoken = remotecommand.handshake(headers, lists)
        if kind == "attach":
            return spoken.response(streams, service.attach(target, streams))
        return spoken.response(streams, service.exec(target, _values(query, repeated, "command"), streams))


def _values(query: Mapping[str, str], repeated: Mapping[str, Sequence[str]], *names: str) -> tuple[str, ...]:
    """All values of a parameter, whichever of its names is used."""
    for name in names:
        if name in query:
            return tuple(repeated.get(name) or (query[name],))
    return ()


def _json(obj: Object) -> Response:
    return Response(200, "application/json", orjson.dumps(obj))


def _not_allowed() -> StatusError:
    return StatusError(405, "MethodNotAllowed", "405: Method Not Allowed")
