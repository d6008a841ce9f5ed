"""What the node agent does with real containers beyond starting them: resizing, what it can't give and says so,
static pods. All on one machine."""

import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubrick_runtime_cri.archive import busybox_archive

sys.path.insert(0, str(Path(__file__).parent))
from machines import CGROUPS, IMAGE, Machine, Object, container, eventually, pod, process_of, running

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="real containers need root")]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    image = tmp_path_factory.mktemp("image") / "busybox.tar"
    image.write_bytes(busybox_archive(IMAGE, platform.machine()))
    made = Machine()
    try:
        manifests = made.directory / "manifests"
        manifests.mkdir()
        with made.file.open("a") as file:
            file.write(f'static_pods = "{manifests}"\n')
        made.up()
        made.kubrick("image", "load", str(image))
        yield made
    finally:
        made.close()


def status_of(machine: Machine, name: str) -> Object:
    found: Object = machine.get("pod", name)["status"]["containerStatuses"][0]
    return found


def condition(machine: Machine, name: str, kind: str) -> Object | None:
    conditions = machine.get("pod", name)["status"].get("conditions") or ()
    return next((one for one in conditions if one["type"] == kind), None)


def event(machine: Machine, name: str, reason: str) -> str | None:
    found = machine.get("events", "--field-selector", f"involvedObject.name={name},reason={reason}")["items"]
    return found[0]["message"] if found else None


def sized(cpu: str, memory: str) -> Object:
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu, "memory": memory}}


def resize(machine: Machine, name: str, resources: Object) -> None:
    patch = yaml.safe_dump({"spec": {"containers": [{"name": "main", "resources": resources}]}})
    machine.kubectl("patch", "pod", name, "--subresource=resize", "--patch", patch)


def memory_limits(one: Object) -> tuple[int, int]:
    """What the kernel allows: the container, and its pod."""
    lines = Path(f"/proc/{process_of(one)}/cgroup").read_text().splitlines()
    unified = (CGROUPS / "cgroup.controllers").exists()
    wanted, file = ("", "memory.max") if unified else ("memory", "memory.limit_in_bytes")
    path = next(line.split(":")[2] for line in lines if line.split(":")[1] == wanted)
    folder = CGROUPS / wanted / path.lstrip("/")
    return int((folder / file).read_text()), int((folder.parent / file).read_text())


def test_a_container_is_resized_while_it_runs(machine: Machine) -> None:
    machine.apply(pod("grower", containers=[container("exec sleep inf", resources=sized("50m", "32Mi"))]))
    before = running(machine, "grower")
    assert memory_limits(before) == (32 << 20, 32 << 20)
    resize(machine, "grower", sized("80m", "64Mi"))
    eventually(lambda: status_of(machine, "grower")["resources"] == sized("80m", "64Mi"))
    after = machine.get("pod", "grower")
    assert memory_limits(after) == (64 << 20, 64 << 20)
    now, then = (one["status"]["containerStatuses"][0] for one in (after, before))
    assert (now["containerID"], now["restartCount"]) == (then["containerID"], 0)
    assert now["allocatedResources"] == {"cpu": "80m", "memory": "64Mi"}
    assert after["status"]["observedGeneration"] == after["metadata"]["generation"] == 2
    eventually(lambda: event(machine, "grower", "ResizeCompleted"))
    resize(machine, "grower", sized("80m", "40Mi"))
    eventually(lambda: status_of(machine, "grower")["resources"] == sized("80m", "40Mi"))
    assert memory_limits(after) == (40 << 20, 40 << 20)
    resize(machine, "grower", sized("5000", "40Mi"))
    pending = eventually(lambda: condition(machine, "grower", "PodResizePending"))
    assert pending["reason"] == "Infeasible"
    assert "Node didn't have enough capacity: cpu, requested: 5000000" in pending["message"]
    machine.kubectl("delete", "pod", "grower", "--now")


def test_a_container_is_restarted_for_more_memory_if_it_wants_that(machine: Machine) -> None:
    policy = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
    small = container("exec sleep inf", resources=sized("50m", "32Mi"), resizePolicy=policy)
    machine.apply(pod("restarted", containers=[small]))
    running(machine, "restarted")
    resize(machine, "restarted", sized("50m", "64Mi"))
    eventually(lambda: status_of(machine, "restarted")["restartCount"] == 1)
    after = running(machine, "restarted")
    eventually(lambda: "running" in status_of(machine, "restarted")["state"])
    assert memory_limits(machine.get("pod", "restarted")) == (64 << 20, 64 << 20)
    assert after["status"]["qosClass"] == "Guaranteed"
    machine.kubectl("delete", "pod", "restarted", "--now")


