"""A server's refusal, from the wire to `StatusError`."""

from collections.abc import Mapping

import orjson

from kubrick_api.errors import StatusError
from kubrick_api.resource import Object

REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Gone",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


def to_status(code: int, body: bytes, headers: Mapping[str, str]) -> StatusError:
    """A refusal as an error, whether or not the body is a Status (a proxy's page is not). The names of
    `headers` are in lower case."""
    try:
        status = orjson.loads(body)
    except orjson.JSONDecodeError:
        status = None
    extra = (("Retry-After", headers["retry-after"]),) if "retry-after" in headers else ()
    if isinstance(status, dict) and status.get("kind") == "Status":
        return from_status(status, code, extra)
    message = body[:2048].decode(errors="replace").strip() or f"the server answered {code}"
    return StatusError(code, REASONS.get(code, ""), message, None, extra)


def from_status(status: Object, code: int = 0, headers: tuple[tuple[str, str], ...] = ()) -> StatusError:
    """A metav1.Status as an error."""
    return StatusError(
        status.get("code") or code,
        status.get("reason", ""),
        status.get("message", ""),
        status.get("details"),
        headers,
    )
