"""Endpoints: the older list of a service's addresses."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from kubrick_api.errors import FieldError, not_supported, required
from kubrick_api.resource import Object, Strategy
from kubrick_api_core.container_validation import PROTOCOLS, port_in_range
from kubrick_api_core.pod_validation import ip_address
from kubrick_api_core.service_rows import endpoints_row


class EndpointsStrategy(Strategy):
    allow_create_on_update = True

    def default(self, obj: Object) -> None:
        for subset in obj.get("subsets") or ():
            for port in subset.get("ports") or ():
                if not port.get("protocol"):
                    port["protocol"] = "TCP"

    def validate(self, obj: Object) -> list[FieldError]:
        return [
            error for i, subset in enumerate(obj.get("subsets") or ()) for error in _subset(subset, f"subsets[{i}]")
        ]

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return endpoints_row(obj, now)


def _subset(subset: Object, at: str) -> Iterator[FieldError]:
    if not subset.get("addresses") and not subset.get("notReadyAddresses"):
        yield required(at, "must specify `addresses` or `notReadyAddresses`")
    for kind in ("addresses", "notReadyAddresses"):
        for i, address in enumerate(subset.get(kind) or ()):
            yield from ip_address(address.get("ip") or "", f"{at}.{kind}[{i}].ip")
    ports = subset.get("ports") or ()
    for i, port in enumerate(ports):
        here = f"{at}.ports[{i}]"
        if not port.get("name") and len(ports) > 1:
            yield required(f"{here}.name")
        yield from port_in_range(port.get("port"), f"{here}.port")
        if port.get("protocol") not in PROTOCOLS:
            yield not_supported(f"{here}.protocol", port.get("protocol"), PROTOCOLS)
