"""Query parameters and options bodies: what a request asks for, or exactly why it may not.

Parameters arrive as text. Numbers and booleans are read the way apimachinery's query conversion reads
them; combinations are refused with the field errors of ListOptions, CreateOptions, DeleteOptions, ...
(apimachinery: meta/internalversion/validation and meta/v1/validation).
"""

from collections.abc import Mapping
from typing import Any

from attrs import define, frozen

from kubrick_api.errors import (
    FieldError,
    StatusError,
    bad_request,
    forbidden_value,
    invalid,
    invalid_value,
    not_supported,
    required,
    show,
)
from kubrick_api.names import GVK
from kubrick_api.trouble import describe
from kubrick_api.validation import field_manager
from kubrick_apiserver.malformed import untyped

META = "meta.k8s.io"
META_SCHEME = "pkg/apis/meta/internalversion/scheme/register.go:27"
"""Where kube-apiserver knows the kinds of options from."""
LARGEST = 2**63 - 1
EXACT, NOT_OLDER_THAN = "Exact", "NotOlderThan"
FOREGROUND, BACKGROUND, ORPHAN = "Foreground", "Background", "Orphan"
Params = Mapping[str, str]
LONGEST = 4000
"""How many digits are looked at: Python refuses to read 4,300."""


def flag(params: Params, name: str) -> bool:
    """A boolean parameter: absent, "0" and "false" are false, everything else is true."""
    value = params.get(name)
    return value is not None and value != "0" and value.lower() != "false"


def integer(params: Params, name: str) -> int | None:
    """An integer parameter, None when absent or empty."""
    text = params.get(name)
    if not text:
        return None
    digits = text[1:] if text[0] in "+-" else text
    if not (digits.isascii() and digits.isdigit()):
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    value = int(text[:LONGEST])
    if len(text) > LONGEST or not -(2**63) <= value < 2**63:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": value out of range')
    return value


