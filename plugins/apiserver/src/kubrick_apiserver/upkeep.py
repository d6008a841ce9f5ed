"""The component "upkeep": what kube-apiserver keeps right about Services besides answering requests.

The default ServiceCIDR is there and ready (looked at every ten seconds, as upstream's defaultservicecidr does), and
services agree with their addresses and node ports (every eight to ten minutes, and when somebody deletes or changes
an address that a service has; see `repair`).
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import trio

from kubrick_api import codec
from kubrick_api.errors import StatusError
from kubrick_api.resource import Object
from kubrick_api.storage import Call, Reader
from kubrick_api_core import SERVICES
from kubrick_api_core.service_allocation import (
    IP_ADDRESSES,
    SERVICE_CIDRS,
    NodePorts,
    ip_address_object,
)
from kubrick_apiserver import repair
from kubrick_apiserver.access import LOOPBACK
from kubrick_client import EventRecorder, connect
from kubrick_kernel import Event, get_logger, rfc3339
from kubrick_kernel.bus import Lagged

if TYPE_CHECKING:
    from kubrick_kernel import Kernel

DEFAULT, CIDR_CONTROLLER = "kubernetes", "kubernetes-service-cidr-controller"
CIDR_SECONDS = 10.0
REPAIR_SECONDS = 480.0, 600.0
PASSES = 3
"""A mended reference shows only then that an address has no record: so a pass that mended something is repeated."""
APPLY = "application/apply-patch+yaml"
READY_MESSAGE = "Kubernetes default Service CIDR is ready"
log = get_logger("upkeep")


class Upkeep:
    """See the module. Speaks as the server itself."""

    name = "upkeep"
    requires: tuple[str, ...] = ("apiserver",)

    def __init__(self, kernel: "Kernel", service_range: str, port_range: str) -> None:
        self._kernel = kernel
        self._cidrs = [part.strip() for part in service_range.split(",")]
        self._ports = NodePorts.parse(port_range, kernel.random)
        self._told: set[str] = set()
        self._repairing = trio.Lock()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Ready when the default ServiceCIDR is."""
        self._reader: Reader = self._kernel.find(Reader)
        self._client = connect(self._kernel, LOOPBACK)
        self._addresses = EventRecorder(self._client, "ipallocator-repair-controller")
        self._node_ports = EventRecorder(self._client, "portallocator-repair-controller")
        self._default = EventRecorder(self._client, CIDR_CONTROLLER)
        try:
            async with trio.open_nursery() as nursery:
                for recorder in (self._addresses, self._node_ports, self._default):
                    nursery.start_soon(recorder.run)
                await self._tried(self._keep_default)
                task_status.started()
                nursery.start_soon(self._repeat, self._keep_default, (CIDR_SECONDS, CIDR_SECONDS))
                nursery.start_soon(self._heed)
                await self._tried(self._repair)
                await self._repeat(self._repair, REPAIR_SECONDS)
        finally:
            await self._client.aclose()

    async def _repeat(self, work: Callable[[], Awaitable[None]], seconds: tuple[float, float]) -> None:
        while True:
            await trio.sleep(self._kernel.random.uniform(*seconds))
            await self._tried(work)

    async def _tried(self, work: Callable[[], Awaitable[None]]) -> None:
        """What fails now is tried again at the next turn."""
        try:
            await work()
        except StatusError as error:
            log.warning("upkeep failed, will be tried again", error=str(error))

    # The default ServiceCIDR

    async def _keep_default(self) -> None:
        found = self._reader.get(SERVICE_CIDRS, "", DEFAULT)
        if found is None:
            made = {"metadata": {"name": DEFAULT}, "spec": {"cidrs": self._cidrs}}
            found = await self._client.create(SERVICE_CIDRS, made)
        cidrs = found["spec"].get("cidrs") or []
        if len(self._cidrs) == 2 and cidrs == self._cidrs[:1]:
            await self._widen(found)
        elif not found["metadata"].get("deletionTimestamp"):
            await self._default_status(found, cidrs)

    async def _widen(self, found: Object) -> None:
        """From one family of addresses to two."""
        try:
            await self._client.update(SERVICE_CIDRS, {**found, "spec": {**found["spec"], "cidrs": self._cidrs}})
        except StatusError as error:
            step = f"from {self._cidrs[0]} to dual stack {self._shown}"
            why = f"The default ServiceCIDR can not be upgraded {step} : {error}"
            self._default.event(found, "Warning", "KubernetesDefaultServiceCIDRError", why)

    @property
    def _shown(self) -> str:
        return f"[{' '.join(self._cidrs)}]"

    async def _default_status(self, found: Object, cidrs: list[str]) -> None:
        """Ready is set where nobody has said otherwise; what is odd is told once."""
        if cidrs != self._cidrs:
            given = f"[{' '.join(cidrs)}]"
            why = f"The default ServiceCIDR {given} does not match the controller flag configurations {self._shown}"
            self._tell_once(found, "KubernetesDefaultServiceCIDRInconsistent", why)
            return
        conditions = (found.get("status") or {}).get("conditions") or ()
        ready: Object = next((each for each in conditions if each.get("type") == "Ready"), {})
        if ready.get("status") == "False":
            why = f"Configuration matches, but {ready.get('message') or ''}"
            self._tell_once(found, ready.get("reason") or "", why)
        elif ready.get("status") != "True":
            await self._set_ready()

    def _tell_once(self, found: Object, reason: str, why: str) -> None:
        if reason not in self._told:
            self._told.add(reason)
            self._default.event(found, "Warning", reason, why)

    async def _set_ready(self) -> None:
        condition = {"type": "Ready", "status": "True", "message": READY_MESSAGE}
        condition["lastTransitionTime"] = rfc3339(self._kernel.clock.now())
        body = {
            "kind": "ServiceCIDR",
            "apiVersion": SERVICE_CIDRS.api_version,
            "metadata": {"name": DEFAULT},
            "status": {"conditions": [condition]},
        }
        params = {"fieldManager": CIDR_CONTROLLER, "force": "true"}
        await self._client.transport.call(Call("patch", SERVICE_CIDRS, "", DEFAULT, "status", params, body, APPLY))

    # Addresses and ports

    async def _heed(self) -> None:
        """Mend at once what is parted by a change of an address. Services' own writes part nothing."""
        topic = self._kernel.bus.topic(f"{IP_ADDRESSES.qualified}/".encode())
        while True:
            changes = topic.follow()
            try:
                while True:
                    if any(self._parted(event) for event in await changes.receive()):
                        await self._tried(self._repair)
            except Lagged:
                await self._tried(self._repair)
            finally:
                changes.close()

    def _parted(self, event: Event) -> bool:
        """Whether an address was changed or deleted that its service still has."""
        if event.previous is None:
            return False
        record = codec.glance(event.previous)
        owner = repair.service_of(record)
        service = self._reader.get(SERVICES, *owner) if owner is not None else None
        return service is not None and repair.has(service, record["metadata"]["name"])

    async def _repair(self) -> None:
        async with self._repairing:
            for _ in range(PASSES):
                if not await self._mend_addresses():
                    break
        for finding in repair.of_ports(self._reader.list(SERVICES), self._ports.first, self._ports.last):
            self._node_ports.event(finding.about, "Warning", finding.reason, finding.message)

    async def _mend_addresses(self) -> bool:
        """Whether something was changed."""
        reader, now = self._reader, self._kernel.clock.now()
        services = {(each["metadata"]["namespace"], each["metadata"]["name"]): each for each in reader.list(SERVICES)}
        found = {each["metadata"]["name"]: each for each in reader.list(IP_ADDRESSES)}
        ranges = repair.ranges_of(reader.list(SERVICE_CIDRS))
        findings = list(repair.of_services(services, found, ranges))
        findings += repair.of_addresses(services, found, now)
        mended: set[str] = set()
        for finding in findings:
            if finding.reason and finding.address not in mended:
                self._addresses.event(finding.about, "Warning", finding.reason, finding.message, action=finding.action)
            if finding.step and finding.address not in mended:
                await self._mend(finding)
                mended.add(finding.address)
        return bool(mended)

    async def _mend(self, finding: repair.Finding) -> None:
        if finding.step != repair.CREATE:
            try:
                await self._client.delete(IP_ADDRESSES, finding.address)
            except StatusError as error:
                if error.code != 404:
                    raise
        if finding.service is not None:
            metadata = finding.service["metadata"]
            made = ip_address_object(finding.address, metadata["namespace"], metadata["name"])
            await self._client.create(IP_ADDRESSES, made)
