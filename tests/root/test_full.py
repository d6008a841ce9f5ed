"""The profile full, as a user has it: `kubrick up` as root, kubectl, real containers behind a Service. machines.py
makes the machine."""

import os
import platform
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubrick_runtime_cri.archive import busybox_archive

sys.path.insert(0, str(Path(__file__).parent))
from machines import IMAGE, Machine, Object, container, eventually, pod, process_of, running

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="real containers need root")]

NODE_PORT = 30080
HTTPD = "mkdir -p /www && hostname > /www/index.html && echo serving && exec httpd -f -p 8080 -h /www"


def web(replicas: int = 3, revision: str = "1") -> tuple[Object, Object]:
    """A Deployment whose pods answer with their names, and its Service. Pods take no request before they are ready,
    and finish theirs before they go."""
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
    hook = {"preStop": {"exec": {"command": ["sleep", "2"]}}}
    served = container(HTTPD, env=[{"name": "REVISION", "value": revision}], readinessProbe=probe, lifecycle=hook)
    labels = {"app": "web"}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"terminationGracePeriodSeconds": 5, "containers": [served]},
            },
        },
    }
    port = {"port": 80, "targetPort": 8080, "nodePort": NODE_PORT}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"type": "NodePort", "selector": labels, "ports": [port]},
    }
    return deployment, service


def ready_pods(machine: Machine, count: int, selector: str = "app=web") -> list[Object]:
    """The pods, once there are exactly so many and all of them are ready."""

    def all_ready() -> list[Object] | None:
        pods = machine.get("pods", "-l", selector)["items"]
        states = [status["ready"] for one in pods for status in one["status"].get("containerStatuses", [{"ready": 0}])]
        return pods if len(pods) == count and all(states) else None

    return eventually(all_ready)


def asked(machine: Machine, url: str, times: int = 1) -> set[str]:
    """What the pod "client" hears."""
    loop = f"for i in $(seq {times}); do timeout 10 wget -qO- {url} || exit 1; done"
    return set(machine.kubectl("exec", "client", "--", "sh", "-c", loop).split())


def endings(machine: Machine) -> dict[str, tuple[str, int]]:
    """Container id and restart count of every pod."""
    return {
        one["metadata"]["name"]: (status["containerID"], status["restartCount"])
        for one in machine.get("pods")["items"]
        for status in one["status"]["containerStatuses"]
    }


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("image") / "busybox.tar"
    file.write_bytes(busybox_archive(IMAGE, platform.machine()))
    return file


def populate(machine: Machine, image: Path) -> None:
    assert f"loaded {IMAGE}" in machine.kubrick("image", "load", str(image))
    machine.apply(*web(), pod("client"))
    ready_pods(machine, 3)
    running(machine, "client")
    # Ready in the API is not yet ready in the kernel's tables.
    loop = "for i in $(seq 30); do timeout 10 wget -qO- http://web/; done; true"
    eventually(lambda: len(set(machine.kubectl("exec", "client", "--", "sh", "-c", loop).split())) == 3)


@pytest.fixture(scope="module")
def machine(image: Path) -> Iterator[Machine]:
    """With three pods behind a Service, and a pod that asks. Tests leave it as they found it."""
    made = Machine()
    try:
        made.up()
        populate(made, image)
        yield made
    finally:
        made.close()


@pytest.fixture
def mortal(image: Path) -> Iterator[Machine]:
    """The same, for a test that ends it."""
    made = Machine()
    try:
        made.up()
        populate(made, image)
        yield made
    finally:
        made.close()


def test_the_loaded_image_is_listed(machine: Machine) -> None:
    assert IMAGE in machine.kubrick("image", "list")


def test_a_service_reaches_every_pod_by_address_by_name_and_by_node_port(machine: Machine) -> None:
    pods = {one["metadata"]["name"] for one in ready_pods(machine, 3)}
    address = machine.get("service", "web")["spec"]["clusterIP"]
    assert asked(machine, f"http://{address}/", 40) == pods
    assert asked(machine, "http://web/", 10) <= pods
    assert asked(machine, "http://web.default.svc.cluster.local/", 10) <= pods
    node = machine.get("nodes")["items"][0]["status"]["addresses"][0]["address"]
    assert asked(machine, f"http://{node}:{NODE_PORT}/") <= pods


