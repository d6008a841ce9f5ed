"""The profile full, as a user has it: `kubrick up` as root, kubectl, real containers behind a Service.

The "machine" is a network namespace that the test makes itself: only a loopback interface, no default route, so
no packet can leave. It is entered with nsenter, because `ip netns exec` hides the cgroup mounts.
"""

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

from kubrick_runtime_cri.archive import busybox_archive

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="real containers need root")]

T = TypeVar("T")
Object = dict[str, Any]

IMAGE = "kubrick.test/busybox:1"
READY_SECONDS = 30.0
END_SECONDS = 60.0
NODE_PORT = 30080
HTTPD = "mkdir -p /www && hostname > /www/index.html && echo serving && exec httpd -f -p 8080 -h /www"
CGROUPS = Path("/sys/fs/cgroup")
pause = threading.Event()


class Machine:
    """A network namespace, a data directory, and what runs there."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="kf-", dir="/tmp"))
        self.name = self.directory.name
        self.data = self.directory / "data"
        self.file = self.directory / "cluster.toml"
        # Cgroups are the whole machine's, whatever the namespace.
        self.file.write_text(f'[cluster]\nprofile = "full"\n[plugins.node]\ncgroups = "{self.name}"\n')
        self.log = self.directory / "up.log"
        self.process: subprocess.Popen[bytes] | None = None
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self.run("ip", "link", "set", "lo", "up")
        assert not self.run("ip", "route", "show", "default"), "a namespace with a way out is no place for this"

    def inside(self, *command: str) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.name}", *command]

    def run(self, *command: str, text: str = "", seconds: float = 30.0) -> str:
        """Its standard output. Raises AssertionError with all it said."""
        done = subprocess.run(self.inside(*command), input=text, capture_output=True, text=True, timeout=seconds)
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}\n{self.told()}"
        return done.stdout

    def told(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def kubrick(self, *arguments: str) -> str:
        chosen = ("-f", str(self.file), "--data-dir", str(self.data))
        return self.run(sys.executable, "-m", "kubrick_kernel", *arguments, *chosen, seconds=90)

    def kubectl(self, *arguments: str, text: str = "") -> str:
        return self.run("kubectl", "--kubeconfig", str(self.data / "admin.kubeconfig"), *arguments, text=text)

    def get(self, *arguments: str) -> Object:
        found: Object = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return found

    def apply(self, *objects: Object) -> None:
        self.kubectl("apply", "-f", "-", text=yaml.safe_dump_all(objects))

    def up(self, *arguments: str) -> float:
        """Start it; how long it says that took."""
        command = [sys.executable, "-m", "kubrick_kernel", "up", "-f", str(self.file), "--data-dir", str(self.data)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.inside(*command, *arguments),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

        def ready() -> str | None:
            assert self.process is not None
            assert self.process.poll() is None, self.told()
            found = re.search(r"ready in ([\d.]+) s", self.told())
            return found.group(1) if found else None

        return float(eventually(ready, READY_SECONDS))

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ctrl-C, or worse; its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(END_SECONDS)
        self.process = None
        return code

    def remnants(self) -> list[str]:
        """Whatever is left of a cluster outside its data directory."""
        found = [f"mount {line.split()[4]}" for line in lines("/proc/self/mountinfo") if str(self.data) in line]
        found += [f"process {words}" for _, words in processes() if str(self.data) in words]
        links = json.loads(self.run("ip", "-json", "link"))
        found += [f"interface {link['ifname']}" for link in links if link["ifname"] != "lo"]
        found += [f"rules {line}" for line in self.run("nft", "list", "tables").splitlines()]
        found += [f"cgroup {folder}" for folder in CGROUPS.glob(f"*/{self.name}")]
        found += [f"namespace {path}" for path in self.data.glob("containerd/state/**/netns/*")]
        return found

    def close(self) -> None:
        """Take everything away, however the test ended."""
        if self.process is not None:
            self.end(signal.SIGKILL)
        try:
            if self.data.exists():
                self.kubrick("down")
            left = self.remnants()
        except BaseException:
            self.force()
            raise
        finally:
            subprocess.run(["ip", "netns", "delete", self.name], check=True)
        assert not left, left
        shutil.rmtree(self.directory)

    def force(self) -> None:
        """What is ours ends without Kubrick's help."""
        mine = {pid for pid, words in processes() if str(self.data) in words}
        mine |= {pid for pid, _ in processes() if parent(pid) in mine}
        for pid in mine:
            os.kill(pid, signal.SIGKILL)
        for line in reversed(lines("/proc/self/mountinfo")):
            if str(self.data) in line:
                subprocess.run(["umount", "--lazy", line.split()[4]], check=False)


