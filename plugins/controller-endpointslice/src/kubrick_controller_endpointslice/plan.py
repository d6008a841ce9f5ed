"""A service's EndpointSlices, from its pods, with as few writes as possible. Pure.

Source: the endpointslice reconciler: slices per address family and port set, at most 100 endpoints each;
endpoints that are already in a slice stay in it; new ones first fill slices that change anyway, then the
fullest slice with room for all that is left, then new slices.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import define, field

from kubrick_controller.backends import (
    find_port,
    hostname_in,
    may_be_endpoint,
    pod_ips,
    pod_reference,
)
from kubrick_controller.pod import is_ready

Object = dict[str, Any]
Ports = tuple[tuple[str, int, str, str], ...]

LIMIT = 100
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLER = "endpointslice-controller.k8s.io"
HEADLESS = "service.kubernetes.io/headless"
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"
ZONE = "topology.kubernetes.io/zone"


@define
class Plan:
    """Slices to create, to update and to delete."""

    create: list[Object] = field(factory=list)
    update: list[Object] = field(factory=list)
    delete: list[Object] = field(factory=list)


def families_of(service: Object) -> list[str]:
    """The service's address types; a service that says nothing is IPv4."""
    return service["spec"].get("ipFamilies") or ["IPv4"]


def endpoint(service: Object, pod: Object, address: str, zone: str) -> Object:
    """One endpoint, as the pod is now."""
    publish = bool(service["spec"].get("publishNotReadyAddresses"))
    terminating = "deletionTimestamp" in pod["metadata"]
    serving = is_ready(pod)
    made: Object = {
        "addresses": [address],
        "conditions": {
            "ready": publish or (serving and not terminating),
            "serving": serving,
            "terminating": terminating,
        },
        "targetRef": pod_reference(pod),
    }
    hostname = hostname_in(service, pod)
    if hostname:
        made["hostname"] = hostname
    if pod["spec"].get("nodeName"):
        made["nodeName"] = pod["spec"]["nodeName"]
    if zone:
        made["zone"] = zone
    return made


def desired(
    service: Object, pods: Iterable[Object], zones: Mapping[str, str], family: str
) -> dict[Ports, dict[str, Object]]:
    """The endpoints that should exist in one address family: per port set, by pod uid. `zones` are the
    nodes' zones."""
    found: dict[Ports, dict[str, Object]] = {}
    for pod in pods:
        if not may_be_endpoint(pod, terminating=True):
            continue
        address = next((ip for ip in pod_ips(pod) if (":" in ip) == (family == "IPv6")), None)
        if address is None:
            continue
        made = endpoint(service, pod, address, zones.get(pod["spec"].get("nodeName", ""), ""))
        found.setdefault(_ports(service, pod), {})[pod["metadata"]["uid"]] = made
    return found


def _ports(service: Object, pod: Object) -> Ports:
    found = []
    for port in service["spec"].get("ports") or ():
        number = find_port(pod, port)
        if number is not None:
            found.append((port.get("name", ""), number, port.get("protocol", "TCP"), port.get("appProtocol", "")))
    return tuple(sorted(found))


def _slice_ports(existing: Object) -> Ports:
    return tuple(
        sorted(
            (p.get("name", ""), p.get("port", 0), p.get("protocol", "TCP"), p.get("appProtocol", ""))
            for p in existing.get("ports") or ()
        )
    )


def slice_labels(service: Object) -> dict[str, str]:
    """The labels every slice of the service carries."""
    own = service["metadata"].get("labels") or {}
    labels = {key: value for key, value in own.items() if key not in (SERVICE_NAME, MANAGED_BY, HEADLESS)}
    labels[SERVICE_NAME] = service["metadata"]["name"]
    labels[MANAGED_BY] = CONTROLLER
    if service["spec"].get("clusterIP") == "None":
        labels[HEADLESS] = ""
    return labels


