"""Pods in trouble on a real node's agent: what it says, when, and how it gets over it; in virtual time."""

import sys
from pathlib import Path

import trio

from kubrick_node.runtime import Image
from kubrick_testing import build

sys.path.insert(0, str(Path(__file__).parent))
from node_world import container, restarts, running, waiting


async def test_an_image_that_somebody_loads_is_used_long_before_the_next_pull(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        world.runtime.fail("ensure_image", "ErrImagePull", "no such host", times=100)
        await world.pod(containers=[build.container(image="shop:1")])
        await trio.sleep(400)
        pulls = len([method for method, _ in world.runtime.asked if method == "ensure_image"])
        assert pulls == 6, "after 0, 10, 30, 70, 150 and 310 seconds"
        failed = await world.said("Failed")
        assert ("Warning", "Error: ImagePullBackOff", "spec.containers{web}") in failed
        world.runtime.images["shop:1"] = Image("sha256:1", ("shop:1",))
        before = trio.current_time()
        await world.until_running()
        assert trio.current_time() - before < 4


async def test_a_container_that_never_runs_is_started_again_ever_more_slowly(tmp_path, autojump_clock):
    async with running(tmp_path, max_container_restart_period=15.0) as world:
        world.runtime.fail("start_container", "RunContainerError", "no such file", times=5)
        await world.pod()
        pod = await world.until(lambda pod: waiting(pod) == "RunContainerError")
        assert container(pod)["state"]["waiting"]["message"] == "no such file"
        pod = await world.until(lambda pod: waiting(pod) == "CrashLoopBackOff")
        began = trio.current_time()
        await world.until_running()
        assert 50 < trio.current_time() - began < 56, "10, 15, 15 and 15 seconds"
        assert await world.events("Failed") == ["Error: no such file"]


async def test_an_event_about_an_init_container_says_so(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        await world.pod(initContainers=[build.container("setup")])
        pod = await world.until(lambda pod: "setup" in world.runtime.running(pod["metadata"]["uid"]))
        world.runtime.end(pod["metadata"]["uid"], "setup")
        await world.until_running()
        assert [part for *_, part in await world.said("Started")] == [
            "spec.initContainers{setup}",
            "spec.containers{web}",
        ]


async def test_volumes_that_do_not_come_are_told_of_again_after_two_minutes(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        await world.pod(volumes=[{"name": "v", "configMap": {"name": "settings"}}])
        await trio.sleep(120)
        assert len(await world.events("FailedMount")) == 1
        await trio.sleep(140)
        stuck = "Unable to attach or mount volumes: unmounted volumes=[v], unattached volumes=[], "
        stuck += "failed to process volumes=[]: context deadline exceeded"
        assert stuck in await world.events("FailedMount")


async def test_a_pod_past_its_deadline_says_which_containers_it_stops(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        await world.pod(activeDeadlineSeconds=5)
        pod = await world.until(lambda pod: pod["status"]["phase"] == "Failed")
        assert await world.events("Killing") == ["Stopping container web"]
        assert restarts(pod) == 0


async def test_a_hook_that_fails_tells_the_pods_owner_why(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        world.runtime.commands["hook"] = lambda command: (7, b"", b"no\n")
        await world.pod(containers=[build.container(lifecycle={"postStart": {"exec": {"command": ["hook", "it"]}}})])
        pod = await world.until(lambda pod: waiting(pod) == "PostStartHookError")
        uid = pod["metadata"]["uid"]
        why = "command 'hook it' exited with 7: no\n"
        assert container(pod)["state"]["waiting"]["message"] == (
            f'Exec lifecycle hook ([hook it]) for Container "web" in Pod "web_default({uid})" failed - '
            f'error: {why}, message: "no\\n"'
        )
