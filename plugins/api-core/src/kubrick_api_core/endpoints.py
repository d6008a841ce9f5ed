"""Endpoints: the older list of a service's addresses."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from kubrick_api import addresses
from kubrick_api.equality import same
from kubrick_api.errors import FieldError, invalid_value, required
from kubrick_api.resource import Object, Strategy
from kubrick_api.validation import label, name_is_dns_subdomain, qualified_name
from kubrick_api_core.rules import port_in_range, protocol
from kubrick_api_core.service_rows import endpoints_row
from kubrick_api_core.service_validation import endpoint_ip

Errors = list[FieldError]


class EndpointsStrategy(Strategy):
    allow_create_on_update = True

    def default(self, obj: Object) -> None:
        for subset in obj.get("subsets") or ():
            for port in subset.get("ports") or ():
                if not port.get("protocol"):
                    port["protocol"] = "TCP"

    def validate(self, obj: Object) -> list[FieldError]:
        errors: Errors = []
        for i, subset in enumerate(obj.get("subsets") or ()):
            _subset(subset, f"subsets[{i}]", errors)
        return errors

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        """Subsets that stay as they were may have been valid once."""
        errors = self.validate(obj)
        return [] if errors and same(obj.get("subsets"), old.get("subsets")) else errors

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        if old is not None and same(obj.get("subsets"), old.get("subsets")):
            return []
        return [
            text
            for i, subset in enumerate(obj.get("subsets") or ())
            for kind in ("addresses", "notReadyAddresses")
            for j, address in enumerate(subset.get(kind) or ())
            for text in addresses.spelling_warnings(address.get("ip") or "", f"subsets[{i}].{kind}[{j}].ip")
        ]

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return endpoints_row(obj, now)


def _subset(subset: Object, at: str, errors: Errors) -> None:
    if not subset.get("addresses") and not subset.get("notReadyAddresses"):
        errors.append(required(at, "must specify `addresses` or `notReadyAddresses`"))
    for kind in ("addresses", "notReadyAddresses"):
        for i, address in enumerate(subset.get(kind) or ()):
            _address(address, f"{at}.{kind}[{i}]", errors)
    _ports(subset.get("ports") or (), f"{at}.ports", errors)


def _address(address: Object, at: str, errors: Errors) -> None:
    ip = address.get("ip") or ""
    errors += addresses.check(ip, f"{at}.ip")
    if name := address.get("hostname"):
        errors += [invalid_value(f"{at}.hostname", name, why) for why in label(name)]
    if (node := address.get("nodeName")) is not None:
        errors += [invalid_value(f"{at}.nodeName", node, why) for why in name_is_dns_subdomain(node)]
    errors += endpoint_ip(ip, f"{at}.ip")


def _ports(ports: Sequence[Object], path: str, errors: Errors) -> None:
    for i, port in enumerate(ports):
        at, name = f"{path}[{i}]", port.get("name") or ""
        if name:
            errors += [invalid_value(f"{at}.name", name, why) for why in label(name)]
        elif len(ports) > 1:
            errors.append(required(f"{at}.name"))
        errors += port_in_range(port.get("port") or 0, f"{at}.port")
        errors += protocol(port.get("protocol"), f"{at}.protocol")
        if (application := port.get("appProtocol")) is not None:
            errors += [invalid_value(f"{at}.appProtocol", application, why) for why in qualified_name(application)]
