"""The JSON Patch (RFC 6902) that turns one JSON value into another. For people to read, so it aims at few
and small operations; it is never on a request's way."""

from typing import Any

Operations = list[dict[str, Any]]


def difference(before: Any, after: Any, path: str = "") -> Operations:
    """Operations that make `after` of `before`."""
    if isinstance(before, dict) and isinstance(after, dict):
        return _of_mappings(before, after, path)
    if isinstance(before, list) and isinstance(after, list):
        return _of_lists(before, after, path)
    if before == after and isinstance(before, bool) == isinstance(after, bool):
        return []
    return [{"op": "replace", "path": path, "value": after}]


def _of_mappings(before: dict[str, Any], after: dict[str, Any], path: str) -> Operations:
    operations: Operations = []
    for key, value in before.items():
        where = f"{path}/{_escape(key)}"
        if key not in after:
            operations.append({"op": "remove", "path": where})
        else:
            operations += difference(value, after[key], where)
    operations += [
        {"op": "add", "path": f"{path}/{_escape(key)}", "value": value}
        for key, value in after.items()
        if key not in before
    ]
    return operations


def _of_lists(before: list[Any], after: list[Any], path: str) -> Operations:
    """Entries in common at both ends stay; of the middle, pairs are compared and the rest added or removed."""
    start = 0
    shorter = min(len(before), len(after))
    while start < shorter and before[start] == after[start]:
        start += 1
    tail = 0
    while tail < shorter - start and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    old, new = before[start : len(before) - tail], after[start : len(after) - tail]
    operations: Operations = []
    for index, (one, other) in enumerate(zip(old, new, strict=False), start):
        operations += difference(one, other, f"{path}/{index}")
    pairs = min(len(old), len(new))
    for index in range(start + len(old) - 1, start + pairs - 1, -1):
        operations.append({"op": "remove", "path": f"{path}/{index}"})
    for index, value in enumerate(new[pairs:], start + pairs):
        operations.append({"op": "add", "path": f"{path}/{index}", "value": value})
    return operations


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
