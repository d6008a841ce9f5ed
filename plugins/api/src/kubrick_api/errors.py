"""What the API says when it says no: `StatusError` and `FieldError`, in Kubernetes' own wording.

Sources: apimachinery's api/errors (status codes, reasons, messages) and util/validation/field.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from attrs import define, frozen

from kubrick_api.goshow import encoded, number, quoted
from kubrick_api.names import GVK, GVR


@frozen
class FieldError:
    """One thing wrong with one field. Make them with the functions below."""

    type: str
    """The cause's reason: FieldValueRequired, FieldValueInvalid, FieldValueNotSupported, ..."""
    field: str
    """Its path: spec.containers[0].name, metadata.labels, data[a.b]."""
    message: str
    """Without the path: "Required value", 'Invalid value: "x": must be ...'."""

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


NIL: Any = None
"""A list, map or pointer that isn't there, as the value of an error: Go shows it as null."""


def show(value: Any) -> str:
    """A value as Kubernetes shows it inside an error message: a text quoted, what has parts in JSON."""
    if isinstance(value, str):
        return quoted(value)
    return number(value) if isinstance(value, float) else encoded(value)


def _detail(head: str, detail: str) -> str:
    return f"{head}: {detail}" if detail else head


def required(field: str, detail: str = "") -> FieldError:
    return FieldError("FieldValueRequired", field, _detail("Required value", detail))


def invalid_value(field: str, value: Any, detail: str = "") -> FieldError:
    return FieldError("FieldValueInvalid", field, _detail(f"Invalid value: {show(value)}", detail))


def invalid_unseen(field: str, detail: str) -> FieldError:
    """An invalid value that isn't shown: too large, or nothing that could be."""
    return FieldError("FieldValueInvalid", field, _detail("Invalid value", detail))


def type_invalid(field: str, value: Any, detail: str = "") -> FieldError:
    return FieldError("FieldValueTypeInvalid", field, _detail(f"Invalid value: {show(value)}", detail))


def not_supported(field: str, value: Any, supported: Iterable[str]) -> FieldError:
    choices = ", ".join(show(choice) for choice in supported)
    return FieldError(
        "FieldValueNotSupported",
        field,
        f"Unsupported value: {show(value)}" + (f": supported values: {choices}" if choices else ""),
    )


def duplicate(field: str, value: Any, detail: str = "") -> FieldError:
    return FieldError("FieldValueDuplicate", field, _detail(f"Duplicate value: {show(value)}", detail))


def not_found_value(field: str, value: Any, detail: str = "") -> FieldError:
    return FieldError("FieldValueNotFound", field, _detail(f"Not found: {show(value)}", detail))


def forbidden_value(field: str, detail: str = "") -> FieldError:
    return FieldError("FieldValueForbidden", field, _detail("Forbidden", detail))


def too_long(field: str, limit: int, unit: str = "bytes") -> FieldError:
    return FieldError("FieldValueTooLong", field, f"Too long: may not be more than {_counted(limit, unit)}")


def too_many(field: str, count: int, limit: int) -> FieldError:
    return FieldError("FieldValueTooMany", field, f"Too many: {count}: must have at most {_counted(limit, 'items')}")


def _counted(count: int, unit: str) -> str:
    return f"{count} {unit.removesuffix('s') if count == 1 else unit}"


NAMESPACE_TERMINATING = "NamespaceTerminating"
"""The cause named when something may not be created because its namespace is being deleted."""


@define(eq=False, slots=False)
class StatusError(Exception):
    """A request refused. `status()` is the body the client gets, `code` its HTTP status."""

    code: int
    reason: str
    message: str
    details: dict[str, Any] | None = None
    headers: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return self.message

    def has_cause(self, reason: str) -> bool:
        """Whether `details.causes` names `reason`."""
        causes = (self.details or {}).get("causes") or ()
        return any(cause.get("reason") == reason for cause in causes)

    def status(self) -> dict[str, Any]:
        """A metav1.Status object."""
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = self.details
        body["code"] = self.code
        return body


