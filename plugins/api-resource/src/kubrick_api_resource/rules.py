"""Names, lists and raw data that all kinds of dynamic resources share. Paths, order and wording are those of
pkg/apis/resource/validation."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import orjson

from kubrick_api.errors import NIL, FieldError, duplicate, invalid_value, required, too_long, too_many
from kubrick_api.formats import c_identifier, csi_driver_name, invalids
from kubrick_api.resource import Object
from kubrick_api.validation import label, qualified_name, subdomain
from kubrick_api_core.placement_validation import validate_node_selector

if TYPE_CHECKING:
    from kubrick_cel.environment import Environment

Errors = Iterator[FieldError]
Check = Callable[[Any, str], Iterable[FieldError]]

POOL_LENGTH, ID_LENGTH = 253, 32
RAW_LIMIT = 10 * 1024
MAX_SELECTORS, MAX_CONFIGS, MAX_REQUESTS = 32, 32, 32
MAX_EXPRESSION = 10 * 1024
MAX_BINDING_CONDITIONS = 4
OMITTED = "<value omitted>"


def dns_label(value: str, at: str) -> list[FieldError]:
    return invalids(at, value, label(value))


def each(values: Sequence[Any] | None, limit: int | None, check: Check, at: str) -> Errors:
    """Every entry, unless there are too many to be looked at."""
    if limit is not None and len(values or ()) > limit:
        yield too_many(at, len(values or ()), limit)
        return
    for i, value in enumerate(values or ()):
        yield from check(value, f"{at}[{i}]")


def each_once(values: Sequence[Any] | None, limit: int | None, check: Check, at: str, key: str = "") -> Errors:
    """`each`, and no two alike: in their `key`, or altogether."""
    yield from each(values, limit, check, at)
    if limit is not None and len(values or ()) > limit:
        return
    seen = set()
    for i, value in enumerate(values or ()):
        own = (value.get(key) or "") if key else value
        if own in seen:
            yield duplicate(f"{at}[{i}]", own)
        seen.add(own)


def each_named(
    values: Mapping[str, Any] | None, limit: int | None, key: Check, check: Check, at: str, longest: int = 63
) -> Errors:
    """A map: keys, of which errors name the map, and values, where a long key is cut in the middle of the path."""
    if limit is not None and len(values or ()) > limit:
        yield too_many(at, len(values or ()), limit)
        return
    for name, value in (values or {}).items():
        shown = name if len(name) <= longest else f"{name[: (longest - 2) // 2]}...{name[-((longest - 3) // 2) :]}"
        yield from key(name, at)
        yield from check(value, f"{at}[{shown}]")


def pool_name(name: str, at: str) -> Errors:
    if not name:
        yield required(at)
        return
    if len(name) > POOL_LENGTH:
        yield too_long(at, POOL_LENGTH)
    for part in name.split("/"):
        yield from invalids(at, part, subdomain(part))


def qualified(name: str, at: str) -> Errors:
    """An attribute's or capacity's name: an identifier, perhaps in a domain. (More slashes than one go unnoticed.)"""
    parts = name.split("/")
    if len(parts) == 1:
        yield from identifier(name, at)
    elif len(parts) == 2:
        if not parts[0]:
            yield invalid_value(at, "", "the domain must not be empty")
        else:
            yield from csi_driver_name(parts[0], at)
        if not parts[1]:
            yield invalid_value(at, "", "the name must not be empty")
        else:
            yield from identifier(parts[1], at)


def fully_qualified(name: str, at: str) -> Errors:
    yield from qualified(name, at)
    if "/" not in name:
        yield invalid_value(at, name, "a fully qualified name must be a domain and a name separated by a slash")


def identifier(name: str, at: str) -> Errors:
    if len(name) > ID_LENGTH:
        yield too_long(at, ID_LENGTH)
    yield from invalids(at, name, c_identifier(name))


def uid(text: str, at: str) -> Errors:
    """A UUID in its usual spelling."""
    bare = text.removeprefix("urn:uuid:").strip("{}").replace("-", "")
    if not re.fullmatch("[0-9a-fA-F]{32}", bare):
        why = "invalid UUID format" if len(text) in (32, 36, 38, 45) else f"invalid UUID length: {len(text)}"
        yield invalid_value(at, text, f"error validating uid: {why}")
    elif len(text) != 36 or text != text.lower():
        why = (
            "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase "
            "hexadecimal characters"
        )
        yield invalid_value(at, text, why)


def raw(value: Any, at: str, limit: int | None = RAW_LIMIT) -> Errors:
    """An object of somebody else's. `limit` None: it was stored before there was one."""
    if value is None:
        yield required(at)
    elif limit is not None and len(orjson.dumps(value)) > limit:
        yield too_long(at, limit)
    elif not isinstance(value, dict):
        yield invalid_value(at, OMITTED, "must be a valid JSON object")


