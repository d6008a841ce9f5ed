"""kubectl, old and new, against real containers: everything it does that ends at the node's agent."""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kubrick_runtime_cri.archive import busybox_archive

sys.path.insert(0, str(Path(__file__).parent))
from machines import IMAGE, Machine, Object, container, eventually, pod, running
from terminals import INTERRUPT, Terminal

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="real containers need root")]

WANTED = ("1.27", "1.32", "1.33")
SECONDS = 90.0
TALK = "echo one; sleep 0.1; echo two >&2; sleep 0.1; echo three; exec sleep inf"
CRASH = "if [ -e /kept/been ]; then echo second; exec sleep inf; fi; touch /kept/been; echo first; exit 4"
ENDS = "trap exit TERM; while :; do sleep 0.1; done"
HTTPD = "mkdir -p /www && echo $(hostname) > /www/index.html && exec httpd -f -p 8080 -h /www"


def versions() -> list[str]:
    """The wanted kubectls beside the one on the PATH, or that one alone."""
    found = shutil.which("kubectl")
    if found is None:
        return []
    beside = [Path(found).resolve().with_name(f"kubectl.{version}") for version in WANTED]
    return [str(path) for path in beside if path.exists()] or [found]


class Kubectl:
    """One version of it, on the machine."""

    def __init__(self, machine: Machine, program: str) -> None:
        self.machine = machine
        self.version = Path(program).name
        self.suffix = self.version.replace(".", "-")
        self._program = program

    def command(self, *arguments: str) -> list[str]:
        return self.machine.inside(
            self._program, "--kubeconfig", str(self.machine.data / "admin.kubeconfig"), *arguments
        )

    def tried(self, *arguments: str, text: str = "") -> tuple[int, str, str]:
        """Exit code, standard output and standard error."""
        done = subprocess.run(
            self.command(*arguments), input=text, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        return done.returncode, done.stdout, done.stderr

    def __call__(self, *arguments: str, text: str = "") -> str:
        code, out, err = self.tried(*arguments, text=text)
        assert code == 0, f"{arguments}: {code}\n{out}{err}"
        return out

    def at_terminal(self, *arguments: str, rows: int = 24, columns: int = 80) -> Terminal:
        return Terminal(self.command(*arguments), rows, columns)

    @contextmanager
    def forwarding(self, *arguments: str) -> Iterator[int]:
        """port-forward in the background; the local port."""
        command = self.command("port-forward", *arguments)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                found = re.search(r"127.0.0.1:(\d+)", line)
                assert found is not None, line + process.stdout.read()
                yield int(found.group(1))
            finally:
                process.kill()


def labelled(one: Object, **labels: str) -> Object:
    one["metadata"]["labels"] = labels
    return one


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """With pods to look at. Tests leave it as they found it."""
    image = tmp_path_factory.mktemp("image") / "busybox.tar"
    image.write_bytes(busybox_archive(IMAGE, platform.machine()))
    made = Machine()
    try:
        made.up()
        made.kubrick("image", "load", str(image))
        two = [container(TALK), {**container("echo beside; exec sleep inf"), "name": "side"}]
        kept = {"volumeMounts": [{"name": "kept", "mountPath": "/kept"}]}
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
        }
        port = [{"name": "http", "containerPort": 8080}]
        made.apply(
            pod("two", containers=two),
            pod("crasher", containers=[container(CRASH, **kept)], volumes=[{"name": "kept", "emptyDir": {}}]),
            labelled(pod("web", containers=[container(HTTPD, ports=port)]), app="web"),
            service,
        )
        for name in ("two", "crasher", "web"):
            running(made, name)
        yield made
    finally:
        made.close()


@pytest.fixture(params=versions(), ids=lambda path: Path(path).name)
def kubectl(machine: Machine, request: pytest.FixtureRequest) -> Kubectl:
    return Kubectl(machine, request.param)


