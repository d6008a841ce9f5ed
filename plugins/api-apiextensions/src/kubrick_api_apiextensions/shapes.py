"""A structural schema as the type that rules see (apiserver's cel/common SchemaDeclType)."""

import re
from itertools import count
from typing import Any

from kubrick_cel.shapes import (
    ANY,
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    INT,
    STRING,
    TIMESTAMP,
    ListOf,
    MapOf,
    Scalar,
    Shape,
    Struct,
)

Schema = dict[str, Any]

RESERVED = frozenset(
    {"true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import"}
    | {"let", "loop", "package", "namespace", "return"}
)
ESCAPES = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
SCALARS = {"boolean": BOOL, "number": DOUBLE, "integer": INT, "string": STRING}
FORMATS: dict[str, Scalar] = {"byte": BYTES, "duration": DURATION, "date": TIMESTAMP, "date-time": TIMESTAMP}


def shape(schema: Schema, *, root: bool = False) -> Shape | None:
    """None for what rules can't see: a value of unknown type. `root`: a whole object, with its metadata."""
    numbers = count()

    def visit(part: Schema, whole: bool) -> Shape | None:
        kind = part.get("type")
        if part.get("x-kubernetes-int-or-string"):
            return ANY
        if kind == "array":
            item = visit(part.get("items") or {}, False)
            return None if item is None else ListOf(item)
        if kind == "object":
            return within(part, whole or bool(part.get("x-kubernetes-embedded-resource")))
        if kind == "string" and part.get("format") in FORMATS:
            return FORMATS[part["format"]]
        found = SCALARS.get(kind or "")
        return ANY if found is not None and part.get("nullable") else found

    def within(part: Schema, whole: bool) -> Shape | None:
        values = part.get("additionalProperties")
        if isinstance(values, dict):
            value = visit(values, False)
            return None if value is None else MapOf(value)
        number = next(numbers)
        fields: dict[str, Shape] = {}
        for name, inner in (part.get("properties") or {}).items():
            own, found = escape(name), visit(inner or {}, False)
            if own is not None and found is not None:
                fields[own] = found
        if whole:
            meta = Struct(f"selfType{number}_metadata", {"name": STRING, "generateName": STRING})
            fields |= {"apiVersion": STRING, "kind": STRING, "metadata": meta}
        return Struct(f"selfType{number}", fields)

    return visit(schema, root)


def escape(name: str) -> str | None:
    """A property's name in CEL, where not everything is an identifier; None for one that has none."""
    if name in RESERVED:
        return f"__{name}__"
    if not re.fullmatch(r"[A-Za-z_.\-/][\w.\-/]*", name, re.ASCII):
        return None
    return re.sub(r"__|[.\-/]", lambda found: ESCAPES[found[0]], name)
