"""One line for each request, once it is over: who asked what, from where, and how it ended.

At the level that the setting `request_log` names. The names are those of Kubernetes' audit events and request
log, so that a line can become either. A trace that the client began (W3C traceparent) is named, so that its spans and
these lines can be put together; whoever is asked on its behalf gets the same header.
"""

import re
from collections.abc import Callable
from typing import Any

from kubrick_apiserver.web import Request
from kubrick_kernel.log import get_logger

TRACE_PARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}").match
NO_TRACE, NO_SPAN = "0" * 32, "0" * 16

log = get_logger("apiserver.requests")


class Journal:
    """Writes at `level`: debug, info, or none."""

    def __init__(self, level: str) -> None:
        self._level = level
        self._write: Callable[..., None] = log.info if level == "info" else log.debug

    @property
    def open(self) -> bool:
        """Whether anything would be written."""
        return self._level != "none" and log.writes(self._level)

    def enter(self, request: Request, asker: str, peer: str, code: int, seconds: float) -> None:
        """A request is over. `asker` is who sent it, whoever it was sent as."""
        self._write("request", **line(request, asker, peer, code, seconds))


def line(request: Request, asker: str, peer: str, code: int, seconds: float) -> dict[str, Any]:
    """What a request's line says."""
    headers, info, user = request.headers, request.info, request.user
    values: dict[str, Any] = {
        "audit_id": request.audit_id,
        "user": user.name,
        "groups": ",".join(user.groups),
        "verb": info.verb,
        "method": request.method,
        "uri": request.target or request.path,
        "code": code,
        "latency": f"{seconds * 1000:.3f}ms",
        "user_agent": headers.get("user-agent", ""),
        "source": ",".join(sources(request, peer)),
    }
    if info.resource_request:
        values["resource"] = info.resource
        for name in ("group", "subresource", "namespace", "name"):
            if getattr(info, name):
                values[name] = getattr(info, name)
    if asker != user.name:
        values["impersonator"] = asker
    trace = trace_of(headers.get("traceparent", ""))
    if trace is not None:
        values["trace_id"], values["parent_span"] = trace
    return values


def sources(request: Request, peer: str) -> list[str]:
    """Where a request came from, as proxies on the way say, and last the one that spoke to us."""
    forwarded = request.headers.get("x-forwarded-for", "")
    found = [each.strip() for each in forwarded.split(",") if each.strip()]
    return [*found, peer] if peer and peer not in found[-1:] else found


def trace_of(header: str) -> tuple[str, str] | None:
    """Trace and span of a traceparent header (W3C Trace Context §3.2); None when there is none, or nonsense."""
    found = TRACE_PARENT(header)
    if found is None or header[:2] == "ff" or (header[:2] == "00" and len(header) != 55):
        return None
    trace, span = found.groups()
    return None if trace == NO_TRACE or span == NO_SPAN else (trace, span)
