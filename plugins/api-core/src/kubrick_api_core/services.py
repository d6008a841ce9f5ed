"""Services: how the API treats them, allocation of their addresses and ports included.

From pkg/registry/core/service (strategy.go, storage/alloc.go). What is allocated is written, or let go, in the
service's own transaction.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from kubrick_api import addresses
from kubrick_api.errors import FieldError, internal, invalid, invalid_value
from kubrick_api.names import GVK
from kubrick_api.resource import Object, Strategy
from kubrick_api.storage import Also, WriteContext
from kubrick_api_core.service_allocation import (
    IP_ADDRESSES,
    AllocationError,
    ClusterIPs,
    NodePorts,
    ip_address_object,
    node_ports,
    owned_by,
)
from kubrick_api_core.service_defaults import (
    HEADLESS,
    default_service,
    drop_unused,
    keep_allocated,
    needs_cluster_ip,
    needs_health_port,
    needs_node_ports,
    pair_cluster_ips,
)
from kubrick_api_core.service_families import keeps_preference, settle_families

SERVICE = GVK("", "v1", "Service")
WITH_NODE_PORTS = ("NodePort", "LoadBalancer")


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
        if context.subresource:
            return
        spec, before = obj["spec"], old["spec"] if old else {}
        name = obj["metadata"].get("name", "")
        if errors := settle_families(spec, before, self.addresses.families):
            raise invalid(SERVICE, name, errors)
        if not (old and keeps_preference(spec, before)):
            self._cluster_ips(obj, before, context)
        if spec.get("type") in WITH_NODE_PORTS:
            self._node_ports(obj, before, context)
        if needs_health_port(spec):
            self._health_port(obj, before, context)

    async def release(self, old: Object, context: WriteContext) -> None:
        for address in old["spec"].get("clusterIPs") or ():
            self._let_go(old, address, context)

    def _let_go(self, obj: Object, address: str, context: WriteContext) -> None:
        """The address's object goes with the write, if it is this service's."""
        if address in ("", HEADLESS):
            return
        canonical = str(addresses.parse(address) or address)
        metadata = obj["metadata"]
        found = context.reader.get(IP_ADDRESSES, "", canonical)
        if owned_by(found, metadata.get("namespace", ""), metadata.get("name", "")):
            context.also.append(Also(IP_ADDRESSES, "", canonical, None))

    def _cluster_ips(self, obj: Object, before: Object, context: WriteContext) -> None:
        spec = obj["spec"]
        had = before.get("clusterIPs") or []
        if not needs_cluster_ip(spec):
            for address in had if needs_cluster_ip(before) else ():
                self._let_go(obj, address, context)
            return
        given = list(spec.get("clusterIPs") or ())
        if given[:1] == [HEADLESS] or had[:1] == [HEADLESS]:
            return
        made = []
        for i, family in enumerate(spec.get("ipFamilies") or ()):
            wanted = given[i] if i < len(given) else ""
            # An address that replaces one the service has is for validation to refuse.
            fresh = i >= len(had)
            made.append(self._address(obj, family, wanted, context) if fresh else wanted or had[i])
        for address in had[len(made) :]:
            self._let_go(obj, address, context)
        if made:
            spec["clusterIP"], spec["clusterIPs"] = made[0], made

    def _address(self, obj: Object, family: str, wanted: str, context: WriteContext) -> str:
        metadata = obj["metadata"]
        try:
            if wanted:
                address = str(addresses.parse(wanted) or wanted)
                self.addresses.reserve(address, context.reader)
            else:
                address = self.addresses.next(family, context.reader)
        except AllocationError as error:
            if not wanted:
                raise internal(f"failed to allocate a serviceIP: {error}") from None
            shown = [*(obj["spec"].get("clusterIPs") or [wanted])]
            why = f"failed to allocate IP {wanted}: {error}"
            errors = [invalid_value("spec.clusterIPs", shown, why)]
            raise invalid(SERVICE, metadata.get("name", ""), errors) from None
        _until_done(context, lambda: self.addresses.forget(address))
        owner = ip_address_object(address, metadata.get("namespace", ""), metadata.get("name", ""))
        context.also.append(Also(IP_ADDRESSES, "", address, owner))
        return wanted or address

    def _node_ports(self, obj: Object, before: Object, context: WriteContext) -> None:
        """Numbers asked for are reserved; where none is and one is needed, the protocols of a port share one."""
        spec = obj["spec"]
        had = node_ports(before) if before.get("type") in WITH_NODE_PORTS else set()
        ports = spec.get("ports") or []
        own: dict[int, int] = {}
        mine: set[int] = set()
        taken: set[tuple[str, int]] = set()
        for i, port in enumerate(ports):
            number, wanted = port.get("nodePort") or 0, port.get("port") or 0
            if not number:
                if not needs_node_ports(spec):
                    continue
                asked = next((p["nodePort"] for p in ports if p.get("port") == wanted and p.get("nodePort")), 0)
                number = own.get(wanted) or asked
                if number and (port.get("protocol") or "", number) in taken:
                    number = 0
            if number and number not in had and number not in mine:
                self._reserve(obj, f"spec.ports[{i}].nodePort", number, context)
            elif not number:
                number = self._any_port(had | mine, context)
            port["nodePort"] = number
            mine.add(number)
            taken.add((port.get("protocol") or "", number))
            own.setdefault(wanted, number)

    def _health_port(self, obj: Object, before: Object, context: WriteContext) -> None:
        """One that the service has stays; validation refuses another."""
        spec = obj["spec"]
        number = spec.get("healthCheckNodePort") or 0
        if needs_health_port(before) and before.get("healthCheckNodePort"):
            return
        if not number:
            spec["healthCheckNodePort"] = self._any_port(node_ports(spec), context)
            return
        try:
            self.ports.reserve(number, context.reader, obj["metadata"].get("uid", ""))
        except AllocationError as error:
            raise internal(f"failed to allocate requested HealthCheck NodePort {number}: {error}") from None
        _until_done(context, lambda: self.ports.forget(number))

    def _reserve(self, obj: Object, path: str, number: int, context: WriteContext) -> None:
        metadata = obj["metadata"]
        try:
            self.ports.reserve(number, context.reader, metadata.get("uid", ""))
        except AllocationError as error:
            errors = [invalid_value(path, number, str(error))]
            raise invalid(SERVICE, metadata.get("name", ""), errors) from None
        _until_done(context, lambda: self.ports.forget(number))

    def _any_port(self, taken: set[int], context: WriteContext) -> int:
        try:
            number = self.ports.next(context.reader, taken)
        except AllocationError as error:
            raise internal(f"failed to allocate a nodePort: {error}") from None
        _until_done(context, lambda: self.ports.forget(number))
        return number


def _until_done(context: WriteContext, forget: Callable[[], None]) -> None:
    """A promise lasts until the write is over, whichever way it ends."""
    context.on_failure.append(forget)
    context.on_success.append(forget)
