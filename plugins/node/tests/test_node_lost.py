"""A pod whose containers went with the machine, or with an ordered end: it counts on, and nothing runs twice."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio

from kubrick_node import ContainerState, PodState
from kubrick_node.lost import MESSAGE, lost, with_lost
from kubrick_testing import build

sys.path.insert(0, str(Path(__file__).parent))
from node_world import container, ready, restarts, running

STARTED = "2026-01-01T12:00:00Z"


def entry(state, **more):
    return {"name": "web", "image": "nginx", "imageID": "sha", "containerID": "cri://1", "state": state, **more}


def pod_with(*entries, listed="containerStatuses"):
    return {"spec": {"containers": [{"name": "web", "image": "nginx"}]}, "status": {listed: list(entries)}}


def test_a_container_that_ran_is_taken_to_have_been_killed():
    found = lost(entry({"running": {"startedAt": STARTED}}, restartCount=2))
    assert (found.state, found.exit_code, found.reason, found.message, found.attempt) == (
        "exited",
        137,
        "ContainerStatusUnknown",
        "The container could not be located when the pod was terminated",
        2,
    )
    assert found.started_at == datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_a_container_that_had_ended_ended_so():
    ended = {"exitCode": 3, "reason": "Error", "startedAt": STARTED, "finishedAt": STARTED}
    assert lost(entry({"terminated": ended})).exit_code == 3
    waiting = entry({"waiting": {"reason": "CrashLoopBackOff"}}, lastState={"terminated": ended}, restartCount=4)
    assert (lost(waiting).exit_code, lost(waiting).attempt) == (3, 4)


def test_a_container_that_the_runtime_knows_is_not_lost():
    there = PodState("s", True, (), (ContainerState("web", "cri://2", "nginx", "sha", "running"),))
    assert with_lost(pod_with(entry({"running": {}})), there) is there


def test_a_container_that_never_was_is_not_lost():
    none = PodState()
    assert with_lost(pod_with({"name": "web", "state": {"waiting": {}}, "restartCount": 0}), none) is none
    assert with_lost({"spec": {"containers": [{"name": "web"}]}}, none) is none


async def test_a_pod_made_anew_counts_as_restarted_each_time(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        await world.pod(initContainers=[build.container("setup")])
        await trio.sleep(2)
        listed = await world.until(lambda pod: pod["status"].get("initContainerStatuses"))
        world.runtime.end(listed["metadata"]["uid"], "setup", 0)
        before = await world.until_running()
        for times in (1, 2):
            await world.stop()
            assert world.runtime.running(before["metadata"]["uid"]) == []
            await world.start()
            world_pod = await world.until(
                lambda pod, times=times: container(pod, "setup", "initContainerStatuses")["restartCount"] == times
            )
            world.runtime.end(world_pod["metadata"]["uid"], "setup", 0)
            after = await world.until(lambda pod, times=times: restarts(pod) == times and ready(pod) == "True")
            assert container(after)["lastState"]["terminated"]["message"] == MESSAGE
            assert container(after)["lastState"]["terminated"]["exitCode"] == 137
            assert after["status"]["phase"] == "Running"


async def test_what_a_lost_container_left_is_still_said_while_its_successor_runs(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        await world.pod()
        await world.until_running()
        await world.stop()
        await world.start()
        after = await world.until(lambda pod: restarts(pod) == 1)
        await trio.sleep(60)
        later = await world.until_running()
        assert container(later)["lastState"] == container(after)["lastState"] != {}


@pytest.mark.parametrize(("policy", "phase"), [("Never", "Failed"), ("OnFailure", "Running")])
async def test_a_pod_that_is_not_to_be_restarted_has_failed(tmp_path, autojump_clock, policy, phase):
    async with running(tmp_path) as world:
        await world.pod(restartPolicy=policy)
        before = await world.until_running()
        await world.stop()
        await world.start()
        await trio.sleep(5)
        pod = await world.until(lambda pod: pod["status"]["phase"] == phase)
        assert world.runtime.running(before["metadata"]["uid"]) == (["web"] if phase == "Running" else [])
        if phase == "Failed":
            assert container(pod)["state"]["terminated"]["reason"] == "ContainerStatusUnknown"
            assert container(pod)["restartCount"] == 0


async def test_a_pod_that_was_done_stays_as_it_was(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        await world.pod(restartPolicy="Never")
        pod = await world.until_running()
        world.runtime.end(pod["metadata"]["uid"], "web", 0)
        done = await world.until(lambda pod: pod["status"]["phase"] == "Succeeded")
        await world.stop()
        await world.start()
        await trio.sleep(30)
        after = await world.until(lambda pod: True)
        assert after["status"]["containerStatuses"] == done["status"]["containerStatuses"]
        assert after["status"]["phase"] == "Succeeded"
