"""Which container's log, and from what state of it: the kubelet's rules (validateContainerLogStatus). Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from kubrick_api.errors import StatusError, bad_request
from kubrick_http.target import flag
from kubrick_node.runtime import ContainerState, LogOptions, PodState

Object = dict[str, Any]
LISTS = ("containers", "initContainers", "ephemeralContainers")
STATUSES = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
WAITING = {
    "ErrImagePull": "image can't be pulled",
    "ImagePullBackOff": "trying and failing to pull image",
}


def has_container(pod: Object, name: str) -> bool:
    return any(container["name"] == name for key in LISTS for container in pod["spec"].get(key) or ())


def logged(pod: Object, state: PodState, name: str, previous: bool) -> str:
    """The id of the container whose log to read. Raises StatusError 400."""
    about = f'container "{name}" in pod "{pod["metadata"]["name"]}"'
    if previous:
        before = next((each for each in state.previous if each.name == name), None)
        if before is None:
            raise bad_request(f"previous terminated {about} not found")
        return before.id
    there = state.container(name)
    if there is not None and there.state in ("running", "exited"):
        return there.id
    before = next((each for each in state.previous if each.name == name), None)
    if before is not None:
        return before.id
    statuses = pod.get("status") or {}
    status = next((s for key in STATUSES for s in statuses.get(key) or () if s["name"] == name), None)
    if status is None:
        raise bad_request(f"{about} is not available")
    reason = ((status.get("state") or {}).get("waiting") or {}).get("reason")
    if reason is None:
        raise bad_request(f"{about} is waiting to start - no logs yet")
    raise bad_request(f"{about} is waiting to start: {WAITING.get(reason, reason)}")


def running(state: PodState, name: str) -> ContainerState:
    """The container to exec into or attach to. Raises StatusError 500, in the kubelet's words."""
    there = state.container(name)
    if there is None:
        raise StatusError(500, "InternalError", f'container not found ("{name}")')
    if there.state != "running":
        raise StatusError(500, "InternalError", f"container {name} is not running: it has {there.state}")
    return there


def log_options(params: Mapping[str, str], now: datetime) -> LogOptions:
    """PodLogOptions from a URL. Raises StatusError 400 or 422."""
    since = None
    if params.get("sinceSeconds"):
        since = now - timedelta(seconds=_number(params, "sinceSeconds") or 0)
    elif params.get("sinceTime"):
        try:
            since = datetime.fromisoformat(params["sinceTime"])
        except ValueError:
            raise bad_request(f"unable to parse sinceTime {params['sinceTime']!r}") from None
    stream = params.get("stream") or "All"
    streams: dict[str, Literal["All", "Stdout", "Stderr"]] = {"All": "All", "Stdout": "Stdout", "Stderr": "Stderr"}
    if stream not in streams:
        raise bad_request(f'unable to read the log of stream "{stream}": there are All, Stdout and Stderr')
    return LogOptions(
        flag(params, "follow"),
        flag(params, "timestamps"),
        _number(params, "tailLines"),
        _number(params, "limitBytes"),
        since,
        streams[stream],
    )


def _number(params: Mapping[str, str], name: str) -> int | None:
    text = params.get(name)
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise bad_request(f'{name}: "{text}" is not a number') from None
