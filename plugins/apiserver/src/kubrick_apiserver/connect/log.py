"""pods/log: what is asked for, checked as kube-apiserver does, and passed on from the pod's node."""

from collections.abc import Mapping
from datetime import datetime

from kubrick_api.errors import (
    FieldError,
    StatusError,
    bad_request,
    forbidden_value,
    invalid,
    invalid_value,
    not_supported,
)
from kubrick_api.names import GVK
from kubrick_api.storage import Call
from kubrick_api_core.agents import Target
from kubrick_apiserver.connect.nodes import Nodes
from kubrick_apiserver.connect.pods import container_of, pod_of
from kubrick_apiserver.options import flag, integer
from kubrick_apiserver.registry import Registry, refused
from kubrick_apiserver.web import Request, Response

STREAMS = ("All", "Stderr", "Stdout")
OPTIONS = GVK("", "v1", "PodLogOptions")


class PodLog:
    """GET only."""

    def __init__(self, registry: Registry, nodes: Nodes) -> None:
        self._registry = registry
        self._nodes = nodes

    async def __call__(self, request: Request, call: Call) -> Response:
        if call.verb != "get":
            raise refused(self._registry.resource(call.resource), call)
        pod = pod_of(self._registry, call)
        params = checked(call.params, call.name)
        container = container_of(pod, call.params.get("container", ""))
        node = pod["spec"].get("nodeName")
        if not node:
            return Response(204, "text/plain")  # nothing has been logged yet
        target = Target(call.namespace, call.name, container, pod["metadata"]["uid"])
        return Response(200, "text/plain", self._nodes.agent(node).logs(target, params))


def checked(params: Mapping[str, str], name: str) -> dict[str, str]:
    """The options that matter to the agent. Raises StatusError 400 or 422 (ValidatePodLogOptions)."""
    found = {each: "true" for each in ("follow", "previous", "timestamps") if flag(params, each)}
    errors: list[FieldError] = []
    for option, least in (("tailLines", 0), ("limitBytes", 1), ("sinceSeconds", 1)):
        value = integer(params, option)
        if value is None:
            continue
        if value < least:
            bound = "greater than 0" if least else "greater than or equal to 0"
            errors.append(invalid_value(option, value, f"must be {bound}"))
        found[option] = str(value)
    if params.get("sinceTime"):
        if "sinceSeconds" in found:
            errors.append(forbidden_value("", "at most one of `sinceTime` or `sinceSeconds` may be specified"))
        found["sinceTime"] = params["sinceTime"]
        _check_time(params["sinceTime"])
    stream = params.get("stream") or "All"
    if stream not in STREAMS:
        errors.append(not_supported("stream", stream, STREAMS))
    elif stream != "All":
        if "tailLines" in found:
            errors.append(forbidden_value("", "`tailLines` and specific `stream` are mutually exclusive for now"))
        found["stream"] = stream
    if errors:
        raise invalid(OPTIONS, name, errors)
    return found


def _check_time(text: str) -> StatusError | None:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        shown = f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}" as "2006"'
        raise bad_request(shown) from None
    return None
