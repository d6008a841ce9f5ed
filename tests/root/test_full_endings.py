"""What an end leaves of a cluster with real containers, and what the next start makes of it."""

import os
import platform
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubrick_runtime_cri.archive import busybox_archive

sys.path.insert(0, str(Path(__file__).parent))
from machines import IMAGE, Machine, Object, container, eventually, pod, running

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="real containers need root")]

SWITCHES = ("ip_forward", "conf/all/forwarding", "conf/default/forwarding", "conf/lo/route_localnet")
LOST = "The container could not be located when the pod was terminated"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    archive = tmp_path / "busybox.tar"
    archive.write_bytes(busybox_archive(IMAGE, platform.machine()))
    made = Machine()
    try:
        made.up()
        assert f"loaded {IMAGE}" in made.kubrick("image", "load", str(archive))
        yield made
    finally:
        made.close()


def switches(machine: Machine) -> str:
    return machine.run("cat", *(f"/proc/sys/net/ipv4/{name}" for name in SWITCHES))


def status(machine: Machine, name: str) -> Object:
    found: Object = machine.get("pod", name)["status"]["containerStatuses"][0]
    return found


def restarted(machine: Machine, name: str, times: int) -> Object:
    """The container's status, once it runs after so many restarts."""

    def look() -> Object | None:
        found = status(machine, name)
        return found if found["restartCount"] == times and found["state"].get("running") else None

    return eventually(look)


def test_an_end_in_order_leaves_nothing_and_the_next_start_counts_a_restart(machine: Machine) -> None:
    before = switches(machine)
    assert before.startswith("1"), "it forwards for its pods"
    machine.apply(pod("web"), pod("job", "exit 0", restartPolicy="Never"), pod("once", restartPolicy="Never"))
    first = running(machine, "web")["status"]["containerStatuses"][0]
    running(machine, "once")
    done = eventually(lambda: status(machine, "job")["state"].get("terminated"))
    for times in (1, 2):
        assert machine.end() == 0
        assert machine.remnants() == []
        assert machine.run("ip", "route") == ""
        assert set(switches(machine).split()) == {"0"}
        machine.up()
        found = restarted(machine, "web", times)
        assert found["containerID"] != first["containerID"]
        assert found["lastState"]["terminated"]["reason"] == "ContainerStatusUnknown"
        assert found["lastState"]["terminated"]["message"] == LOST
    assert machine.get("pod", "once")["status"]["phase"] == "Failed", "it is not to run twice"
    assert machine.get("pod", "job")["status"]["phase"] == "Succeeded"
    assert status(machine, "job")["state"]["terminated"] == done
    assert machine.end() == 0
    assert set(switches(machine).split()) == {"0"}


def test_pods_kept_by_the_cluster_file_go_on_as_they_were(machine: Machine) -> None:
    machine.end()
    machine.file.write_text(machine.file.read_text() + "keep_pods = true\n")
    machine.up()
    crashing = container("[ -e /data/tried ] || { touch /data/tried; exit 1; }; exec sleep inf")
    crashing["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    machine.apply(pod("web"), pod("stumbles", containers=[crashing], volumes=[{"name": "data", "emptyDir": {}}]))
    running(machine, "web")
    restarted(machine, "stumbles", 1)
    before = {name: status(machine, name) for name in ("web", "stumbles")}
    forwarding = switches(machine)
    for number in (signal.SIGINT, signal.SIGKILL, signal.SIGTERM):
        assert machine.end(number) in (0, -signal.SIGKILL)
        assert machine.run("nft", "list", "tables").count("kube-proxy") == 2, "services still answer"
        assert switches(machine) == forwarding
        machine.up()
        assert {name: status(machine, name) for name in before} == before
    assert "nothing is left" in machine.kubrick("down"), "whatever was to be kept"
    assert machine.process is not None
    assert machine.process.wait(30) == 0
    assert machine.remnants() == []
    assert set(switches(machine).split()) == {"0"}


def test_root_gets_real_containers_without_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a namespace, as all here: nowhere else may a test leave the profile out."""
    monkeypatch.delenv("KUBRICK_PROFILE")
    made = Machine()
    try:
        made.file.write_text(made.file.read_text().replace('profile = "full"\n', ""))
        made.up()
        assert made.told().startswith(
            "profile full (the default here: this is root, and has what real containers take)"
        )
        assert made.get("nodes")["items"][0]["status"]["nodeInfo"]["containerRuntimeVersion"].startswith(
            "containerd://"
        )
        assert made.end() == 0
        assert made.remnants() == []
    finally:
        made.close()


def test_the_machine_reaches_services_though_it_has_no_route_out(machine: Machine) -> None:
    address = machine.get("service", "kubernetes")["spec"]["clusterIP"]
    route = machine.run("ip", "route", "get", address)
    assert "dev lo" in route
    assert "src 10.244.0.1" in route
    script = "import socket, sys; socket.create_connection((sys.argv[1], 443), 20).close(); print('connected')"
    assert machine.run(sys.executable, "-c", script, address) == "connected\n"


STAGES = {
    "the lock": lambda made: (made.data / "lock").exists(),
    "the bridge": lambda made: "kubrick0" in made.run("ip", "-brief", "link"),
    "the rules": lambda made: "kube-proxy" in made.run("nft", "list", "tables"),
    "containerd": lambda made: (made.data / "containerd" / "containerd.pid").exists(),
    "the kubeconfig": lambda made: (made.data / "admin.kubeconfig").exists(),
}


@pytest.mark.parametrize("stage", STAGES)
def test_an_interrupted_start_leaves_nothing(stage: str) -> None:
    made = Machine()
    try:
        made.begin()
        eventually(lambda: STAGES[stage](made))
        assert made.end() == 0, made.told()
        assert made.remnants() == []
        assert made.run("ip", "route") == ""
        assert set(switches(made).split()) == {"0"}
    finally:
        made.close()
