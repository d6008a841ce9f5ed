"""Settings: a TOML table structured, strictly, into an attrs class.

Nothing is converted silently: "3" is not 3, and 1 is not true. Every error names the place, the key
and what is allowed. Understood are bool, int, float, str, Path, Literal, Enum, unions of these,
lists, tuples and tables of these, and nested attrs classes.
"""

import types
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs

from kubrick_kernel.errors import ConfigurationError

T = TypeVar("T")

_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a string", Path: "a string (a path)"}


def structure(cls: type[T], table: Mapping[str, Any], where: str) -> T:
    """An instance of `cls` from `table`; absent keys take their defaults.

    `where` begins every message ("cluster.toml: [plugins.apiserver]"). Raises `ConfigurationError`.
    """
    hints = get_type_hints(cls)
    fields = {field.alias or field.name: field for field in attrs.fields(cls) if field.init}  # type: ignore[arg-type]  # T is an attrs class by contract
    values: dict[str, Any] = {}
    for key, value in table.items():
        field = fields.get(key)
        if field is None:
            raise ConfigurationError(f"{where}: unknown key {key!r}{suggest(key, fields, 'allowed are')}")
        values[key] = _convert(hints[field.name], value, f"{where} {key}")
    for key, field in fields.items():
        if field.default is attrs.NOTHING and key not in values:
            raise ConfigurationError(f"{where}: the key {key!r} is missing")
    try:
        return cls(**values)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"{where}: {error}") from error


def suggest(name: str, known: Sequence[str] | Mapping[str, Any] | set[str], intro: str) -> str:
    """The end of a message about an unknown `name`: the closest known names, or all if they are few."""
    names = sorted(known)
    close = closest(name, names)
    if close:
        return f"; did you mean {_join(close, 'or')}?"
    if not names:
        return f"; {intro}: none"
    shown = names if len(names) <= 12 else [*names[:12], "..."]
    return f"; {intro}: {', '.join(shown)}"


def closest(name: str, names: Iterable[str], cutoff: float = 0.6) -> list[str]:
    """Up to three of `names` that look like `name`."""
    from difflib import get_close_matches  # costs a start without mistakes nothing

    return get_close_matches(name, list(names), n=3, cutoff=cutoff)


def describe(hint: Any) -> str:
    """What values of type `hint` look like in the file, in words."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in _WORDS:
        return _WORDS[hint]
    if origin is Literal:
        return _join([repr(value) for value in arguments], "or")
    if origin in (Union, types.UnionType):
        return _join([describe(argument) for argument in arguments if argument is not type(None)], "or")
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _join([repr(member.value) for member in hint], "or")
    if _is_sequence(origin):
        return f"a list, each {describe(arguments[0])}"
    return "a table"


def _join(words: Sequence[str], last: str) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def _is_sequence(origin: Any) -> bool:
    return isinstance(origin, type) and issubclass(origin, Sequence)


def _convert(hint: Any, value: Any, where: str) -> Any:
    """`value` as `hint`, or an error that says what is allowed."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if hint in (bool, int, str) and type(value) is hint:
        return value
    if hint is float and type(value) in (int, float):
        return float(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if origin is Literal and value in arguments:
        return value
    if isinstance(hint, type) and issubclass(hint, Enum) and any(value == member.value for member in hint):
        return hint(value)
    if origin in (Union, types.UnionType):
        return _convert_union(hint, arguments, value, where)
    if _is_sequence(origin) and isinstance(value, list):
        items = [_convert(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(value)]
        return tuple(items) if issubclass(origin, tuple) else items
    if isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(value, dict):
        return {key: _convert(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(hint, type) and attrs.has(hint) and isinstance(value, dict):
        return structure(hint, value, where)
    raise ConfigurationError(f"{where}: {value!r} is not allowed; it must be {describe(hint)}")


def _convert_union(hint: Any, arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    for argument in arguments:
        try:
            return _convert(argument, value, where)
        except ConfigurationError:
            continue
    raise ConfigurationError(f"{where}: {value!r} is not allowed; it must be {describe(hint)}")
