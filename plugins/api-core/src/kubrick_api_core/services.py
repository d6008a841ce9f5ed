"""Services: how the API treats them, allocation of their addresses and ports included."""

import ipaddress
from collections.abc import Callable
from datetime import datetime
from typing import Any

from kubrick_api.errors import FieldError, StatusError, internal, invalid, invalid_value
from kubrick_api.names import GVK
from kubrick_api.resource import Object, Strategy
from kubrick_api.storage import Also, WriteContext
from kubrick_api_core.service_allocation import (
    IP_ADDRESSES,
    AllocationError,
    ClusterIPs,
    NodePorts,
    ip_address_object,
)
from kubrick_api_core.service_defaults import (
    HEADLESS,
    default_service,
    drop_unused,
    is_headless,
    keep_allocated,
    needs_cluster_ip,
    needs_health_port,
    needs_node_ports,
    pair_cluster_ips,
)

SERVICE = GVK("", "v1", "Service")


class ServiceStrategy(Strategy):
    has_status = True

    def __init__(self, addresses: ClusterIPs, ports: NodePorts) -> None:
        self.addresses = addresses
        self.ports = ports

    def default(self, obj: Object) -> None:
        default_service(obj)

    def prepare_for_create(self, obj: Object, context: WriteContext) -> None:
        obj["status"] = {"loadBalancer": {}}
        pair_cluster_ips(obj["spec"])

    def prepare_for_update(self, obj: Object, old: Object, context: WriteContext) -> None:
        super().prepare_for_update(obj, old, context)
        if context.subresource:
            return
        spec, before = obj.setdefault("spec", {}), old["spec"]
        pair_cluster_ips(spec, before)
        keep_allocated(spec, before)
        drop_unused(spec, before)

    def validate_name(self, name: str, prefix: bool) -> list[str]:
        from kubrick_api.validation import name_is_dns_label

        return name_is_dns_label(name, prefix)

    def validate(self, obj: Object) -> list[FieldError]:
        from kubrick_api_core.service_validation import validate_service

        return validate_service(obj)

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        from kubrick_api_core.service_validation import validate_service_update

        return validate_service_update(obj, old)

    def validate_metadata_update(self, obj: Object, old: Object) -> list[FieldError]:
        return self.validate_replacement(obj, old)

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        from kubrick_api_core.service_validation import validate_service_status_update

        return validate_service_status_update(obj, old)

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        from kubrick_api_core.service_validation import service_warnings

        return service_warnings(obj)

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        spec = obj.get("spec") or {}
        return {"spec.clusterIP": spec.get("clusterIP") or "", "spec.type": spec.get("type") or ""}

    def row(self, obj: Object, now: datetime) -> list[Any]:
        from kubrick_api_core.service_rows import service_row

        return service_row(obj, now)

    # Allocation

    async def allocate(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        before = old["spec"] if old else {}
        self._families(obj)
        self._address(obj, before, context)
        self._node_ports(obj, before, context)

    async def release(self, old: Object, context: WriteContext) -> None:
        spec = old["spec"]
        for address in spec.get("clusterIPs") or ():
            self._let_go(address, context)
        for protocol, port in _node_ports(spec):
            self.ports.release(protocol, port)

    def _let_go(self, address: str, context: WriteContext) -> None:
        if address != HEADLESS:
            if not context.dry_run:
                self.addresses.release(address)
            if context.reader.get(IP_ADDRESSES, "", address) is not None:
                context.also.append(Also(IP_ADDRESSES, "", address, None))

    def _families(self, obj: Object) -> None:
        """One family: the range's. A headless service without a selector may have both."""
        spec, name = obj["spec"], obj["metadata"].get("name", "")
        if not needs_cluster_ip(spec):
            return
        own = self.addresses.family
        selectorless = is_headless(spec) and not spec.get("selector")
        policy = spec.get("ipFamilyPolicy") or ("RequireDualStack" if selectorless else "SingleStack")
        families = list(spec.get("ipFamilies") or ())
        if policy == "RequireDualStack" and not selectorless:
            raise invalid(
                SERVICE,
                name,
                [
                    invalid_value(
                        "spec.ipFamilyPolicy", policy, "this cluster is not configured for dual-stack services"
                    )
                ],
            )
        for i, family in enumerate(families):
            if family != own and not selectorless:
                raise invalid(
                    SERVICE, name, [invalid_value(f"spec.ipFamilies[{i}]", family, "not configured on this cluster")]
                )
        if not families:
            families = [own]
        if selectorless and policy == "RequireDualStack" and len(families) == 1:
            families.append("IPv6" if families[0] == "IPv4" else "IPv4")
        spec["ipFamilies"], spec["ipFamilyPolicy"] = families, policy

    def _address(self, obj: Object, before: Object, context: WriteContext) -> None:
        spec = obj["spec"]
        had = before.get("clusterIP") or ""
        if not needs_cluster_ip(spec):
            if had:
                self._let_go(had, context)
            return
        wanted = spec.get("clusterIP") or ""
        if wanted == HEADLESS:
            spec["clusterIPs"] = [HEADLESS]
            return
        if had and had != HEADLESS and wanted == had:
            return
        address = self._reserve(obj, wanted, context)
        spec["clusterIP"], spec["clusterIPs"] = address, [address]
        metadata = obj["metadata"]
        owner = ip_address_object(address, metadata.get("namespace", ""), metadata.get("name", ""))
        context.also.append(Also(IP_ADDRESSES, "", address, owner))

    def _reserve(self, obj: Object, wanted: str, context: WriteContext) -> str:
        try:
            if wanted:
                ipaddress.ip_address(wanted)
                self.addresses.reserve(wanted, context.reader)
            else:
                wanted = self.addresses.next(context.reader)
        except AllocationError as error:
            if not wanted:
                raise internal(f"failed to allocate a serviceIP: {error}") from None
            raise self._refused(obj, wanted, str(error)) from None
        except ValueError:
            raise self._refused(obj, wanted, "must be a valid IP address") from None
        address = wanted
        context.on_failure.append(lambda: self.addresses.release(address))
        return address

    def _refused(self, obj: Object, address: str, why: str) -> StatusError:
        return invalid(
            SERVICE,
            obj["metadata"].get("name", ""),
            [invalid_value("spec.clusterIPs", [address], f"failed to allocate IP {address}: {why}")],
        )

    def _node_ports(self, obj: Object, before: Object, context: WriteContext) -> None:
        spec = obj["spec"]
        had = _node_ports(before)
        kept: set[tuple[str, int]] = set()
        own_numbers: dict[int, set[str]] = {}
        if needs_node_ports(spec):
            for i, port in enumerate(spec.get("ports") or ()):
                protocol, number = port.get("protocol", "TCP"), port.get("nodePort")
                if not number:
                    # One number serves both protocols of a port, as DNS on 53 wants.
                    number = next(
                        (p["nodePort"] for p in spec["ports"][:i] if _twin(p, port) and p.get("nodePort")), None
                    )
                    if number is not None and protocol in own_numbers.get(number, ()):
                        number = None
                if number and (protocol, number) in had:
                    kept.add((protocol, number))
                else:
                    number = self._port(obj, f"spec.ports[{i}].nodePort", protocol, number, context)
                own_numbers.setdefault(number, set()).add(protocol)
                port["nodePort"] = number
        if needs_health_port(spec):
            number = spec.get("healthCheckNodePort")
            if number and ("TCP", number) in had:
                kept.add(("TCP", number))
            else:
                spec["healthCheckNodePort"] = self._port(obj, "spec.healthCheckNodePort", "TCP", number, context)
        if not context.dry_run:
            for protocol, number in had - kept:
                self.ports.release(protocol, number)

    def _port(self, obj: Object, path: str, protocol: str, wanted: int | None, context: WriteContext) -> int:
        try:
            if wanted:
                self.ports.reserve(protocol, wanted, context.reader, obj["metadata"].get("uid", ""))
                number = wanted
            else:
                number = self.ports.next(protocol, context.reader)
        except AllocationError as error:
            if not wanted:
                raise internal(f"failed to allocate a nodePort: {error}") from None
            raise invalid(SERVICE, obj["metadata"].get("name", ""), [invalid_value(path, wanted, str(error))]) from None
        context.on_failure.append(_releasing(self.ports, protocol, number))
        return number


def _releasing(ports: NodePorts, protocol: str, number: int) -> Callable[[], None]:
    return lambda: ports.release(protocol, number)


def _twin(a: Object, b: Object) -> bool:
    return a.get("port") == b.get("port") and a.get("protocol") != b.get("protocol")


def _node_ports(spec: Object) -> set[tuple[str, int]]:
    found = {(p.get("protocol", "TCP"), p["nodePort"]) for p in spec.get("ports") or () if p.get("nodePort")}
    if spec.get("healthCheckNodePort"):
        found.add(("TCP", spec["healthCheckNodePort"]))
    return found
