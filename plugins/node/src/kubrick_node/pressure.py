"""Sees to it that the node never runs out of something: looks at what is left, says so in the node's conditions,
removes what nobody needs, and ends pods one by one. Thin: eviction.py says what is short, ranking.py who goes.

Source: the kubelet's eviction manager.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import trio
from attrs import frozen

from kubrick_kernel import get_logger
from kubrick_node.eviction import (
    IMAGEFS,
    IMAGEFS_INODES,
    NODEFS,
    NODEFS_INODES,
    RESOURCES,
    Findings,
    Observed,
    Threshold,
    Watch,
)
from kubrick_node.ranking import PodUsage, excess, has_storage_limits, is_critical, rank, shortage_message
from kubrick_node.runtime import RuntimeFailure

Object = dict[str, Any]
log = get_logger("node")

REASON = "Evicted"
GRACE = 1.0
"""What a pod has when there is no time to lose, in seconds."""
CLEANUP_SECONDS = 30.0


class Tenant(Protocol):
    """A pod that runs here (its worker)."""

    pod: Object
    over: trio.Event

    def give_up(self, reason: str, message: str, grace: float | None = None, disrupted: bool = False) -> None: ...


@frozen
class Timing:
    """Seconds: between two looks, between two looks at the disk that each pod uses, and what a pod has to end that
    goes for a soft threshold."""

    look: float = 10.0
    disk: float = 60.0
    grace: float = 0.0


@frozen
class Hands:
    """What it acts by. `levels` reads what is left, `own_imagefs` whether images have a disk of their own; `tenants`
    are the pods that have not ended; `measure` one pod's usage and `reclaim` what nobody needs (both may raise
    RuntimeFailure); `say` takes (type, reason, message) of events about the node, `tell` (pod, type, reason,
    message); `report` writes the node's conditions, and says whether it could."""

    levels: Callable[[], Awaitable[Mapping[str, Observed]]]
    own_imagefs: Callable[[], bool]
    tenants: Callable[[], Sequence[Tenant]]
    measure: Callable[[Object], Awaitable[PodUsage]]
    reclaim: Callable[[], Awaitable[None]]
    say: Callable[[str, str, str], None]
    tell: Callable[[Object, str, str, str], None]
    report: Callable[[], Awaitable[bool]]


class Pressure:
    """One node's. `pressures` are the types of conditions that hold."""

    def __init__(self, watch: Watch, timing: Timing, hands: Hands) -> None:
        self.pressures: tuple[str, ...] = ()
        self._watch = watch
        self._timing = timing
        self._hands = hands
        self._reported: tuple[str, ...] = ()
        self._disk_at = float("-inf")

    async def run(self) -> None:
        """Looks, and looks again at once when a pod had to go: it may not have been enough."""
        while True:
            if not await self.look():
                await trio.sleep(self._timing.look)

    async def observe(self) -> tuple[Findings, Mapping[str, Observed]]:
        """What is short now."""
        observed = await self._hands.levels()
        findings = self._watch.observe(observed, trio.current_time())
        self.pressures = findings.pressures
        return findings, observed

    async def look(self) -> bool:
        """One round; whether pods had to go."""
        findings, observed = await self.observe()
        if self.pressures != self._reported and await self._hands.report():
            self._reported = self.pressures
        if await self._end_the_greedy():
            return True
        # The kubelet goes by what there is to reclaim of; every signal here has a resource.
        return bool(findings.met) and await self._relieve(findings.met, observed)

    async def _end_the_greedy(self) -> bool:
        """Pods that use more of the disk than they may."""
        now = trio.current_time()
        if now < self._disk_at + self._timing.disk:
            return False
        self._disk_at = now
        own_imagefs, ended = self._hands.own_imagefs(), []
        for tenant in self._hands.tenants():
            if not has_storage_limits(tenant.pod):
                continue
            used = await self._usage(tenant)
            message = excess(tenant.pod, used, own_imagefs) if used is not None else ""
            if message and self._evict(tenant, message, GRACE):
                ended.append(tenant)
        with trio.move_on_after(CLEANUP_SECONDS):
            for tenant in ended:
                await tenant.over.wait()
        return bool(ended)

    async def _relieve(self, met: Sequence[Threshold], observed: Mapping[str, Observed]) -> bool:
        """Make room for the first of them; whether a pod had to go."""
        signal = met[0].signal
        self._hands.say("Warning", "EvictionThresholdMet", f"Attempting to reclaim {RESOURCES[signal]}")
        if signal in (NODEFS, NODEFS_INODES, IMAGEFS, IMAGEFS_INODES):
            try:
                await self._hands.reclaim()
            except RuntimeFailure as failure:
                log.warning("nothing reclaimed", resource=RESOURCES[signal], error=failure.message)
            if self._watch.is_over(await self._hands.levels()):
                return False
        tenants = {tenant.pod["metadata"]["uid"]: tenant for tenant in self._hands.tenants()}
        usage = {uid: used for uid, tenant in tenants.items() if (used := await self._usage(tenant)) is not None}
        for pod in rank(signal, [tenant.pod for tenant in tenants.values()], usage, self._hands.own_imagefs()):
            uid = pod["metadata"]["uid"]
            message = shortage_message(pod, usage.get(uid), met, observed)
            if self._evict(tenants[uid], message, self._timing.grace if met[0].grace else GRACE, disrupted=True):
                with trio.move_on_after(CLEANUP_SECONDS):
                    await tenants[uid].over.wait()
                return True
        log.warning("no pod can be evicted", resource=RESOURCES[signal])
        return False

    async def _usage(self, tenant: Tenant) -> PodUsage | None:
        try:
            return await self._hands.measure(tenant.pod)
        except RuntimeFailure as failure:
            log.warning("pod not measured", pod=tenant.pod["metadata"]["name"], error=failure.message)
            return None

    def _evict(self, tenant: Tenant, message: str, grace: float, *, disrupted: bool = False) -> bool:
        if is_critical(tenant.pod):
            log.warning("a critical pod is not evicted", pod=tenant.pod["metadata"]["name"])
            return False
        self._hands.tell(tenant.pod, "Warning", REASON, message)
        tenant.give_up(REASON, message, grace, disrupted)
        return True
