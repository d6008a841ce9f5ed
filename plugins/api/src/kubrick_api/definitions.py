"""OpenAPI definitions from the tables of types: the schema objects of v2 and v3 documents.

The two versions differ in where a reference points, in how a reference carries a description (v3 wraps
it in allOf), and in the types that are several JSON types at once. Field and type descriptions come from
a type's own definition (custom resources) or the groups' descriptions; where neither has one, a neutral sentence is
made from the name.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from kubrick_api.schema import Schemas

V2 = "#/definitions/"
V3 = "#/components/schemas/"
Texts = Mapping[str, Mapping[str, str]]
"""Type → field (or "": the type itself) → what it is."""
JSON_PACKAGE = ".apiextensions.v1.JSON"
EXTENSIONS = ("list-type", "list-map-keys", "map-type", "patch-strategy", "patch-merge-key")

_WORD = re.compile(r"[A-Z]{2,}s\b|[A-Z]+(?=[A-Z][a-z]|\b)|[A-Z]?[a-z0-9]+|[A-Z]+s?")


def words(name: str) -> str:
    """containerPort → container port; hostIPs → host IPs"""
    return " ".join(w if w.isupper() or w[:-1].isupper() else w.lower() for w in _WORD.findall(name))


ANY_OBJECT = {
    "apiVersion": "The API version that this object is written in: group/version, or just the version (core group).",
    "kind": "The kind of object, in CamelCase. Together with apiVersion it says what the other fields are.",
    "metadata": "The object's name, identity, labels and place in time.",
}
ANY_LIST = ANY_OBJECT | {
    "metadata": "The version of the list and where its next page begins.",
    "items": "The objects.",
}


def field_text(field: str, spec: Mapping[str, Any], name: str, definition: Mapping[str, Any], known: Texts) -> str:
    """A field's description."""
    text = spec.get("description") or known.get(name, {}).get(field)
    if not text and "gvk" in definition:
        text = (ANY_LIST if is_list(name, definition) else ANY_OBJECT).get(field)
    return str(text) if text else f"The {words(field)} of this {words(name.rpartition('.')[2])}."


def type_text(name: str, definition: Mapping[str, Any], known: Texts) -> str:
    text = definition.get("description") or known.get(name, {}).get("")
    if text:
        return str(text)
    short = name.rpartition(".")[2]
    if is_list(name, definition):
        return f"{short} is a list of {short[:-4]} objects."
    return f"{short} describes the {words(short)}." if "gvk" not in definition else f"{short} is a kind of object."


def is_list(name: str, definition: Mapping[str, Any]) -> bool:
    return name.endswith("List") and "items" in definition.get("fields", {})


class Definitions:
    """Definitions of one OpenAPI version: `root` is `V2` or `V3`."""

    def __init__(self, schemas: Schemas, root: str, descriptions: Texts | None = None) -> None:
        self._schemas = schemas
        self._descriptions = descriptions or {}
        self._root = root
        self._v3 = root == V3

    def reachable(self, names: Iterable[str]) -> dict[str, Any]:
        """The definitions of these types and of all they refer to, sorted by name."""
        found: dict[str, Any] = {}
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                definition = self._schemas.definition(name)
                found[name] = self.definition(name, definition)
                waiting += references(definition)
        return dict(sorted(found.items()))

    def reference(self, name: str) -> dict[str, str]:
        return {"$ref": self._root + name}

    def definition(self, name: str, definition: Mapping[str, Any]) -> dict[str, Any]:
        """One type's schema object."""
        result: dict[str, Any] = {"description": type_text(name, definition, self._descriptions)}
        fields = definition.get("fields")
        if not fields:
            return result | self._leaf(name, definition)
        result["type"] = "object"
        required = sorted(key for key, spec in fields.items() if spec.get("required"))
        if required:
            result["required"] = required
        result["properties"] = {
            key: self._field(spec, field_text(key, spec, name, definition, self._descriptions))
            for key, spec in sorted(fields.items())
        }
        if "gvk" in definition:
            group, version, kind = definition["gvk"]
            result["x-kubernetes-group-version-kind"] = [{"group": group, "kind": kind, "version": version}]
        if "map-type" in definition:
            result["x-kubernetes-map-type"] = definition["map-type"]
        if "unions" in definition:
            result["x-kubernetes-unions"] = definition["unions"]
        return result

    def _leaf(self, name: str, definition: Mapping[str, Any]) -> dict[str, Any]:
        """A type without fields: a scalar with rules of its own, or anything at all."""
        choices = definition.get("oneOf")
        if choices and self._v3:
            mixed: dict[str, Any] = {"oneOf": [{"type": choice} for choice in choices]}
            return mixed | ({"format": definition["format"]} if "format" in definition else {})
        if choices:
            return {"type": "string", **({"format": definition["format"]} if "format" in definition else {})}
        if "type" in definition:
            return {key: definition[key] for key in ("type", "format") if key in definition}
        return {} if JSON_PACKAGE in name else {"type": "object"}

    def _field(self, spec: Mapping[str, Any], text: str = "") -> dict[str, Any]:
        result: dict[str, Any] = {"description": text} if text else {}
        if "list" in spec:
            result |= {"type": "array", "items": self._field(spec["list"])}
        elif "map" in spec:
            result |= {"type": "object", "additionalProperties": self._field(spec["map"])}
        elif "ref" in spec:
            reference = self.reference(spec["ref"])
            result |= {"allOf": [reference]} if self._v3 and text else reference
        else:
            result["type"] = spec["type"]
            if "format" in spec:
                result["format"] = spec["format"]
        if "default" in spec:
            result["default"] = spec["default"]
        for key in EXTENSIONS:
            if key in spec:
                result[f"x-kubernetes-{key}"] = spec[key]
        return result


def references(definition: Mapping[str, Any]) -> list[str]:
    """The types that a definition's fields refer to."""
    names = []
    for spec in definition.get("fields", {}).values():
        while "list" in spec or "map" in spec:
            spec = spec.get("list") or spec["map"]
        if "ref" in spec:
            names.append(spec["ref"])
    return names