def test_a_pod_reaches_itself_through_its_service(machine: Machine) -> None:
    name = ready_pods(machine, 3)[0]["metadata"]["name"]
    loop = "for i in $(seq 30); do timeout 10 wget -qO- http://web/ || exit 1; done"
    assert name in machine.kubectl("exec", name, "--", "sh", "-c", loop)


def test_an_address_without_a_service_is_refused_and_not_sent_anywhere(machine: Machine) -> None:
    with pytest.raises(AssertionError, match="can't connect"):
        asked(machine, "http://10.96.200.200/")


def test_kubectl_shows_logs_runs_commands_and_copies_files(machine: Machine, tmp_path: Path) -> None:
    assert "serving" in machine.kubectl("logs", "deployment/web")
    assert machine.kubectl("exec", "-i", "client", "--", "cat", text="to and fro") == "to and fro"
    sent, back = tmp_path / "sent", tmp_path / "back"
    sent.write_text("a file")
    machine.kubectl("cp", str(sent), "client:/tmp-file")
    machine.kubectl("cp", "client:/tmp-file", str(back))
    assert back.read_text() == "a file"


def test_a_log_is_followed_until_the_pod_ends(machine: Machine) -> None:
    machine.apply(pod("teller", "for i in 1 2 3; do echo line $i; sleep 1; done", restartPolicy="Never"))
    eventually(lambda: machine.get("pod", "teller")["status"].get("containerStatuses"))
    eventually(lambda: machine.get("pod", "teller")["status"]["phase"] in ("Running", "Succeeded"))
    assert machine.kubectl("logs", "-f", "teller").split("\n") == ["line 1", "line 2", "line 3", ""]
    machine.kubectl("delete", "pod", "teller")


def test_a_port_is_forwarded(machine: Machine) -> None:
    command = ["kubectl", "--kubeconfig", str(machine.data / "admin.kubeconfig"), "port-forward", "deployment/web"]
    with subprocess.Popen(machine.inside(*command, ":8080"), stdout=subprocess.PIPE, text=True) as forwarding:
        try:
            assert forwarding.stdout is not None
            port = re.search(r"127.0.0.1:(\d+)", forwarding.stdout.readline())
            assert port is not None
            fetch = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=20).read().decode())"
            got = machine.run(sys.executable, "-c", fetch, f"http://127.0.0.1:{port.group(1)}/")
            assert got.startswith("web-")
        finally:
            forwarding.kill()


def test_a_killed_process_is_restarted_once(machine: Machine) -> None:
    machine.apply(pod("victim"))
    os.kill(process_of(running(machine, "victim")), signal.SIGKILL)

    def restarted() -> Object | None:
        status = machine.get("pod", "victim")["status"]["containerStatuses"][0]
        return status if status["restartCount"] and status["state"].get("running") else None

    status = eventually(restarted)
    assert status["restartCount"] == 1
    assert status["lastState"]["terminated"]["exitCode"] == 137
    machine.kubectl("delete", "pod", "victim")


def test_a_config_map_changes_in_the_running_pod(machine: Machine) -> None:
    config: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "word"}, "data": {"word": "old"}}
    mounted = container("exec sleep inf", volumeMounts=[{"name": "word", "mountPath": "/word"}])
    volume = {"name": "word", "configMap": {"name": "word"}}
    machine.apply(config, pod("reader", containers=[mounted], volumes=[volume]))
    running(machine, "reader")
    assert machine.kubectl("exec", "reader", "--", "cat", "/word/word") == "old"
    machine.apply({**config, "data": {"word": "new"}})
    eventually(lambda: machine.kubectl("exec", "reader", "--", "cat", "/word/word") == "new")
    machine.kubectl("delete", "pod/reader", "configmap/word")


ASK_API = """
import json, socket, ssl, sys
token, authority = sys.argv[1], sys.stdin.read()
context = ssl.create_default_context(cadata=authority)
with socket.create_connection(("10.96.0.1", 443), 5) as plain:
    with context.wrap_socket(plain, server_hostname="kubernetes.default.svc") as stream:
        body = json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"})
        stream.sendall((
            "POST /apis/authentication.k8s.io/v1/selfsubjectreviews HTTP/1.1\\r\\nHost: kubernetes.default.svc\\r\\n"
            f"Authorization: Bearer {token}\\r\\nContent-Type: application/json\\r\\nConnection: close\\r\\n"
            f"Content-Length: {len(body)}\\r\\n\\r\\n{body}").encode())
        print(b"".join(iter(lambda: stream.recv(65536), b"")).decode())
"""


