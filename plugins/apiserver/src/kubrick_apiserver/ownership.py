"""Who owns which fields, kept up by every write: the door to `kubrick_api.fields`.

`created` and `updated` are called before mutating admission, as in kube-apiserver: what admission adds
belongs to nobody. An apply brings its owners with it.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

from attrs import define

from kubrick_api.catalog import Catalog
from kubrick_api.equality import identical
from kubrick_api.fields import entries, update
from kubrick_api.fields.apply import Config
from kubrick_api.fields.reset import ONLY, reset_fields
from kubrick_api.fields.sets import EMPTY, Set, of_paths
from kubrick_api.fields.shape import Shapes
from kubrick_api.fields.tracker import Tracker
from kubrick_api.fields.update import Versions, Write
from kubrick_api.names import GVK
from kubrick_api.resource import Object, Resource
from kubrick_api.storage import Call, UserInfo, WriteContext
from kubrick_api.validation import MANAGER_LIMIT
from kubrick_apiserver.applying import Configurations
from kubrick_apiserver.body import Body
from kubrick_apiserver.options import WriteOptions
from kubrick_kernel import rfc3339

if TYPE_CHECKING:
    from kubrick_apiserver.registry import Registry

SPOILT = (
    ".metadata.managedFields was in an invalid state after admission; this could be caused by an outdated "
    "mutating admission controller; please fix your requests"
)
REPLICAS = of_paths(("f:spec", "f:replicas"))
SERVER, OWN_MANAGER = "system:apiserver", "kube-apiserver"
NODE, SERVICE_ACCOUNT = "system:node:", "system:serviceaccount:kube-system:"


def manager_of(call: Call, options: WriteOptions) -> str:
    """The field manager: as asked for, or the first word of the User-Agent. A component of this process has
    no User-Agent; it goes by the name that its counterpart in Kubernetes has."""
    if options.field_manager:
        return options.field_manager
    if call.user_agent:
        return agent_name(call.user_agent)
    return component_name(call.user)


@lru_cache(maxsize=256)
def agent_name(agent: str) -> str:
    """kubectl/v1.33.0 (linux/amd64) → kubectl"""
    name = "".join(filter(str.isprintable, agent.partition("/")[0]))
    return name.encode()[:MANAGER_LIMIT].decode("utf-8", "ignore")


def component_name(user: UserInfo) -> str:
    """system:kube-scheduler → kube-scheduler; all controllers are the controller manager, all nodes kubelets."""
    name = user.name
    if name == SERVER:
        return OWN_MANAGER
    if name.startswith(NODE):
        return "kubelet"
    if name.startswith(SERVICE_ACCOUNT) and name.endswith("-controller"):
        return "kube-controller-manager"
    return name.rpartition(":")[2][:MANAGER_LIMIT]


@define(eq=False)
class Endpoint:
    """What stays the same for all writes to one resource or subresource."""

    tracker: Tracker
    reset: Set
    only: Set | None
    versions: Versions
    configurations: Configurations


class Ownership:
    """See the module."""

    def __init__(self, registry: "Registry") -> None:
        self._registry = registry
        self._shapes = Shapes(registry.catalog.schemas)
        self._endpoints: dict[tuple[Resource, str], Endpoint] = {}
        self._trackers: dict[str, Tracker] = {}

    def created(
        self, resource: Resource, call: Call, obj: Object, options: WriteOptions, context: WriteContext
    ) -> None:
        """Set the owners of a new object."""
        update.created(self.write(resource, "", manager_of(call, options), context), obj)

    def accompanied(self, resource: Resource, obj: Object, context: WriteContext) -> None:
        """Set the owner of an object that the server makes along with another: the server."""
        update.created(self.write(resource, "", OWN_MANAGER, context), obj)

    def updated(
        self,
        resource: Resource,
        call: Call,
        obj: Object,
        old: Object,
        options: WriteOptions,
        context: WriteContext,
    ) -> None:
        """Set the owners of a changed object."""
        update.updated(self.write(resource, call.subresource, manager_of(call, options), context), obj, old)

    def write(self, resource: Resource, subresource: str, manager: str, context: WriteContext) -> Write:
        """One write by `manager`."""
        found = self.endpoint(resource, subresource)
        return Write(found.tracker, manager, rfc3339(context.now), subresource, found.reset, found.only, found.versions)

    def endpoint(self, resource: Resource, subresource: str) -> Endpoint:
        found = self._endpoints.get((resource, subresource))
        if found is None:
            gvr = resource.gvr
            tracker = self.tracker(resource.schema, resource.kind.api_version)
            found = self._endpoints[resource, subresource] = Endpoint(
                tracker,
                reset_fields(gvr.group, gvr.resource, subresource, resource.strategy.has_status),
                ONLY.get((gvr.group, gvr.resource, subresource)),
                ServedVersions(self, self._registry.catalog, resource),
                Configurations(tracker, resource.kind),
            )
        return found

    def configuration(self, resource: Resource, body: Body, options: WriteOptions, warnings: list[str]) -> Config:
        """What the body of an apply says. Raises StatusError."""
        return self.endpoint(resource, "").configurations.read(body.data, options, warnings)

    def scale(self, resource: Resource, kind: GVK, schema: str, body: Body, options: WriteOptions) -> Config:
        """What the body of an apply to a scale says about the object that is scaled. Raises StatusError."""
        config = Configurations(self.tracker(schema, kind.api_version), kind).read(body.data, options, [])
        obj = config.obj
        about: Object = {"kind": resource.kind.kind, "apiVersion": resource.kind.api_version}
        known = obj.get("metadata") or {}
        about["metadata"] = {name: known[name] for name in ("name", "namespace", "resourceVersion") if name in known}
        spec = obj.get("spec") or {}
        if "replicas" not in spec:
            return Config(about, EMPTY)
        about["spec"] = {"replicas": spec["replicas"]}
        return Config(about, REPLICAS)

    def tracker(self, schema: str, api_version: str) -> Tracker:
        found = self._trackers.get(schema)
        if found is None:
            found = self._trackers[schema] = Tracker(self._shapes, schema, api_version)
        return found


class ServedVersions(Versions):
    """The versions of a resource's kind, and of what shares its storage."""

    def __init__(self, owners: Ownership, catalog: Catalog, resource: Resource) -> None:
        self._owners = owners
        self._catalog = catalog
        self._resource = resource

    def _served(self, api_version: str) -> Resource | None:
        found = self._catalog.by_kind(GVK.of({"kind": self._resource.kind.kind, "apiVersion": api_version}))
        return found if found is not None and found.storage == self._resource.storage else None

    def tracker(self, api_version: str) -> Tracker | None:
        found = self._served(api_version)
        return None if found is None else self._owners.tracker(found.schema, api_version)

    def convert(self, obj: Object, source: str, target: str) -> Object:
        came, goes = self._served(source), self._served(target)
        if came is None or goes is None:
            return super().convert(obj, source, target)
        stored = obj if came.stored_as is None else came.to_storage(obj)
        return stored if goes.stored_as is None else goes.from_storage(stored)


