"""Builds an API group brick's `APIGroup`s from its resource table and its hand-written strategies.

A brick keeps what discovery says of its resources in ``resources.json`` (written by
tools/generate_api_resources.py), its types in ``schemas.json`` and what OpenAPI says of them in
``descriptions.json`` (both by tools/generate_types.py); the rest is Python, given here by resource name:
strategies ("pods"), subresource handlers and strategies ("pods/binding"), handlers of virtual resources,
conversions of resources that share another's storage. Where a group has several versions,
"v1/horizontalpodautoscalers" means that version's only.
"""

from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files
from typing import Any

import orjson
from attrs import define, field, frozen

from kubrick_api.names import GVK, GVR
from kubrick_api.resource import APIGroup, Column, Object, Resource, Strategy, Subresource
from kubrick_api.storage import SubresourceHandler


class PackagedSchemas(Mapping[str, Any]):
    """A package's schemas.json (or another such table, empty if there is none), read when first asked for."""

    def __init__(self, package: str, file: str = "schemas.json") -> None:
        self._file = files(package).joinpath(file)
        self._types: dict[str, Any] | None = None

    def _load(self) -> dict[str, Any]:
        if self._types is None:
            self._types = orjson.loads(self._file.read_bytes()) if self._file.is_file() else {}
        return self._types or {}

    def __getitem__(self, name: str) -> Any:
        return self._load()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._load())

    def __len__(self) -> int:
        return len(self._load())


@frozen
class Conversion:
    """How a resource that shares another's storage gets there and back (see `Resource.stored_as`)."""

    stored_as: GVR
    to_storage: Callable[[Object], Object]
    from_storage: Callable[[Object], Object]


@define(eq=False)
class ConvertedResource(Resource):
    """A resource stored as another version of itself."""

    conversion: Conversion = field(kw_only=True)

    def to_storage(self, obj: Object) -> Object:
        return self.conversion.to_storage(obj)

    def from_storage(self, obj: Object) -> Object:
        return self.conversion.from_storage(obj)


@frozen
class Parts:
    """The hand-written parts of a brick, by resource name (see the module's docstring)."""

    strategies: Mapping[str, Strategy] = field(factory=dict)
    handlers: Mapping[str, SubresourceHandler] = field(factory=dict)
    """Of subresources ("pods/binding") and of virtual resources ("bindings")."""
    views: Mapping[str, Strategy] = field(factory=dict)
    """Strategies of subresources that are views of the object ("pods/resize")."""
    accepts: Mapping[str, tuple[str, ...]] = field(factory=dict)
    """API versions that a subresource's body may say besides its kind's own ("pods/eviction")."""
    conversions: Mapping[str, Conversion] = field(factory=dict)
    deprecations: Mapping[str, str] = field(factory=dict)
    """What requests are warned of, for resources that are going out of use."""


def load_groups(package: str, parts: Parts | None = None) -> tuple[APIGroup, ...]:
    """The group-versions of `package`, newest version first. A strategy's columns and `has_status` come
    from the table unless it has its own."""
    parts = parts or Parts()
    schemas, messages = PackagedSchemas(package), PackagedSchemas(package, "messages.json")
    descriptions = PackagedSchemas(package, "descriptions.json")
    tables = orjson.loads(files(package).joinpath("resources.json").read_bytes())
    return tuple(
        APIGroup(
            group=table["group"],
            version=table["version"],
            resources=tuple(_resource(entry, table["group"], table["version"], parts) for entry in table["resources"]),
            schemas=schemas,
            priority=table["priority"],
            messages=messages,
            descriptions=descriptions,
        )
        for table in tables
    )


def _find(parts: Mapping[str, Any], version: str, name: str) -> Any:
    found = parts.get(f"{version}/{name}")
    return parts.get(name) if found is None else found


def _resource(entry: dict[str, Any], group: str, version: str, parts: Parts) -> Resource:
    name = entry["name"]
    subresources = {
        sub: Subresource(
            name=sub,
            kind=GVK(*known["kind"]),
            verbs=tuple(known["verbs"]),
            handler=_find(parts.handlers, version, f"{name}/{sub}"),
            strategy=_find(parts.views, version, f"{name}/{sub}"),
            accepts=parts.accepts.get(f"{name}/{sub}", ()),
        )
        for sub, known in entry.get("subresources", {}).items()
    }
    strategy = _find(parts.strategies, version, name) or Strategy()
    if not strategy.columns:
        strategy.columns = tuple(Column(*column) for column in entry.get("columns", ()))
    strategy.has_status = strategy.has_status or "status" in subresources
    conversion: Conversion | None = _find(parts.conversions, version, name)
    known: dict[str, Any] = {
        "gvr": GVR(group, version, name),
        "kind": GVK(group, version, entry["kind"]),
        "namespaced": entry["namespaced"],
        "verbs": tuple(entry["verbs"]),
        "singular": entry["singular"],
        "schema": entry["schema"],
        "short_names": tuple(entry.get("short_names", ())),
        "categories": tuple(entry.get("categories", ())),
        "strategy": strategy,
        "subresources": subresources,
        "virtual": _find(parts.handlers, version, name),
        "deprecation": parts.deprecations.get(name, ""),
    }
    if conversion is None:
        return Resource(**known)
    return ConvertedResource(**known, stored_as=conversion.stored_as, conversion=conversion)
