"""The hollow runtime as the node agent sees it, in virtual time."""

import math
from ipaddress import IPv4Network

import pytest
import trio
from trio.testing import MockClock

from kubrick_kernel import ConfigurationError, TrioClock
from kubrick_kernel.clock import Random
from kubrick_kernel.settings import structure
from kubrick_node import ContainerSpec, RuntimeFailure
from kubrick_runtime_hollow.nodes import Settings, machines
from kubrick_runtime_hollow.runtime import Addresses, HollowRuntime
from kubrick_runtime_hollow.script import BadScript, duration, read_script


def pod(annotations=None, **spec):
    containers = [{"name": "web", "image": "nginx"}]
    metadata = {"name": "web", "namespace": "default", "uid": "u1", "annotations": annotations or {}}
    return {"metadata": metadata, "spec": {"containers": containers, **spec}}


def runtime(network="10.1.0.0/29"):
    return HollowRuntime(Addresses(IPv4Network(network)), TrioClock(), Random(1))


async def started(hollow, wanted, attempt=0):
    sandbox = await hollow.run_sandbox(wanted, 0)
    return await hollow.start_container(ContainerSpec(wanted, wanted["spec"]["containers"][0], sandbox, "app", attempt))


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("2s", 2), ("1m30s", 90), ("1.5h", 5400), ("never", math.inf)]
)
def test_a_duration_is_read_as_go_writes_it(text, seconds):
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "-1s", "1s2"])
def test_a_bad_duration_is_refused_with_an_example(text):
    with pytest.raises(BadScript, match="such as"):
        duration(text)


def test_a_bad_annotation_is_named():
    with pytest.raises(BadScript, match=r"hollow\.kubrick\.dev/ready-after"):
        read_script(pod({"hollow.kubrick.dev/ready-after": "soon"}), "web", "app")


def test_a_containers_own_annotation_beats_the_pods():
    wanted = pod({"hollow.kubrick.dev/exit-code": "1", "hollow.kubrick.dev/exit-code.web": "7"})
    assert read_script(wanted, "web", "app").exit_code == 7
    assert read_script(wanted, "other", "app").exit_code == 1
    assert read_script(wanted, "setup", "init").exit_code == 0


async def test_a_container_becomes_ready_and_ends_as_scripted(autojump_clock: MockClock):
    hollow = runtime()
    wanted = pod(
        {
            "hollow.kubrick.dev/ready-after": "5s",
            "hollow.kubrick.dev/exit-after": "20s",
            "hollow.kubrick.dev/exit-code": "3",
        }
    )
    await started(hollow, wanted)
    state = await hollow.observe(wanted)
    assert (state.containers[0].state, state.containers[0].ready) == ("running", False)
    assert state.changes_at == trio.current_time() + 5
    await trio.sleep(5)
    state = await hollow.observe(wanted)
    assert state.containers[0].ready
    assert state.changes_at == trio.current_time() + 15
    await trio.sleep(15)
    ended = (await hollow.observe(wanted)).containers[0]
    assert (ended.state, ended.exit_code) == ("exited", 3)
    assert (ended.finished_at - ended.started_at).total_seconds() == 20


async def test_stopping_takes_its_time_but_no_more_than_the_grace(autojump_clock: MockClock):
    hollow = runtime()
    wanted = pod({"hollow.kubrick.dev/stop-after": "10s"})
    first = await started(hollow, wanted)
    before = trio.current_time()
    await hollow.stop_container(wanted, first, 30)
    assert trio.current_time() - before == 10
    assert (await hollow.observe(wanted)).containers[0].exit_code == 0
    second = await started(hollow, wanted, attempt=1)
    before = trio.current_time()
    await hollow.stop_container(wanted, second, 4)
    assert trio.current_time() - before == 4
    assert (await hollow.observe(wanted)).containers[0].exit_code == 137


async def test_addresses_are_unique_come_back_and_run_out_with_a_reason(autojump_clock: MockClock):
    hollow = runtime("10.1.0.0/29")
    pods = []
    for index in range(5):
        wanted = pod()
        wanted["metadata"]["uid"] = f"u{index}"
        await hollow.run_sandbox(wanted, 0)
        pods.append(wanted)
    ips = {(await hollow.observe(p)).ips[0] for p in pods}
    assert ips == {f"10.1.0.{n}" for n in range(2, 7)}
    with pytest.raises(RuntimeFailure, match="no address left"):
        await hollow.run_sandbox({"metadata": {"name": "x", "uid": "late"}, "spec": {}}, 0)
    freed = (await hollow.observe(pods[0])).ips[0]
    await hollow.stop_sandbox(pods[0], "")
    assert await hollow.run_sandbox({"metadata": {"name": "y", "uid": "next"}, "spec": {}}, 0)
    assert (await hollow.observe({"metadata": {"name": "y", "uid": "next"}, "spec": {}})).ips == (freed,)


async def test_a_pod_that_ran_before_the_process_did_is_adopted(autojump_clock: MockClock):
    hollow = runtime()
    wanted = pod()
    wanted["status"] = {
        "podIP": "10.1.0.3",
        "containerStatuses": [
            {
                "name": "web",
                "image": "nginx",
                "containerID": "hollow://abc",
                "restartCount": 4,
                "state": {"running": {"startedAt": "2025-12-31T23:00:00Z"}},
            }
        ],
    }
    state = await hollow.observe(wanted)
    assert state.sandbox_ready
    assert state.ips == ("10.1.0.3",)
    assert [(c.id, c.attempt, c.state) for c in state.containers] == [("hollow://abc", 4, "running")]
    other = pod()
    other["metadata"]["uid"] = "u2"
    await hollow.run_sandbox(other, 0)
    assert (await hollow.observe(other)).ips == ("10.1.0.2",)


def test_nodes_that_do_not_fit_their_ranges_are_a_configuration_error():
    with pytest.raises(ConfigurationError, match="room for 0 to 4"):
        machines(Settings(nodes=5, pod_cidr="10.0.0.0/22"))
    made = machines(Settings(nodes=4, pod_cidr="10.0.0.0/22"))
    assert [m.pod_cidr for m in made] == ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24"]
    assert len({m.internal_ip for m in made}) == 4


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"cpu": "lots"}, "cpu: 'lots': quantities must match"),
        ({"memory": "-1Gi"}, "memory: '-1Gi' is negative"),
        ({"name": "Node_1"}, "name: 'Node_1': a lowercase RFC 1123 subdomain"),
        ({"pods": -1}, "'pods' must be >= 0: -1"),
        ({"labels": {"a b": "c"}}, "labels: 'a b' = 'c': name part must consist of"),
    ],
)
def test_what_no_node_could_say_of_itself_is_refused_at_once(wrong, what):
    with pytest.raises(ConfigurationError) as caught:
        structure(Settings, wrong, "[plugins.runtime-hollow]")
    assert str(caught.value).startswith(f"[plugins.runtime-hollow]: {what}")
