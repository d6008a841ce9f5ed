"""EndpointSlices: defaults, validation and rows. From pkg/apis/discovery."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from kubrick_api import addresses
from kubrick_api.cells import age, joined
from kubrick_api.equality import same
from kubrick_api.errors import FieldError, duplicate, invalid_value, not_supported, required, too_many
from kubrick_api.formats import canonical_address, invalids, qualified_domain_name, special_address
from kubrick_api.resource import Object, Strategy
from kubrick_api.storage import WriteContext
from kubrick_api.validation import (
    IMMUTABLE,
    label_value,
    labels,
    name_is_dns_label,
    name_is_dns_subdomain,
    qualified_name,
)

ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
PROTOCOLS = ("SCTP", "TCP", "UDP")
MAX_ENDPOINTS, MAX_PORTS, MAX_ADDRESSES, MAX_TOPOLOGY, MAX_HINTS = 1000, 20000, 100, 16, 8


class EndpointSliceStrategy(Strategy):
    tracks_generation = True

    def default(self, obj: Object) -> None:
        for port in obj.get("ports") or ():
            if port.get("name") is None:
                port["name"] = ""
            if port.get("protocol") is None:
                port["protocol"] = "TCP"
        if obj.get("endpoints") is None:
            obj["endpoints"] = []

    def prepare_for_update(self, obj: Object, old: Object, context: WriteContext) -> None:
        generation = old["metadata"].get("generation", 1)
        content = ("addressType", "endpoints", "ports")
        labelled = (obj["metadata"].get("labels"), old["metadata"].get("labels"))
        changed = any(obj.get(name) != old.get(name) for name in content) or labelled[0] != labelled[1]
        obj["metadata"]["generation"] = generation + 1 if changed else generation

    def validate(self, obj: Object) -> list[FieldError]:
        return list(_validate(obj))

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        kind = obj.get("addressType")
        changed = [] if kind == old.get("addressType") else [invalid_value("addressType", kind, IMMUTABLE)]
        return [*_validate(obj, old), *changed]

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        kept = (old or {}).get("endpoints") == obj.get("endpoints")
        return [
            text
            for i, endpoint in enumerate(() if kept else obj.get("endpoints") or ())
            for j, address in enumerate(endpoint.get("addresses") or ())
            for text in addresses.spelling_warnings(address, f"endpoints[{i}].addresses[{j}]")
        ]

    def row(self, obj: Object, now: datetime) -> list[Any]:
        addresses = [address for endpoint in obj.get("endpoints") or () for address in endpoint.get("addresses") or ()]
        return [
            obj["metadata"]["name"],
            obj.get("addressType") or "",
            _ports_cell(obj.get("ports")),
            joined(addresses, 3) or "<unset>",
            age(obj, now),
        ]


def _ports_cell(ports: Any) -> str:
    texts = []
    for port in ports or ():
        if port.get("port") is not None:
            texts.append(str(port["port"]))
        elif port.get("name"):
            texts.append(port["name"])
        else:
            texts.append("*")
    return joined(texts, 3) or "<unset>"


def _validate(obj: Object, old: Object | None = None) -> Iterator[FieldError]:
    """Endpoints that were there before may stay as they are."""
    kind = obj.get("addressType") or ""
    if not kind:
        yield required("addressType")
    elif kind not in ADDRESS_TYPES:
        yield not_supported("addressType", kind, ADDRESS_TYPES)
    yield from _ports(obj.get("ports") or ())
    errors = list(_endpoints(obj.get("endpoints") or (), kind))
    if errors and (old is None or not same(obj.get("endpoints"), old.get("endpoints"))):
        yield from errors


def _endpoints(endpoints: Sequence[Object], kind: str) -> Iterator[FieldError]:
    if len(endpoints) > MAX_ENDPOINTS:
        yield too_many("endpoints", len(endpoints), MAX_ENDPOINTS)
        return
    for i, endpoint in enumerate(endpoints):
        yield from _endpoint(endpoint, kind, f"endpoints[{i}]")


def _endpoint(endpoint: Object, kind: str, at: str) -> Iterator[FieldError]:
    found = endpoint.get("addresses") or ()
    if not found:
        yield required(f"{at}.addresses", "must contain at least 1 address")
    elif len(found) > MAX_ADDRESSES:
        yield too_many(f"{at}.addresses", len(found), MAX_ADDRESSES)
    for i, text in enumerate(found):
        yield from _address(text, kind, f"{at}.addresses", i)
    if (node := endpoint.get("nodeName")) is not None:
        yield from invalids(f"{at}.nodeName", node, name_is_dns_subdomain(node))
    topology = endpoint.get("deprecatedTopology") or {}
    if len(topology) > MAX_TOPOLOGY:
        yield too_many(f"{at}.deprecatedTopology", len(topology), MAX_TOPOLOGY)
    yield from labels(topology, f"{at}.deprecatedTopology")
    if (hostname := endpoint.get("hostname")) is not None:
        yield from invalids(f"{at}.hostname", hostname, name_is_dns_label(hostname))
    yield from _hints(endpoint.get("hints") or {}, f"{at}.hints")


def _address(text: str, kind: str, at: str, i: int) -> Iterator[FieldError]:
    here = f"{at}[{i}]"
    if kind == "FQDN":
        yield from qualified_domain_name(text, here)
    elif kind in ("IPv4", "IPv6"):
        wrong = invalids(here, text, canonical_address(text)) if kind == "IPv6" else addresses.check(text, here)
        if wrong:
            yield from wrong
            return
        if addresses.family(text) != kind:
            yield invalid_value(at, text, f"must be an {kind} address")  # of the list, not of its entry
        yield from invalids(here, text, special_address(text))


def _hints(hints: Object, at: str) -> Iterator[FieldError]:
    for name, check in (("forZones", label_value), ("forNodes", name_is_dns_subdomain)):
        entries, seen = hints.get(name) or (), set[str]()
        if len(entries) > MAX_HINTS:
            yield too_many(f"{at}.{name}", len(entries), MAX_HINTS)
            return
        for i, entry in enumerate(entries):
            value, here = entry.get("name") or "", f"{at}.{name}[{i}].name"
            if value in seen:
                yield duplicate(here, value)
            seen.add(value)
            yield from invalids(here, value, check(value))


def _ports(ports: Any) -> Iterator[FieldError]:
    if len(ports) > MAX_PORTS:
        yield too_many("ports", len(ports), MAX_PORTS)
        return
    names: set[str] = set()
    for i, port in enumerate(ports):
        name = port.get("name") or ""
        if name:
            yield from invalids(f"ports[{i}].name", name, name_is_dns_label(name))
        if name in names:
            yield duplicate(f"ports[{i}].name", name)
        names.add(name)
        if not port.get("protocol"):
            yield required(f"ports[{i}].protocol")
        elif port["protocol"] not in PROTOCOLS:
            yield not_supported(f"ports[{i}].protocol", port["protocol"], PROTOCOLS)
        if (protocol := port.get("appProtocol")) is not None:
            yield from invalids(f"ports[{i}].appProtocol", protocol, qualified_name(protocol))