def settle_after_admission(obj: Object, owned: list[Object] | None, warnings: list[str]) -> None:
    """Admission may change who owns what, if what it leaves can be read; else it is as if it hadn't."""
    metadata = obj["metadata"]
    found = metadata.get("managedFields")
    if found is owned or found == owned:
        return
    try:
        entries.given(found)
    except (ValueError, TypeError, AttributeError) as error:
        warnings.append(f"{SPOILT}: {error}")
        if owned is None:
            del metadata["managedFields"]
        else:
            metadata["managedFields"] = owned


def same_but_for_times(obj: Object, old: Object) -> bool:
    """Whether two objects are equal, or differ only in when fields were last owned: such a write is none."""
    metadata, before = obj["metadata"], old["metadata"]
    owned, known = metadata.get("managedFields") or [], before.get("managedFields") or []
    if owned is known or len(owned) != len(known):
        return identical(obj, old)
    for name, value in metadata.items():
        if value != before.get(name) and name != "managedFields":
            return False
    if owned == known:
        return identical(obj, old)
    return _timeless(owned) == _timeless(known) and identical(
        {**obj, "metadata": {**metadata, "managedFields": None}}, {**old, "metadata": {**before, "managedFields": None}}
    )


def _timeless(managed: list[Object]) -> list[Object]:
    """Entries without their times, which also order them."""
    bare = [{name: value for name, value in found.items() if name != "time"} for found in managed]
    return sorted(bare, key=entries.owner_of)
