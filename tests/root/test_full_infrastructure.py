"""What is under the pods fails and comes back: the runtime, CNI, the rules, the bridge. Pods and node say so in
Kubernetes' words, nothing that runs is restarted, and all is well again when the cause is gone."""

import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kubrick_runtime_cri.archive import busybox_archive

sys.path.insert(0, str(Path(__file__).parent))
from machines import IMAGE, Machine, Object, container, eventually, pod, running

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="real containers need root")]

HOST_PORT = 30099
SERVED = "mkdir -p /www && hostname > /www/index.html && echo serving && exec httpd -f -p 8080 -h /www"
THEIRS = Path("/usr/lib/cni")


def served() -> tuple[Object, Object]:
    ports = [{"containerPort": 8080, "hostPort": HOST_PORT}]
    server = pod("server", containers=[container(SERVED, ports=ports)])
    server["metadata"]["labels"] = {"app": "server"}
    spec = {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": 8080}]}
    return server, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "server"}, "spec": spec}


def loaded(machine: Machine, folder: Path) -> None:
    file = folder / "busybox.tar"
    file.write_bytes(busybox_archive(IMAGE, platform.machine()))
    machine.kubrick("image", "load", str(file))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """With a pod behind a Service and a host port, and a pod that asks. Tests leave it as they found it."""
    made = Machine()
    try:
        made.up()
        loaded(made, tmp_path_factory.mktemp("image"))
        made.apply(*served(), pod("client"))
        running(made, "server")
        running(made, "client")
        eventually(lambda: answers(made))
        yield made
    finally:
        made.close()


FETCH = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=5).read().decode())"


def succeeds(act: Callable[[], str]) -> bool:
    try:
        return act().strip() == "server"
    except AssertionError:
        return False


def answers(machine: Machine) -> bool:
    """By the Service, from another pod; and by the host port, from the node."""
    asked = ["sh", "-c", "timeout 3 wget -qO- http://server/"]
    port = f"http://10.244.0.1:{HOST_PORT}/"
    return succeeds(lambda: machine.kubectl("exec", "client", "--", *asked)) and succeeds(
        lambda: machine.run(sys.executable, "-c", FETCH, port)
    )


def ready_condition(machine: Machine) -> Object:
    conditions = machine.get("nodes")["items"][0]["status"]["conditions"]
    return next(one for one in conditions if one["type"] == "Ready")


def events(machine: Machine, name: str) -> dict[str, str]:
    """The last message by reason."""
    chosen = f"involvedObject.name={name}"
    return {one["reason"]: one["message"] for one in machine.get("events", "--field-selector", chosen)["items"]}


def identity(machine: Machine) -> list[tuple[str, str, int, str]]:
    """What would be different if anything had been restarted: containers and addresses (a sandbox's) of the pods."""
    return sorted(
        (one["metadata"]["name"], status["containerID"], status["restartCount"], one["status"]["podIP"])
        for one in machine.get("pods")["items"]
        for status in one["status"]["containerStatuses"]
    )


def sandboxes(machine: Machine) -> list[str]:
    command = [
        "ctr",
        "-a",
        str(machine.data / "containerd" / "containerd.sock"),
        "-n",
        "k8s.io",
        "containers",
        "ls",
        "-q",
    ]
    return sorted(machine.run(*command).split())


def containerd(machine: Machine) -> int:
    return int((machine.data / "containerd" / "containerd.pid").read_text())


def test_a_runtime_that_is_killed_is_started_again_and_nothing_else(machine: Machine) -> None:
    before, there, pid = identity(machine), sandboxes(machine), containerd(machine)
    os.kill(pid, signal.SIGKILL)
    assert "serving" in machine.kubectl("logs", "server")
    assert answers(machine) or eventually(lambda: answers(machine))
    eventually(lambda: (machine.data / "containerd" / "containerd.pid").exists() and containerd(machine) != pid)
    eventually(lambda: answers(machine))
    machine.apply(pod("afterwards"))
    running(machine, "afterwards")
    machine.kubectl("delete", "pod", "afterwards")
    eventually(lambda: sandboxes(machine) == there)
    assert identity(machine) == before


