"""Pods and a node in trouble on the profile full: they say what the kubelet would, and get well when they can.

One cluster for all, on a disk of its own that is small enough to be filled. Every pod is there from the beginning;
the tests wait for what becomes of theirs.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from kubrick_runtime_cri.archive import busybox_archive, oci_archive

sys.path.insert(0, str(Path(__file__).parent))
from machines import IMAGE, Machine, Object, container, eventually, pause
from troubles import DISK, HEALTH, LATER, MOUNT, NODES, SETTINGS, SLICES, STAY, UNUSED, World, of, pods, scratch

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="real containers need root")]


@pytest.fixture(scope="module")
def disk() -> Iterator[Path]:
    """A small disk."""
    place = Path(tempfile.mkdtemp(prefix="kd-", dir="/tmp"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}m", "kubrick-test", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
        place.rmdir()


@pytest.fixture(scope="module")
def world(disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    shared = tmp_path_factory.mktemp("shared")
    (shared / "out").symlink_to("/")
    made = Machine(SETTINGS)
    made.data = disk / "data"
    seen: World | None = None
    try:
        made.up()
        load(made, IMAGE, busybox_archive(IMAGE, platform.machine()), shared)
        load(made, UNUSED, oci_archive(UNUSED, {"/file": os.urandom(4096)}, machine=platform.machine()), shared)
        seen = World(made, shared)
        service = {"selector": {"app": "served"}, "ports": [{"port": 80, "targetPort": 8080}]}
        made.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "served"}, "spec": service})
        wanted = pods(shared)
        for one in wanted:
            one["metadata"]["labels"] = {"app": one["metadata"]["name"]}
        made.apply(*wanted)
        yield seen
    finally:
        if seen is not None:
            seen.close()
        made.close()


def load(machine: Machine, name: str, archive: bytes, shared: Path) -> None:
    file = shared / "image.tar"
    file.write_bytes(archive)
    assert f"loaded {name}" in machine.kubrick("image", "load", str(file))
    file.unlink()


def delete(world: World, *names: str) -> None:
    world.machine.kubectl("delete", "pod", "--wait=false", *names)


# Images


def test_an_image_that_cannot_be_pulled_backs_off_and_runs_once_it_is_loaded(world: World) -> None:
    why = world.until_waiting("pull", "ErrImagePull")
    assert why.startswith("rpc error: code = ")
    assert "connection refused" in why
    assert world.until_waiting("pull", "ImagePullBackOff") == f'Back-off pulling image "{LATER}": ErrImagePull: {why}'
    part = "spec.containers{main}"
    backing_off = ("Warning", "Failed", "Error: ImagePullBackOff", part)
    told = world.until(lambda: world.told("pull") if backing_off in world.told("pull") else None, 5, "pull")
    assert ("Normal", "Pulling", f'Pulling image "{LATER}"', part) in told
    assert ("Warning", "Failed", f'Failed to pull image "{LATER}": {why}', part) in told
    assert ("Warning", "Failed", "Error: ErrImagePull", part) in told
    assert ("Normal", "BackOff", f'Back-off pulling image "{LATER}"', part) in told
    load(world.machine, LATER, busybox_archive(LATER, platform.machine()), world.shared)
    assert world.until_running("pull", 5)["containerStatuses"][0]["restartCount"] == 0
    assert f'Container image "{LATER}" already present on machine' in world.until_told("pull", "Normal", "Pulled")


def test_an_image_that_must_not_be_pulled_is_waited_for(world: World) -> None:
    words = 'Container image "kubrick.test/none:1" is not present with pull policy of Never'
    assert world.until_waiting("never", "ErrImageNeverPull") == words
    world.until_told("never", "Warning", "Failed")
    told = [(kind, reason, text) for kind, reason, text, _ in world.told("never")]
    assert ("Warning", "ErrImageNeverPull", words) in told
    assert ("Warning", "Failed", "Error: ErrImageNeverPull") in told
    assert "Pulling" not in [reason for _, reason, _ in told]


def test_a_name_that_is_none_is_told_so(world: World) -> None:
    words = 'Failed to apply default image tag "Bad/IMAGE:1": couldn\'t parse image name "Bad/IMAGE:1": '
    words += "invalid reference format: repository name (IMAGE) must be lowercase"
    assert world.until_waiting("badname", "InvalidImageName") == words
    assert world.until_told("badname", "Warning", "InspectFailed") == [words]
    assert "Pulling" not in [reason for _, reason, _, _ in world.told("badname")]


# Commands


def test_a_command_that_does_not_exist_is_a_start_error_and_then_a_crash_loop(world: World) -> None:
    why = world.until_waiting("nocommand", "RunContainerError")
    assert 'exec: "/nope": stat /nope: no such file or directory' in why
    assert world.until_waiting("nocommand", "CrashLoopBackOff").startswith(
        "back-off 10s restarting failed container=main"
    )
    ended = world.container("nocommand")["lastState"]["terminated"]
    assert (ended["reason"], ended["exitCode"], ended["message"]) == ("StartError", 128, why)
    assert ended["finishedAt"]
    assert f"Error: {why}" in world.until_told("nocommand", "Warning", "Failed")
    assert world.until_told("nocommand", "Normal", "Created")


def test_the_last_words_are_the_message_file_or_the_end_of_the_log(world: World) -> None:
    ended = world.until(lambda: world.container("crash").get("lastState", {}).get("terminated"), about="crash")
    assert (ended["reason"], ended["exitCode"], ended["message"]) == ("Error", 3, "dying\n")
    ended = world.until_phase("fallback", "Failed")["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["message"]) == (5, "from the log\n")


def test_more_memory_than_allowed_is_a_kill_that_is_told_as_such(world: World) -> None:
    ended = world.until_phase("memory", "Failed")["containerStatuses"][0]["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)


# What a pod refers to


def test_a_missing_config_map_or_secret_holds_its_pods_until_it_comes(world: World) -> None:
    for name, words in (("env-map", 'configmap "later" not found'), ("env-secret", 'secret "later" not found')):
        assert world.until_waiting(name, "CreateContainerConfigError") == words
        assert f"Error: {words}" in world.until_told(name, "Warning", "Failed")
    for name, words in (("volume-map", 'configmap "later" not found'), ("volume-secret", 'secret "later" not found')):
        messages = world.until_told(name, "Warning", "FailedMount")
        assert set(messages) == {f'MountVolume.SetUp failed for volume "v" : {words}'}
        assert world.waited(name) == [("ContainerCreating", "")]
    data: Object = {"metadata": {"name": "later"}, "apiVersion": "v1"}
    world.machine.apply(
        {**data, "kind": "ConfigMap", "data": {"word": "a"}}, {**data, "kind": "Secret", "stringData": {"word": "b"}}
    )
    for name in ("env-map", "env-secret", "volume-map", "volume-secret"):
        world.until_running(name, 8)
    assert world.machine.kubectl("exec", "env-secret", "--", "sh", "-c", "echo $WORD") == "b\n"


def test_a_folder_of_the_machine_that_is_not_there_is_waited_for(world: World) -> None:
    words = f"hostPath type check failed: {world.shared}/absent is not a directory"
    messages = world.until_told("host-path", "Warning", "FailedMount")
    assert set(messages) == {f'MountVolume.SetUp failed for volume "v" : {words}'}
    (world.shared / "absent").mkdir()


def test_a_sub_path_that_leads_out_of_its_volume_is_refused_until_it_does_not(world: World) -> None:
    words = 'failed to prepare subPath for volumeMount "v" of container "main"'
    assert world.until_waiting("sub-path", "CreateContainerConfigError") == words
    (world.shared / "out").unlink()
    (world.shared / "out" / "etc").mkdir(parents=True)


# Probes and hooks


def test_a_failed_liveness_probe_restarts_its_container_and_no_other(world: World) -> None:
    world.until_running("alive")
    world.machine.kubectl("exec", "alive", "--", "rm", "/tmp-ok")
    status = world.until(
        lambda: world.container("alive").get("restartCount") and world.container("alive"), about="alive"
    )
    assert status["lastState"]["terminated"]["exitCode"] == 137
    assert "Liveness probe failed: cat: can't open '/tmp-ok': No such file or directory\n" in world.until_told(
        "alive", "Warning", "Unhealthy"
    )
    assert world.until_told("alive", "Normal", "Killing") == ["Container main failed liveness probe, will be restarted"]


def test_a_startup_probe_holds_the_others_back(world: World) -> None:
    status = world.until_running("startup")["containerStatuses"][0]
    assert (status["restartCount"], status["started"]) == (0, True)
    assert any(
        one["containerStatuses"][0]["started"] is False for one in world.states("startup") if "containerStatuses" in one
    )
    failed = world.until_told("startup", "Warning", "Unhealthy")
    assert all(text.startswith("Startup probe failed: ") for text in failed)


def endpoints(world: World, name: str) -> list[bool]:
    """Whether the service's endpoints are ready."""
    slices = [one for one in world.objects[SLICES] if one["metadata"]["labels"]["kubernetes.io/service-name"] == name]
    return [one["conditions"]["ready"] for one in (slices[-1].get("endpoints") or [])] if slices else []