def test_a_pods_token_is_known_to_the_api_server_by_its_service(machine: Machine) -> None:
    folder = "/var/run/secrets/kubernetes.io/serviceaccount"
    token = machine.kubectl("exec", "client", "--", "cat", f"{folder}/token")
    authority = machine.kubectl("exec", "client", "--", "cat", f"{folder}/ca.crt")
    assert "10.96.0.1" in machine.kubectl("exec", "client", "--", "nslookup", "kubernetes.default.svc.cluster.local")
    # busybox speaks too little TLS: from the pod's network, with this machine's Python.
    network = f"--net=/proc/{process_of(machine.get('pod', 'client'))}/ns/net"
    command = ["nsenter", network, sys.executable, "-c", ASK_API, token]
    done = subprocess.run(command, input=authority, capture_output=True, text=True, timeout=90)
    assert "system:serviceaccount:default:default" in done.stdout, done.stderr


def test_a_deployment_is_scaled_and_rolled_without_dropping_a_request(machine: Machine) -> None:
    machine.kubectl("scale", "deployment/web", "--replicas=5")
    ready_pods(machine, 5)
    machine.kubectl("scale", "deployment/web", "--replicas=3")
    ready_pods(machine, 3)
    load = "rm -f /stop; while [ ! -e /stop ]; do timeout 3 wget -qO- http://web/ >/dev/null && echo y || echo n; done"
    command = ["kubectl", "--kubeconfig", str(machine.data / "admin.kubeconfig"), "exec", "client", "--", "sh", "-c"]
    with subprocess.Popen(machine.inside(*command, load), stdout=subprocess.PIPE, text=True) as asking:
        machine.apply(*web(revision="2"))
        machine.kubectl("rollout", "status", "deployment/web", "--timeout=75s")
        machine.kubectl("exec", "client", "--", "touch", "/stop")
        answers = asking.communicate(timeout=60)[0].split()
    assert answers.count("y") > 50
    assert not answers.count("n")
    ready_pods(machine, 3)


def test_a_second_cluster_on_this_machine_is_refused_and_disturbs_nothing(machine: Machine) -> None:
    command = [sys.executable, "-m", "kubrick_kernel", "up", "--profile", "full", "--listen", "127.0.0.1:0"]
    other = machine.inside(*command, "--data-dir", str(machine.directory / "other"))
    done = subprocess.run(other, capture_output=True, text=True, timeout=90)
    assert done.returncode == 2
    assert "another cluster with real containers" in done.stderr
    assert len(asked(machine, "http://web/", 40)) == 3


def test_ten_pods_run_and_go(machine: Machine) -> None:
    machine.apply(*(pod(f"ten-{number}") for number in range(10)))
    for number in range(10):
        running(machine, f"ten-{number}")
    machine.kubectl("delete", "pod", *(f"ten-{number}" for number in range(10)))
    eventually(lambda: len(list((machine.data / "node" / "pods").iterdir())) == 4)


def test_what_is_killed_is_found_again_by_the_next_start(mortal: Machine) -> None:
    before = endings(mortal)
    mortal.end(signal.SIGKILL)
    node_port = f"http://10.244.0.1:{NODE_PORT}/"
    fetch = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=20).read().decode())"
    assert mortal.run(sys.executable, "-c", fetch, node_port).startswith("web-"), "it answers meanwhile"
    mortal.up("--keep-pods")
    assert endings(mortal) == before
    assert len(asked(mortal, "http://web/", 60)) == 3
    assert mortal.end() == 0
    assert mortal.run(sys.executable, "-c", fetch, node_port).startswith("web-"), "pods are kept"
    mortal.up()
    assert endings(mortal) == before
    mortal.kubectl("delete", "deployment/web", "service/web")
    eventually(lambda: not mortal.get("pods", "-l", "app=web")["items"])
    assert mortal.end() == 0
    assert mortal.remnants() == []


def test_down_removes_what_a_killed_cluster_left(mortal: Machine) -> None:
    mortal.end(signal.SIGKILL)
    assert mortal.remnants()
    assert "nothing is left" in mortal.kubrick("down")
    assert mortal.remnants() == []


def test_down_stops_a_running_cluster(mortal: Machine) -> None:
    assert "has ended" in mortal.kubrick("down")
    assert mortal.process is not None
    assert mortal.process.wait(30) == 0
    assert mortal.remnants() == []
