"""Keys given twice in one JSON object, which strict and warning field validation complain of.

It matters on few requests and the parser doesn't say, so a cheap test comes first: does the parsed object
account for every colon in the text? Only if not is the text parsed again, keeping the pairs.
"""

import json
from typing import Any

import orjson


def duplicate_fields(text: bytes, parsed: Any) -> list[str]:
    """``duplicate field "spec.replicas"`` for each key given twice in the valid JSON `text`; `parsed` is
    what it was parsed to, before anything was changed in it."""
    if b"\\u003" not in text and text.count(b":") == orjson.dumps(parsed).count(b":"):
        return []
    found: list[str] = []
    _collect(json.loads(text.decode("utf-8", "replace"), object_pairs_hook=_noting), "", found)
    return list(dict.fromkeys(found))


class _Noted(dict[str, Any]):
    """An object that remembers which of its keys came twice."""

    twice: frozenset[str] = frozenset()


def _noting(pairs: list[tuple[str, Any]]) -> _Noted:
    noted = _Noted(pairs)
    if len(noted) != len(pairs):
        names = [key for key, _ in pairs]
        noted.twice = frozenset(key for key in noted if names.count(key) > 1)
    return noted


def _collect(value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, _Noted):
        for key, item in value.items():
            where = f"{path}.{key}" if path else key
            if key in value.twice:
                found.append(f'duplicate field "{where}"')
            _collect(item, where, found)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _collect(item, f"{path}[{index}]", found)