def test_a_runtime_that_hangs_makes_the_node_unready_until_it_answers(machine: Machine) -> None:
    before, there, pid = identity(machine), sandboxes(machine), containerd(machine)
    os.kill(pid, signal.SIGSTOP)
    try:
        down = eventually(lambda: found if (found := ready_condition(machine))["status"] == "False" else None)
        assert (down["reason"], down["message"]) == ("KubeletNotReady", "container runtime is down")
        assert "serving" in machine.kubectl("logs", "server"), "logs are files"
        assert machine.run(sys.executable, "-c", FETCH, f"http://10.244.0.1:{HOST_PORT}/").strip() == "server"
        with pytest.raises(AssertionError, match="container runtime is down"):
            machine.kubectl("exec", "client", "--", "true")
    finally:
        os.kill(pid, signal.SIGCONT)
    up = eventually(lambda: found if (found := ready_condition(machine))["status"] == "True" else None)
    assert up["reason"] == "KubeletReady"
    assert (identity(machine), sandboxes(machine), containerd(machine)) == (before, there, pid)


@contextmanager
def configured(machine: Machine, change: Callable[[Object], Object] | None) -> Iterator[None]:
    """Another network configuration (or none), and in the end what there was."""
    file = machine.data / "cni" / "net.d" / "10-kubrick.conflist"
    text = file.read_text()
    try:
        if change is None:
            file.unlink()
        else:
            file.write_text(json.dumps(change(json.loads(text))))
        yield
    finally:
        file.write_text(text)


def reserved(machine: Machine) -> set[str]:
    return {file.name for file in (machine.data / "cni" / "state" / "networks" / "kubrick").glob("10.*")}


FAILING = """#!/bin/sh
[ "$CNI_COMMAND" = ADD ] || exit 0
echo '{"cniVersion": "1.0.0", "code": 112, "msg": "no cable in the box"}'
exit 1
"""


@pytest.mark.parametrize(
    ("plugin", "message"),
    [("failing", "no cable in the box"), ("absent", 'failed to find plugin "absent" in path')],
)
def test_a_cni_plugin_that_fails_is_told_of_and_overcome(machine: Machine, plugin: str, message: str) -> None:
    program = machine.data / "cni" / "bin" / "failing"
    program.write_text(FAILING)
    program.chmod(0o755)
    before, name = reserved(machine), f"unlucky-{plugin}"
    with configured(machine, lambda found: {**found, "plugins": [*found["plugins"], {"type": plugin}]}):
        machine.apply(pod(name))
        told = eventually(lambda: events(machine, name).get("FailedCreatePodSandBox"))
        assert told.startswith("Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network")
        assert message in told
        status = machine.get("pod", name)["status"]
        assert status["phase"] == "Pending"
        assert status["containerStatuses"][0]["state"]["waiting"]["reason"] == "ContainerCreating"
        if plugin == "failing":  # without one that is absent nothing can be detached either
            eventually(lambda: reserved(machine) == before)
    running(machine, name)
    assert len(reserved(machine)) == len(before) + 1
    machine.kubectl("delete", "pod", name)
    eventually(lambda: reserved(machine) == before)
    program.unlink()


def test_without_a_network_configuration_the_node_and_the_pod_say_so(machine: Machine) -> None:
    reason = "NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: "
    with configured(machine, None):
        down = eventually(lambda: found if (found := ready_condition(machine))["status"] == "False" else None)
        assert down["reason"] == "KubeletNotReady"
        assert down["message"] == f"container runtime network not ready: {reason}cni plugin not initialized"
        tolerations = [{"operator": "Exists"}]
        machine.apply(pod("lonely", tolerations=tolerations), pod("hosted", hostNetwork=True, tolerations=tolerations))
        told = eventually(lambda: events(machine, "lonely").get("NetworkNotReady"))
        assert told == f"network is not ready: {down['message']}"
        running(machine, "hosted")
        assert machine.get("pod", "lonely")["status"]["phase"] == "Pending"
    running(machine, "lonely")
    machine.kubectl("delete", "pod", "lonely", "hosted")
    eventually(lambda: ready_condition(machine)["status"] == "True")