def test_logs_show_the_part_that_is_asked_for(kubectl: Kubectl) -> None:
    assert kubectl("logs", "two", "-c", "main") == "one\ntwo\nthree\n"
    assert kubectl("logs", "two", "-c", "side") == "beside\n"
    assert kubectl("logs", "two", "-c", "main", "--tail=1") == "three\n"
    assert kubectl("logs", "two", "-c", "main", "--tail=0") == ""
    assert kubectl("logs", "two", "-c", "main", "--since=1h") == "one\ntwo\nthree\n"
    assert kubectl("logs", "two", "-c", "main", "--since-time=2100-01-01T00:00:00Z") == ""
    assert kubectl("logs", "two", "-c", "main", "--limit-bytes=5") == "one\nt"
    stamped = kubectl("logs", "two", "-c", "main", "--timestamps", "--tail=1")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z three\n", stamped)
    everything = kubectl("logs", "two", "--all-containers", "--prefix")
    assert "[pod/two/side] beside\n" in everything
    assert "[pod/two/main] three\n" in everything
    code, _, err = kubectl.tried("logs", "two", "-c", "none")
    assert code == 1
    assert "container none is not valid for pod two" in err


def test_the_log_of_the_container_before_is_kept(kubectl: Kubectl) -> None:
    eventually(lambda: kubectl("logs", "crasher") == "second\n")
    assert kubectl("logs", "-p", "crasher") == "first\n"
    code, _, err = kubectl.tried("logs", "-p", "web")
    assert code == 1
    assert 'previous terminated container "main" in pod "web" not found' in err


def test_a_followed_log_ends_with_its_container(kubectl: Kubectl) -> None:
    name = f"counter-{kubectl.suffix}"
    kubectl.machine.apply(pod(name, "for i in 1 2 3; do echo $i; sleep 0.3; done", restartPolicy="Never"))
    eventually(lambda: kubectl.machine.get("pod", name)["status"]["phase"] in ("Running", "Succeeded"))
    assert kubectl("logs", "-f", name) == "1\n2\n3\n"


def test_exec_passes_streams_apart_and_the_exit_code(kubectl: Kubectl) -> None:
    assert kubectl.tried("exec", "two", "-c", "side", "--", "sh", "-c", "echo out; echo err >&2; exit 3") == (
        3,
        "out\n",
        "err\ncommand terminated with exit code 3\n",
    )
    assert kubectl("exec", "-i", "two", "-c", "main", "--", "tr", "a-z", "A-Z", text="to and fro") == "TO AND FRO"
    big = "x" * 79 + "\n"
    assert kubectl("exec", "-i", "two", "-c", "main", "--", "wc", "-c", text=big * 20000).strip() == "1600000"
    assert (
        kubectl("exec", "two", "-c", "main", "--", "sh", "-c", f"yes {'y' * 79} | head -n 20000")
        == ("y" * 79 + "\n") * 20000
    )


def test_exec_of_what_is_not_there_says_so(kubectl: Kubectl) -> None:
    code, _, err = kubectl.tried("exec", "two", "-c", "main", "--", "no-such-program")
    assert code in (1, 126, 127)
    assert 'exec: "no-such-program": executable file not found in $PATH' in err
    code, _, err = kubectl.tried("exec", "two", "-c", "none", "--", "true")
    assert code == 1
    assert "container none is not valid for pod two" in err or "container not found" in err


def test_a_shell_at_a_terminal_knows_its_size_and_passes_its_code(kubectl: Kubectl) -> None:
    with kubectl.at_terminal("exec", "-it", "two", "-c", "main", "--", "sh", rows=33, columns=111) as terminal:
        terminal.until("# ")
        eventually(lambda: _size(terminal) == "33 111")
        terminal.resize(40, 90)
        eventually(lambda: _size(terminal) == "40 90")
        terminal.press("exit 7\n")
        assert terminal.ended() == 7


def test_ctrl_c_interrupts_the_command_and_not_only_kubectl(kubectl: Kubectl) -> None:
    script = "echo ready; exec sleep 12345"
    with kubectl.at_terminal("exec", "-it", "two", "-c", "main", "--", "sh", "-c", script) as terminal:
        terminal.until("ready")
        terminal.press(INTERRUPT)
        assert terminal.ended() == 130
    assert "12345" not in kubectl("exec", "two", "-c", "main", "--", "ps")


def _size(terminal: Terminal) -> str:
    terminal.press("echo :$(stty size):\n")
    return terminal.until(r":\d+ \d+:").strip(":")


def test_files_are_copied_there_and_back(kubectl: Kubectl, tmp_path: Path) -> None:
    sent, back, place = tmp_path / "sent", tmp_path / "back", f"/there-{kubectl.suffix}"
    (sent / "inner").mkdir(parents=True)
    (sent / "big").write_bytes(os.urandom(3_000_000))
    (sent / "inner" / "small").write_text("a word")
    kubectl("cp", str(sent), f"two:{place}", "-c", "main")
    kubectl("cp", f"two:{place}", str(back), "-c", "main")
    assert (back / "inner" / "small").read_text() == "a word"
    digests = {hashlib.sha256((folder / "big").read_bytes()).hexdigest() for folder in (sent, back)}
    assert len(digests) == 1