def selector(value: Object, at: str) -> Errors:
    """A DeviceSelector."""
    cel = value.get("cel")
    if cel is None:
        yield required(f"{at}.cel")
        return
    expression = cel.get("expression") or ""
    if len(expression.encode()) > MAX_EXPRESSION:
        yield too_long(f"{at}.cel.expression", MAX_EXPRESSION)
    elif error := expression_flaw(expression):
        yield invalid_value(f"{at}.cel.expression", expression, error)


def known_selector(value: Object, at: str) -> Errors:
    """A DeviceSelector that was there before: what it says was compiled then."""
    if value.get("cel") is None:
        yield required(f"{at}.cel")


def expression_flaw(expression: str) -> str:
    """Why this can't select devices; "" if it can. What the attributes of a device are is known when there is one."""
    checked = _devices().check(expression)
    if checked.error or checked.type in ("bool", "dyn", None):
        return checked.error
    return f"must evaluate to bool or the unknown type, not {checked.type}"


@cache
def _devices() -> "Environment":
    from kubrick_cel.declarations import DEVICE
    from kubrick_cel.environment import Environment

    return Environment({"device": DEVICE})


def configuration(config: Object, at: str, limit: int | None = RAW_LIMIT) -> Errors:
    """A DeviceConfiguration."""
    opaque = config.get("opaque")
    if opaque is None:
        yield required(f"{at}.opaque")
        return
    yield from csi_driver_name(opaque.get("driver") or "", f"{at}.opaque.driver")
    yield from raw(opaque.get("parameters"), f"{at}.opaque.parameters", limit)


def node_selector(selector: Object, at: str) -> list[FieldError]:
    errors: list[FieldError] = []
    validate_node_selector(selector, at, errors)
    return errors


def binding_conditions(holder: Object, at: str) -> Errors:
    """Which conditions must hold, and which may not, before a pod is bound: both lists or neither."""
    wanted, fatal = (holder.get(name) or [] for name in ("bindingConditions", "bindingFailureConditions"))
    lists = (("bindingConditions", wanted), ("bindingFailureConditions", fatal))
    for name, values in lists:
        yield from each(values, MAX_BINDING_CONDITIONS, _condition_name, f"{at}.{name}")
    for name, values in lists:
        for i, value in enumerate(values):
            if value in values[:i]:
                yield duplicate(f"{at}.{name}[{i}]", value)
            if values is fatal and value in wanted:
                why = "bindingFailureConditions must not overlap with bindingConditions"
                yield invalid_value(f"{at}.{name}[{i}]", value, why)
    if fatal and not wanted:
        why = "bindingConditions are required to use bindingFailureConditions"
        yield invalid_value(f"{at}.bindingConditions", wanted or NIL, why)
    if wanted and not fatal:
        why = "bindingFailureConditions are required to use bindingConditions"
        yield invalid_value(f"{at}.bindingFailureConditions", fatal or NIL, why)


def _condition_name(name: str, at: str) -> list[FieldError]:
    return invalids(at, name, qualified_name(name))
