"""The catalog: every API group, resource and type that the plugins of this program registered.

Plugin "api" collects it once, from `kubrick_register_api_groups`, and offers it to the kernel, so it
is there before anything runs. `resource` and `by_kind` are plain dictionary look-ups.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from kubrick_api.groups import PackagedSchemas
from kubrick_api.names import GVK, GVR
from kubrick_api.resource import APIGroup, Resource
from kubrick_api.schema import Schemas, Type

if TYPE_CHECKING:
    from kubrick_kernel import Kernel


class Catalog:
    """All registered group-versions, in discovery order: highest priority first."""

    def __init__(self, groups: Iterable[APIGroup] = ()) -> None:
        self.schemas = Schemas()
        """Every type, compiled when first asked for."""
        self.schemas.add("meta", "v1", PackagedSchemas("kubrick_api"))
        self._descriptions: list[Mapping[str, Mapping[str, str]]] = [
            PackagedSchemas("kubrick_api", "descriptions.json")
        ]
        self._groups: list[APIGroup] = []
        self._by_resource: dict[GVR, Resource] = {}
        self._by_kind: dict[GVK, Resource] = {}
        for group in groups:
            self.add(group)

    @classmethod
    def collect(cls, kernel: "Kernel") -> "Catalog":
        """Ask every enabled plugin for its groups."""
        return cls(
            group for groups in kernel.plugins.hook.kubrick_register_api_groups(kernel=kernel) for group in groups
        )

    def add(self, group: APIGroup) -> None:
        """Register one more group-version (custom resources come and go while the program runs)."""
        if any((known.group, known.version) == (group.group, group.version) for known in self._groups):
            raise ValueError(f"two plugins serve the API group {group.group or 'core'}/{group.version}")
        self._groups.append(group)
        self._groups.sort(key=lambda known: -known.priority)
        self.schemas.add(group.group, group.version, group.schemas)
        self._descriptions.append(group.descriptions)
        for resource in group.resources:
            self._by_resource[resource.gvr] = resource
            self._by_kind.setdefault(resource.kind, resource)

    def groups(self) -> Sequence[APIGroup]:
        return self._groups

    def group(self, group: str, version: str) -> APIGroup | None:
        """One group-version, or None."""
        return next((known for known in self._groups if (known.group, known.version) == (group, version)), None)

    def resources(self) -> Iterable[Resource]:
        return self._by_resource.values()

    def resource(self, gvr: GVR) -> Resource | None:
        """The resource, or None when no plugin serves it."""
        return self._by_resource.get(gvr)

    def by_kind(self, kind: GVK) -> Resource | None:
        """The resource whose objects are of this kind, or None."""
        return self._by_kind.get(kind)

    def descriptions(self) -> dict[str, Mapping[str, str]]:
        """What OpenAPI says of each type ("") and its fields."""
        return {name: texts for table in self._descriptions for name, texts in table.items()}

    def type(self, resource: Resource) -> Type:
        """The compiled type of a resource's objects."""
        return self.schemas[resource.schema]