FETCH = """
import sys, urllib.request as u
from concurrent.futures import ThreadPoolExecutor as Pool
ask = lambda _: u.urlopen(sys.argv[1], timeout=20).read().decode().strip()
with Pool(8) as pool: print(*set(pool.map(ask, range(32))))
"""


@pytest.mark.parametrize("where", ["pod/web", "service/web"])
def test_ports_of_pods_and_services_are_forwarded(kubectl: Kubectl, where: str) -> None:
    with kubectl.forwarding(where, ":80" if where.startswith("service") else ":8080") as port:
        url = f"http://127.0.0.1:{port}/"
        assert kubectl.machine.run(sys.executable, "-c", FETCH, url).strip() == "web"


def test_a_terminal_is_attached_to_the_container(kubectl: Kubectl) -> None:
    name = f"screen-{kubectl.suffix}"
    shell = container("exec sh", stdin=True, tty=True, stdinOnce=True)
    kubectl.machine.apply(pod(name, containers=[shell], restartPolicy="Never"))
    running(kubectl.machine, name)
    with kubectl.at_terminal("attach", "-it", name, rows=31, columns=99) as terminal:
        terminal.press("\n")
        terminal.until("# ")
        eventually(lambda: _size(terminal) == "31 99")
        terminal.press("exit 5\n")
        terminal.ended()
    eventually(lambda: machine_code(kubectl.machine, name) == 5)


def machine_code(machine: Machine, name: str) -> int | None:
    status = machine.get("pod", name)["status"]["containerStatuses"][0]
    code: int | None = status["state"].get("terminated", {}).get("exitCode")
    return code


def test_run_shows_a_new_pods_terminal_and_removes_it(kubectl: Kubectl) -> None:
    name = f"once-{kubectl.suffix}"
    arguments = ("run", "-it", "--rm", "--restart=Never", f"--image={IMAGE}", name, "--", "sh")
    with kubectl.at_terminal(*arguments) as terminal:
        terminal.until("try pressing enter.")
        terminal.press("\n")
        terminal.until("# ")
        terminal.press("echo $((6*7)); exit 6\n")
        terminal.until("42")
        assert terminal.ended() == 6
        assert f'pod "{name}" deleted' in terminal.seen
    assert kubectl.tried("get", "pod", name)[0] == 1


def test_run_with_a_pipe_gives_it_to_the_pod(kubectl: Kubectl) -> None:
    arguments = ("run", "-i", "--rm", "--quiet", "--restart=Never", f"--image={IMAGE}", f"piped-{kubectl.suffix}")
    assert kubectl(*arguments, "--", "sh", "-c", "sleep 0.5; wc -l", text="a\nb\n").split()[0] == "2"


def test_an_ephemeral_container_sees_its_targets_processes(kubectl: Kubectl) -> None:
    arguments = ("debug", "-it", "two", f"--image={IMAGE}", "--target=main", f"--container=look-{kubectl.suffix}")
    with kubectl.at_terminal(*arguments, "--", "sh") as terminal:
        terminal.until("try pressing enter.")
        terminal.press("\n")
        terminal.until("# ")
        terminal.press("ps; exit\n")
        terminal.ended()
        assert "sleep inf" in terminal.seen
    statuses = kubectl.machine.get("pod", "two")["status"]["ephemeralContainerStatuses"]
    assert f"look-{kubectl.suffix}" in [status["name"] for status in statuses]


def test_a_copy_of_a_pod_is_debugged(kubectl: Kubectl) -> None:
    name = f"copy-{kubectl.suffix}"
    arguments = ("debug", "web", f"--copy-to={name}", "--container=main", "--share-processes", f"--image={IMAGE}")
    kubectl(*arguments, "--", "sh", "-c", "exec sleep inf")
    copy = running(kubectl.machine, name)
    assert copy["spec"]["shareProcessNamespace"]
    assert copy["metadata"].get("labels", {}) == {}
    assert "sleep inf" in kubectl("exec", name, "--", "ps")
    kubectl("delete", "pod", name, "--now", "--wait=false")


