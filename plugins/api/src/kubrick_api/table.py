"""Tables: what kubectl get shows, made on the server, and PartialObjectMetadata.

A `Strategy` says its columns and how an object becomes cells; this module makes the meta.k8s.io/v1
Table around them. Ages are written as kubectl writes them (`human_duration`).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from kubrick_api.resource import Column, Object, Resource

TABLE_KIND = {"kind": "Table", "apiVersion": "meta.k8s.io/v1"}
UNKNOWN = "<unknown>"
NONE = "<none>"
NAME_TEXT = (
    "Name must be unique within a namespace. It is set when the object is created, and can't be changed afterwards."
)
AGE_TEXT = "The time since the object was created."
NAME_COLUMN = Column("Name", "string", "name", 0, NAME_TEXT)
AGE_COLUMN = Column("Age", "string", "", 0, AGE_TEXT)
DEFAULT_COLUMNS = (NAME_COLUMN, AGE_COLUMN)


def columns_of(resource: Resource) -> Sequence[Column]:
    """A resource's columns: its strategy's, or Name and Age."""
    return resource.strategy.columns or DEFAULT_COLUMNS


def default_row(obj: Object, now: datetime) -> list[Any]:
    """Cells for `DEFAULT_COLUMNS`."""
    return [obj["metadata"].get("name", ""), age(obj, now)]


def age(obj: Object, now: datetime) -> str:
    """Since the object's creationTimestamp, as kubectl writes it."""
    return age_of(obj["metadata"].get("creationTimestamp"), now)


def age_of(timestamp: str | None, now: datetime) -> str:
    """Since a Time or MicroTime; <unknown> when there is none."""
    if not timestamp:
        return UNKNOWN
    return human_duration((now - datetime.fromisoformat(timestamp)).total_seconds())


def human_duration(seconds: float) -> str:
    """apimachinery's duration.HumanDuration: about three significant digits, at most two units."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    if whole < 60 * 2:
        return f"{whole}s"
    minutes = whole // 60
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 60 * 3:
        return f"{minutes}m"
    hours = whole // 3600
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if hours < 24 * 8:
        return _two(days, "d", hours % 24, "h")
    if hours < 24 * 365 * 2:
        return f"{days}d"
    years = days // 365
    if hours < 24 * 365 * 8:
        return _two(years, "y", days % 365, "d")
    return f"{years}y"


def _two(large: int, unit: str, small: int, small_unit: str) -> str:
    return f"{large}{unit}{small}{small_unit}" if small else f"{large}{unit}"


class Table:
    """Builds Tables of one resource. `include` is the request's includeObject: None, Metadata or Object.
    Watches send the column definitions with the first event only: `first=False` leaves them out."""

    def __init__(self, resource: Resource, include: str = "Metadata") -> None:
        self._strategy = resource.strategy
        self._include = include
        self._plain = not resource.strategy.columns
        self._columns = [definition(column) for column in columns_of(resource)]

    def row(self, obj: Object, now: datetime) -> dict[str, Any]:
        """One object's row. The object is shared with the answer, not copied."""
        cells = default_row(obj, now) if self._plain else self._strategy.row(obj, now)
        row: dict[str, Any] = {"cells": cells}
        if self._include == "Object":
            row["object"] = obj
        elif self._include != "None":
            row["object"] = partial_metadata(obj)
        return row

    def build(
        self, objects: Iterable[Object], now: datetime, metadata: Mapping[str, Any] | None = None, first: bool = True
    ) -> Object:
        """A Table of these objects; `metadata` is the list's (resourceVersion, continue, ...)."""
        return self.wrap([self.row(obj, now) for obj in objects], metadata, first)

    def wrap(self, rows: list[dict[str, Any]], metadata: Mapping[str, Any] | None = None, first: bool = True) -> Object:
        """A Table of rows made before."""
        columns = self._columns if first else []
        return {**TABLE_KIND, "metadata": dict(metadata or {}), "columnDefinitions": columns, "rows": rows}


def definition(column: Column) -> dict[str, Any]:
    """A TableColumnDefinition."""
    text = column.description or {"Name": NAME_TEXT, "Age": AGE_TEXT}.get(column.name, f"{column.name}.")
    return {
        "name": column.name,
        "type": column.type,
        "format": column.format,
        "description": text,
        "priority": column.priority,
    }


def partial_metadata(obj: Object) -> Object:
    """The object as PartialObjectMetadata; shares the metadata with it."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
