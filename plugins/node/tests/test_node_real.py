"""A real node's agent against a whole control plane, on a scripted runtime, in virtual time."""

import sys
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
import trio

from kubrick_api_core import CONFIG_MAPS, NODES, PODS, SECRETS, SERVICE_ACCOUNTS
from kubrick_kernel import Kernel, hookimpl
from kubrick_node import Mounted, Reference, VolumeFailure, VolumePlugin
from kubrick_node.runtime import RuntimeHealth
from kubrick_testing import build

sys.path.insert(0, str(Path(__file__).parent))
from node_world import container, ready, restarts, running, waiting


async def test_a_pod_runs_with_all_that_it_asks_for(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        await world.client.create(CONFIG_MAPS, build.config_map("settings", colour="blue"), "default")
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"token": "t0"}}
        await world.client.create(SECRETS, secret, "default")
        one = build.container(
            command=["run", "$(COLOUR)"],
            env=[
                {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}}},
                {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}},
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            ],
            volumeMounts=[
                {"name": "settings", "mountPath": "/settings"},
                {"name": "scratch", "mountPath": "/one", "subPath": "part"},
            ],
        )
        volumes = [{"name": "settings", "configMap": {"name": "settings"}}, {"name": "scratch", "emptyDir": {}}]
        await world.pod(containers=[one], volumes=volumes)
        pod = await world.until_running()
        spec = world.runtime.specs[0]
        env = dict(spec.env)
        assert (env["COLOUR"], env["TOKEN"], env["IP"]) == ("blue", "t0", pod["status"]["podIP"])
        assert env["KUBERNETES_SERVICE_PORT"] == "443"
        assert spec.command == ("run", "blue")
        mounts = {mount.container_path: mount for mount in spec.mounts}
        assert mounts["/settings"].read_only
        assert Path(mounts["/settings"].host_path, "colour").read_text() == "blue"
        assert mounts["/one"].host_path.endswith("/subpaths/scratch/web/1") or mounts["/one"].host_path.endswith(
            "/part"
        )
        assert pod["status"]["podIP"] in Path(mounts["/etc/hosts"].host_path).read_text()
        assert world.runtime.sandboxes[0].dns.servers == ("10.96.0.10",)
        directory = world.directory(pod)
        assert directory.exists()
        await world.client.delete(PODS, "web", "default")
        await world.until_gone()
        await trio.sleep(1)
        assert not directory.exists()


async def test_a_missing_config_map_holds_the_pod_until_it_comes(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        await world.pod(volumes=[{"name": "v", "configMap": {"name": "settings"}}])
        await trio.sleep(5)
        pod = await world.client.get(PODS, "web", "default")
        assert waiting(pod) == "ContainerCreating"
        message = 'MountVolume.SetUp failed for volume "v" : configmap "settings" not found'
        assert await world.events("FailedMount") == [message]
        await world.client.create(CONFIG_MAPS, build.config_map("settings", colour="blue"), "default")
        before = trio.current_time()
        pod = await world.until_running()
        assert trio.current_time() - before < 2
        file = world.directory(pod) / "volumes/kubernetes.io~configmap/v/colour"
        assert file.read_text() == "blue"
        await world.client.patch(CONFIG_MAPS, "settings", {"data": {"colour": "red"}}, "default")
        await trio.sleep(1)
        assert file.read_text() == "red"


async def test_a_missing_secret_is_a_config_error_until_it_comes(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        await world.pod(containers=[build.container(envFrom=[{"secretRef": {"name": "keys"}}])])
        pod = await world.until(lambda pod: waiting(pod) == "CreateContainerConfigError")
        assert container(pod)["state"]["waiting"]["message"] == 'secret "keys" not found'
        assert 'Error: secret "keys" not found' in await world.events("Failed")
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"A": "1"}}
        await world.client.create(SECRETS, secret, "default")
        before = trio.current_time()
        await world.until_running()
        assert trio.current_time() - before < 3


