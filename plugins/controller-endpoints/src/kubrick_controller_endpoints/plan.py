"""A service's Endpoints object, from its pods. Pure.

Source: the endpoints controller: one address per pod and subset port set, ready and not ready ones apart,
subsets and addresses in a canonical order (RepackSubsets), at most 1,000 addresses.
"""

from collections.abc import Iterable
from typing import Any

from kubrick_controller.backends import (
    find_port,
    hostname_in,
    may_be_endpoint,
    pod_ips,
    pod_reference,
)
from kubrick_controller.pod import is_ready

Object = dict[str, Any]

LIMIT = 1000
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"
HEADLESS = "service.kubernetes.io/headless"
MANAGED_BY = "endpoints.kubernetes.io/managed-by"
CONTROLLER = "endpoint-controller"

Ports = tuple[tuple[str, int, str, str], ...]


def subsets(service: Object, pods: Iterable[Object]) -> tuple[list[Object], bool]:
    """The subsets, and whether addresses had to be left out."""
    publish_unready = bool(service["spec"].get("publishNotReadyAddresses"))
    ready: dict[Ports, list[Object]] = {}
    unready: dict[Ports, list[Object]] = {}
    for pod in pods:
        if not may_be_endpoint(pod, terminating=publish_unready):
            continue
        address = _address(service, pod)
        ports = _ports(service, pod)
        if address is None or ports is None:
            continue
        into = ready if publish_unready or is_ready(pod) else unready
        into.setdefault(ports, []).append(address)
    truncated = _truncate(ready, unready)
    return [_subset(ports, ready, unready) for ports in sorted({*ready, *unready})], truncated


def _truncate(ready: dict[Ports, list[Object]], unready: dict[Ports, list[Object]]) -> bool:
    """Keep 1,000 addresses, ready ones first."""
    room, cut = LIMIT, False
    for group in (ready, unready):
        for ports, addresses in list(group.items()):
            addresses.sort(key=_order)
            if len(addresses) > room:
                cut = True
                del addresses[room:]
            room -= len(addresses)
            if not addresses:
                del group[ports]
    return cut


def _order(address: Object) -> tuple[str, str]:
    return address["ip"], address["targetRef"]["uid"]


def _address(service: Object, pod: Object) -> Object | None:
    families = service["spec"].get("ipFamilies") or ["IPv4"]
    wanted = next((ip for ip in pod_ips(pod) if (":" in ip) == (families[0] == "IPv6")), None)
    if wanted is None:
        return None
    address: Object = {"ip": wanted}
    hostname = hostname_in(service, pod)
    if hostname:
        address["hostname"] = hostname
    if pod["spec"].get("nodeName"):
        address["nodeName"] = pod["spec"]["nodeName"]
    address["targetRef"] = pod_reference(pod)
    return address


def _ports(service: Object, pod: Object) -> Ports | None:
    """The pod's ports; none at all for a headless service without ports, None when no port fits."""
    wanted = service["spec"].get("ports") or ()
    found = []
    for port in wanted:
        number = find_port(pod, port)
        if number is not None:
            found.append((port.get("name", ""), number, port.get("protocol", "TCP"), port.get("appProtocol", "")))
    if wanted and not found:
        return None
    return tuple(sorted(found))


def _subset(ports: Ports, ready: dict[Ports, list[Object]], unready: dict[Ports, list[Object]]) -> Object:
    subset: Object = {}
    if ready.get(ports):
        subset["addresses"] = ready[ports]
    if unready.get(ports):
        subset["notReadyAddresses"] = unready[ports]
    if ports:
        subset["ports"] = [
            {key: value for key, value in zip(("name", "port", "protocol", "appProtocol"), port, strict=True) if value}
            for port in ports
        ]
    return subset


def wanted(service: Object, pods: Iterable[Object], found: Object | None, trigger: str) -> Object | None:
    """The Endpoints object to write, or None when `found` is as it should be. `trigger` is when the last
    change that caused this happened (RFC 3339, "" if unknown)."""
    new, truncated = subsets(service, pods)
    metadata = service["metadata"]
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != HEADLESS}
    if service["spec"].get("clusterIP") == "None":
        labels[HEADLESS] = ""
    labels[MANAGED_BY] = CONTROLLER
    old = found["metadata"] if found is not None else {}
    annotations = dict(old.get("annotations") or {})
    annotations.pop(OVER_CAPACITY, None)
    if truncated:
        annotations[OVER_CAPACITY] = "truncated"
    if (
        found is not None
        and (found.get("subsets") or []) == new
        and old.get("labels") == labels
        and (old.get("annotations") or {}).get(OVER_CAPACITY) == annotations.get(OVER_CAPACITY)
    ):
        return None
    if trigger:
        annotations[TRIGGER_TIME] = trigger
    else:
        annotations.pop(TRIGGER_TIME, None)
    return {
        "kind": "Endpoints",
        "apiVersion": "v1",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            **old,
            "labels": labels,
            "annotations": annotations,
        },
        "subsets": new,
    }
