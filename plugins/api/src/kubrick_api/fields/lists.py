"""Shapes of lists whose items have owners of their own: list-maps (items with keys) and sets of scalars.

An item's path element is made from its keys, or from itself: its place in the list says nothing.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from kubrick_api.codec import copy
from kubrick_api.fields.gotext import value_text
from kubrick_api.fields.leaves import ABSENT, Delta, Leaf, Problem, Shape, member
from kubrick_api.fields.sets import LEAF, MEMBER, Node, element_text, ordered

REMEMBERED = 4096
Items = dict[str, list[Any]]
"""A list's items by path element, in order; more than one under an element that is repeated."""


class Associative:
    """What both kinds share. `part_of` makes an item's path element; ValueError says why there is none."""

    __slots__ = ("element",)

    def __init__(self, element: Shape) -> None:
        self.element = element

    def part_of(self, item: Any) -> str:
        raise NotImplementedError

    def index(self, value: Any) -> Items:
        """The items by path element; those without one (which only a stored object can have) left out."""
        items: Items = {}
        for item in value or ():
            try:
                part = self.part_of(item)
            except ValueError:
                continue
            known = items.get(part)
            if known is None:
                items[part] = [item]
            else:
                known.append(item)
        return items

    def added(self, value: Any) -> Node:
        if not value:
            return LEAF
        return ordered({MEMBER: LEAF, **self._items(value)})

    def fresh(self, value: Any) -> Node | None:
        return ordered(self._items(value)) or None

    def _items(self, value: Any) -> Node:
        added = self.element.added
        return {part: added(items[0]) if len(items) == 1 else LEAF for part, items in self.index(value).items()}

    def fieldset(self, value: Any) -> Node | None:
        element = self.element
        return (
            ordered(
                {
                    part: member(element.fieldset(items[0])) if len(items) == 1 else LEAF
                    for part, items in self.index(value).items()
                }
            )
            or None
        )

    def compare(self, old: Any, new: Any) -> Delta:
        taken: Node = {}
        removed: Node = {}
        before, after = self.index(old), self.index(new)
        for part, items in after.items():
            known = before.get(part)
            if known is None:
                taken[part] = self.element.added(items[0]) if len(items) == 1 else LEAF
            elif known == items:
                continue
            elif len(known) == 1 and len(items) == 1:
                more, less = self.element.compare(known[0], items[0])
                if more is not None:
                    taken[part] = more
                if less is not None:
                    removed[part] = less
            else:
                taken[part] = LEAF
        for part, items in before.items():
            if part not in after:
                removed[part] = self.element.added(items[0]) if len(items) == 1 else LEAF
        return ordered(taken) or None, ordered(removed) or None

    def merge(self, old: Any, new: Any) -> Any:
        """The applied items in their order; those it doesn't mention stay where they were between them."""
        if not isinstance(old, list) or not isinstance(new, list):
            return copy(old) if new is None and old else copy(new)
        before, after = self.index(old), self.index(new)
        left = [(self.part_of(item), item) for item in old if self._has_part(item)]
        right = list(after)
        shared = [part for part in right if part in before]
        merged: list[Any] = []
        done: set[str] = set()
        at_left = at_right = at_shared = 0

        def take(part: str) -> None:
            known = before.get(part)
            item = after[part][0]
            merged.append(self.element.merge(known[0], item) if known is not None and len(known) == 1 else copy(item))
            done.add(part)

        while at_left < len(left) or at_right < len(right):
            if at_left < len(left):
                part, item = left[at_left]
                if at_right < len(right):
                    if part == right[at_right]:
                        take(part)
                        at_left, at_right, at_shared = at_left + 1, at_right + 1, at_shared + 1
                        continue
                    if part in after and at_shared < len(shared) and shared[at_shared] != part:
                        at_left += 1
                        continue
                if part not in after:
                    merged.append(copy(item))
                    at_left += 1
                    continue
                if part in done:
                    at_left += 1
            if at_right < len(right):
                part = right[at_right]
                take(part)
                at_right += 1
                if at_shared < len(shared) and shared[at_shared] == part:
                    at_shared += 1
        return merged

    def _has_part(self, item: Any) -> bool:
        try:
            self.part_of(item)
        except ValueError:
            return False
        return True

    def remove(self, value: Any, fields: Node) -> Any:
        if not isinstance(value, list) or not value:
            return ABSENT
        left = []
        for item in value:
            below = fields.get(self.part_of(item)) if self._has_part(item) else None
            if below is None:
                left.append(item)
            elif below and MEMBER not in below:
                rest = self.element.remove(item, below)
                if rest is not ABSENT:
                    left.append(rest)
        return left or ABSENT

    def named(self, fields: Node) -> Node:
        return {part: self.element.named(below) if below else below for part, below in fields.items()}

    def check(self, value: Any) -> Iterator[Problem]:
        if value is None:
            return
        if not isinstance(value, list):
            yield "", f"expected list, got &{{{value_text(value)}}}"
            return
        seen = set()
        for index, item in enumerate(value):
            try:
                part = self.part_of(item)
            except ValueError as error:
                yield "", f"element {index}: {error}"
                return
            shown = element_text(part)
            if part in seen:
                yield "", f"duplicate entries for key {shown}"
            seen.add(part)
            for where, what in self.element.check(item):
                yield f"{shown}{where}", what


class ListMap(Associative):
    """Objects with keys. `defaults` are the keys' values where an item omits them."""

    __slots__ = ("_known", "_single", "defaults", "keys")

    def __init__(self, element: Shape, keys: list[str], defaults: dict[str, Any]) -> None:
        super().__init__(element)
        self.keys = sorted(keys)
        self.defaults = defaults
        self._single = keys[0] if len(keys) == 1 else ""
        self._known: dict[Any, str] = {}

    def part_of(self, item: Any) -> str:
        if type(item) is not dict:
            kind = "a null element" if item is None else "non-map elements"
            raise ValueError(f"associative list with keys may not have {kind}")
        single = item.get(self._single)
        if type(single) is str:
            known = self._known.get(single)
            if known is None:
                known = self._remembered(single, item)
            return known
        return self._made(item)

    def _remembered(self, single: str, item: Any) -> str:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        made = self._known[single] = self._made(item)
        return made

    def _made(self, item: Any) -> str:
        values = {}
        for key in self.keys:
            if key in item:
                values[key] = item[key]
            elif key in self.defaults:
                values[key] = self.defaults[key]
            else:
                raise ValueError(
                    f'associative list with keys has an element that omits key field "{key}" '
                    "(and doesn't have default value)"
                )
        return f"k:{orjson.dumps(values).decode()}"


class ListSet(Associative):
    """Scalars, each at most once (items that are atomic objects are taken as values too)."""

    __slots__ = ()

    def part_of(self, item: Any) -> str:
        if isinstance(item, dict):
            raise ValueError("associative list without keys has an element that's a map type")
        if isinstance(item, list):
            raise ValueError("not supported: associative list with lists as elements")
        if item is None:
            raise ValueError("associative list without keys has an element that's an explicit null")
        return f"v:{orjson.dumps(item).decode()}"


class PlainList(Leaf):
    """The inside of an atomic list: only ever checked."""

    __slots__ = ("element",)

    def __init__(self, element: Shape) -> None:
        super().__init__("untyped")
        self.element = element

    def check(self, value: Any) -> Iterator[Problem]:
        if value is None:
            return
        if not isinstance(value, list):
            yield "", f"expected list, got &{{{value_text(value)}}}"
            return
        for index, item in enumerate(value):
            for where, what in self.element.check(item):
                yield f"[{index}]{where}", what