def test_statuses_tell_mounts_and_addresses(machine: Machine) -> None:
    mounts = [
        {"name": "room", "mountPath": "/room", "readOnly": True, "recursiveReadOnly": "IfPossible"},
        {"name": "room", "mountPath": "/writable"},
    ]
    volumes = [{"name": "room", "emptyDir": {}}]
    machine.apply(pod("teller", containers=[container("exec sleep inf", volumeMounts=mounts)], volumes=volumes))
    status = running(machine, "teller")["status"]
    told = {one["mountPath"]: one for one in status["containerStatuses"][0]["volumeMounts"]}
    assert told["/room"]["readOnly"]
    assert told["/room"]["recursiveReadOnly"] in ("Disabled", "Enabled")
    assert "readOnly" not in told["/writable"]
    assert status["hostIPs"] == [{"ip": status["hostIP"]}]
    assert status["podIPs"] == [{"ip": status["podIP"]}]
    assert {one["observedGeneration"] for one in status["conditions"] if one["type"] != "PodScheduled"} == {1}
    machine.kubectl("delete", "pod", "teller", "--now")


def test_a_variable_comes_from_a_file_that_an_init_container_wrote(machine: Machine) -> None:
    volumes = [{"name": "files", "emptyDir": {}}]
    mount = [{"name": "files", "mountPath": "/files"}]
    write = container("printf \"# made\\nA='one two'\\nB='\\$HOME\\n3' # yes\\n\" > /files/env", volumeMounts=mount)
    env = [
        {"name": name, "valueFrom": {"fileKeyRef": {"volumeName": "files", "path": "env", "key": key, **more}}}
        for name, key, more in (("FIRST", "A", {}), ("SECOND", "B", {}), ("THIRD", "C", {"optional": True}))
    ]
    reader = container("exec sleep inf", env=env)
    init = {**write, "name": "init"}
    machine.apply(pod("filed", containers=[reader], initContainers=[init], volumes=volumes))
    running(machine, "filed")
    script = 'echo "$FIRST|$SECOND|${THIRD-unset}"'
    assert machine.kubectl("exec", "filed", "-c", "main", "--", "sh", "-c", script) == "one two|$HOME\n3|unset\n"
    machine.kubectl("delete", "pod", "filed", "--now")


def profile(kind: str, **more: Any) -> Object:
    return {"type": kind, **more}


REFUSED: dict[str, tuple[Object, str, str]] = {
    "no-such-seccomp": (
        {"securityContext": {"seccompProfile": profile("Localhost", localhostProfile="none.json")}},
        "Failed",
        "none.json",
    ),
    "user-namespace": (
        {"hostUsers": False},
        "FailedCreatePodSandBox",
        "can't set `spec.hostUsers: false`, runtime does not support user namespaces",
    ),
    "unknown-handler": ({"runtimeClassName": "strange"}, "FailedCreatePodSandBox", 'no runtime for "stranger"'),
    "unsafe-sysctl": (
        {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "65536"}]}},
        "SysctlForbidden",
        'forbidden sysctl: "kernel.msgmax" not allowlisted',
    ),
    "elsewhere": (
        {"nodeSelector": {"disk": "ssd"}},
        "NodeAffinity",
        "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_had_is_said(machine: Machine, name: str) -> None:
    spec, reason, message = REFUSED[name]
    node = machine.get("nodes")["items"][0]["metadata"]["name"]
    if name == "unknown-handler":
        class_ = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "strange"}}
        machine.apply({**class_, "handler": "stranger"})
    machine.apply(pod(name, nodeName=node, **spec))
    text = eventually(lambda: event(machine, name, reason))
    assert message in text
    if reason not in ("Failed", "FailedCreatePodSandBox"):
        status = eventually(lambda: (s := machine.get("pod", name)["status"])["phase"] == "Failed" and s)
        assert (status["reason"], status["message"]) == (reason, f"Pod was rejected: {message}")
    machine.kubectl("delete", "pod", name, "--now")


@pytest.mark.skipif(
    Path("/sys/module/apparmor/parameters/enabled").exists(), reason="this machine has AppArmor: it would be enforced"
)
def test_app_armor_is_refused_where_there_is_none(machine: Machine) -> None:
    machine.apply(pod("armoured", securityContext={"appArmorProfile": profile("RuntimeDefault")}))
    status = eventually(lambda: (s := machine.get("pod", "armoured")["status"])["phase"] == "Failed" and s)
    message = "Pod was rejected: Cannot enforce AppArmor: AppArmor is not enabled on the host"
    assert (status["reason"], status["message"]) == ("AppArmor", message)
    machine.kubectl("delete", "pod", "armoured", "--now")


