"""EndpointSlices: defaults, validation and rows. From pkg/apis/discovery."""

import ipaddress
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from kubrick_api.cells import age, joined
from kubrick_api.errors import FieldError, duplicate, invalid_value, not_supported, required, too_many
from kubrick_api.resource import Object, Strategy
from kubrick_api.storage import WriteContext
from kubrick_api.validation import IMMUTABLE, name_is_dns_label, name_is_dns_subdomain

FAMILIES = {"IPv4": 4, "IPv6": 6}
ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
PROTOCOLS = ("SCTP", "TCP", "UDP")
MAX_ENDPOINTS, MAX_PORTS, MAX_ADDRESSES = 1000, 20000, 100


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
        labels = (obj["metadata"].get("labels"), old["metadata"].get("labels"))
        changed = any(obj.get(name) != old.get(name) for name in content) or labels[0] != labels[1]
        obj["metadata"]["generation"] = generation + 1 if changed else generation

    def validate(self, obj: Object) -> list[FieldError]:
        return list(_validate(obj))

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        kind = obj.get("addressType")
        return [] if kind == old.get("addressType") else [invalid_value("addressType", kind, IMMUTABLE)]

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


def _validate(obj: Object) -> Iterator[FieldError]:
    kind = obj.get("addressType") or ""
    if not kind:
        yield required("addressType")
    elif kind not in ADDRESS_TYPES:
        yield not_supported("addressType", kind, ADDRESS_TYPES)
    endpoints = obj.get("endpoints") or ()
    if len(endpoints) > MAX_ENDPOINTS:
        yield too_many("endpoints", len(endpoints), MAX_ENDPOINTS)
        return
    for i, endpoint in enumerate(endpoints):
        yield from _endpoint(endpoint, kind, f"endpoints[{i}]")
    yield from _ports(obj.get("ports") or ())


def _endpoint(endpoint: Object, kind: str, at: str) -> Iterator[FieldError]:
    addresses = endpoint.get("addresses") or ()
    if not addresses:
        yield required(f"{at}.addresses", "must contain at least 1 address")
    elif len(addresses) > MAX_ADDRESSES:
        yield too_many(f"{at}.addresses", len(addresses), MAX_ADDRESSES)
    for i, address in enumerate(addresses):
        here = f"{at}.addresses[{i}]"
        if kind == "FQDN":
            for message in name_is_dns_subdomain(address):
                yield invalid_value(here, address, message)
        elif kind in FAMILIES:
            try:
                fits = ipaddress.ip_address(address).version == FAMILIES[kind]
            except ValueError:
                yield invalid_value(here, address, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")
                continue
            if not fits:
                yield invalid_value(here, address, f"must be a valid {kind} address")
    if endpoint.get("hostname"):
        for message in name_is_dns_label(endpoint["hostname"]):
            yield invalid_value(f"{at}.hostname", endpoint["hostname"], message)


def _ports(ports: Any) -> Iterator[FieldError]:
    if len(ports) > MAX_PORTS:
        yield too_many("ports", len(ports), MAX_PORTS)
        return
    names: set[str] = set()
    for i, port in enumerate(ports):
        name = port.get("name") or ""
        if name:
            for message in name_is_dns_label(name):
                yield invalid_value(f"ports[{i}].name", name, message)
        if name in names:
            yield duplicate(f"ports[{i}].name", name)
        names.add(name)
        if not port.get("protocol"):
            yield required(f"ports[{i}].protocol")
        elif port["protocol"] not in PROTOCOLS:
            yield not_supported(f"ports[{i}].protocol", port["protocol"], PROTOCOLS)
