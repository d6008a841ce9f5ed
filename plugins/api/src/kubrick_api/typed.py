"""Typed objects: what every generated class is, and both ways between classes and JSON-shaped dicts.

The generated modules (``kubrick_api_core.types`` and its kin) define attrs classes in snake_case.
`structure` makes one from a dict, `unstructure` gives the dict back in Kubernetes' spelling; fields
that the class doesn't know are kept in `Typed.unknown` and come back out. Lists and maps are empty,
never None; other absent fields are None. cattrs does the work: it is imported when first needed,
and prepares each class when it is first met.
"""

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar, get_origin

import attrs
from attrs import define, field

from kubrick_api.quantity import Quantity
from kubrick_kernel.clock import rfc3339, rfc3339_micro

if TYPE_CHECKING:
    from cattrs import Converter

MicroTime = Annotated[datetime, "MicroTime"]
"""A time that is written with six decimals."""


@define(slots=False)
class Typed:
    """A typed object. `unknown` holds fields of the JSON object that the class doesn't have."""

    json_names: ClassVar[dict[str, str]] = {}
    """Attributes whose JSON name isn't their name in plain camelCase."""

    unknown: dict[str, Any] = field(factory=dict, kw_only=True, repr=False)


T = TypeVar("T", bound=Typed)


def structure(cls: type[T], obj: dict[str, Any]) -> T:
    """`obj` as an instance of `cls`. The dict is not changed; untyped parts are shared with it.
    Raises ValueError or TypeError when a value doesn't fit its type."""
    return _converter().structure(obj, cls)


def unstructure(obj: Typed) -> dict[str, Any]:
    """The JSON-shaped dict of `obj`: unset fields and empty lists and maps left out, unknown fields
    put back."""
    result: dict[str, Any] = _converter().unstructure(obj)
    return result


def json_name(cls: type[Typed], attribute: str) -> str:
    """How `cls` spells an attribute in JSON: ``host_ip`` is ``hostIP``."""
    if attribute in cls.json_names:
        return cls.json_names[attribute]
    head, *rest = attribute.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _parse_time(text: Any, _: Any = None) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@cache
def _converter() -> "Converter":
    from cattrs import Converter

    converter = Converter(detailed_validation=False)
    converter.register_structure_hook(datetime, _parse_time)
    converter.register_unstructure_hook(datetime, rfc3339)
    converter.register_structure_hook_func(lambda t: t == MicroTime, _parse_time)
    converter.register_unstructure_hook_func(lambda t: t == MicroTime, rfc3339_micro)
    converter.register_structure_hook(Quantity, lambda value, _: Quantity(value))
    converter.register_unstructure_hook(Quantity, str)
    converter.register_structure_hook(bytes, lambda value, _: base64.b64decode(value))
    converter.register_unstructure_hook(bytes, lambda value: base64.b64encode(value).decode())
    converter.register_structure_hook_func(lambda t: t in (int | str, int | str | None), lambda value, _: value)
    converter.register_structure_hook_factory(_is_typed, lambda cls: _structurer(cls, converter))
    converter.register_unstructure_hook_factory(_is_typed, lambda cls: _unstructurer(cls, converter))
    return converter


def _is_typed(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, Typed)


def _overrides(cls: type[Typed]) -> dict[str, Any]:
    from cattrs.gen import override

    attrs.resolve_types(cls)
    overrides = {a.name: override(rename=json_name(cls, a.name)) for a in attrs.fields(cls)}
    overrides["unknown"] = override(omit=True)
    return overrides


def _structurer(cls: type[Typed], converter: "Converter") -> Callable[[Any, Any], Typed]:
    from cattrs.gen import make_dict_structure_fn

    plain = make_dict_structure_fn(cls, converter, **_overrides(cls))
    known = {json_name(cls, a.name) for a in attrs.fields(cls) if a.name != "unknown"}

    def structured(obj: Any, _: Any) -> Typed:
        if not isinstance(obj, dict):
            raise TypeError(f"{cls.__name__} is made from a dict, not from {obj!r}")
        present = {key: value for key, value in obj.items() if value is not None}
        made: Typed = plain(present, cls)
        if not present.keys() <= known:
            made.unknown = {key: value for key, value in present.items() if key not in known}
        return made

    return structured


def _unstructurer(cls: type[Typed], converter: "Converter") -> Callable[[Typed], dict[str, Any]]:
    from cattrs.gen import make_dict_unstructure_fn

    plain = make_dict_unstructure_fn(cls, converter, **_overrides(cls))
    collections = {json_name(cls, a.name) for a in attrs.fields(cls) if get_origin(a.type) in (list, dict)}
    omitted_when_empty = collections | {"spec", "status"}

    def unstructured(obj: Typed) -> dict[str, Any]:
        result = {
            key: value
            for key, value in plain(obj).items()
            if value is not None and (value or key not in omitted_when_empty)
        }
        result.update(obj.unknown)
        return result

    return unstructured
