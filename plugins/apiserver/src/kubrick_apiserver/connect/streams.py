"""pods/exec, pods/attach and pods/portforward: the client's streams joined with those of the pod's node."""

from kubrick_api.errors import bad_request
from kubrick_api.names import GVK
from kubrick_api.storage import Call
from kubrick_api_core.agents import Target
from kubrick_apiserver.connect.nodes import Nodes
from kubrick_apiserver.connect.pods import container_of, node_of, pod_of
from kubrick_apiserver.options import flag
from kubrick_apiserver.registry import Registry, refused
from kubrick_apiserver.transaction import admission_of
from kubrick_apiserver.web import Request, Response
from kubrick_http import portforward, remotecommand
from kubrick_http.remotecommand import Streams

VERBS = ("get", "create")


class PodStreams:
    """The three of them."""

    def __init__(self, registry: Registry, nodes: Nodes) -> None:
        self._registry = registry
        self._nodes = nodes

    async def exec(self, request: Request, call: Call) -> Response:
        """A command of its own in a container."""
        target, node, streams = self._container(call)
        command = request.query_lists.get("command") or (
            (request.query["command"],) if "command" in request.query else ()
        )
        spoken = remotecommand.handshake(request.headers, request.header_lists)
        await self._admit(call, "PodExecOptions")
        return spoken.response(streams, self._nodes.agent(node).exec(target, command, streams))

    async def attach(self, request: Request, call: Call) -> Response:
        """The streams of a container's own process."""
        target, node, streams = self._container(call)
        spoken = remotecommand.handshake(request.headers, request.header_lists)
        await self._admit(call, "PodAttachOptions")
        return spoken.response(streams, self._nodes.agent(node).attach(target, streams))

    async def port_forward(self, request: Request, call: Call) -> Response:
        """Connections to a pod's ports."""
        self._check_verb(call)
        pod = pod_of(self._registry, call)
        node = node_of(pod)
        target = Target(call.namespace, call.name, uid=pod["metadata"]["uid"])
        ports = request.query_lists.get("ports") or ((request.query["ports"],) if "ports" in request.query else ())
        spoken = portforward.handshake(request.headers, request.header_lists, ports)
        await self._admit(call, "PodPortForwardOptions")
        return spoken.response(self._nodes.agent(node).port_forward(target, spoken.ports))

    def _check_verb(self, call: Call) -> None:
        if call.verb not in VERBS:
            raise refused(self._registry.resource(call.resource), call)

    def _container(self, call: Call) -> tuple[Target, str, Streams]:
        """The container, its node, and the streams that are wanted."""
        self._check_verb(call)
        pod = pod_of(self._registry, call)
        params = call.params
        container = container_of(pod, params.get("container", ""))
        streams = Streams(
            flag(params, "stdin"),
            flag(params, "stdout") if "stdout" in params else True,
            flag(params, "stderr") if "stderr" in params else True,
            flag(params, "tty"),
        )
        if not (streams.stdin or streams.stdout or streams.stderr):
            raise bad_request("you must specify at least 1 of stdin, stdout, stderr")
        return Target(call.namespace, call.name, container, pod["metadata"]["uid"]), node_of(pod), streams

    async def _admit(self, call: Call, kind: str) -> None:
        """Admission of the operation CONNECT: plugins may refuse."""
        registry = self._registry
        context = registry.context(call.user, call.subresource)
        resource = registry.resource(call.resource)
        attributes = admission_of(registry, resource, call, "CONNECT", call.namespace, call.name, context)
        attributes.kind = GVK("", "v1", kind)
        attributes.object = {"kind": kind, "apiVersion": "v1", **dict(call.params)}
        _, record = await registry.chain.mutate(attributes)
        await registry.chain.validate(attributes, record)
