"""One kind's objects, as update and apply see them.

Nobody owns what identifies an object or what only the server writes (apimachinery: stripmeta), so these
are left out of the shape that is compared; the whole shape is there to check, merge and prune. The fields
of a spec are remembered by the spec's text: most objects are created in dozens with the same spec.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from kubrick_api.fields.leaves import ABSENT, NO_CHANGE, Atomic, Delta, Problem, Shape
from kubrick_api.fields.sets import EMPTY, LEAF, Node, Set, ordered
from kubrick_api.fields.shape import Shapes
from kubrick_api.fields.structs import Struct
from kubrick_api.resource import Object

UNOWNED = frozenset(("apiVersion", "kind"))
UNOWNED_METADATA = frozenset(
    (
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    )
)
REMEMBERED = 512
WORTH_REMEMBERING = frozenset(("spec", "status", "template", "webhooks", "rules"))


class Tracker:
    """See the module. `api_version` is the kind's."""

    def __init__(self, shapes: Shapes, schema: str, api_version: str) -> None:
        self.api_version = api_version
        self.whole = _struct(shapes[schema])
        fields = {name: field for name, field in self.whole.fields.items() if name not in UNOWNED}
        if "metadata" in fields:
            part, shape, there = fields["metadata"]
            metadata = _struct(shape).fields
            owned = Struct({name: field for name, field in metadata.items() if name not in UNOWNED_METADATA})
            fields["metadata"] = (part, owned, there)
        self.tracked = Struct(fields)
        self._remembered: dict[str, dict[bytes, Node | None]] = {name: {} for name in WORTH_REMEMBERING & fields.keys()}

    def created(self, obj: Object) -> Set:
        """The fields that a new object has."""
        made: Set = {}
        for name in sorted(obj):
            field = self.tracked.fields.get(name)
            if field is None:
                continue
            part, shape, there = field
            value = obj[name]
            known = self._remembered.get(name)
            if known is None or not there:
                below = shape.fresh(value) if there else shape.added(value)
            else:
                text = orjson.dumps(value)
                if text in known:
                    below = known[text]
                else:
                    below = shape.fresh(value)
                    if len(known) >= REMEMBERED:
                        known.clear()
                    known[text] = below
            if below is not None:
                made[part] = below
        return made

    def compare(self, old: Object, new: Object) -> Delta:
        """What a change takes and what it removes."""
        taken: Node = {}
        removed: Node = {}
        for name, (part, shape, there) in self.tracked.fields.items():
            before, after = old.get(name), new.get(name)
            if before is after or before == after:
                continue
            if before is None:
                below = shape.fresh(after) if there else shape.added(after)
                if below is not None:
                    taken[part] = below
            elif after is None:
                gone = shape.fresh(before) if there else shape.added(before)
                if gone is not None:
                    removed[part] = gone
            else:
                more, less = shape.compare(before, after)
                if more is not None:
                    taken[part] = more
                if less is not None:
                    removed[part] = less
        if not taken and not removed:
            return NO_CHANGE
        return ordered(taken) or None, ordered(removed) or None

    def fieldset(self, obj: Object) -> Set:
        """The fields that an applied object sets."""
        return self.tracked.fieldset(obj) or EMPTY

    def merge(self, live: Object, applied: Object) -> Object:
        """`live` with `applied` laid over it; private."""
        merged: Object = self.whole.merge(live, applied)
        return merged

    def remove(self, obj: Object, fields: Set) -> Object:
        """`obj` without these fields. Shares with `obj`."""
        left = self.whole.remove(obj, fields) if fields else obj
        return {} if left is ABSENT else left

    def named(self, fields: Set) -> Set:
        """The set with the named fields on the way to members as members."""
        return self.tracked.named(fields)

    def check(self, obj: Any) -> Iterator[Problem]:
        """What doesn't fit the type."""
        return self.whole.check(obj)


IDENTITY: Set = {"f:metadata": {".": LEAF, "f:name": LEAF}}
"""What every applied object sets, although nobody owns it."""


def _struct(shape: Shape) -> Struct:
    if isinstance(shape, Atomic):
        shape = shape.inside
    if not isinstance(shape, Struct):
        raise TypeError("only objects with fields have owners")
    return shape
