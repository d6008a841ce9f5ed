"""What must exist before the server is ready: system namespaces, the kubernetes Service, and what plugins
register (default roles, system priority classes).

Missing objects are written in one transaction, encoded once and already complete (defaulted by whoever
wrote them down), so that a hundred and fifty of them take a few milliseconds. Existing ones are left as
they are unless a plugin has a reconciler for their kind; the kubernetes Service's endpoints follow the
server's address.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import ip_network
from typing import TYPE_CHECKING

from attrs import frozen

from kubrick_api import codec
from kubrick_api.catalog import Catalog
from kubrick_api.names import GVK
from kubrick_api.resource import Object, Resource
from kubrick_kernel import Conflict, Put, rfc3339

if TYPE_CHECKING:
    from kubrick_kernel import Kernel

SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
SERVICE_PORT = 443
ATTEMPTS = 10

Reconcile = Callable[[Object, Object], Object | None]
"""(stored, wanted) → what to store instead, or None."""


@frozen
class Address:
    """Where the server can be reached, and the range that Service addresses come from."""

    host: str
    port: int
    service_range: str

    @property
    def service_ip(self) -> str:
        """The first address of the range belongs to the kubernetes Service."""
        return first_service_ip(self.service_range)


def first_service_ip(service_range: str) -> str:
    """10.96.0.0/16 → 10.96.0.1; of two ranges, the first one's. Raises ValueError for what is not a range."""
    return str(ip_network(service_range.partition(",")[0].strip())[1])


def system_objects(address: Address) -> Iterator[Object]:
    """The objects that every cluster has."""
    for name in SYSTEM_NAMESPACES:
        yield {
            "kind": "Namespace",
            "apiVersion": "v1",
            "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        }
    family = "IPv6" if ":" in address.service_ip else "IPv4"
    yield {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "ports": [{"name": "https", "protocol": "TCP", "port": SERVICE_PORT, "targetPort": address.port}],
            "clusterIP": address.service_ip,
            "clusterIPs": [address.service_ip],
            "type": "ClusterIP",
            "sessionAffinity": "None",
            "ipFamilies": [family],
            "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
        },
        "status": {"loadBalancer": {}},
    }
    yield {
        "kind": "ServiceCIDR",
        "apiVersion": "networking.k8s.io/v1",
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": [part.strip() for part in address.service_range.split(",")]},
        "status": {},
    }
    yield {
        "kind": "IPAddress",
        "apiVersion": "networking.k8s.io/v1",
        "metadata": {
            "name": address.service_ip,
            "labels": {
                "ipaddress.kubernetes.io/ip-family": family,
                "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
            },
        },
        "spec": {"parentRef": {"resource": "services", "namespace": "default", "name": "kubernetes"}},
    }
    yield from _endpoints(address)


def _endpoints(address: Address) -> Iterator[Object]:
    port = {"name": "https", "port": address.port, "protocol": "TCP"}
    yield {
        "kind": "Endpoints",
        "apiVersion": "v1",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": [{"addresses": [{"ip": address.host}], "ports": [port]}],
    }
    yield {
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": "IPv6" if ":" in address.host else "IPv4",
        "endpoints": [{"addresses": [address.host], "conditions": {"ready": True}}],
        "ports": [port],
    }


def follow(*keys: str) -> Reconcile:
    """A reconciler that makes the given top-level keys what is wanted and leaves the rest."""

    def reconcile(stored: Object, wanted: Object) -> Object | None:
        if all(stored.get(key) == wanted.get(key) for key in keys):
            return None
        return {**stored, **{key: wanted[key] for key in keys if key in wanted}}

    return reconcile


def follow_port(stored: Object, wanted: Object) -> Object | None:
    """For the kubernetes Service: its target port is the server's."""
    ports = wanted["spec"]["ports"]
    if stored["spec"].get("ports") == ports:
        return None
    return {**stored, "spec": {**stored["spec"], "ports": ports}}


OWN_RECONCILERS: Mapping[GVK, Reconcile] = {
    GVK("", "v1", "Service"): follow_port,
    GVK("", "v1", "Endpoints"): follow("subsets"),
    GVK("discovery.k8s.io", "v1", "EndpointSlice"): follow("endpoints", "ports"),
}


class Bootstrap:
    """Writes what is missing. `objects` are complete but for uid and creationTimestamp, and shared."""

    def __init__(self, kernel: "Kernel", catalog: Catalog, reconcilers: Mapping[GVK, Reconcile]) -> None:
        self._kernel = kernel
        self._catalog = catalog
        self._reconcilers = {**reconcilers, **OWN_RECONCILERS}

    async def write(self, objects: Iterable[Object]) -> None:
        """Until all are there. Kinds that no plugin serves are left out."""
        wanted = [(resource, obj) for obj in objects if (resource := self._catalog.by_kind(GVK.of(obj))) is not None]
        for attempt in range(ATTEMPTS):
            puts = [put for resource, obj in wanted if (put := self._put(resource, obj)) is not None]
            if not puts:
                return
            try:
                await self._kernel.bus.commit(puts)
            except Conflict:
                # Another server writes the same objects: look again.
                if attempt == ATTEMPTS - 1:
                    raise
                continue
            return

    def _put(self, resource: Resource, wanted: Object) -> Put | None:
        """What to write for one object, if anything."""
        metadata = wanted["metadata"]
        key = resource.key(metadata.get("namespace", ""), metadata["name"])
        item = self._kernel.bus.topic(resource.key_prefix).get(key)
        if item is None:
            value, stamp = codec.encode(self._new(resource, wanted), resource)
            return Put(key, value, expect=0, stamp=stamp)
        reconcile = self._reconcilers.get(resource.kind)
        changed = reconcile(codec.decode(item), wanted) if reconcile else None
        if changed is None:
            return None
        value, stamp = codec.encode(changed, resource)
        return Put(key, value, expect=item.revision, stamp=stamp)

    def _new(self, resource: Resource, wanted: Object) -> Object:
        kernel = self._kernel
        given = wanted["metadata"]
        metadata = {"name": given["name"]}
        if "namespace" in given:
            metadata["namespace"] = given["namespace"]
        metadata |= {"uid": kernel.uuid(), "creationTimestamp": rfc3339(kernel.clock.now())}
        if resource.strategy.tracks_generation:
            metadata["generation"] = 1
        return {**wanted, "metadata": {**metadata, **given}}
