"""Shapes that are one value to server-side apply, whatever is inside: scalars and atomic structs, maps and
lists; and the shape of what no schema describes.

Every shape answers the same questions (see `Shape`); here most answers are "the whole".
"""

from collections.abc import Iterator
from typing import Any, Protocol

from kubrick_api.codec import copy
from kubrick_api.fields.gotext import literal, type_name, value_text
from kubrick_api.fields.sets import LEAF, MEMBER, Node, ordered

Problem = tuple[str, str]
"""Where (as text) and what: a value that doesn't fit its type."""
Delta = tuple[Node | None, Node | None]
"""What a change takes (adds or modifies), and what it removes."""
NO_CHANGE: Delta = (None, None)
ABSENT: Any = object()
"""What `remove` leaves of a value of which nothing is left."""


class Shape(Protocol):
    """How one type looks to server-side apply. Nodes are those of `kubrick_api.fields.sets`; a node that
    is returned for a value says what is at and below it, None that there is nothing."""

    def added(self, value: Any) -> Node:
        """The fields of a value where there was none."""
        ...

    def fresh(self, value: Any) -> Node | None:
        """The fields of a value where there was an empty one (see `values`)."""
        ...

    def fieldset(self, value: Any) -> Node | None:
        """The fields that a value sets, for an applied object."""
        ...

    def compare(self, old: Any, new: Any) -> Delta:
        """What changed between two values that aren't equal."""
        ...

    def merge(self, old: Any, new: Any) -> Any:
        """`old` with `new` applied to it; private."""
        ...

    def remove(self, value: Any, fields: Node) -> Any:
        """`value` without these fields; ABSENT when nothing is left. Shares with `value`."""
        ...

    def named(self, fields: Node) -> Node:
        """The same set with every named field on the way to a member a member too
        (Go: EnsureNamedFieldsAreMembers)."""
        ...

    def check(self, value: Any) -> Iterator[Problem]:
        """What doesn't fit, in structured-merge-diff's words."""
        ...


def member(node: Node | None) -> Node:
    """The node as a member itself."""
    if not node or MEMBER in node:
        return node or LEAF
    return {MEMBER: LEAF, **node}


class Leaf:
    """A scalar. `kind` is numeric, string, boolean or untyped."""

    __slots__ = ("kind",)

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def added(self, value: Any) -> Node:
        return LEAF

    def fresh(self, value: Any) -> Node | None:
        return None if value in ("", 0, None) else LEAF

    def fieldset(self, value: Any) -> Node | None:
        return LEAF

    def compare(self, old: Any, new: Any) -> Delta:
        return LEAF, None

    def merge(self, old: Any, new: Any) -> Any:
        return copy(new)

    def remove(self, value: Any, fields: Node) -> Any:
        return value

    def named(self, fields: Node) -> Node:
        return fields

    def check(self, value: Any) -> Iterator[Problem]:
        if value is None or self.kind == "untyped":
            return
        if self.kind == "numeric" and type(value) not in (int, float):
            yield "", f"expected numeric (int or float), got {type_name(value)}"
        elif self.kind == "string" and type(value) is not str:
            yield "", f"expected string, got &value.valueUnstructured{{Value:{literal(value)}}}"
        elif self.kind == "boolean" and type(value) is not bool:
            yield "", f"expected boolean, got &{{{value_text(value)}}}"


class Atomic(Leaf):
    """A struct, map or list that has one owner; `inside` still checks it."""

    __slots__ = ("inside",)

    def __init__(self, inside: Shape) -> None:
        super().__init__("untyped")
        self.inside = inside

    def fresh(self, value: Any) -> Node | None:
        return LEAF if value else None

    def remove(self, value: Any, fields: Node) -> Any:
        return ABSENT

    def check(self, value: Any) -> Iterator[Problem]:
        return self.inside.check(value)


class Deduced:
    """Anything: a map is many values, everything else is one."""

    __slots__ = ()

    def added(self, value: Any) -> Node:
        if not isinstance(value, dict) or not value:
            return LEAF
        return ordered({MEMBER: LEAF, **{f"f:{key}": self.added(entry) for key, entry in value.items()}})

    def fresh(self, value: Any) -> Node | None:
        if not isinstance(value, dict):
            return LEAF
        return ordered({f"f:{key}": self.added(entry) for key, entry in value.items()}) or None

    def fieldset(self, value: Any) -> Node | None:
        if not isinstance(value, dict):
            return LEAF
        return ordered({f"f:{key}": member(self.fieldset(entry)) for key, entry in value.items()}) or None

    def compare(self, old: Any, new: Any) -> Delta:
        if not isinstance(old, dict) or not isinstance(new, dict):
            if isinstance(new, dict) or isinstance(old, dict):
                return self.added(new), self.fresh(old) if isinstance(old, dict) else None
            return LEAF, None
        taken: Node = {}
        removed: Node = {}
        for key in sorted(old.keys() | new.keys()):
            part = f"f:{key}"
            if key not in old:
                taken[part] = self.added(new[key])
            elif key not in new:
                removed[part] = self.added(old[key])
            elif old[key] != new[key]:
                more, less = self.compare(old[key], new[key])
                if more is not None:
                    taken[part] = more
                if less is not None:
                    removed[part] = less
        return taken or None, removed or None

    def merge(self, old: Any, new: Any) -> Any:
        if not isinstance(old, dict) or not isinstance(new, dict):
            return copy(new)
        merged = copy(old)
        for key, value in new.items():
            merged[key] = self.merge(old[key], value) if key in old else copy(value)
        return merged

    def remove(self, value: Any, fields: Node) -> Any:
        if not isinstance(value, dict):
            return value if not isinstance(value, list) else ABSENT
        left: dict[str, Any] = {}
        for key, entry in value.items():
            below = fields.get(f"f:{key}")
            if below is None:
                left[key] = entry
            elif below and MEMBER not in below:
                rest = self.remove(entry, below)
                if rest is not ABSENT:
                    left[key] = rest
        return left or ABSENT

    def named(self, fields: Node) -> Node:
        return fields

    def check(self, value: Any) -> Iterator[Problem]:
        return iter(())