def revision(text: str) -> int:
    """A resourceVersion parameter as a number; "" is 0."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise _no_revision(text, "invalid syntax")
    value = int(text[:LONGEST])
    if len(text) > LONGEST or value >= 2**64:
        raise _no_revision(text, "value out of range")
    return value


def _no_revision(text: str, why: str) -> StatusError:
    wrong = f"resourceVersion: Invalid value: {show(text)}: strconv.ParseUint: parsing {show(text)}: {why}"
    return bad_request(f"invalid resource version: {wrong}")


def refuse(kind: str, errors: list[FieldError]) -> None:
    """Raise 422 for an options object, if there is anything wrong."""
    if errors:
        raise invalid(GVK(META, "v1", kind), "", errors)


@frozen
class ListOptions:
    """What a list, a watch or a deletecollection selects. Numbers are 0 and texts "" when not given."""

    label_selector: str = ""
    field_selector: str = ""
    resource_version: str = ""
    match: str = ""
    limit: int = 0
    token: str = ""
    timeout: int | None = None
    bookmarks: bool = False
    initial_events: bool | None = None


PLAIN = ListOptions()
LIST_PARAMS = frozenset(
    (
        "labelSelector",
        "fieldSelector",
        "resourceVersion",
        "resourceVersionMatch",
        "limit",
        "continue",
        "timeoutSeconds",
        "allowWatchBookmarks",
        "sendInitialEvents",
    )
)


def list_options(params: Params, watch: bool = False) -> ListOptions:
    """Raises StatusError 400 or 422."""
    if not params or LIST_PARAMS.isdisjoint(params):
        return PLAIN
    options = ListOptions(
        params.get("labelSelector", ""),
        params.get("fieldSelector", ""),
        params.get("resourceVersion", ""),
        params.get("resourceVersionMatch", ""),
        integer(params, "limit") or 0,
        params.get("continue", ""),
        integer(params, "timeoutSeconds"),
        flag(params, "allowWatchBookmarks"),
        flag(params, "sendInitialEvents") if "sendInitialEvents" in params else None,
    )
    refuse("ListOptions", _watch_errors(options) if watch else _list_errors(options))
    return options


def _list_errors(options: ListOptions) -> list[FieldError]:
    errors = []
    match = options.match
    if match:
        if not options.resource_version:
            errors.append(_match_forbidden("resourceVersionMatch is forbidden unless resourceVersion is provided"))
        if options.token:
            errors.append(_match_forbidden("resourceVersionMatch is forbidden when continue is provided"))
        if match not in (EXACT, NOT_OLDER_THAN):
            errors.append(not_supported("resourceVersionMatch", match, (EXACT, NOT_OLDER_THAN, "")))
        if match == EXACT and options.resource_version == "0":
            errors.append(_match_forbidden('resourceVersionMatch "exact" is forbidden for resourceVersion "0"'))
    if options.initial_events is not None:
        errors.append(forbidden_value("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return errors


def _watch_errors(options: ListOptions) -> list[FieldError]:
    errors = []
    match = options.match
    asked = options.initial_events is not None
    if asked and match != NOT_OLDER_THAN:
        errors.append(_match_forbidden(f"sendInitialEvents requires setting resourceVersionMatch to {NOT_OLDER_THAN}"))
    if match:
        if not asked:
            errors.append(
                _match_forbidden("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided")
            )
        if match != NOT_OLDER_THAN:
            errors.append(not_supported("resourceVersionMatch", match, (NOT_OLDER_THAN,)))
        if options.token:
            errors.append(_match_forbidden("resourceVersionMatch is forbidden when continue is provided"))
    return errors


def _match_forbidden(detail: str) -> FieldError:
    return forbidden_value("resourceVersionMatch", detail)


@frozen
class WriteOptions:
    """Options of create, update and patch."""

    dry_run: bool = False
    field_validation: str = "Warn"
    """Ignore, Warn or Strict."""
    field_manager: str = ""
    force: bool = False
    """Of an apply: whether to take what others own."""


USUAL = WriteOptions()
WRITE_PARAMS = frozenset(("dryRun", "fieldValidation", "fieldManager", "force"))
FIELD_VALIDATIONS = ("", "Ignore", "Strict", "Warn")


def write_options(params: Params, kind: str, apply: bool = False) -> WriteOptions:
    """`kind` is CreateOptions, UpdateOptions or PatchOptions (then `apply` matters). Raises StatusError 422."""
    if not apply and (not params or WRITE_PARAMS.isdisjoint(params)):
        return USUAL
    errors = []
    if kind == "PatchOptions" and "force" in params and not apply:
        errors.append(forbidden_value("force", "may not be specified for non-apply patch"))
    manager = params.get("fieldManager", "")
    if apply and not manager:
        errors.append(required("fieldManager", "is required for apply patch"))
    errors += field_manager(manager, "fieldManager")
    errors += dry_run_errors([params["dryRun"]] if "dryRun" in params else [])
    validation = params.get("fieldValidation", "")
    if validation not in FIELD_VALIDATIONS:
        errors.append(not_supported("fieldValidation", validation, FIELD_VALIDATIONS))
    refuse(kind, errors)
    return WriteOptions("dryRun" in params, validation or "Warn", manager, apply and flag(params, "force"))


def dry_run_errors(values: list[str]) -> list[FieldError]:
    """What is wrong with the dryRun directives."""
    if all(value == "All" for value in values):
        return []
    return [not_supported("dryRun", values, ("All",))]


@define
class DeleteOptions:
    """Options of delete and deletecollection, from the body or else the query."""

    grace_period: int | None = None
    policy: str = ""
    """Background, Foreground, Orphan or ""."""
    orphan_dependents: bool | None = None
    uid: str = ""
    resource_version: str = ""
    dry_run: bool = False


def delete_options(params: Params, body: Any) -> DeleteOptions:
    """The body wins, as in Kubernetes, where the query is read only without one. Raises StatusError."""
    if body or body in ([], "", False):  # an object without members leaves it all to the query
        options, dry_run = _from_body(body)
    elif params:
        dry_run = [params["dryRun"]] if "dryRun" in params else []
        options = DeleteOptions(
            integer(params, "gracePeriodSeconds"),
            params.get("propagationPolicy", ""),
            flag(params, "orphanDependents") if "orphanDependents" in params else None,
        )
    else:
        return DeleteOptions()
    if dry_run or "dryRun" in params:
        options.dry_run = True
    errors = []
    if options.policy and options.orphan_dependents is not None:
        detail = "orphanDependents and deletionPropagation cannot be both set"
        errors.append(invalid_value("propagationPolicy", options.policy, detail))
    if options.policy not in ("", FOREGROUND, BACKGROUND, ORPHAN):
        supported = (FOREGROUND, BACKGROUND, ORPHAN, "nil")
        errors.append(not_supported("propagationPolicy", options.policy, supported))
    errors += dry_run_errors(dry_run)
    refuse("DeleteOptions", errors)
    return options


def _from_body(body: Any) -> tuple[DeleteOptions, list[str]]:
    if why := untyped(body):
        raise _unreadable(why)
    kind = body.get("kind") or "DeleteOptions"
    if kind != "DeleteOptions":
        version = body.get("apiVersion") or "v1"
        raise _unreadable(f'no kind "{kind}" is registered for version "{version}" in scheme "{META_SCHEME}"')
    preconditions = _typed(body, "preconditions", dict, "v1.Preconditions") or {}
    dry_run = _typed(body, "dryRun", list, "[]string") or []
    for each in dry_run:
        _typed({"dryRun": each}, "dryRun", str, "string")
    _typed(body, "ignoreStoreReadErrorWithClusterBreakingPotential", bool, "bool")
    options = DeleteOptions(
        _typed(body, "gracePeriodSeconds", int, "int64"),
        _typed(body, "propagationPolicy", str, "v1.DeletionPropagation") or "",
        _typed(body, "orphanDependents", bool, "bool"),
        _typed(preconditions, "uid", str, "types.UID", "Preconditions.preconditions") or "",
        _typed(preconditions, "resourceVersion", str, "string", "Preconditions.preconditions") or "",
    )
    return options, dry_run


def _typed(body: dict[str, Any], name: str, kind: type, go_type: str, struct: str = "DeleteOptions") -> Any:
    value = body.get(name)
    if value is None or (type(value) is kind and not (isinstance(value, int) and abs(value) > LARGEST)):
        return value
    found = describe(value, go_type)
    raise _unreadable(f"json: cannot unmarshal {found} into Go struct field {struct}.{name} of type {go_type}")


def _unreadable(message: str) -> StatusError:
    """kube-apiserver passes its decoder's error on as it is, and what is no Status becomes a 500."""
    return StatusError(500, "", message)