def test_a_node_is_debugged_from_a_pod_with_its_files(kubectl: Kubectl) -> None:
    node = kubectl.machine.get("nodes")["items"][0]["metadata"]["name"]
    arguments = ("debug", f"node/{node}", "-it", f"--image={IMAGE}", "--", "sh")
    with kubectl.at_terminal(*arguments) as terminal:
        terminal.until("try pressing enter.")
        terminal.press("\n")
        terminal.until("# ")
        terminal.press(f"ls /host{kubectl.machine.data}; exit\n")
        terminal.ended()
        assert "admin.kubeconfig" in terminal.seen


def test_the_agents_own_paths_answer_through_the_api(kubectl: Kubectl) -> None:
    node = kubectl.machine.get("nodes")["items"][0]["metadata"]["name"]

    def ask(path: str) -> str:
        return kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/{path}")

    assert ask("healthz") == "ok"
    names = {one["metadata"]["name"] for one in json.loads(ask("pods"))["items"]}
    assert {"two", "web", "crasher"} <= names
    summary = json.loads(ask("stats/summary"))
    assert summary["node"]["nodeName"] == node
    assert summary["node"]["memory"]["workingSetBytes"] > 0
    web = next(one for one in summary["pods"] if one["podRef"]["name"] == "web")
    assert web["containers"][0]["memory"]["workingSetBytes"] > 0
    assert "kubelet_running_pods" in ask("metrics")
    assert re.search(
        r'container_memory_working_set_bytes\{container="main",namespace="default",pod="web"\} \d',
        ask("metrics/resource"),
    )
    assert re.search(r'container_memory_working_set_bytes\{.*pod="web".*\} \d', ask("metrics/cadvisor"))
    configuration = json.loads(ask("configz"))["kubeletconfig"]
    assert (configuration["kind"], configuration["maxPods"]) == ("KubeletConfiguration", 110)
    assert ask("containerLogs/default/two/side") == "beside\n"


def test_pods_and_services_answer_through_the_api(kubectl: Kubectl) -> None:
    base = "/api/v1/namespaces/default"
    assert kubectl("get", "--raw", f"{base}/pods/web:8080/proxy/").strip() == "web"
    assert kubectl("get", "--raw", f"{base}/pods/web:http/proxy/index.html").strip() == "web"
    assert kubectl("get", "--raw", f"{base}/services/web/proxy/").strip() == "web"
    assert kubectl("get", "--raw", f"{base}/services/http:web:http/proxy/").strip() == "web"
    code, _, err = kubectl.tried("get", "--raw", f"{base}/pods/web:8080/proxy/missing")
    assert code == 1
    assert "could not find the requested resource" in err or "NotFound" in err


def test_a_deployment_is_rolled_out_and_waited_for_and_drained(kubectl: Kubectl) -> None:
    name = f"roll-{kubectl.suffix}"
    kubectl("create", "deployment", name, f"--image={IMAGE}", "--replicas=2", "--", "sh", "-c", ENDS)
    assert "successfully rolled out" in kubectl("rollout", "status", f"deployment/{name}", "--timeout=60s")
    kubectl("rollout", "restart", f"deployment/{name}")
    assert "successfully rolled out" in kubectl("rollout", "status", f"deployment/{name}", "--timeout=60s")
    assert "REVISION" in kubectl("rollout", "history", f"deployment/{name}")
    kubectl("rollout", "undo", f"deployment/{name}")
    assert "successfully rolled out" in kubectl("rollout", "status", f"deployment/{name}", "--timeout=60s")
    kubectl("wait", "--for=condition=Available", f"deployment/{name}", "--timeout=60s")
    kubectl("wait", "--for=jsonpath={.status.replicas}=2", f"deployment/{name}", "--timeout=60s")
    node = kubectl.machine.get("nodes")["items"][0]["metadata"]["name"]
    try:
        out = kubectl("drain", node, "--ignore-daemonsets", "--force", f"--pod-selector=app={name}", "--timeout=60s")
        assert f"node/{node} drained" in out
        waiting = kubectl.machine.get("pods", "-l", f"app={name}")["items"]
        assert all("nodeName" not in one["spec"] for one in waiting)
    finally:
        kubectl("uncordon", node)
    kubectl("wait", "--for=condition=Ready", "pod", "-l", f"app={name}", "--timeout=60s")
    kubectl("delete", "deployment", name)
    kubectl("wait", "--for=delete", "pod", "-l", f"app={name}", "--timeout=60s")
