"""What the schema engine finds wrong, worded as kube-apiserver's JSON decoder words it."""

from typing import Any

from attrs import define, field

PathPart = str | int | tuple[str]
"""A field's name, a list index, or (a map's key,)."""


@define(eq=False)
class Trouble:
    """One thing wrong. `path` runs from the inside out: each level appends its own part on the way up.
    `struct` is the Go struct that holds the field, filled in by the first object on that way."""

    unknown: bool
    text: str
    go: str = ""
    path: list[PathPart] = field(factory=list)
    struct: str | None = None
    value: Any = None
    expected: type = dict
    """The JSON type there should have been, in Python."""

    @classmethod
    def unknown_field(cls) -> "Trouble":
        return cls(True, "")

    @classmethod
    def of_type(cls, value: Any, go: str, expected: "type") -> "Trouble":
        """`value` can't be decoded into the Go type `go`."""
        return cls(False, describe(value, go), go, value=value, expected=expected)

    @classmethod
    def custom(cls, text: str) -> "Trouble":
        """A complaint that carries no path, as Go's custom unmarshalers give."""
        return cls(False, text)

    def __str__(self) -> str:
        if self.unknown:
            return f'unknown field "{dotted(self.path)}"'
        if not self.go:
            return self.text
        if self.struct is None:
            return f"json: cannot unmarshal {self.text} into Go value of type {self.go}"
        names = ".".join(part for part in reversed(self.path) if isinstance(part, str))
        return f"json: cannot unmarshal {self.text} into Go struct field {self.struct}.{names} of type {self.go}"


def describe(value: Any, go: str) -> str:
    """What Go's decoder calls a JSON value. A number that doesn't fit a number type is shown."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return f"number {value!r}" if go.startswith(("int", "uint", "float")) else "number"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, dict) else "array"


def dotted(path: list[PathPart]) -> str:
    """spec.containers[0].name"""
    text = ""
    for part in reversed(path):
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if isinstance(part, str) else part[0]
            text += f".{name}" if text else name
    return text
