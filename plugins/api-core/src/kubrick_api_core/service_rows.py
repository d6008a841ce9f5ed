"""Table rows of Services and Endpoints."""

from datetime import datetime
from typing import Any

from kubrick_api.cells import NONE, age, format_labels, joined, or_none
from kubrick_api.resource import Object


def service_row(service: Object, now: datetime) -> list[Any]:
    """Name, Type, Cluster-IP, External-IP, Port(s), Age, Selector."""
    spec = service.get("spec") or {}
    addresses = spec.get("clusterIPs") or ()
    return [
        service["metadata"]["name"],
        spec.get("type") or "",
        or_none(addresses[0] if addresses else spec.get("clusterIP")),
        external_ip(service),
        service_ports(spec.get("ports") or ()),
        age(service, now),
        format_labels(spec.get("selector")),
    ]


def service_ports(ports: Any) -> str:
    """ "80/TCP,443:30443/TCP"."""
    pieces = []
    for port in ports:
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        pieces.append(f"{port.get('port')}{node}/{port.get('protocol', 'TCP')}")
    return ",".join(pieces) or NONE


def external_ip(service: Object) -> str:
    spec = service.get("spec") or {}
    given = spec.get("externalIPs") or []
    if spec.get("type") == "ExternalName":
        return or_none(spec.get("externalName"))
    if spec.get("type") == "LoadBalancer":
        ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
        balanced = [entry.get("ip") or entry.get("hostname") or "" for entry in ingress]
        text = ",".join([*dict.fromkeys(entry for entry in balanced if entry), *given])
        return text or "<pending>"
    return ",".join(given) or NONE


def endpoints_row(endpoints: Object, now: datetime) -> list[Any]:
    """Name, Endpoints, Age; three addresses at most."""
    found: list[str] = []
    for subset in endpoints.get("subsets") or ():
        addresses = [address.get("ip", "") for address in subset.get("addresses") or ()]
        ports = subset.get("ports") or ()
        if not ports:
            found += addresses
        for port in ports:
            found += [f"[{ip}]:{port.get('port')}" if ":" in ip else f"{ip}:{port.get('port')}" for ip in addresses]
    return [endpoints["metadata"]["name"], joined(found, 3) or NONE, age(endpoints, now)]
