"""The controller runtime, with a controller of a test's own in a running cluster."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from kubrick_api.errors import bad_request
from kubrick_api.names import GVR
from kubrick_controller import Context
from kubrick_controller.metrics import QueueMetrics
from kubrick_controller.writes import KEPT, OwnWrites
from kubrick_kernel import Composition, Kernel, TrioClock, build_plugin_manager, hookimpl
from kubrick_testing.cluster import Cluster

Object = dict[str, Any]
CONFIG_MAPS = GVR("", "v1", "configmaps")
EVENTS = GVR("", "v1", "events")
BINDINGS = GVR("rbac.authorization.k8s.io", "v1", "clusterrolebindings")


class Probe:
    """Counts reconciles of ConfigMaps called probe-*; those called probe-bad fail."""

    name = "probe-controller"
    workers = 2

    def __init__(self) -> None:
        self.seen: list[tuple[str, float]] = []
        self.finished: list[str] = []

    def setup(self, context: Context) -> None:
        self.context = context
        self.informer = context.informer(CONFIG_MAPS)
        self.informer.add_handler(self._touched, lambda _, new: self._touched(new))

    def _touched(self, obj: Object) -> None:
        if obj["metadata"]["name"].startswith("probe-"):
            self.context.queue.add(f"default/{obj['metadata']['name']}")

    async def reconcile(self, key: str) -> None:
        assert self.informer.synced
        self.seen.append((key, trio.current_time()))
        if key.endswith("bad"):
            raise RuntimeError("a bug")
        if key.endswith("refused"):
            raise bad_request("no")
        if key.endswith("slow"):
            await trio.sleep(2)
        self.context.recorder.event(
            {"kind": "ConfigMap", "apiVersion": "v1", "namespace": "default", "name": key.rpartition("/")[2]},
            "Normal",
            "Seen",
            "it was seen",
        )
        self.finished.append(key)


class Plugin:
    """Registers a probe, as a brick would."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe

    @hookimpl
    def kubrick_register_controllers(self, kernel: Any) -> list[Probe]:
        return [self.probe]


@asynccontextmanager
async def running(probe: Probe) -> AsyncIterator[Cluster]:
    """A control plane in which the probe is one of the controllers."""
    composition = Composition(
        name="test", profile="control-plane", store="memory", plugins={"apiserver": {"listen": ""}}
    )
    manager = build_plugin_manager(composition, {"probe": Plugin(probe)})
    kernel = Kernel(composition, clock=TrioClock(), seed=0, plugins=manager)
    async with trio.open_nursery() as nursery:
        await nursery.start(kernel.run)
        yield Cluster(kernel)
        kernel.shutdown()


async def touch(cluster: Cluster, name: str) -> None:
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}}
    await cluster.client.create(CONFIG_MAPS, obj)


async def test_a_controller_is_called_for_what_it_asked_for_and_speaks_as_itself(autojump_clock: MockClock) -> None:
    probe = Probe()
    async with running(probe) as cluster:
        await touch(cluster, "probe-a")
        await touch(cluster, "other")
        await trio.sleep(1)
        assert [key for key, _ in probe.seen] == ["default/probe-a"]
        assert probe.context.client.user == "system:serviceaccount:kube-system:probe-controller"
        assert probe.context.settings() is None


async def test_a_failing_reconcile_is_retried_with_backoff_and_hurts_no_other(
    autojump_clock: MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    probe = Probe()
    async with running(probe) as cluster:
        await touch(cluster, "probe-bad")
        await touch(cluster, "probe-refused")
        await touch(cluster, "probe-good")
        await trio.sleep(1)
        assert probe.finished == ["default/probe-good"]
        times = [at for key, at in probe.seen if key.endswith("bad")]
        assert len(times) == 8  # after 5, 10, 20, ... 320 ms
        assert times[7] - times[6] == pytest.approx(0.32)
    assert "RuntimeError: a bug" in capsys.readouterr().err


async def test_one_key_is_with_one_worker_at_a_time(autojump_clock: MockClock) -> None:
    probe = Probe()
    async with running(probe) as cluster:
        await touch(cluster, "probe-slow")
        await trio.sleep(0.5)
        change = {"data": {"a": "b"}}
        await cluster.client.patch(CONFIG_MAPS, "probe-slow", change, "default")
        await trio.sleep(1)
        assert len(probe.seen) == 1
        await trio.sleep(5)
        assert len(probe.seen) == 2
        assert probe.seen[1][1] - probe.seen[0][1] == pytest.approx(2)


async def test_a_reconcile_under_way_may_finish_when_the_program_stops(autojump_clock: MockClock) -> None:
    probe = Probe()
    async with running(probe) as cluster:
        await touch(cluster, "probe-slow")
        await trio.sleep(0.5)
    assert probe.finished == ["default/probe-slow"]


async def test_the_metrics_count_adds_depth_and_results(
    autojump_clock: MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    from prometheus_client import CollectorRegistry, generate_latest

    probe = Probe()
    async with running(probe) as cluster:
        await touch(cluster, "probe-a")
        await touch(cluster, "probe-bad")
        await touch(cluster, "probe-slow")
        await trio.sleep(0.001)
        registry = CollectorRegistry()
        registry.register(cluster.kernel.find(QueueMetrics))
        text = generate_latest(registry).decode()
    for line in (
        'workqueue_adds_total{name="probe-controller"} 3.0',
        'workqueue_depth{name="probe-controller"} 0.0',
        'workqueue_retries_total{name="probe-controller"} 1.0',
        'workqueue_work_duration_seconds_count{name="probe-controller"} 2.0',
        'controller_runtime_reconcile_total{controller="probe-controller",result="success"} 1.0',
        'controller_runtime_reconcile_total{controller="probe-controller",result="error"} 1.0',
    ):
        assert line in text
    assert 'workqueue_longest_running_processor_seconds{name="probe-controller"} 0.001' in text


async def test_events_carry_the_controllers_name(autojump_clock: MockClock) -> None:
    probe = Probe()
    async with running(probe) as cluster:
        account = {"kind": "ServiceAccount", "name": "probe-controller", "namespace": "kube-system"}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
        binding = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "probe"},
            "subjects": [account],
            "roleRef": role,
        }
        await cluster.client.create(BINDINGS, binding)
        await touch(cluster, "probe-a")
        await trio.sleep(1)
        found = await cluster.client.list(EVENTS, "default", field_selector="reason=Seen")
        assert [each["source"] for each in found["items"]] == [{"component": "probe-controller"}]


async def test_own_writes_are_newest_until_the_informer_has_caught_up(autojump_clock: MockClock) -> None:
    def version(number: int, uid: str = "u") -> Object:
        references = [{"uid": "owner", "controller": True}]
        return {"metadata": {"uid": uid, "resourceVersion": str(number), "ownerReferences": references}}

    writes = OwnWrites()
    written = writes.note(version(9))
    assert writes.newest(version(5)) is written
    assert writes.unseen("owner", []) == [written]
    assert writes.unseen("owner", [version(5)]) == []
    assert writes.unseen("stranger", []) == []
    shown = version(10)
    assert writes.newest(shown) is shown
    assert writes.unseen("owner", []) == []
    writes.note(version(11))
    await trio.sleep(KEPT + 1)
    assert writes.unseen("owner", []) == []
