"""Shapes of objects whose fields have owners of their own: structs, and maps of anything."""

from collections.abc import Iterator
from typing import Any

from kubrick_api.codec import copy
from kubrick_api.fields.gotext import value_text
from kubrick_api.fields.leaves import ABSENT, Delta, Leaf, Problem, Shape, member
from kubrick_api.fields.sets import LEAF, MEMBER, Node, ordered

Field = tuple[str, Shape, bool]
"""The path element, the shape, and whether it is there (empty) even when nobody wrote it."""


class Struct:
    """Named fields. Those it doesn't know are nobody's: they are dropped before anything is stored."""

    __slots__ = ("_always", "_known", "fields")

    def __init__(self, fields: dict[str, Field]) -> None:
        self.fields = fields
        self._always: frozenset[str] | None = None
        self._known: dict[str, tuple[str, Shape | None]] | None = None

    @property
    def known(self) -> dict[str, tuple[str, Shape | None]]:
        """What there is to know when a value is new: the path element, and the shape if it isn't one value.
        (Calls are what costs here: a pod has five values for every struct.)"""
        if self._known is None:
            self._known = {
                name: (part, None if isinstance(shape, Leaf) else shape)
                for name, (part, shape, _) in self.fields.items()
            }
        return self._known

    @property
    def always(self) -> frozenset[str]:
        if self._always is None:
            self._always = frozenset(name for name, (_, _, there) in self.fields.items() if there)
        return self._always

    def added(self, value: Any) -> Node:
        always = self._always
        if always is None:
            always = self.always
        if not value and not always:
            return LEAF
        get = (self._known or self.known).get
        node: Node = {MEMBER: LEAF}
        for name in sorted(value):
            found = get(name)
            if found is not None:
                part, shape = found
                node[part] = LEAF if shape is None else shape.added(value[name])
        if always and not always <= value.keys():
            for name in always - value.keys():
                node[self.fields[name][0]] = LEAF
            return ordered(node)
        return node

    def fresh(self, value: Any) -> Node | None:
        get = self.fields.get
        node: Node = {}
        for name in sorted(value):
            field = get(name)
            if field is None:
                continue
            part, shape, there = field
            below = shape.fresh(value[name]) if there else shape.added(value[name])
            if below is not None:
                node[part] = below
        return node or None

    def fieldset(self, value: Any) -> Node | None:
        get = self.fields.get
        node: Node = {}
        for name in sorted(value or ()):
            field = get(name)
            if field is None:
                continue
            entry = value[name]
            below = LEAF if entry is None or entry == {} else field[1].fieldset(entry)
            if below is not None:
                node[field[0]] = below
        return node or None

    def compare(self, old: Any, new: Any) -> Delta:
        taken: Node = {}
        removed: Node = {}
        get = self.fields.get
        for name, value in new.items():
            field = get(name)
            if field is None:
                continue
            part, shape, there = field
            before = old.get(name)
            if before is None:
                if value is None:
                    continue
                below = shape.fresh(value) if there else shape.added(value)
                if below is not None:
                    taken[part] = below
            elif before != value:
                if value is None:
                    removed[part] = shape.added(before)
                    continue
                more, less = shape.compare(before, value)
                if more is not None:
                    taken[part] = more
                if less is not None:
                    removed[part] = less
        for name, before in old.items():
            if name not in new and before is not None:
                field = get(name)
                if field is not None:
                    below = field[1].fresh(before) if field[2] else field[1].added(before)
                    if below is not None:
                        removed[field[0]] = below
        return ordered(taken) or None, ordered(removed) or None

    def merge(self, old: Any, new: Any) -> Any:
        if not isinstance(old, dict) or not isinstance(new, dict):
            return copy(old) if new is None and old else copy(new)
        merged: dict[str, Any] = {}
        for name, before in old.items():
            if name not in new:
                merged[name] = copy(before) if type(before) in (dict, list) else before
            else:
                field = self.fields.get(name)
                merged[name] = copy(new[name]) if field is None or before is None else field[1].merge(before, new[name])
        for name, value in new.items():
            if name not in old:
                merged[name] = copy(value)
        return merged

    def remove(self, value: Any, fields: Node) -> Any:
        if not isinstance(value, dict):
            return value
        left: dict[str, Any] = {}
        for name, entry in value.items():
            below = fields.get(f"f:{name}")
            if below is None:
                left[name] = entry
            elif below and MEMBER not in below:
                field = self.fields.get(name)
                rest = entry if field is None or entry is None else field[1].remove(entry, below)
                if rest is not ABSENT:
                    left[name] = rest
        return left or ABSENT

    def named(self, fields: Node) -> Node:
        node: Node = {}
        for part, below in fields.items():
            field = self.fields.get(part[2:]) if part[:2] == "f:" else None
            node[part] = member(field[1].named(below)) if field is not None and below else below
        return node

    def check(self, value: Any) -> Iterator[Problem]:
        if value is None:
            return
        if not isinstance(value, dict):
            yield "", f"expected map, got &{{{value_text(value)}}}"
            return
        for name, entry in value.items():
            field = self.fields.get(name)
            if field is None:
                yield f".{name}", "field not declared in schema"
                return
            for where, what in field[1].check(entry):
                yield f".{name}{where}", what