def test_an_unready_pod_leaves_its_services_endpoints_and_comes_back(world: World) -> None:
    world.until_running("served")
    world.until(lambda: endpoints(world, "served") == [True])
    world.machine.kubectl("exec", "served", "--", "mv", "/www/index.html", "/www/away")
    world.until(lambda: endpoints(world, "served") == [False], about="served")
    assert "Readiness probe failed: HTTP probe failed with statuscode: 404" in world.until_told(
        "served", "Warning", "Unhealthy"
    )
    world.machine.kubectl("exec", "served", "--", "mv", "/www/away", "/www/index.html")
    world.until(lambda: endpoints(world, "served") == [True], about="served")
    assert world.container("served")["restartCount"] == 0
    words = world.until_told("closed", "Warning", "Unhealthy")[0]
    assert re.fullmatch(r"Readiness probe failed: dial tcp 10\.244\.0\.\d+:8081: connect: connection refused", words)


def test_a_grpc_probe_asks_the_health_service(world: World) -> None:
    words = world.until_told("health", "Warning", "Unhealthy")
    assert any("failed to connect service" in text and "connection refused" in text for text in words)
    address = world.until(lambda: world.status("health").get("podIP"), about="health")
    server = subprocess.Popen(world.machine.inside(sys.executable, "-c", HEALTH, f"{address}:9090"))
    try:
        world.until_running("health")
    finally:
        server.kill()
        server.wait()


