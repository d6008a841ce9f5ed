"""Keys given twice in one JSON object, which strict and warning field validation complain of.

It matters on few requests and the parser doesn't say, so a cheap test comes first: does the parsed object
account for every colon in the text? Only if not is the text parsed again, keeping the pairs.
"""

import json
from typing import Any

import orjson


def may_repeat(text: bytes, parsed: Any) -> bool:
    """Whether a key may stand twice in the valid JSON `text`; `parsed` is what it was parsed to, before
    anything was changed in it."""
    return b"\\u003" in text or text.count(b":") != orjson.dumps(parsed).count(b":")


def duplicate_fields(text: bytes, parsed: Any) -> list[str]:
    """``duplicate field "spec.replicas"`` for each key given twice."""
    return strict_troubles(text, []) if may_repeat(text, parsed) else []


def strict_troubles(text: bytes, unknown: list[str]) -> list[str]:
    """``unknown field "x"`` for the `unknown` ones and ``duplicate field "x"`` for keys given twice, in the
    order of the valid JSON `text`. What is inside unknown fields is passed over, as Go's decoder does."""
    found: list[str] = []
    _collect(json.loads(text.decode("utf-8", "replace"), object_pairs_hook=_Pairs), "", frozenset(unknown), found)
    return list(dict.fromkeys([*found, *unknown]))


class _Pairs(list[tuple[str, Any]]):
    """An object as it was written."""


def _collect(value: Any, path: str, unknown: frozenset[str], found: list[str]) -> None:
    if isinstance(value, _Pairs):
        seen = set()
        for key, item in value:
            where = f"{path}.{key}" if path else key
            stranger = f'unknown field "{where}"'
            if stranger in unknown:
                found.append(stranger)
                continue
            if key in seen:
                found.append(f'duplicate field "{where}"')
            seen.add(key)
            _collect(item, where, unknown, found)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _collect(item, f"{path}[{index}]", unknown, found)