def plan(
    service: Object,
    pods: Sequence[Object],
    slices: Sequence[Object],
    zones: Mapping[str, str],
    trigger: str,
) -> Plan:
    """What to write so that the service's slices say what is. `trigger` is when the last change that
    caused this happened (RFC 3339, "" if unknown)."""
    result = Plan()
    families = families_of(service)
    for existing in slices:
        if existing["addressType"] not in families:
            result.delete.append(existing)
    for family in families:
        wanted = desired(service, pods, zones, family)
        if not wanted:
            # A service without endpoints keeps one empty slice, so that it can be told from no service.
            wanted = {(): {}}
        mine = [s for s in slices if s["addressType"] == family]
        for ports in sorted(wanted):
            same = [s for s in mine if _slice_ports(s) == ports]
            _pack(result, service, family, ports, wanted[ports], same, trigger)
        result.delete += [s for s in mine if _slice_ports(s) not in wanted]
    _reuse(result)
    return result


def _pack(
    result: Plan,
    service: Object,
    family: str,
    ports: Ports,
    wanted: dict[str, Object],
    slices: Sequence[Object],
    trigger: str,
) -> None:
    """One port set of one family."""
    labels = slice_labels(service)
    left = dict(wanted)
    changed: list[tuple[Object, list[Object]]] = []
    unchanged: list[tuple[Object, list[Object]]] = []
    for existing in slices:
        before = existing.get("endpoints") or []
        kept = [left.pop(uid) for uid in (_uid(e) for e in before) if uid in left]
        same = kept == before and existing["metadata"].get("labels") == labels
        (unchanged if same else changed).append((existing, kept))
    new = list(left.values())
    for _, kept in sorted(changed, key=lambda pair: -len(pair[1])):
        room = LIMIT - len(kept)
        kept += new[:room]
        del new[:room]
    if new:
        fits = [pair for pair in unchanged if len(pair[1]) + len(new) <= LIMIT]
        if fits:
            fullest = max(fits, key=lambda pair: len(pair[1]))
            unchanged.remove(fullest)
            fullest[1].extend(new)
            changed.append(fullest)
            new = []
    while new or not (changed or unchanged):
        result.create.append(_slice(service, family, ports, new[:LIMIT], labels, trigger))
        del new[:LIMIT]
        if not new:
            break
    some_left = bool(unchanged) or any(kept for _, kept in changed) or bool(result.create)
    for existing, kept in changed:
        if not kept and some_left:
            result.delete.append(existing)
        else:
            some_left = True
            result.update.append(_updated(existing, kept, labels, trigger))


def _uid(existing: Object) -> str:
    uid: str = (existing.get("targetRef") or {}).get("uid", "")
    return uid


def _annotations(old: Mapping[str, str], trigger: str) -> dict[str, str]:
    kept = {key: value for key, value in old.items() if key != TRIGGER_TIME}
    return {**kept, TRIGGER_TIME: trigger} if trigger else kept


def _slice(
    service: Object, family: str, ports: Ports, endpoints: list[Object], labels: dict[str, str], trigger: str
) -> Object:
    metadata = service["metadata"]
    owner = {
        "apiVersion": "v1",
        "kind": "Service",
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": {
            "generateName": f"{metadata['name']}-",
            "namespace": metadata["namespace"],
            "labels": labels,
            "annotations": _annotations({}, trigger),
            "ownerReferences": [owner],
        },
        "addressType": family,
        "endpoints": endpoints,
        "ports": _port_list(ports),
    }


def _port_list(ports: Ports) -> list[Object]:
    made = []
    for name, number, protocol, app_protocol in ports:
        port: Object = {"name": name, "port": number, "protocol": protocol}
        if app_protocol:
            port["appProtocol"] = app_protocol
        made.append(port)
    return made


def _updated(existing: Object, endpoints: list[Object], labels: dict[str, str], trigger: str) -> Object:
    metadata = existing["metadata"]
    annotations = _annotations(metadata.get("annotations") or {}, trigger)
    return {
        **existing,
        "metadata": {**metadata, "labels": labels, "annotations": annotations},
        "endpoints": endpoints,
    }


def _reuse(result: Plan) -> None:
    """A slice to delete and one to create in the same family are one slice to update."""
    for old in list(result.delete):
        match = next((new for new in result.create if new["addressType"] == old["addressType"]), None)
        if match is None:
            continue
        result.delete.remove(old)
        result.create.remove(match)
        annotations = {**(old["metadata"].get("annotations") or {}), **match["metadata"]["annotations"]}
        metadata = {**old["metadata"], "labels": match["metadata"]["labels"], "annotations": annotations}
        result.update.append({**old, "metadata": metadata, "endpoints": match["endpoints"], "ports": match["ports"]})