def test_a_hook_after_the_start_that_fails_ends_the_container(world: World) -> None:
    why = world.until_waiting("post-start", "PostStartHookError")
    assert why.startswith(
        'Exec lifecycle hook ([sh -c echo no >&2; exit 7]) for Container "main" in Pod "post-start_default('
    )
    assert why.endswith('exited with 7: no\n, message: "no\\n"')
    assert set(world.until_told("post-start", "Warning", "FailedPostStartHook")) == {"PostStartHook failed"}
    assert set(world.until_told("post-start", "Normal", "Killing")) == {"FailedPostStartHook"}


def test_a_hook_before_the_end_runs(world: World) -> None:
    world.until_running("pre-stop")
    delete(world, "pre-stop")
    eventually(lambda: (world.shared / "pre-stop").exists())
    assert world.until_told("pre-stop", "Normal", "Killing") == ["Stopping container main"]


def test_a_pod_past_its_deadline_fails(world: World) -> None:
    status = world.until_phase("deadline", "Failed")
    words = "Pod was active on the node longer than the specified deadline"
    assert (status["reason"], status["message"]) == ("DeadlineExceeded", words)
    assert world.until_told("deadline", "Normal", "DeadlineExceeded") == [words]
    assert world.until_told("deadline", "Normal", "Killing") == ["Stopping container main"]


# Several containers


def test_a_failed_init_container_fails_the_pod_or_is_tried_again(world: World) -> None:
    status = world.until_phase("init-fails", "Failed")
    assert status["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 4
    assert status["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}
    words = world.until_waiting("init-again", "CrashLoopBackOff", listed="initContainerStatuses")
    assert words.startswith("back-off 10s restarting failed container=first pod=init-again_default(")
    assert world.status("init-again")["phase"] == "Pending"
    assert {part for _, reason, _, part in world.told("init-again") if reason == "Started"} == {
        "spec.initContainers{first}"
    }


def test_a_sidecar_is_up_before_the_rest_and_down_after_it(world: World) -> None:
    world.until_running("order")
    delete(world, "order")
    file = world.shared / "order"
    eventually(lambda: len(file.read_text().splitlines()) == 5)
    assert file.read_text().splitlines() == ["side up", "setup", "main up", "main down", "side down"]


# Disks


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("scratch", 'Usage of EmptyDir volume "v" exceeds the limit "1Mi". '),
        ("limited", "Pod ephemeral local storage usage exceeds the total limit of containers 2Mi. "),
        ("wordy", 'Container main exceeded its local ephemeral storage limit "1Mi". '),
    ],
)
def test_a_pod_that_takes_more_disk_than_it_may_is_evicted(world: World, name: str, words: str) -> None:
    status = world.until_phase(name, "Failed")
    assert (status["reason"], status["message"]) == ("Evicted", words)
    assert world.until_told(name, "Warning", "Evicted") == [words]


def test_a_volume_in_memory_ends_at_its_size(world: World) -> None:
    status = world.until_phase("ram", "Failed")
    assert "reason" not in status
    assert "No space left on device" in world.machine.kubectl("logs", "ram")