def test_a_flushed_rule_set_is_written_again(machine: Machine) -> None:
    before = identity(machine)
    machine.run("nft", "flush", "ruleset")
    eventually(lambda: answers(machine))
    refused = "timeout 3 wget -qO- http://10.96.200.200/ 2>&1; true"
    assert "refused" in machine.kubectl("exec", "client", "--", "sh", "-c", refused), "the guard is there as well"
    tables = {line.split()[-1] for line in machine.run("nft", "list", "tables").splitlines()}
    assert tables == {"kube-proxy", "kubrick_bridge", "kubrick_portmap"}
    machine.run("nft", "delete", "table", "ip", "kube-proxy")
    eventually(lambda: answers(machine))
    assert identity(machine) == before


def test_a_deleted_bridge_and_a_deleted_pair_are_made_again(machine: Machine) -> None:
    before = identity(machine)
    machine.run("ip", "link", "delete", "kubrick0")
    eventually(lambda: answers(machine))
    links = [link["ifname"] for link in json.loads(machine.run("ip", "-json", "link"))]
    machine.run("ip", "link", "delete", next(name for name in links if name.startswith("veth")))
    eventually(lambda: answers(machine))
    assert identity(machine) == before


def test_a_udp_client_that_keeps_its_port_moves_on_with_the_service(machine: Machine) -> None:
    """The endpoints are sockets of the test's on the bridge's address: who answers is plain to see."""
    metadata = {"name": "datagrams"}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"ports": [{"port": 77, "protocol": "UDP"}]},
    }

    def endpoints(port: int) -> Object:
        return {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**metadata, "labels": {"kubernetes.io/service-name": "datagrams"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.244.0.1"], "conditions": {"ready": True}}],
            "ports": [{"port": port, "protocol": "UDP"}],
        }

    asking = """
import socket, sys
answer = {port: socket.socket(type=socket.SOCK_DGRAM) for port in (7001, 7002)}
for port, each in answer.items():
    each.bind(("10.244.0.1", port)); each.settimeout(0.3)
client = socket.socket(type=socket.SOCK_DGRAM)
client.bind(("10.244.0.1", 7777))
for line in sys.stdin:
    found = ""
    while not found:
        try:
            client.sendto(b"?", (sys.argv[1], 77))
        except OSError:
            continue  # rejected: the rules are not there yet
        for port, each in answer.items():
            try:
                each.recv(10); found += f" {port}"
            except OSError:
                pass
    print(found, flush=True)
"""
    machine.apply(service, endpoints(7001))
    address = machine.get("service", "datagrams")["spec"]["clusterIP"]
    command = machine.inside(sys.executable, "-c", asking, address)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdin is not None
        assert client.stdout is not None

        def ask() -> str:
            print(file=client.stdin, flush=True)
            return client.stdout.readline().split()[-1]

        assert ask() == "7001"
        machine.apply(endpoints(7002))
        eventually(lambda: ask() == "7002")
        client.stdin.close()
    machine.kubectl("delete", "service/datagrams", "endpointslice/datagrams")


@pytest.mark.skipif(not (THEIRS / "bridge").exists(), reason="needs containernetworking-plugins")
def test_the_standard_cni_programs_serve_in_place_of_ours(tmp_path: Path) -> None:
    made = Machine()
    names = '["bridge", "host-local", "loopback"]'
    made.file.write_text(made.file.read_text() + f"[plugins.network]\nstandard = {names}\n")
    try:
        made.up()
        loaded(made, tmp_path)
        for name in ("bridge", "host-local", "loopback"):
            assert (made.data / "cni" / "bin" / name).resolve() == (THEIRS / name).resolve()
        made.apply(*served(), pod("client"))
        running(made, "server")
        running(made, "client")
        eventually(lambda: answers(made))
        made.kubectl("delete", "pod", "server", "client")
        made.run("nft", "delete", "table", "ip", "nat")  # the standard program leaves iptables' own, empty
        assert made.end() == 0
        assert made.remnants() == []
    finally:
        made.close()