def lines(file: str) -> list[str]:
    return Path(file).read_text(errors="replace").splitlines()


def processes() -> Iterator[tuple[int, str]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                yield int(folder.name), (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue  # it has ended meanwhile


def parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def eventually(question: Callable[[], T | None], seconds: float = 20.0) -> T:
    """The first answer that isn't nothing."""
    for _ in range(int(seconds / 0.05)):
        answer = question()
        if answer:
            return answer
        pause.wait(0.05)
    raise AssertionError(f"not within {seconds:.0f} s")


def container(command: str, **more: Any) -> Object:
    return {"name": "main", "image": IMAGE, "command": ["sh", "-c", command], **more}


def pod(name: str, command: str = "exec sleep inf", **spec: Any) -> Object:
    spec = {"terminationGracePeriodSeconds": 1, "containers": [container(command)], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


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


def running(machine: Machine, name: str) -> Object:
    def state() -> Object | None:
        one = machine.get("pod", name)
        return one if one["status"].get("phase") == "Running" else None

    return eventually(state)


def asked(machine: Machine, url: str, times: int = 1) -> set[str]:
    """What the pod "client" hears."""
    loop = f"for i in $(seq {times}); do timeout 3 wget -qO- {url} || exit 1; done"
    return set(machine.kubectl("exec", "client", "--", "sh", "-c", loop).split())


def endings(machine: Machine) -> dict[str, tuple[str, int]]:
    """Container id and restart count of every pod."""
    return {
        one["metadata"]["name"]: (status["containerID"], status["restartCount"])
        for one in machine.get("pods")["items"]
        for status in one["status"]["containerStatuses"]
    }


def process_of(pod: Object) -> int:
    """The first process of the pod's container."""
    id_ = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]

    def found() -> int | None:
        for pid, _ in processes():
            try:
                first = re.search(r"^NSpid:.*\t1$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
                if first and id_ in Path(f"/proc/{pid}/cgroup").read_text():
                    return pid
            except OSError:
                continue
        return None

    return eventually(found)


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
    loop = "for i in $(seq 20); do timeout 3 wget -qO- http://web/; done; true"
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
    loop = "for i in $(seq 30); do timeout 3 wget -qO- http://web/ || exit 1; done"
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
            fetch = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=5).read().decode())"
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
    done = subprocess.run(command, input=authority, capture_output=True, text=True, timeout=20)
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
        machine.kubectl("rollout", "status", "deployment/web", "--timeout=25s")
        machine.kubectl("exec", "client", "--", "touch", "/stop")
        answers = asking.communicate(timeout=20)[0].split()
    assert answers.count("y") > 50
    assert not answers.count("n")
    ready_pods(machine, 3)


def test_a_second_cluster_on_this_machine_is_refused_and_disturbs_nothing(machine: Machine) -> None:
    command = [sys.executable, "-m", "kubrick_kernel", "up", "--profile", "full", "--listen", "127.0.0.1:0"]
    other = machine.inside(*command, "--data-dir", str(machine.directory / "other"))
    done = subprocess.run(other, capture_output=True, text=True, timeout=30)
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
    fetch = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=5).read().decode())"
    assert mortal.run(sys.executable, "-c", fetch, node_port).startswith("web-"), "it answers meanwhile"
    mortal.up("--keep-pods")
    assert endings(mortal) == before
    assert len(asked(mortal, "http://web/", 20)) == 3
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
    assert mortal.process.wait(1) == 0
    assert mortal.remnants() == []
