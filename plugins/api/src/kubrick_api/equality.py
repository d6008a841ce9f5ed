"""Whether two values say the same, the way apimachinery's Semantic.DeepEqual sees them.

Go doesn't tell an empty list, map or text from an absent one where the field isn't a pointer; on dicts
we must look past the difference, or every immutability rule would complain about nothing. Values without
a schema (raw data, JSON patches) have no such fields: there `identical` is the question.
"""

from typing import Any

import orjson


def empty(value: Any) -> bool:
    """Whether a value says nothing: absent, or an empty list, map or text, or a map of such."""
    if isinstance(value, dict):
        return all(empty(entry) for entry in value.values())
    return value is None or value == [] or value == ""


def same(a: Any, b: Any) -> bool:
    """Semantic equality of two values of one schema. Where there is none, ask `identical`."""
    if identical(a, b):
        return True
    if isinstance(a, dict) and isinstance(b, dict):
        return all(same(a.get(key), b.get(key)) for key in a.keys() | b.keys())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return empty(a) and empty(b)


def identical(a: Any, b: Any) -> bool:
    """Equality of two JSON values, whatever they mean: an absent key isn't an empty one, true isn't 1."""
    if a is b:
        return True
    if a != b:
        return False
    kind = type(a)
    if kind is not dict and kind is not list:
        return (kind is bool) == (type(b) is bool)
    return orjson.dumps(a) == orjson.dumps(b) or _same_kinds(a, b)  # the encodings also differ by order


def _same_kinds(a: Any, b: Any) -> bool:
    """Whether two equal values have their booleans in the same places."""
    if isinstance(a, dict):
        return all(_same_kinds(value, b[key]) for key, value in a.items())
    if isinstance(a, list):
        return all(map(_same_kinds, a, b))
    return (type(a) is bool) == (type(b) is bool)


def unified_diff(a: Any, b: Any) -> str:
    """The difference of two objects as error messages show it: a unified diff of their JSON, without headers."""
    import difflib
    import json

    texts = [json.dumps(_full(value) or {}, indent=1, sort_keys=True, ensure_ascii=False) for value in (a, b)]
    old, new = ([f"{line}\n" for line in text.split("\n")] for text in texts)
    return "".join(list(difflib.unified_diff(old, new, n=3))[2:])


def _full(value: Any) -> Any:
    """Without what says nothing."""
    if isinstance(value, dict):
        return {key: _full(entry) for key, entry in value.items() if not empty(entry)}
    return [_full(entry) for entry in value] if isinstance(value, list) else value


def differences(a: Any, b: Any, path: str = "") -> list[str]:
    """Where `b` differs from `a`, one line each: "-path: old" and "+path: new"."""
    if same(a, b):
        return []
    if isinstance(a, dict) and isinstance(b, dict):
        keys = sorted(a.keys() | b.keys())
        return [line for key in keys for line in differences(a.get(key), b.get(key), f"{path}.{key}" if path else key)]
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return [line for i, pair in enumerate(zip(a, b, strict=True)) for line in differences(*pair, f"{path}[{i}]")]
    from kubrick_api.errors import show

    return [f"-{path}: {show(a)}"] * (a is not None) + [f"+{path}: {show(b)}"] * (b is not None)