def test_a_pod_that_was_bound_and_does_not_fit_fails(machine: Machine) -> None:
    node = machine.get("nodes")["items"][0]["metadata"]["name"]
    big = container("exec sleep inf", resources={"requests": {"cpu": "5000"}})
    machine.apply(pod("big", nodeName=node, containers=[big]))
    status = eventually(lambda: (s := machine.get("pod", "big")["status"])["phase"] == "Failed" and s)
    assert status["reason"] == "OutOfcpu"
    start = "Pod was rejected: Node didn't have enough resource: cpu, requested: 5000000, used: "
    assert status["message"].startswith(start)
    machine.kubectl("delete", "pod", "big", "--now")


def test_a_mount_that_must_be_read_only_all_the_way_down_is_so_or_refused(machine: Machine) -> None:
    mount = [{"name": "room", "mountPath": "/room", "readOnly": True, "recursiveReadOnly": "Enabled"}]
    deep = container("exec sleep inf", volumeMounts=mount)
    machine.apply(pod("deep", containers=[deep], volumes=[{"name": "room", "emptyDir": {}}]))

    def settled() -> Object | None:
        statuses = machine.get("pod", "deep")["status"].get("containerStatuses")
        state: Object = statuses[0]["state"] if statuses else {}
        return state if state.get("running") or state.get("waiting", {}).get("message") else None

    state = eventually(settled)
    if "waiting" in state:
        why = 'volume "room" requested recursive read-only mode, but it is not supported by the runtime'
        assert state["waiting"] == {"reason": "CreateContainerConfigError", "message": why}
    machine.kubectl("delete", "pod", "deep", "--now")


def test_an_images_content_is_mounted_or_the_runtime_says_that_it_can_not(machine: Machine) -> None:
    mount = [{"name": "content", "mountPath": "/content"}]
    shown = container("exec sleep inf", volumeMounts=mount)
    machine.apply(pod("shown", containers=[shown], volumes=[{"name": "content", "image": {"reference": IMAGE}}]))

    def settled() -> Object | None:
        statuses = machine.get("pod", "shown")["status"].get("containerStatuses")
        state: Object = statuses[0]["state"] if statuses else {}
        return state if state.get("running") or state.get("waiting", {}).get("message") else None

    state = eventually(settled)
    if "running" in state:
        assert "bin" in machine.kubectl("exec", "shown", "--", "ls", "/content").split()
    else:
        assert state["waiting"]["reason"] == "CreateContainerError"
    machine.kubectl("delete", "pod", "shown", "--now")


def test_a_static_pod_is_mirrored_replaced_and_removed_with_its_file(machine: Machine) -> None:
    file = machine.directory / "manifests" / "agent.yaml"
    node = machine.get("nodes")["items"][0]["metadata"]["name"]
    name = f"agent-{node}"
    static = pod("agent", "echo first; exec sleep inf")

    def mirrors() -> list[Object]:
        found: list[Object] = [one for one in machine.get("pods")["items"] if one["metadata"]["name"] == name]
        return found

    def shows(word: str) -> bool:
        """While one takes the other's place there may be nobody to ask."""
        try:
            return word in machine.kubectl("logs", name)
        except AssertionError:
            return False

    file.write_text(yaml.safe_dump(static))
    eventually(lambda: shows("first"))
    eventually(lambda: mirrors()[0]["status"]["phase"] == "Running")
    assert mirrors()[0]["status"]["observedGeneration"] == 1
    assert machine.kubectl("exec", name, "--", "echo", "found by its mirror's name") == "found by its mirror's name\n"
    first = mirrors()[0]["metadata"]
    assert first["annotations"]["kubernetes.io/config.source"] == "file"
    assert first["ownerReferences"][0]["kind"] == "Node"
    machine.kubectl("delete", "pod", name, "--now", "--wait=false")
    eventually(lambda: shows("first") and mirrors()[0]["metadata"]["uid"] != first["uid"])
    file.write_text(yaml.safe_dump(pod("agent", "echo second; exec sleep inf")))
    eventually(lambda: shows("second"))
    eventually(lambda: mirrors()[0]["status"]["phase"] == "Running")
    file.unlink()
    eventually(lambda: not mirrors())
