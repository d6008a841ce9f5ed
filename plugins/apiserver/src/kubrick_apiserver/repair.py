"""What is wrong between Services and the addresses and node ports they have, and what would mend it.

A service and its IPAddress objects are written together, so they part only when somebody changes or deletes the
latter, or when the ranges change. Node ports have no record of their own: stored services are the record. So of
kube-apiserver's findings about them the ones that compare with a record (PortNotAllocated, leaks) can't come up.
Reasons, messages and the order of checks are those of pkg/registry/core/service/ipallocator/controller (repairip.go)
and portallocator/controller.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from attrs import frozen

from kubrick_api import addresses
from kubrick_api.resource import Object
from kubrick_api_core.service_allocation import ALLOCATOR, FAMILY, MANAGED_BY, Range, parse_range

LEAK_GRACE = timedelta(seconds=60)
"""How old an address without a service must be: in other API servers, one is written before the other."""
CREATE, RECREATE, DELETE = "create", "recreate", "delete"
FOR_SERVICE, FOR_ADDRESS = "ClusterIPAllocation", "IPAddressAllocation"


@frozen
class Finding:
    """Something is wrong with `about`. Without a `reason` it is mended in silence; without a `step` somebody else has
    to mend it. A step is done to the IPAddress `address`, which is `service`'s if it is made."""

    about: Object
    reason: str = ""
    message: str = ""
    action: str = ""
    step: str = ""
    address: str = ""
    service: Object | None = None


def ranges_of(service_cidrs: Iterable[Object]) -> list[Range]:
    """All ranges, whether or not they give out addresses now."""
    texts = [text for each in service_cidrs for text in (each.get("spec") or {}).get("cidrs") or ()]
    return [found for text in texts if (found := parse_range(text)) is not None]


def has_cluster_ip(service: Object) -> bool:
    spec = service.get("spec") or {}
    return spec.get("clusterIP") not in (None, "", "None") and spec.get("type") != "ExternalName"


def of_services(
    services: Mapping[tuple[str, str], Object], found: Mapping[str, Object], ranges: Sequence[Range]
) -> Iterator[Finding]:
    """Every service's addresses are recorded, and as its own. `services` are by namespace and name, `found` are the
    IPAddress objects by name."""
    for service in services.values():
        if not has_cluster_ip(service):
            continue
        for text in service["spec"].get("clusterIPs") or ():
            yield from _of_address(service, text, services, found, ranges)


def _of_address(
    service: Object,
    text: str,
    services: Mapping[tuple[str, str], Object],
    found: Mapping[str, Object],
    ranges: Sequence[Range],
) -> Iterator[Finding]:
    parsed = addresses.parse(text)
    if parsed is None:
        why = f"Cluster IP {text} is not a valid IP; please recreate Service"
        yield Finding(service, "ClusterIPNotValid", why, "ClusterIPValidation")
        return
    address, shown = str(parsed), f"[{addresses.family(text)}]"
    if not any(each.holds(address) for each in ranges):
        why = f"Cluster IP {shown}: {address} is not within any configured Service CIDR; please recreate service"
        yield Finding(service, "ClusterIPOutOfRange", why, FOR_SERVICE)
        return
    record = found.get(address)
    own = _own(service)
    if record is None:
        why = f"Cluster IP {shown}: {address} is not allocated; repairing"
        yield Finding(service, "ClusterIPNotAllocated", why, FOR_SERVICE, CREATE, address, service)
        return
    owner = service_of(record)
    if owner is None or (owner != own and owner not in services):
        why = f"the ClusterIP {shown}: {address} for Service {own[0]}/{own[1]} has a wrong reference; repairing"
        yield Finding(service, "ClusterIPNotAllocated", why, FOR_SERVICE, RECREATE, address, service)
        return
    if owner != own:
        if has(services[owner], address):
            why = f"Cluster IP {shown}:{address} was assigned to multiple services; please recreate service"
            yield Finding(service, "ClusterIPAlreadyAllocated", why, FOR_SERVICE)
        return
    labels = record["metadata"].get("labels") or {}
    if (labels.get(MANAGED_BY), labels.get(FAMILY)) != (ALLOCATOR, addresses.family(address)):
        yield Finding(service, step=RECREATE, address=address, service=service)


def of_addresses(
    services: Mapping[tuple[str, str], Object], found: Mapping[str, Object], now: datetime
) -> Iterator[Finding]:
    """Every address that the allocator gave is some service's."""
    for name, record in found.items():
        if (record["metadata"].get("labels") or {}).get(MANAGED_BY) != ALLOCATOR:
            continue
        owner = service_of(record)
        if owner is None:
            why = f"IPAddress {name} appears to have been modified, not referencing a Service {_parent(record)}"
            yield Finding(record, "IPAddressNotAllocated", f"{why}: cleaning up", FOR_ADDRESS, DELETE, name)
            continue
        where = f"IPAddress: {name} for Service {owner[0]}/{owner[1]}"
        service = services.get(owner)
        if service is None:
            if now - datetime.fromisoformat(record["metadata"]["creationTimestamp"]) > LEAK_GRACE:
                why = f"{where} appears to have leaked: cleaning up"
                yield Finding(record, "IPAddressNotAllocated", why, FOR_ADDRESS, DELETE, name)
        elif not has(service, name):
            why = f"{where} has a wrong reference; cleaning up"
            yield Finding(record, "IPAddressWrongReference", why, FOR_ADDRESS, DELETE, name)


def of_ports(services: Iterable[Object], first: int, last: int) -> Iterator[Finding]:
    """No port of the nodes is two services', or one's twice, and all are in the range."""
    taken: set[int] = set()
    for service in services:
        for port in _node_ports(service.get("spec") or {}):
            if not first <= port <= last:
                why = f"Port {port} is not within the port range {first}-{last}; please recreate service"
                yield Finding(service, "PortOutOfRange", why)
            elif port in taken:
                why = f"Port {port} was assigned to multiple services; please recreate service"
                yield Finding(service, "PortAlreadyAllocated", why)
            taken.add(port)


def _node_ports(spec: Object) -> list[int]:
    """With repetitions, but those of one port with several protocols."""
    found: list[int] = []
    seen: dict[int, set[str]] = {}
    for port in spec.get("ports") or ():
        number, protocol = port.get("nodePort") or 0, port.get("protocol") or ""
        if number and (number not in seen or protocol in seen[number]):
            found.append(number)
        seen.setdefault(number, set()).add(protocol)
    health = spec.get("healthCheckNodePort") or 0
    if health and (health not in seen or "TCP" in seen[health]):
        found.append(health)
    return found


def _own(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("namespace") or "", obj["metadata"]["name"]


def has(service: Object, address: str) -> bool:
    return address in ((service.get("spec") or {}).get("clusterIPs") or ())


def service_of(record: Object) -> tuple[str, str] | None:
    """Whose an IPAddress is; None when it isn't a service's."""
    parent = (record.get("spec") or {}).get("parentRef") or {}
    if parent.get("group") or parent.get("resource") != "services":
        return None
    return parent.get("namespace") or "", parent.get("name") or ""


def _parent(record: Object) -> str:
    """As Go prints a ParentReference."""
    parent = (record.get("spec") or {}).get("parentRef") or {}
    names = ("Group", "Resource", "Namespace", "Name")
    shown = "".join(f"{name}:{parent.get(name.lower()) or ''}," for name in names)
    return f"&ParentReference{{{shown}}}"