def _details(resource: GVR, name: str = "", **more: Any) -> dict[str, Any]:
    details: dict[str, Any] = {}
    if name:
        details["name"] = name
    if resource.group:
        details["group"] = resource.group
    details["kind"] = resource.resource
    details.update(more)
    return details


def not_found(resource: GVR, name: str) -> StatusError:
    return StatusError(404, "NotFound", f'{resource.qualified} "{name}" not found', _details(resource, name))


def already_exists(resource: GVR, name: str) -> StatusError:
    return StatusError(409, "AlreadyExists", f'{resource.qualified} "{name}" already exists', _details(resource, name))


STALE = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(resource: GVR, name: str, why: str = STALE) -> StatusError:
    return StatusError(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}',
        _details(resource, name),
    )


def forbidden(resource: GVR, name: str, why: str) -> StatusError:
    subject = f'{resource.qualified} "{name}" is forbidden' if name else f"{resource.qualified} is forbidden"
    return StatusError(403, "Forbidden", f"{subject}: {why}", _details(resource, name))


def invalid(kind: GVK, name: str, errors: Sequence[FieldError]) -> StatusError:
    """422 with every field error, in the message and as causes."""
    texts = list(dict.fromkeys(str(error) for error in errors))
    joined = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    details: dict[str, Any] = {}
    if name:
        details["name"] = name
    if kind.group:
        details["group"] = kind.group
    if kind.kind:
        details["kind"] = kind.kind
    details["causes"] = [{"reason": e.type, "message": e.message, "field": e.field} for e in errors]
    qualified = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    return StatusError(422, "Invalid", f'{qualified} "{name}" is invalid: {joined}', details)


def bad_request(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def unauthorized() -> StatusError:
    return StatusError(401, "Unauthorized", "Unauthorized")


def method_not_allowed(resource: GVR | None = None, verb: str = "") -> StatusError:
    message = (
        f"{verb} is not supported on resources of kind {show(resource.qualified)}"
        if resource and verb
        else "the server does not allow this method on the requested resource"
    )
    return StatusError(405, "MethodNotAllowed", message, _details(resource) if resource else {})


def unknown_path() -> StatusError:
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def expired(message: str) -> StatusError:
    """410 Expired: a continue token or an exact revision that history no longer holds."""
    return StatusError(410, "Expired", message)


def too_old_resource_version(revision: int, oldest: int) -> StatusError:
    return expired(f"too old resource version: {revision} ({oldest})")


def too_large_resource_version(asked: int, current: int) -> StatusError:
    return StatusError(
        504,
        "Timeout",
        f"Timeout: Too large resource version: {asked}, current: {current}",
        {
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        },
        (("Retry-After", "1"),),
    )


def request_too_large(limit: int) -> StatusError:
    return StatusError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit}")


def unsupported_media_type(allowed: Sequence[str]) -> StatusError:
    return StatusError(
        415,
        "UnsupportedMediaType",
        f"the body of the request was in an unknown format - accepted media types include: {', '.join(allowed)}",
    )


def unacceptable(available: Sequence[str]) -> StatusError:
    """406 for a format that isn't served at all, as Kubernetes' router says it."""
    head = "406: Not Acceptable\n\nAvailable representations:"
    return StatusError(406, "NotAcceptable", f"{head} {', '.join(available)}", {})


def not_acceptable(allowed: Sequence[str]) -> StatusError:
    """406 for a served format with parameters that aren't."""
    return StatusError(406, "NotAcceptable", f"only the following media types are accepted: {', '.join(allowed)}")


def too_many_requests(message: str, retry_after: int = 1, causes: Sequence[dict[str, Any]] = ()) -> StatusError:
    details: dict[str, Any] = {"retryAfterSeconds": retry_after} if retry_after else {}
    if causes:
        details["causes"] = list(causes)
    headers = (("Retry-After", str(retry_after)),) if retry_after else ()
    return StatusError(429, "TooManyRequests", message, details, headers)


def timed_out(message: str) -> StatusError:
    return StatusError(504, "Timeout", f"Timeout: {message}")


def internal(message: str) -> StatusError:
    return StatusError(500, "InternalError", f"Internal error occurred: {message}", {"causes": [{"message": message}]})