def test_what_was_waited_for_has_come_by_now(world: World) -> None:
    world.until_running("host-path")
    world.until_running("sub-path")


def test_a_crash_loop_waits_twice_as_long_each_time(world: World) -> None:
    for seconds in (10, 20):
        world.until(
            lambda s=seconds: any(f"back-off {s}s restarting" in text for _, text in world.waited("crash")),
            about="crash",
        )
    waits = [text for why, text in world.waited("crash") if why == "CrashLoopBackOff"]
    where = r"crash_default\([0-9a-f-]{36}\)"
    assert [
        bool(re.fullmatch(rf"back-off {s}s restarting failed container=main pod={where}", text))
        for s, text in zip((10, 20), waits, strict=False)
    ] == [True, True]
    message = world.until_told("crash", "Warning", "BackOff")[0]
    assert re.fullmatch(f"Back-off restarting failed container main in pod {where}", message)


def test_a_full_disk_is_told_and_freed_in_the_kubelets_order(world: World, disk: Path) -> None:
    """Of two pods the one goes that takes more than it asked for, though the other takes more; unused images go
    before; and all is well again afterwards."""
    assert UNUSED in world.machine.kubrick("image", "list")
    assert world.node_condition("DiskPressure") == "False"
    fill = "dd if=/dev/zero of=/v/file bs=1M count={}; exec sleep inf"
    asked = {"requests": {"ephemeral-storage": "200Mi"}}
    world.machine.apply(of("modest", container(fill.format(90), **MOUNT, resources=asked), volumes=[scratch()]))
    world.until_running("modest")
    world.machine.apply(of("greedy", container(fill.format(130), **MOUNT), volumes=[scratch()]))
    status = world.until_phase("greedy", "Failed")
    assert status["reason"] == "Evicted"
    assert re.fullmatch(
        r"The node was low on resource: ephemeral-storage\. Threshold quantity: 1[02]0Mi, available: \d+Ki?\. "
        r"(Container main was using \d+\w*, request is 0, has larger consumption of ephemeral-storage\. )?",
        status["message"].replace("Mi. ", "Mi. "),
    ), status["message"]
    marked = next(one for one in status["conditions"] if one["type"] == "DisruptionTarget")
    assert (marked["reason"], marked["message"]) == ("TerminationByKubelet", status["message"])
    node = world.node["metadata"]["name"]
    assert "Attempting to reclaim ephemeral-storage" in world.until_told(node, "Warning", "EvictionThresholdMet")
    assert world.until_told(node, "Normal", "NodeHasDiskPressure") == [
        f"Node {node} status is now: NodeHasDiskPressure"
    ]
    pressed = [
        one for one in world.objects[NODES] if "node.kubernetes.io/disk-pressure" in str(one["spec"].get("taints"))
    ]
    assert pressed, "the scheduler is told"
    listed = world.machine.kubrick("image", "list")
    assert UNUSED not in listed
    assert IMAGE in listed
    world.until(lambda: world.node_condition("DiskPressure") == "False" and not world.node_taints())
    assert world.status("modest")["phase"] == "Running"
    assert shutil.disk_usage(disk).free > 120 << 20
    world.machine.apply(of("after", container(STAY)))
    world.until_running("after")


def test_a_disk_that_is_full_to_the_last_byte_is_survived(world: World, disk: Path) -> None:
    """Not even the cluster's own state can be written then; whoever is not critical goes, and the rest goes on."""
    critical = of("critical", container(STAY), priorityClassName="system-node-critical")
    world.machine.apply(critical)
    before = world.until_running("critical")["containerStatuses"][0]
    data = {"data": {"a": "b" * 900_000}}
    maps = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"c{n}"}, **data} for n in range(8)]
    hog = disk / "hog"
    with subprocess.Popen(["sh", "-c", f"while true; do cat /dev/zero; sleep 0.05; done >> {hog} 2>&-"]) as filling:
        eventually(lambda: shutil.disk_usage(disk).free == 0)
        with pytest.raises(AssertionError, match="not committed: database or disk is full"):
            world.machine.kubectl("create", "-f", "-", text=yaml.safe_dump_all(maps))
        pause.wait(3)
        filling.kill()
    hog.unlink()
    world.until(lambda: world.node_condition("DiskPressure") == "False" and not world.node_taints())
    assert world.machine.process is not None
    assert world.machine.process.poll() is None
    world.machine.apply(of("afterwards", container(STAY)))
    world.until_running("afterwards")
    now = world.container("critical")
    assert (now["containerID"], now["restartCount"]) == (before["containerID"], 0)
    assert world.is_ready("critical")
