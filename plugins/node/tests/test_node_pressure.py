"""A node that is short of something: what it says, what it removes and whom it ends; in virtual time."""

import sys
from pathlib import Path

import pytest
import trio

from kubrick_api_core import EVENTS, NODES, PODS
from kubrick_kernel import ConfigurationError
from kubrick_node.eviction import MEMORY, NODEFS, Observed, Watch, thresholds
from kubrick_node.measure import space_of
from kubrick_node.pressure import Hands, Pressure, Timing
from kubrick_node.ranking import ContainerUsage, PodUsage, Space
from kubrick_node.runtime import Image, PodStats, RuntimeFailure, Usage
from kubrick_node.settings import Settings
from kubrick_node.upkeep import wanted_thresholds
from kubrick_testing import build

sys.path.insert(0, str(Path(__file__).parent))
from node_world import ready, running

MI = 1 << 20


class Tenant:
    """A pod that ends some time after it is told to, and gives back its disk then."""

    def __init__(self, house, name, size, priority=0, **limits):
        self.house, self.size, self.over, self.gone = house, size, trio.Event(), None
        containers = [{"name": "web", "resources": {"limits": limits}}]
        self.pod = {
            "metadata": {"name": name, "uid": name},
            "spec": {"priority": priority, "containers": containers},
        }

    def give_up(self, reason, message, grace=None, disrupted=False):
        self.gone = (reason, message, grace, disrupted)
        self.house.nursery.start_soon(self._end)

    async def _end(self):
        await trio.sleep(self.house.ending)
        self.house.available += self.size
        self.over.set()


class House:
    """A node of 1000 MiB."""

    def __init__(self, nursery):
        self.nursery, self.available, self.garbage, self.ending = nursery, 500 * MI, 0, 2.0
        self.tenants, self.said, self.reports, self.broken = [], [], [], set()
        self.mute = False

    def add(self, name, size, priority=0, **limits):
        tenant = Tenant(self, name, size, priority, **limits)
        self.tenants.append(tenant)
        return tenant

    async def levels(self):
        return {NODEFS: Observed(self.available, 1000 * MI), MEMORY: Observed(1 << 40, 1 << 40)}

    async def measure(self, pod):
        if pod["metadata"]["name"] in self.broken:
            raise RuntimeFailure("StatsError", "no")
        size = next(one.size for one in self.tenants if one.pod is pod)
        return PodUsage((ContainerUsage("web", 0, Space(size, 1)),))

    async def reclaim(self):
        self.available, self.garbage = self.available + self.garbage, 0

    async def report(self):
        self.reports.append(trio.current_time())
        return not self.mute

    def hands(self):
        return Hands(
            self.levels,
            lambda: False,
            lambda: [one for one in self.tenants if one.gone is None],
            self.measure,
            self.reclaim,
            lambda *words: self.said.append(words),
            lambda pod, *words: self.said.append((pod["metadata"]["name"], *words)),
            self.report,
        )

    def pressure(self, **more):
        return Pressure(Watch(thresholds({NODEFS: "100Mi"}, **more)), Timing(), self.hands())

    def gone(self):
        return [one.pod["metadata"]["name"] for one in self.tenants if one.gone]


async def test_one_pod_goes_after_another_until_there_is_room(nursery, autojump_clock):
    house = House(nursery)
    for name, size in (("small", 10 * MI), ("big", 60 * MI), ("middle", 40 * MI)):
        house.add(name, size)
    house.available = 5 * MI
    pressure = house.pressure()
    nursery.start_soon(pressure.run)
    await trio.sleep(1)
    assert house.gone() == ["big"], "the next is not even looked at before the first is gone"
    assert len(house.reports) == 1
    await trio.sleep(8)
    assert house.gone() == ["big", "middle"]
    assert pressure.pressures == ("DiskPressure",)
    reason, message, grace, disrupted = house.tenants[1].gone
    assert (reason, grace, disrupted) == ("Evicted", 1.0, True)
    assert message.startswith("The node was low on resource: ephemeral-storage. Threshold quantity: 100Mi, ")
    assert house.said[:2] == [
        ("Warning", "EvictionThresholdMet", "Attempting to reclaim ephemeral-storage"),
        ("big", "Warning", "Evicted", message),
    ]
    await trio.sleep(320)
    assert (pressure.pressures, len(house.reports)) == ((), 2)


async def test_a_condition_that_could_not_be_written_is_written_later(nursery, autojump_clock):
    """The cluster's own state may stand on the disk that is full."""
    house = House(nursery)
    house.available, house.mute = 0, True
    pressure = house.pressure()
    for _ in range(3):
        await pressure.look()
    house.mute = False
    for _ in range(3):
        await pressure.look()
    assert len(house.reports) == 4


async def test_no_pod_goes_when_removing_what_nobody_needs_is_enough(nursery, autojump_clock):
    house = House(nursery)
    house.add("big", 60 * MI)
    house.available, house.garbage = 50 * MI, 60 * MI
    assert not await house.pressure().look()
    assert house.gone() == []


async def test_a_critical_pod_stays_and_one_that_cannot_be_measured_goes_first(nursery, autojump_clock):
    house = House(nursery)
    house.add("system", 90 * MI, priority=2_000_000_000)
    house.add("big", 60 * MI)
    house.add("unknown", 20 * MI)
    house.broken.add("unknown")
    house.available = 50 * MI
    pressure = house.pressure()
    assert await pressure.look()
    assert house.gone() == ["unknown"]
    assert await pressure.look()
    assert house.gone() == ["big", "unknown"]
    house.available = 0
    assert not await pressure.look(), "nobody else may go"