async def test_a_failing_liveness_probe_restarts_the_container(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        world.runtime.commands["check"] = lambda command: (1, b"not well", b"")
        probe = {"exec": {"command": ["check"]}, "periodSeconds": 5, "failureThreshold": 2, "initialDelaySeconds": 7}
        began = trio.current_time()
        await world.pod(containers=[build.container(livenessProbe=probe)])
        pod = await world.until(lambda pod: restarts(pod) == 1)
        assert 12 <= trio.current_time() - began < 16
        assert container(pod)["lastState"]["terminated"]["exitCode"] == 143
        assert "Liveness probe failed: not well" in await world.events("Unhealthy")
        assert "Container web failed liveness probe, will be restarted" in await world.events("Killing")


async def test_readiness_follows_its_probe_and_restarts_nothing(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        answers = {"code": 1}
        world.runtime.commands["check"] = lambda command: (answers["code"], b"", b"")
        probe = {"exec": {"command": ["check"]}, "periodSeconds": 1, "failureThreshold": 2}
        await world.pod(containers=[build.container(readinessProbe=probe)])
        pod = await world.until(lambda pod: pod["status"]["phase"] == "Running")
        assert ready(pod) == "False"
        answers["code"] = 0
        pod = await world.until_running()
        answers["code"] = 1
        pod = await world.until(lambda pod: ready(pod) == "False")
        assert container(pod)["restartCount"] == 0
        assert container(pod)["started"]


async def test_a_startup_probe_comes_before_the_others(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        started_at = trio.current_time() + 12
        asked = []

        def check(command):
            asked.append((command[1], trio.current_time()))
            return (0 if trio.current_time() >= started_at else 1), b"", b""

        world.runtime.commands["check"] = check

        def probe(kind):
            return {"exec": {"command": ["check", kind]}, "periodSeconds": 2, "failureThreshold": 20}

        await world.pod(containers=[build.container(startupProbe=probe("startup"), livenessProbe=probe("liveness"))])
        pod = await world.until_running()
        assert container(pod)["started"]
        assert container(pod)["restartCount"] == 0
        assert min(at for kind, at in asked if kind == "liveness") >= started_at


async def test_sidecars_start_first_and_stop_last(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        up = trio.current_time() + 10
        world.runtime.commands["check"] = lambda command: (0 if trio.current_time() >= up else 1, b"", b"")
        probe = {"exec": {"command": ["check"]}, "periodSeconds": 1, "failureThreshold": 30}
        inits = [
            build.container("side", restartPolicy="Always", startupProbe=probe),
            build.container("setup"),
        ]
        await world.pod(initContainers=inits)
        await world.until(lambda pod: "setup" in world.runtime.running(pod["metadata"]["uid"]))
        assert trio.current_time() >= up
        pod = await world.client.get(PODS, "web", "default")
        uid = pod["metadata"]["uid"]
        assert world.runtime.running(uid) == ["side", "setup"]
        world.runtime.end(uid, "setup")
        await world.until_running()
        world.runtime.stop_seconds["web"] = 3.0
        ends = {}

        async def look():
            while world.runtime.running(uid):
                for name in world.runtime.running(uid):
                    ends[name] = trio.current_time()
                await trio.sleep(0.25)

        await world.client.delete(PODS, "web", "default")
        await look()
        assert ends["web"] >= ends["side"] - 0.5
        stops = [about for method, about in world.runtime.asked if method == "stop_container"]
        ids = {spec.container["name"]: index for index, spec in enumerate(world.runtime.specs)}
        assert len(stops) == 2
        assert ids == {"side": 0, "setup": 1, "web": 2}


async def test_pre_stop_runs_inside_the_grace(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        world.runtime.stop_seconds["web"] = 100.0
        await world.pod(
            containers=[build.container(lifecycle={"preStop": {"sleep": {"seconds": 6}}})],
            terminationGracePeriodSeconds=10,
        )
        pod = await world.until_running()
        began = trio.current_time()
        await world.client.delete(PODS, "web", "default")
        await world.until_gone()
        assert 10 <= trio.current_time() - began < 11.5
        assert "Stopping container web" in await world.events("Killing")
        assert pod["metadata"]["uid"] not in world.node.agent._workers


async def test_a_failing_post_start_hook_kills_the_container(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        world.runtime.commands["hook"] = lambda command: (1, b"", b"no")
        hook = {"postStart": {"exec": {"command": ["hook"]}}}
        await world.pod(containers=[build.container(lifecycle=hook)])
        pod = await world.until(lambda pod: waiting(pod) == "CrashLoopBackOff")
        assert container(pod)["restartCount"] >= 1
        assert "PostStartHook failed" in await world.events("FailedPostStartHook")


async def test_a_crash_loop_backs_off(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        await world.pod()
        pod = await world.until_running()
        uid, starts = pod["metadata"]["uid"], []
        for _ in range(5):
            await world.until(lambda pod: "web" in world.runtime.running(uid))
            starts.append(trio.current_time())
            world.runtime.end(uid, "web", 1)
        gaps = [round(later - earlier) for earlier, later in pairwise(starts)]
        assert gaps[0] <= 1
        assert [10 <= gaps[1] <= 11, 20 <= gaps[2] <= 21, 40 <= gaps[3] <= 41] == [True] * 3


async def test_an_image_that_cannot_be_pulled_backs_off_and_comes(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        world.runtime.fail("ensure_image", "ErrImagePull", "no such host")
        await world.pod()
        await world.until(lambda pod: waiting(pod) == "ErrImagePull")
        await world.until(lambda pod: waiting(pod) == "ImagePullBackOff")
        await world.until_running()
        assert await world.events("BackOff") == ['Back-off pulling image "nginx"']
        failed = await world.events("Failed")
        assert 'Failed to pull image "nginx": no such host' in failed
        assert "Error: ErrImagePull" in failed
        assert any(text.startswith('Successfully pulled image "nginx" in ') for text in await world.events("Pulled"))


async def test_a_pod_that_does_not_fit_is_rejected(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        await world.pod(containers=[build.container(requests={"cpu": "1000"})])
        pod = await world.until(lambda pod: pod["status"]["phase"] == "Failed")
        assert pod["status"]["reason"] == "OutOfcpu"
        assert pod["status"]["message"].startswith("Pod was rejected: Node didn't have enough resource: cpu, requested")
        assert world.runtime.specs == []
        await world.client.delete(PODS, "web", "default")
        await world.until_gone()


async def test_a_pod_past_its_deadline_fails_and_stays(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        await world.pod(activeDeadlineSeconds=20)
        pod = await world.until(lambda pod: pod["status"]["phase"] == "Failed")
        assert pod["status"]["reason"] == "DeadlineExceeded"
        assert world.runtime.running(pod["metadata"]["uid"]) == []
        assert not (world.directory(pod) / "volumes").exists()


async def test_a_restarted_agent_adopts_what_runs(tmp_path, autojump_clock):
    async with running(tmp_path, keep_pods=True) as world:
        world.runtime.commands["check"] = lambda command: (0, b"", b"")
        probe = {"exec": {"command": ["check"]}, "periodSeconds": 30}
        await world.pod(containers=[build.container(readinessProbe=probe)])
        await world.pod("leaves")
        before = await world.until_running()
        leaving = await world.until_running("leaves")
        await world.stop()
        assert world.runtime.running(before["metadata"]["uid"]) == ["web"]
        await world.client.delete(PODS, "leaves", "default", grace_period=0)
        asked = len(world.runtime.asked)
        await world.start()
        await trio.sleep(3)
        after = await world.client.get(PODS, "web", "default")
        assert container(after) == container(before)
        assert ready(after) == "True"
        assert not [method for method, _ in world.runtime.asked[asked:] if method.startswith(("start", "run"))]
        assert world.runtime.running(leaving["metadata"]["uid"]) == []
        assert not world.directory(leaving).exists()
        assert world.directory(before).exists()


async def test_ending_leaves_nothing_behind(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        await world.pod(volumes=[{"name": "v", "emptyDir": {}}])
        await world.until_running()
        await world.stop()
        assert await world.runtime.list_pods() == ()
        assert not (tmp_path / "node" / "pods").exists()


async def test_a_lost_sandbox_is_made_again_with_its_init_containers(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        await world.pod(initContainers=[build.container("setup")])
        pod = await world.until(lambda pod: "setup" in world.runtime.running(pod["metadata"]["uid"]))
        uid = pod["metadata"]["uid"]
        world.runtime.end(uid, "setup")
        await world.until_running()
        world.runtime.lose_sandbox(uid)
        await trio.sleep(5)
        assert world.runtime.running(uid) == ["setup"]
        world.runtime.end(uid, "setup")
        pod = await world.until(lambda pod: container(pod)["restartCount"] == 1 and ready(pod) == "True")
        assert await world.events("SandboxChanged") == ["Pod sandbox changed, it will be killed and re-created."]


async def test_the_node_says_what_it_is_and_when_its_runtime_is_down(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        node = await world.client.get(NODES, "node-1")
        assert node["status"]["nodeInfo"]["containerRuntimeVersion"] == "scripted://1.0"
        assert node["status"]["capacity"]["pods"] == "110"
        assert {"cpu", "memory", "ephemeral-storage", "pods"} <= set(node["status"]["allocatable"])
        world.runtime.healthy = RuntimeHealth(False, "container runtime is down")
        down = await world.cluster.until(NODES, "node-1", lambda node: ready(node) == "False", "", seconds=30)
        condition = next(c for c in down["status"]["conditions"] if c["type"] == "Ready")
        assert (condition["reason"], condition["message"]) == ("KubeletNotReady", "container runtime is down")
        world.runtime.healthy = RuntimeHealth()
        await world.cluster.until(NODES, "node-1", lambda node: ready(node) == "True", "", seconds=30)


async def test_the_node_says_within_five_seconds_that_its_runtime_is_down(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        for seconds in (31.7, 23.1, 17.9):
            await trio.sleep(seconds)
            for healthy, wanted in ((RuntimeHealth(False, "down"), "False"), (RuntimeHealth(), "True")):
                world.runtime.healthy = healthy
                await world.cluster.until(
                    NODES, "node-1", lambda node, wanted=wanted: ready(node) == wanted, "", seconds=5.5
                )


MANIFEST = """
apiVersion: v1
kind: Pod
metadata: {name: proxy, labels: {tier: node}}
spec:
  containers: [{name: web, image: nginx}]
"""


async def test_static_pods_run_and_are_mirrored(tmp_path, autojump_clock):
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "proxy.yaml").write_text(MANIFEST)
    (folder / "broken.yaml").write_text("kind: Nothing")
    async with running(tmp_path, static_pods=str(folder)) as world:
        until = partial(world.cluster.until, PODS, "proxy-node-1")
        mirror = await until(lambda pod: pod is not None and ready(pod) == "True", "default")
        assert mirror["metadata"]["labels"] == {"tier": "node"}
        assert mirror["metadata"]["ownerReferences"][0]["kind"] == "Node"
        uid = mirror["metadata"]["annotations"]["kubernetes.io/config.hash"]
        assert world.runtime.running(uid) == ["web"]
        await world.client.delete(PODS, "proxy-node-1", "default")
        again = await until(
            lambda pod: pod is not None and pod["metadata"]["uid"] != mirror["metadata"]["uid"], "default"
        )
        assert world.runtime.running(uid) == ["web"]
        (folder / "proxy.yaml").unlink()
        await until(lambda pod: pod is None, "default", seconds=60)
        await trio.sleep(1)
        assert world.runtime.running(uid) == []
        assert again["metadata"]["annotations"]["kubernetes.io/config.mirror"] == uid


async def test_a_static_pod_takes_the_place_of_the_one_before_when_that_has_ended(tmp_path, autojump_clock):
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "proxy.yaml").write_text(MANIFEST)
    async with running(tmp_path, static_pods=str(folder)) as world:
        until = partial(world.cluster.until, PODS, "proxy-node-1")
        first = await until(lambda pod: pod is not None and ready(pod) == "True", "default")
        before = first["metadata"]["annotations"]["kubernetes.io/config.hash"]
        world.runtime.stop_seconds["web"] = 5
        (folder / "proxy.yaml").write_text(MANIFEST.replace("tier: node", "tier: other"))
        await trio.sleep(4)
        assert world.runtime.running(before) == ["web"]
        assert len(world.runtime.specs) == 1, "two of one name would take each other's ports"
        second = await until(
            lambda pod: pod is not None and pod["metadata"]["labels"] == {"tier": "other"} and ready(pod) == "True",
            "default",
        )
        assert world.runtime.running(before) == []
        assert world.runtime.running(second["metadata"]["annotations"]["kubernetes.io/config.hash"]) == ["web"]


async def test_the_end_of_a_mirror_does_not_hide_the_next(tmp_path, autojump_clock):
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "proxy.yaml").write_text(MANIFEST)
    async with running(tmp_path, static_pods=str(folder)) as world:
        until = partial(world.cluster.until, PODS, "proxy-node-1")
        seen = set()
        for _ in range(3):
            mirror = await until(
                lambda pod: pod is not None and ready(pod) == "True" and pod["metadata"]["uid"] not in seen,
                "default",
                seconds=10,
            )
            seen.add(mirror["metadata"]["uid"])
            await world.client.delete(PODS, "proxy-node-1", "default", grace_period=1)


async def test_a_runtime_that_fails_for_a_while_is_asked_again(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        world.runtime.fail("observe", "Unavailable", "connection refused", times=3)
        world.runtime.fail("run_sandbox", "FailedCreatePodSandBox", "no network", times=2)
        await world.pod()
        await world.until_running()
        assert await world.events("FailedCreatePodSandBox") == ["no network"]
        world.runtime.fail("stop_container", "Unavailable", "connection refused", times=3)
        await world.client.delete(PODS, "web", "default")
        await world.until_gone()


@pytest.mark.parametrize("code", [0, 1])
async def test_a_pod_that_is_done_gives_back_what_it_took(tmp_path, autojump_clock, code):
    async with running(tmp_path) as world:
        await world.pod(restartPolicy="Never", volumes=[{"name": "v", "emptyDir": {}}])
        pod = await world.until_running()
        world.runtime.end(pod["metadata"]["uid"], "web", code)
        pod = await world.until(lambda pod: pod["status"]["phase"] in ("Succeeded", "Failed"))
        assert pod["status"]["phase"] == ("Failed" if code else "Succeeded")
        await trio.sleep(1)
        assert not (world.directory(pod) / "volumes").exists()
        assert not (await world.runtime.observe(pod)).sandbox_ready
        await world.client.delete(PODS, "web", "default")
        await world.until_gone()


async def test_a_token_is_renewed_before_it_ends(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        await world.client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "robot"}}, "default")
        source = {"serviceAccountToken": {"path": "token", "expirationSeconds": 1000, "audience": "shop"}}
        await world.pod(serviceAccountName="robot", volumes=[{"name": "v", "projected": {"sources": [source]}}])
        pod = await world.until_running()
        file = world.directory(pod) / "volumes/kubernetes.io~projected/v/token"
        first = file.read_text()
        assert first.count(".") == 2
        await trio.sleep(790)
        assert file.read_text() == first
        await trio.sleep(20)
        assert file.read_text() != first


class Magic:
    """A stranger's kind of volume, which takes emptyDir over."""

    name = "example.com/magic"

    def __init__(self):
        self.torn_down = []

    @hookimpl
    def kubrick_register_volumes(self, kernel: Kernel) -> Sequence[VolumePlugin]:
        return [self]

    def supports(self, volume):
        return "emptyDir" in volume

    def references(self, volume):
        return [Reference("ConfigMap", "spell")]

    async def set_up(self, job):
        spell = await job.sources.config_map(job.pod["metadata"]["namespace"], "spell")
        if spell is None:
            raise VolumeFailure("no spell, no magic")
        (job.directory / "magic").write_text(spell["data"]["word"])
        return Mounted(job.directory, live=True)

    async def tear_down(self, directory):
        self.torn_down.append(directory.name)


async def test_a_strangers_kind_of_volume_is_used_and_told_of_changes(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        await world.stop()
        magic = Magic()
        world.cluster.kernel.plugins.register(magic, "volume-magic")
        await world.start()
        await world.pod(volumes=[{"name": "v", "emptyDir": {}}])
        await trio.sleep(1)
        failure = 'MountVolume.SetUp failed for volume "v" : no spell, no magic'
        assert await world.events("FailedMount") == [failure]
        await world.client.create(CONFIG_MAPS, build.config_map("spell", word="abra"), "default")
        pod = await world.until_running()
        file = world.directory(pod) / "volumes/example.com~magic/v/magic"
        assert file.read_text() == "abra"
        await world.client.patch(CONFIG_MAPS, "spell", {"data": {"word": "cadabra"}}, "default")
        await trio.sleep(1)
        assert file.read_text() == "cadabra"
        await world.client.delete(PODS, "web", "default")
        await world.until_gone()
        await trio.sleep(1)
        assert magic.torn_down == ["v"]
        assert not world.directory(pod).exists()


async def test_an_idle_node_looks_at_no_pod(tmp_path, autojump_clock):
    async with running(tmp_path) as world:
        for number in range(5):
            await world.pod(f"web-{number}")
        for number in range(5):
            await world.until_running(f"web-{number}")
        await trio.sleep(5)
        looked = []
        observe = world.runtime.observe

        async def counted(pod):
            looked.append(pod["metadata"]["name"])
            return await observe(pod)

        world.runtime.observe = counted
        await trio.sleep(600)
        assert looked == []
