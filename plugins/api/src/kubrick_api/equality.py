"""Whether two values say the same, the way apimachinery's Semantic.DeepEqual sees them.

Go doesn't tell an empty list, map or text from an absent one where the field isn't a pointer; on dicts
we must look past the difference, or every immutability rule would complain about nothing.
"""

from typing import Any


def empty(value: Any) -> bool:
    """Whether a value says nothing: absent, or an empty list, map or text, or a map of such."""
    if isinstance(value, dict):
        return all(empty(entry) for entry in value.values())
    return value is None or value == [] or value == ""


def same(a: Any, b: Any) -> bool:
    """Semantic equality of two JSON-shaped values."""
    if a is b:
        return True
    if isinstance(a, dict) and isinstance(b, dict):
        return all(same(a.get(key), b.get(key)) for key in a.keys() | b.keys())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if type(a) is bool or type(b) is bool:
        return a is b or (empty(a) and empty(b))
    return bool(a == b) or (empty(a) and empty(b))


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
