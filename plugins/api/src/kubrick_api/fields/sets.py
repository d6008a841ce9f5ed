"""Sets of field paths, in the shape in which the API shows them: FieldsV1.

A set is a tree of dicts. A key is one path element: ``f:name`` (a field or a map's key), ``k:{...}`` (an
item of a list-map, by its keys), ``v:value`` (an item of a set), ``i:index``. A node ``{}`` is a member
without members below it; any other node is a member only if it has the key ``.``:

    {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}}     # labels and labels.app, but not metadata

So a decoded FieldsV1 is a set already, and a set is encoded by encoding it. The empty set is ``{}``
(the root itself is never a member). Sets are shared freely and never changed in place.

Where a function is about a node below the root, ``None`` stands for "nothing at all here".
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import orjson

Node = dict[str, Any]
Set = dict[str, Any]
Path = tuple[str, ...]

MEMBER = "."
LEAF: Node = {}
EMPTY: Set = {}
RANKS = {"f": 0, "k": 1, "v": 2, "i": 3}


def union(a: Set, b: Set) -> Set:
    """The members of both."""
    if not a or a is b:
        return b
    return _union(a, b) if b else a


def _union(a: Node, b: Node) -> Node:
    if a is b or a == b:
        return a
    if not a:
        return b if MEMBER in b else {MEMBER: LEAF, **b}
    if not b:
        return a if MEMBER in a else {MEMBER: LEAF, **a}
    joined = dict(a)
    grown = False
    for key, below in b.items():
        known = joined.get(key)
        if known is None:
            joined[key] = below
            grown = True
        elif key != MEMBER:
            joined[key] = _union(known, below)
    return ordered(joined) if grown else joined


def intersection(a: Set, b: Set) -> Set:
    """The members in both."""
    return (_intersection(a, b) or EMPTY) if a and b else EMPTY


def _intersection(a: Node, b: Node) -> Node | None:
    if a is b or a == b:
        return a
    if not a:
        return LEAF if not b or MEMBER in b else None
    if not b:
        return LEAF if MEMBER in a else None
    common: Node = {}
    for key, below in a.items():
        other = b.get(key)
        if other is None:
            continue
        if key == MEMBER:
            common[key] = LEAF
            continue
        both = _intersection(below, other)
        if both is not None:
            common[key] = both
    return _settled(common)


def difference(a: Set, b: Set) -> Set:
    """The members of `a` that are not members of `b`."""
    return (_difference(a, b) or EMPTY) if a and b else a


def _difference(a: Node, b: Node) -> Node | None:
    if a is b or a == b:
        return None
    if not a:
        return None if not b or MEMBER in b else a
    if not b:
        return _settled({key: below for key, below in a.items() if key != MEMBER}) if MEMBER in a else a
    rest: Node = {}
    for key, below in a.items():
        other = b.get(key)
        if other is None:
            rest[key] = below
        elif key != MEMBER:
            left = _difference(below, other)
            if left is not None:
                rest[key] = left
    return _settled(rest)


def without(a: Set, b: Set) -> Set:
    """The members of `a` that are neither members of `b` nor below one (Go: RecursiveDifference)."""
    return (_without(a, b) or EMPTY) if a and b else a


def _without(a: Node, b: Node) -> Node | None:
    if not b or MEMBER in b:
        return None
    if a.keys().isdisjoint(b):
        return a
    rest: Node = {}
    for key, below in a.items():
        other = b.get(key)
        left = below if other is None else _without(below, other)
        if left is not None:
            rest[key] = left
    return _settled(rest)


def within(a: Set, b: Set) -> Set:
    """The members of `a` that are members of `b` or below one; in `b` the key ``*`` stands for any."""
    kept: Node = {}
    for key, below in a.items():
        other = b.get(key, b.get("*"))
        if other is None or key == MEMBER:
            continue
        if not other:
            kept[key] = below
        elif below:
            left = within(below, other)
            if left:
                kept[key] = left
    return kept


def _settled(node: Node) -> Node | None:
    """A node in its one true form: nothing left is None, and a member with nothing below is ``{}``."""
    if not node:
        return None
    if len(node) == 1 and MEMBER in node:
        return LEAF
    return node


def contains(a: Set, b: Set) -> bool:
    """Whether all members of `b` are in `a`."""
    return a is b or not difference(b, a)


def has(a: Set, path: Path) -> bool:
    """Whether the path is a member."""
    node: Node | None = a
    for part in path:
        if not node:
            return False
        node = node.get(part)
        if node is None:
            return False
    return not node or MEMBER in node


def of_paths(*paths: Path) -> Set:
    """The set of some paths."""
    made: Set = {}
    for path in paths:
        single: Node = LEAF
        for part in reversed(path):
            single = {part: single}
        made = union(made, single)
    return made


def members(a: Set, before: Path = ()) -> Iterator[Path]:
    """Every member's path: at each level the members first, then what is below each child."""
    parts = [key for key in ordered(a) if key != MEMBER]
    for key in parts:
        below = a[key]
        if not below or MEMBER in below:
            yield (*before, key)
    for key in parts:
        if a[key]:
            yield from members(a[key], (*before, key))


