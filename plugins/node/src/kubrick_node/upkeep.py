"""Puts together what keeps a machine's node usable: the watch on what is left, evictions, collecting images."""

from pathlib import Path

import trio

from kubrick_kernel import ConfigurationError, get_logger
from kubrick_node import machine as facts
from kubrick_node.agent import NodeAgent
from kubrick_node.collector import Collector
from kubrick_node.eviction import IMAGEFS, Observed, Threshold, Watch, thresholds
from kubrick_node.garbage import Policy
from kubrick_node.measure import Measure
from kubrick_node.persistence import TROUBLE
from kubrick_node.pressure import Hands, Pressure, Timing
from kubrick_node.runtime import ContainerRuntime, RuntimeFailure
from kubrick_node.settings import Settings
from kubrick_node.surroundings import Surroundings

log = get_logger("node")


def wanted_thresholds(settings: Settings) -> tuple[Threshold, ...]:
    """Raises ConfigurationError."""
    try:
        return thresholds(
            settings.eviction_hard,
            settings.eviction_soft,
            settings.eviction_soft_grace_period,
            settings.eviction_minimum_reclaim,
        )
    except ValueError as error:
        raise ConfigurationError(f"[plugins.node] {error}") from None


class Upkeep:
    """One node's; `root` is where pods' files go. Only `pressures` can do without an agent."""

    def __init__(self, settings: Settings, root: Path, runtime: ContainerRuntime) -> None:
        self._settings = settings
        self._root = root
        self._runtime = runtime
        self._images: str | None = None
        self._latest: dict[str, Observed] = {}
        self._watch = Watch(wanted_thresholds(settings), settings.eviction_pressure_transition_period)
        self._agent: NodeAgent | None = None

    async def pressures(self) -> tuple[str, ...]:
        """Which pressure conditions hold now."""
        return self._watch.observe(await self._levels(), trio.current_time()).pressures

    async def serve(self, agent: NodeAgent, around: Surroundings) -> None:
        """Work for this agent until cancelled."""
        settings = self._settings
        high, low = settings.image_gc_high_threshold_percent, settings.image_gc_low_threshold_percent
        policy = Policy(high, low, settings.image_minimum_gc_age, settings.image_maximum_gc_age)
        collector = Collector(
            self._runtime, policy, settings.image_gc_period, lambda: self._latest.get(IMAGEFS), agent.say
        )

        async def reclaim() -> None:
            await agent.reclaim()
            await collector.remove_unused()

        async def report() -> bool:
            try:
                await agent.report_node()
            except TROUBLE as trouble:
                log.warning("node not reported", error=str(trouble))
                return False
            return True

        hands = Hands(
            self._levels,
            lambda: not facts.shares_disk(self._root, self._images or ""),
            lambda: agent.tenants,
            Measure(self._runtime, around).pod,
            reclaim,
            agent.say,
            agent.event,
            report,
        )
        timing = Timing(
            settings.eviction_monitoring_period,
            settings.volume_stats_agg_period,
            settings.eviction_max_pod_grace_period,
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(collector.run)
            nursery.start_soon(Pressure(self._watch, timing, hands).run)

    async def _levels(self) -> dict[str, Observed]:
        if self._images is None:
            try:
                self._images = await self._runtime.image_directory()
            except RuntimeFailure as failure:
                log.warning("the images' disk is not known", error=failure.message)
        self._latest = facts.read_levels(self._root, self._images or "")
        return self._latest
