"""What values are made of, before any engine is asked."""

from collections.abc import Mapping
from typing import TypeAlias

from attrs import field, frozen


@frozen
class Scalar:
    """A type without parts, by CEL's name for it; a name with a dot is a type that only functions can look into."""

    name: str


@frozen
class ListOf:
    item: "Shape"


@frozen
class MapOf:
    """A map whose keys are strings."""

    value: "Shape"


@frozen
class Struct:
    """An object of known fields: any other field of it is an error. Structs of one name are one type."""

    name: str
    fields: Mapping[str, "Shape"] = field(factory=dict, eq=False)


Shape: TypeAlias = Scalar | ListOf | MapOf | Struct

ANY, BOOL, INT, DOUBLE, STRING, BYTES = (Scalar(name) for name in ("dyn", "bool", "int", "double", "string", "bytes"))
DURATION, TIMESTAMP, NULL = Scalar("duration"), Scalar("timestamp"), Scalar("null_type")
AUTHORIZER = Scalar("kubernetes.authorization.Authorizer")
RESOURCE_CHECK = Scalar("kubernetes.authorization.ResourceCheck")
QUANTITY = Scalar("kubernetes.Quantity")


def shown(shape: Shape) -> str:
    """The shape as errors name it: ``list(string)``."""
    if isinstance(shape, ListOf):
        return f"list({shown(shape.item)})"
    if isinstance(shape, MapOf):
        return f"map(string, {shown(shape.value)})"
    return shape.name