async def test_a_pod_that_does_not_end_does_not_hold_up_the_rest_for_ever(nursery, autojump_clock):
    house = House(nursery)
    house.ending = 1000.0
    house.add("big", 60 * MI)
    house.add("small", 20 * MI)
    house.available = 10 * MI
    nursery.start_soon(house.pressure().run)
    await trio.sleep(29)
    assert house.gone() == ["big"]
    await trio.sleep(2)
    assert house.gone() == ["big", "small"]


async def test_a_pod_for_a_soft_threshold_has_the_time_that_is_set_for_it(nursery, autojump_clock):
    house = House(nursery)
    tenant = house.add("big", 60 * MI)
    house.available = 50 * MI
    watch = Watch(thresholds({}, {NODEFS: "100Mi"}, {NODEFS: 25.0}))
    nursery.start_soon(Pressure(watch, Timing(grace=20.0), house.hands()).run)
    await trio.sleep(24)
    assert house.gone() == []
    await trio.sleep(8)
    assert tenant.gone[2] == 20.0


async def test_a_pod_over_its_own_limit_goes_though_there_is_room(nursery, autojump_clock):
    house = House(nursery)
    greedy = house.add("greedy", 2 * MI, **{"ephemeral-storage": "1Mi"})
    house.add("modest", MI, **{"ephemeral-storage": "1Mi"})
    house.add("free", 300 * MI)
    assert await house.pressure().look()
    assert house.gone() == ["greedy"]
    assert greedy.gone == (
        "Evicted",
        "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ",
        1.0,
        False,
    )


# The whole agent


@pytest.mark.parametrize("setting", ["eviction_hard", "eviction_minimum_reclaim"])
def test_a_setting_that_means_nothing_is_an_error_that_says_where(setting):
    with pytest.raises(ConfigurationError, match=r"\[plugins.node\] unsupported eviction signal"):
        wanted_thresholds(Settings(**{setting: {"swap": "1Gi"}}))


async def test_an_evicted_pod_is_failed_and_leaves_no_room_taken(tmp_path, autojump_clock):
    """Short for ever: nothing has an exbibyte. (A hard threshold so high would leave nothing for any pod.)"""
    soft = {"memory.available": "1Ei"}
    async with running(tmp_path, eviction_soft=soft, eviction_soft_grace_period={"memory.available": 5.0}) as world:
        node = await world.client.get(NODES, "node-1")
        condition = next(one for one in node["status"]["conditions"] if one["type"] == "MemoryPressure")
        assert (condition["status"], condition["reason"]) == ("True", "KubeletHasInsufficientMemory")
        asked = build.container(requests={"memory": "1Mi"})  # one that asks for nothing is not taken at all
        pod = await world.pod(containers=[asked])
        uid = pod["metadata"]["uid"]
        world.runtime.usage[uid] = PodStats((("web", Usage(memory_working_set=64 * MI)),))
        pod = await world.until(lambda pod: pod["status"]["phase"] == "Failed")
        assert pod["status"]["reason"] == "Evicted"
        assert pod["status"]["message"].startswith("The node was low on resource: memory. Threshold quantity: 1Ei, ")
        assert (
            "Container web was using 64Mi, request is 1Mi, has larger consumption of memory. "
            in (pod["status"]["message"])
        )
        marked = next(one for one in pod["status"]["conditions"] if one["type"] == "DisruptionTarget")
        assert (marked["status"], marked["reason"]) == ("True", "TerminationByKubelet")
        assert await world.events("Evicted") == [pod["status"]["message"]]
        await trio.sleep(30)
        assert uid not in {one["metadata"]["uid"] for one in await world.runtime.list_pods()}
        again = await world.client.get(PODS, "web", "default")
        assert again["status"]["containerStatuses"] == pod["status"]["containerStatuses"]
        await world.pod("idle")
        refused = await world.until(lambda pod: pod["status"]["phase"] == "Failed", "idle")
        assert refused["status"]["message"] == "Pod was rejected: The node had condition: [MemoryPressure]. "
        await world.client.delete(PODS, "web", "default")
        await world.until_gone()


async def test_a_change_of_a_nodes_condition_is_an_event(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        await trio.sleep(1)
        await world.cluster.until(NODES, "node-1", lambda node: ready(node) == "True", "")
        listed = await world.client.list(EVENTS, "default")
        said = {one["reason"]: one["message"] for one in listed["items"] if one["involvedObject"]["kind"] == "Node"}
        assert said["NodeHasNoDiskPressure"] == "Node node-1 status is now: NodeHasNoDiskPressure"
        assert {"Starting", "NodeHasSufficientMemory", "NodeHasSufficientPID"} <= set(said)
        assert not {"NodeHasDiskPressure", "NodeNotReady"} & set(said)


async def test_unused_images_go_before_any_pod(tmp_path, autojump_clock):
    async with running(
        tmp_path, eviction_hard={"nodefs.available": "1Ei"}, eviction_pressure_transition_period=1
    ) as world:
        world.runtime.images["old:1"] = Image("sha256:old:1", ("old:1",))
        await trio.sleep(200)
        assert "old:1" not in world.runtime.images


def test_what_a_folder_takes_is_what_the_disk_gives_for_it(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"x" * 100_000)
    (tmp_path / "again").hardlink_to(tmp_path / "deep" / "file")
    (tmp_path / "link").symlink_to("/")
    with (tmp_path / "hole").open("wb") as hole:
        hole.truncate(10**9)
    found = space_of(tmp_path)
    assert 100_000 <= found.bytes < 200_000
    assert found.inodes == 5
    assert space_of(tmp_path / "nothing") == Space()