class Mapping:
    """A map from any key to values of one shape, each with owners of its own."""

    __slots__ = ("element",)

    def __init__(self, element: Shape) -> None:
        self.element = element

    def added(self, value: Any) -> Node:
        if not value:
            return LEAF
        added = self.element.added
        node: Node = {MEMBER: LEAF}
        for key in sorted(value):
            node[f"f:{key}"] = added(value[key])
        return node

    def fresh(self, value: Any) -> Node | None:
        return {f"f:{key}": self.element.added(value[key]) for key in sorted(value or ())} or None

    def fieldset(self, value: Any) -> Node | None:
        element = self.element
        return {
            f"f:{key}": LEAF if value[key] is None else member(element.fieldset(value[key]))
            for key in sorted(value or ())
        } or None

    def compare(self, old: Any, new: Any) -> Delta:
        taken: Node = {}
        removed: Node = {}
        for key in sorted(new.keys()):
            if key not in old:
                taken[f"f:{key}"] = self.element.added(new[key])
            elif old[key] != new[key]:
                more, less = self.element.compare(old[key], new[key])
                if more is not None:
                    taken[f"f:{key}"] = more
                if less is not None:
                    removed[f"f:{key}"] = less
        for key in old:
            if key not in new:
                removed[f"f:{key}"] = self.element.added(old[key])
        return taken or None, ordered(removed) or None

    def merge(self, old: Any, new: Any) -> Any:
        if not isinstance(old, dict) or not isinstance(new, dict):
            return copy(old) if new is None and old else copy(new)
        merged = copy(old)
        for key, value in new.items():
            merged[key] = self.element.merge(old[key], value) if key in old else copy(value)
        return merged

    def remove(self, value: Any, fields: Node) -> Any:
        if not isinstance(value, dict):
            return value
        left: dict[str, Any] = {}
        for key, entry in value.items():
            below = fields.get(f"f:{key}")
            if below is None:
                left[key] = entry
            elif below and MEMBER not in below:
                rest = self.element.remove(entry, below)
                if rest is not ABSENT:
                    left[key] = rest
        return left or ABSENT

    def named(self, fields: Node) -> Node:
        return {part: self.element.named(below) if below else below for part, below in fields.items()}

    def check(self, value: Any) -> Iterator[Problem]:
        if value is None:
            return
        if not isinstance(value, dict):
            yield "", f"expected map, got &{{{value_text(value)}}}"
            return
        for key, entry in value.items():
            for where, what in self.element.check(entry):
                yield f".{key}{where}", what
