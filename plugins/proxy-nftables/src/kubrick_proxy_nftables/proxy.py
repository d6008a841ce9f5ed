"""The component "proxy": keeps the kernel's tables as the cluster's services want them.

Informers mark services as changed; a sync compiles those, takes the difference to what was sent before and sends
it as one transaction (both families together), or nothing if there is none. Everything is written anew at the
start, once an hour, after a refused transaction, and when somebody else's change touched our chains: the kernel
numbers its transactions, and only a number that isn't ours makes us look.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import trio

from kubrick_api_core import NODES, SERVICES
from kubrick_api_discovery import ENDPOINT_SLICES
from kubrick_api_networking import SERVICE_CIDRS
from kubrick_client import Client, Informer, connect
from kubrick_kernel import Kernel, get_logger
from kubrick_proxy_nftables import health, metrics
from kubrick_proxy_nftables.compiler import Compiled, compile_service, node_of
from kubrick_proxy_nftables.conntrack import Fronts, changes, stale
from kubrick_proxy_nftables.families import Family
from kubrick_proxy_nftables.guard import Guard
from kubrick_proxy_nftables.nft import Fingerprint, Nft, Refused
from kubrick_proxy_nftables.rules import GUARD, NODE, guard_part, node_part
from kubrick_proxy_nftables.ruleset import RETIREMENT, TABLE, Part, Ruleset
from kubrick_proxy_nftables.services import SELECTOR, key_of, service_of
from kubrick_proxy_nftables.settings import Settings

Object = dict[str, Any]

log = get_logger("proxy")
USER = "system:kube-proxy"
BATCH = 50
"""Services compiled before other tasks get a turn."""
INLINE = 1 << 16
"""Commands up to this size take a millisecond or two: less than a thread is worth."""
LARGEST_SHARE = 0.1
"""Of its time, that the proxy spends on syncs while everything changes all the time."""
FIRST_RETRY, LONGEST_RETRY = 1.0, 30.0
NO_FRONTS = Fronts()
WATCHED = ("filter-forward", "filter-output", "nat-prerouting", "nat-output", "services", "cluster-ips-check")
"""Chains whose rules never change but by us: an empty one means that somebody flushed the table."""
TO_BE_DELETED = "ToBeDeletedByClusterAutoscaler"


class Proxy:
    """See the module."""

    name = "proxy"
    requires: tuple[str, ...] = ("proxy-guard", "apiserver?")

    def __init__(self, kernel: Kernel, settings: Settings, guard: Guard) -> None:
        self._kernel = kernel
        self._settings = settings
        self._guard = guard
        self.metrics = metrics.Metrics()
        self.ports: dict[str, int] = {}
        """Where /healthz and /metrics answer, once it runs."""
        self._health = health.Health(kernel.clock)

    async def settled(self) -> None:
        """Returns when everything that the informers have seen is in the kernel."""
        await self._health.settled()

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        kernel, settings = self._kernel, self._settings
        state = self._health
        async with trio.open_nursery() as nursery:
            for name, listen, answer in (
                ("healthz", settings.healthz_listen, health.routes(state)),
                ("metrics", settings.metrics_listen, health.metrics_routes(self.metrics)),
            ):
                if listen:
                    serve = partial(health.serve, listen, answer, kernel.clock, f"{name}_listen")
                    self.ports[name] = await nursery.start(serve)
            checks = health.HealthChecks(settings.health_check_address, state, kernel.clock, nursery)
            syncer = Syncer(kernel, settings, self._guard.nft, state, checks, self.metrics)
            await syncer.watch(connect(kernel, USER), nursery)
            await nursery.start(syncer.run)
            task_status.started()


class Syncer:
    """The proxy's state and its loop."""

    def __init__(
        self,
        kernel: Kernel,
        settings: Settings,
        nft: Nft,
        state: health.Health,
        checks: health.HealthChecks,
        counts: metrics.Metrics,
    ) -> None:
        self._kernel = kernel
        self._settings = settings
        self._nft = nft
        self._health = state
        self._checks = checks
        self._metrics = counts
        self._rulesets = {family: Ruleset(family) for family in settings.families()}
        self._ranges = settings.service_ranges(kernel)
        self._node = node_of(settings.node(), None)
        self._policies = {family: settings.policy(family, self._node) for family in self._rulesets}
        self._dirty: set[str] = set()
        self._base_changed = True
        self._rebuild = True
        self._woken = trio.Event()
        self._generation = -1
        self._fingerprints: dict[Family, Fingerprint | None] = {}
        self._fronts: dict[str, Mapping[Family, Fronts]] = {}
        self._old_fronts: dict[str, Mapping[Family, Fronts]] = {}
        self._health_checks: dict[str, Mapping[int, int]] = {}
        self._full_at = 0.0

    async def watch(self, client: Client, nursery: trio.Nursery) -> None:
        """Start the informers; returns when they have everything."""
        self._services = Informer(client, SERVICES, label_selector=SELECTOR)
        self._slices = Informer(client, ENDPOINT_SLICES, label_selector=SELECTOR)
        self._nodes = Informer(client, NODES, field_selector=f"metadata.name={self._node.name}")
        self._cidrs = Informer(client, SERVICE_CIDRS)
        self._slices.add_index("service", service_of)
        self._services.add_handler(self._service_seen, lambda old, new: self._service_seen(new), self._service_seen)
        self._slices.add_handler(self._slice_seen, self._slice_changed, self._slice_seen)
        self._nodes.add_handler(self._node_seen, lambda old, new: self._node_seen(new))
        self._cidrs.add_handler(self._range_seen, lambda old, new: self._range_seen(new), self._range_seen)
        nursery.start_soon(self._cidrs.run)  # not waited for: an API server without the group has none
        async with trio.open_nursery() as starting:
            for informer in (self._services, self._slices, self._nodes):
                starting.start_soon(nursery.start, informer.run)

    def _service_seen(self, service: Object) -> None:
        self._metrics.service_changes += 1
        self._mark([key_of(service)])

    def _slice_seen(self, piece: Object) -> None:
        self._metrics.endpoint_changes += 1
        self._mark(service_of(piece))

    def _slice_changed(self, old: Object, new: Object) -> None:
        self._mark(service_of(old))
        self._slice_seen(new)

    def _node_seen(self, obj: Object) -> None:
        taints = (obj.get("spec") or {}).get("taints") or ()
        leaving = any(taint["key"] == TO_BE_DELETED for taint in taints)
        self._health.eligible = not leaving and "deletionTimestamp" not in obj["metadata"]
        node = node_of(self._node.name, obj)
        if node != self._node:
            self._node = node
            self._policies = {family: self._settings.policy(family, node) for family in self._rulesets}
            self._base_changed = True
            self._mark(key_of(service) for service in self._services.list())

    def _range_seen(self, _cidr: Object) -> None:
        known = [text for obj in self._cidrs.list() for text in obj["spec"].get("cidrs") or ()]
        ranges = tuple(dict.fromkeys((*self._settings.service_ranges(self._kernel), *known)))
        if ranges != self._ranges:
            self._ranges = ranges
            self._base_changed = True
            self._mark(())

    def _mark(self, keys: Iterable[str]) -> None:
        self._dirty.update(keys)
        self._metrics.last_queued = self._kernel.clock.timestamp()
        self._health.queued()
        self._woken.set()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Sync until cancelled; started after the first time."""
        retry = FIRST_RETRY
        started = False
        while True:
            began = trio.current_time()
            try:
                await self._sync()
            except Refused as error:
                self._metrics.failures += 1
                self._rebuild = True
                log.error("the kernel refused the rules; writing all anew", reason=str(error), retry_in=retry)
                await trio.sleep(retry)
                retry = min(retry * 2, LONGEST_RETRY)
                continue
            retry = FIRST_RETRY
            if not started:
                started = True
                task_status.started()
            took = trio.current_time() - began
            await trio.sleep_until(began + max(self._settings.min_sync_period, took / LARGEST_SHARE))
            await self._pause()

    async def _pause(self) -> None:
        """Until something changed, or it is time to look."""
        now = trio.current_time()
        pause = min(self._settings.check_period, self._full_at - now)
        if any(ruleset.retired for ruleset in self._rulesets.values()):
            pause = min(pause, RETIREMENT)
        with trio.move_on_after(max(pause, 0)):
            await self._woken.wait()
        self._woken = trio.Event()

    async def _sync(self) -> None:
        """One transaction at most. Raises Refused."""
        began = trio.current_time()
        due = began >= self._full_at
        base_changed = self._base_changed
        if self._disturbed():
            log.warning("somebody else changed the table; writing all anew", table=TABLE)
            self._metrics.rebuilt += 1
            self._rebuild = True
        updates = await self._compile()
        commands = "".join(ruleset.update(updates[family], began) for family, ruleset in self._rulesets.items())
        if self._rebuild:
            commands = "".join(ruleset.scratch() for ruleset in self._rulesets.values())
        elif due:
            commands = "".join(ruleset.refreshed() for ruleset in self._rulesets.values())
        full = self._rebuild or due
        if commands:
            await self._send(commands)
            if full or base_changed:
                self._fingerprints = {family: self._look(family) for family in self._rulesets}
        self._rebuild = False
        if full:
            self._full_at = began + self._settings.full_resync_period
        await self._forget()
        self._publish_checks()
        now = trio.current_time()
        if commands:
            kind = metrics.FULL if full else metrics.PARTIAL
            self._metrics.sync_seconds[kind].observe(now - began)
        self._metrics.last_sync = self._kernel.clock.timestamp()
        if not self._dirty and not self._base_changed:
            self._health.synced()

    async def _compile(self) -> dict[Family, dict[str, Part | None]]:
        """The parts of what changed."""
        updates: dict[Family, dict[str, Part | None]] = {family: {} for family in self._rulesets}
        if self._base_changed:
            self._base_changed = False
            for family, policy in self._policies.items():
                updates[family][GUARD] = guard_part(family, self._ranges)
                updates[family][NODE] = node_part(family, self._node, policy)
        keys, self._dirty = sorted(self._dirty), set()
        for number, key in enumerate(keys, 1):
            compiled = self._compile_one(key)
            for family in updates:
                updates[family][key] = compiled.parts.get(family)
            if (udp := {family: found for family, found in compiled.fronts.items() if found}) or key in self._fronts:
                self._old_fronts.setdefault(key, self._fronts.pop(key, {}))
                if udp:
                    self._fronts[key] = udp
            self._health_checks.pop(key, None)
            if compiled.health_checks:
                self._health_checks[key] = compiled.health_checks
            if number % BATCH == 0:
                await trio.lowlevel.checkpoint()
        return updates

    def _compile_one(self, key: str) -> Compiled:
        namespace, _, name = key.partition("/")
        service = self._services.get(namespace, name)
        if service is None:
            return Compiled({})
        return compile_service(service, self._slices.by_index("service", key), self._node, self._policies)

    async def _send(self, commands: str) -> None:
        if len(commands) > INLINE:
            await trio.to_thread.run_sync(self._nft.run, commands)
        else:
            self._nft.run(commands)
        self._metrics.transactions += 1
        generation = self._nft.generation()
        if self._generation < 0 or generation == self._generation + 1:
            self._generation = generation  # else somebody was quick, and the next look finds out

    def _look(self, family: Family) -> Fingerprint | None:
        return self._nft.fingerprint(family.nft, TABLE, WATCHED)

    def _disturbed(self) -> bool:
        """Whether somebody else changed something, and it was ours."""
        generation = self._nft.generation()
        if generation == self._generation or not self._fingerprints:
            return False
        self._generation = generation
        return any(self._look(family) != seen for family, seen in self._fingerprints.items())

    async def _forget(self) -> None:
        """Clean up the tracked UDP connections of services whose endpoints changed."""
        none: Mapping[Family, Fronts] = {}
        before, self._old_fronts = self._old_fronts, {}
        for family in self._rulesets:
            pairs = [
                (old.get(family, NO_FRONTS), self._fronts.get(key, none).get(family, NO_FRONTS))
                for key, old in before.items()
            ]
            changed = changes(pairs)
            if changed:
                try:
                    await trio.to_thread.run_sync(forget, self._nft, family, changed)
                except OSError as error:
                    log.warning("UDP clients may stay with endpoints that are gone", reason=str(error))

    def _publish_checks(self) -> None:
        wanted: dict[int, health.HealthCheck] = {}
        for key, ports in self._health_checks.items():
            namespace, _, name = key.partition("/")
            wanted.update((port, health.HealthCheck(namespace, name, count)) for port, count in ports.items())
        self._checks.update(wanted)


def forget(nft: Nft, family: Family, changed: Fronts) -> None:
    """Clean up behind UDP services that changed. Raises OSError."""
    for flow in list(stale(nft.udp_flows(family.nft), changed)):
        nft.forget(flow, family.nft)
