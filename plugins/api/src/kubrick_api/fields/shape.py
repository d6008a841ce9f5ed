"""Shapes from schemas: how each type of the tables looks to server-side apply.

The table's ``list-type``, ``list-map-keys`` and ``map-type`` decide; a list without a type is atomic unless
its patch strategy merges it (kube-openapi: schemaconv). Shapes are made when first asked for, with all they
refer to; types refer to each other in cycles, so a struct is known before its fields are.
"""

from typing import Any

from kubrick_api.fields.leaves import Atomic, Deduced, Leaf, Shape
from kubrick_api.fields.lists import ListMap, ListSet, PlainList
from kubrick_api.fields.structs import Field, Mapping, Struct
from kubrick_api.fields.values import by_value
from kubrick_api.schema import Definition, Schemas

KINDS = {"string": "string", "integer": "numeric", "number": "numeric", "boolean": "boolean"}
UNTYPED = ("Quantity", "IntOrString")
ANYTHING = Leaf("untyped")
DEDUCED = Deduced()


class Shapes:
    """The shapes of all types of a `Schemas`, by name."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas
        self._made: dict[str, Shape] = {}

    def __getitem__(self, name: str) -> Shape:
        found = self._made.get(name)
        if found is None:
            found = self._make(name)
        return found

    def _make(self, name: str) -> Shape:
        definition = self._schemas.definition(name)
        fields = definition.get("fields")
        short = name.rpartition(".")[2]
        if not fields:
            made = self._made[name] = _without_fields(short, definition)
            return made
        struct = Struct({})
        made = self._made[name] = Atomic(struct) if definition.get("map-type") == "atomic" else struct
        for key, spec in fields.items():
            struct.fields[key] = self._field(short, key, spec)
        return made

    def _field(self, owner: str, key: str, spec: Definition) -> Field:
        shape = self._of(spec)
        if "ref" in spec:
            there = not isinstance(shape, Leaf) or isinstance(shape, Atomic)
            return f"f:{key}", shape, there and by_value(owner, key)
        return f"f:{key}", shape, bool(spec.get("required"))

    def _of(self, spec: Definition) -> Shape:
        if "list" in spec:
            return self._list(spec)
        if "map" in spec:
            mapping = Mapping(self._of(spec["map"]))
            return Atomic(mapping) if spec.get("map-type") == "atomic" else mapping
        if "ref" in spec:
            shape = self[spec["ref"]]
            whole = spec.get("map-type") == "atomic" and not isinstance(shape, Leaf)
            return Atomic(shape) if whole else shape
        if spec.get("type") == "object":
            return DEDUCED
        return Leaf(KINDS.get(spec.get("type", ""), "untyped"))

    def _list(self, spec: Definition) -> Shape:
        element = self._of(spec["list"])
        kind, keys = relationship(spec)
        if kind == "map":
            return ListMap(element, keys, self._defaults(spec["list"], keys))
        return ListSet(element) if kind == "set" else Atomic(PlainList(element))

    def _defaults(self, item: Definition, keys: list[str]) -> dict[str, Any]:
        fields = self._schemas.definition(item["ref"]).get("fields", {}) if "ref" in item else {}
        return {key: fields[key]["default"] for key in keys if "default" in fields.get(key, {})}


def relationship(spec: Definition) -> tuple[str, list[str]]:
    """A list's type (atomic, set or map) and its keys."""
    kind = spec.get("list-type")
    if kind:
        return kind, spec.get("list-map-keys", [])
    if "merge" in spec.get("patch-strategy", "").split(","):
        key = spec.get("patch-merge-key")
        return ("map", [key]) if key else ("set", [])
    return "atomic", []


def _without_fields(short: str, definition: Definition) -> Shape:
    if short in UNTYPED:
        return ANYTHING
    if definition.get("type") in KINDS:
        return Leaf(KINDS[definition["type"]])
    return ANYTHING if short.startswith("JSON") else DEDUCED