def text(path: Path) -> str:
    """A path as people read it: ``.spec.containers[name="web"].image``."""
    return "".join(map(element_text, path))


def element_text(part: str) -> str:
    """One path element, as Go's PathElement prints it."""
    kind, _, value = part.partition(":")
    if kind == "f":
        return f".{value}"
    if kind == "k":
        keys = orjson.loads(value)
        return f"[{','.join(f'{name}={_shown(keys[name])}' for name in sorted(keys))}]"
    return f"[={_shown(orjson.loads(value))}]" if kind == "v" else f"[{value}]"


def _shown(value: Any) -> str:
    return orjson.dumps(value).decode()


# Order


def ordered(node: Node) -> Node:
    """The same node with its keys in the order in which Kubernetes writes them."""
    if len(node) < 2:
        return node
    keys = list(node)
    wanted = sorted(keys) if all(key[0] in "f." for key in keys) else sorted(keys, key=rank)
    return node if keys == wanted else {key: node[key] for key in wanted}


@lru_cache(maxsize=8192)
def rank(part: str) -> tuple[Any, ...]:
    """What to sort a path element by: the dot, fields by name, list items by keys, by value, by index."""
    kind, _, value = part.partition(":")
    if kind == MEMBER:
        return (-1,)
    if kind == "k":
        keys = orjson.loads(value)
        return 1, tuple((name, _comparable(keys[name])) for name in sorted(keys))
    if kind == "v":
        return 2, _comparable(orjson.loads(value))
    return (3, int(value)) if kind == "i" else (0, value)


def _comparable(value: Any) -> tuple[Any, ...]:
    """Values of different kinds in Go's order: numbers, texts, booleans."""
    if isinstance(value, bool):
        return 2, value
    if isinstance(value, (int, float)):
        return 0, value
    return (1, value) if isinstance(value, str) else (3, _shown(value))


def canonical(node: Node) -> Node:
    """A set from elsewhere (a client's managedFields) in its one true form: in order, without dots that say
    nothing. Raises ValueError when it isn't a set."""
    if type(node) is not dict:
        raise ValueError("a set of fields is an object")
    made: Node = {}
    for key, below in node.items():
        if key == MEMBER:
            made[MEMBER] = LEAF
            continue
        try:
            rank(key)
        except (ValueError, AttributeError, TypeError):
            raise ValueError(f"{key} is no path element") from None
        if key[:2] not in ("f:", "k:", "v:", "i:"):
            raise ValueError(f"{key} is no path element")
        made[key] = canonical(below)
    return ordered(_settled(made) or LEAF)
