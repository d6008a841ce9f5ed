"""kubectl's logs, exec, attach, cp, port-forward and proxy, the whole way to a process: API server, HTTPS to the
node's agent, the runtime's streaming server. The containers are processes of this user."""

import gc
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import frozen
from pytest_trio import trio_fixture

from kubrick_api_core import PODS, SERVICE_ACCOUNTS
from kubrick_client import Client, connect
from kubrick_kernel import Component, Composition, Kernel, build_plugin_manager, hookimpl
from kubrick_node import ContainerRuntime
from kubrick_node.testing import ProcessRuntime

Object = dict[str, Any]
WANTED = ("1.27", "1.32", "1.33")
SECONDS = 40


def kubectls() -> list[str]:
    """The wanted versions beside the kubectl on the PATH, or that one alone."""
    found = shutil.which("kubectl")
    if found is None:
        return []
    beside = [Path(found).resolve().with_name(f"kubectl.{version}") for version in WANTED]
    return [str(path) for path in beside if path.exists()] or [found]


each_kubectl = pytest.mark.parametrize("kubectl", kubectls(), ids=lambda path: Path(path).name)


class Processes:
    """The plugin that brings the runtime."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @hookimpl
    def kubrick_register_components(self, kernel: Kernel) -> Sequence[Component]:
        kernel.offer(ContainerRuntime, ProcessRuntime(self._directory, kernel.clock))
        return ()


@frozen
class Machine:
    """A cluster of one node, and kubectl."""

    client: Client
    kubeconfig: Path

    async def pod(self, name: str, *containers: Object, **spec: Any) -> Object:
        """A pod, running."""
        body = {"containers": list(containers), "automountServiceAccountToken": False, **spec}
        body.setdefault("terminationGracePeriodSeconds", 1)
        pod = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name}, "spec": body}
        made = await self.client.create(PODS, pod, "default")
        with trio.fail_after(SECONDS):
            while made.get("status", {}).get("phase") not in ("Running", "Succeeded", "Failed"):
                await trio.sleep(0.02)
                made = await self.client.get(PODS, name, "default")
        return made

    def environment(self) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self.kubeconfig.parent / "c")}

    async def run(self, kubectl: str, *arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        with trio.fail_after(SECONDS):
            done = await trio.run_process(
                [kubectl, *arguments],
                stdin=stdin,
                capture_stdout=True,
                capture_stderr=True,
                check=False,
                env=self.environment(),
            )
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    @asynccontextmanager
    async def started(self, kubectl: str, *arguments: str) -> AsyncIterator[trio.Process]:
        """kubectl in the background, killed in the end."""
        process = await trio.lowlevel.open_process(
            [kubectl, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self.environment(),
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
                for stream in (process.stdin, process.stdout):
                    if stream is not None:
                        await stream.aclose()


def shell(script: str, name: str = "main", **more: Any) -> Object:
    return {"name": name, "image": "none", "command": ["sh", "-c", script], **more}


SLEEP = "trap exit TERM; while true; do sleep 0.1; done"


@trio_fixture  # type: ignore[untyped-decorator]  # pytest-trio has no types
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    composition = Composition(
        name="test",
        profile="control-plane",
        enable=("node",),
        store="memory",
        plugins={
            "apiserver": {"listen": "127.0.0.1:0", "drain_timeout": 1.0},
            "node": {"name": "here", "address": "127.0.0.1", "port": 0, "cgroups": "", "resolv_conf": ""},
        },
    )
    manager = build_plugin_manager(composition)
    manager.register(Processes(tmp_path / "pods"), "processes")
    kernel = Kernel(composition, data_dir=tmp_path, plugins=manager)
    async with trio.open_nursery() as nursery:
        await nursery.start(kernel.run)
        client = connect(kernel, "kubernetes-admin", ("system:masters",))
        with trio.fail_after(SECONDS):
            while not (await client.list(SERVICE_ACCOUNTS, "default"))["items"]:  # noqa: ASYNC110
                await trio.sleep(0.02)
        yield Machine(client, tmp_path / "admin.kubeconfig")
        kernel.shutdown()


@each_kubectl
async def test_logs(machine: Machine, kubectl: str) -> None:
    script = "echo one; echo two >&2; sleep 0.05; echo three; echo four; " + SLEEP
    await machine.pod("web", shell(script), shell("echo other; " + SLEEP, "side"))
    await trio.sleep(0.2)
    code, out, err = await machine.run(kubectl, "logs", "web", "-c", "main")
    assert (code, sorted(out.split()), err) == (0, ["four", "one", "three", "two"], "")
    assert (await machine.run(kubectl, "logs", "web", "-c", "main", "--tail=1"))[1] == "four\n"
    assert (await machine.run(kubectl, "logs", "web", "-c", "main", "--limit-bytes=3"))[1] in ("one", "two")
    stamped = (await machine.run(kubectl, "logs", "web", "-c", "side", "--timestamps"))[1]
    assert stamped.startswith("20")
    assert stamped.endswith("Z other\n")
    assert (await machine.run(kubectl, "logs", "web", "-c", "side", "--since=1h"))[1] == "other\n"
    code, _, err = await machine.run(kubectl, "logs", "web", "-c", "nobody")
    assert code == 1
    assert "container nobody is not valid for pod web" in err
    code, _, err = await machine.run(kubectl, "logs", "web", "-c", "main", "-p")
    assert 'previous terminated container "main" in pod "web" not found' in err


@each_kubectl
async def test_followed_logs_end_with_the_container(machine: Machine, kubectl: str) -> None:
    await machine.pod("short", shell("for i in 1 2 3; do echo $i; sleep 0.3; done"), restartPolicy="Never")
    assert (await machine.run(kubectl, "logs", "-f", "short"))[1] == "1\n2\n3\n"


@each_kubectl
async def test_exec(machine: Machine, kubectl: str) -> None:
    await machine.pod("web", shell(SLEEP))
    run = machine.run
    assert await run(kubectl, "exec", "web", "--", "echo", "a b", "c") == (0, "a b c\n", "")
    assert await run(kubectl, "exec", "web", "--", "sh", "-c", "echo out; echo err >&2") == (0, "out\n", "err\n")
    code, _, err = await run(kubectl, "exec", "web", "--", "sh", "-c", "exit 3")
    assert (code, err.strip()) == (3, "command terminated with exit code 3")
    code, _, err = await run(kubectl, "exec", "web", "--", "no-such-command")
    assert code == 1
    assert "executable file not found" in err
    code, _, err = await run(kubectl, "exec", "web", "-c", "other", "--", "true")
    assert code == 1
    assert "container" in err


@each_kubectl
async def test_what_exec_reads_ends_when_our_input_ends(machine: Machine, kubectl: str) -> None:
    await machine.pod("web", shell(SLEEP))
    code, out, err = await machine.run(kubectl, "exec", "-i", "web", "--", "wc", "-c", stdin=b"x" * 3_000_000)
    assert (code, out.strip(), err) == (0, "3000000", "")
    big = "head -c 5000000 /dev/zero"
    code, out, _ = await machine.run(kubectl, "exec", "web", "--", "sh", "-c", big)
    assert (code, len(out)) == (0, 5_000_000)


@each_kubectl
async def test_attach(machine: Machine, kubectl: str) -> None:
    script = "while read line; do echo got $line; done; echo bye"
    await machine.pod("cat", shell(script, stdin=True, stdinOnce=True), restartPolicy="Never")
    code, out, _ = await machine.run(kubectl, "attach", "-i", "cat", stdin=b"one\ntwo\n")
    assert code == 0
    assert out.split("\n")[-4:] == ["got one", "got two", "bye", ""]


@each_kubectl
async def test_cp(machine: Machine, kubectl: str, tmp_path: Path) -> None:
    await machine.pod("web", shell(SLEEP))
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(os.urandom(2_000_000))
    code, _, err = await machine.run(kubectl, "cp", str(source), "default/web:there")
    assert code == 0, err
    code, _, err = await machine.run(kubectl, "cp", "default/web:there", str(copy))
    assert code == 0, err
    assert copy.read_bytes() == source.read_bytes()


@each_kubectl
async def test_port_forward(machine: Machine, kubectl: str) -> None:
    await machine.pod("web", shell(SLEEP))

    async def shout(stream: trio.SocketStream) -> None:
        async for data in stream:
            await stream.send_all(data.upper())

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, shout, [listener])
        port = listener.socket.getsockname()[1]
        async with machine.started(kubectl, "port-forward", "pod/web", f":{port}") as process:
            local = await _forwarded_port(process)
            for text in (b"hello", b"again" * 20_000):
                stream = await trio.open_tcp_stream("127.0.0.1", local)
                async with stream:
                    nursery.start_soon(stream.send_all, text)
                    answer = b""
                    with trio.fail_after(SECONDS):
                        while len(answer) < len(text):
                            answer += await stream.receive_some()
                    assert answer == text.upper()
        nursery.cancel_scope.cancel()


@each_kubectl
async def test_port_forward_to_a_port_where_nobody_listens(machine: Machine, kubectl: str) -> None:
    await machine.pod("web", shell(SLEEP))
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    async with machine.started(kubectl, "port-forward", "pod/web", f":{port}") as process:
        stream = await trio.open_tcp_stream("127.0.0.1", await _forwarded_port(process))
        async with stream:
            await stream.send_all(b"anybody?")
            with trio.fail_after(SECONDS):
                try:
                    assert await stream.receive_some() == b""
                except trio.BrokenResourceError:
                    pass
        output = b""
        assert process.stdout is not None
        with trio.fail_after(SECONDS):
            while b"connection refused" not in output:
                output += await process.stdout.receive_some()


async def _forwarded_port(process: trio.Process) -> int:
    """The local port that kubectl says it forwards from."""
    output = b""
    assert process.stdout is not None
    with trio.fail_after(SECONDS):
        while b"->" not in output:
            data = await process.stdout.receive_some()
            assert data, output
            output += data
    return int(output.split(b"127.0.0.1:")[1].split(b" ")[0])


@each_kubectl
async def test_a_terminal_has_the_size_of_ours(machine: Machine, kubectl: str) -> None:
    script = shutil.which("script")
    assert script is not None
    await machine.pod("web", shell(SLEEP))
    command = f"stty rows 33 cols 99; {kubectl} exec -it web -- sh -c 'sleep 0.5; stty size; exit 4'; echo code $?"
    with trio.fail_after(SECONDS):
        done = await trio.run_process(
            [script, "-qc", command, "/dev/null"],
            capture_stdout=True,
            stdin=subprocess.DEVNULL,
            env=machine.environment(),
        )
    assert b"33 99" in done.stdout
    assert b"code 4" in done.stdout


@each_kubectl
async def test_proxies_and_tokens(machine: Machine, kubectl: str) -> None:
    code, out, err = await machine.run(kubectl, "get", "--raw", "/api/v1/nodes/here/proxy/healthz")
    assert (code, out) == (0, "ok"), err
    code, token, err = await machine.run(kubectl, "create", "token", "default")
    assert code == 0, err
    config = machine.kubeconfig.read_text()
    server = next(line.split()[1] for line in config.splitlines() if "server:" in line)
    authority = str(machine.kubeconfig.parent / "pki" / "ca.crt")
    alone = ("--kubeconfig=/dev/null", f"--server={server}", f"--certificate-authority={authority}")
    code, out, err = await machine.run(kubectl, *alone, f"--token={token.strip()}", "get", "pods")
    assert (code, 'User "system:serviceaccount:default:default" cannot list' in err) == (1, True), err


def with_the_kubernetes_package(kubeconfig: str, port: int) -> tuple[str, str, int, bytes]:
    """The official client's exec and port-forward, in a thread: stdout, stderr, exit code, what a port answered."""
    from kubernetes import client, config
    from kubernetes.stream import portforward, stream

    api_client = config.new_client_from_config(kubeconfig)
    try:
        core = client.CoreV1Api(api_client)
        session = stream(
            core.connect_get_namespaced_pod_exec,
            "web",
            "default",
            command=["sh", "-c", "read line; echo got $line; echo err >&2; exit 5"],
            stdin=True,
            stdout=True,
            stderr=True,
            tty=False,
            _preload_content=False,
        )
        session.write_stdin("hello\n")
        session.run_forever(timeout=SECONDS)
        out, err, code = session.read_stdout(), session.read_stderr(), session.returncode
        session.close()
        forward = portforward(core.connect_get_namespaced_pod_portforward, "web", "default", ports=str(port))
        socket = forward.socket(port)
        socket.setblocking(True)
        socket.sendall(b"quiet")
        answer = socket.recv(100)
        forward.close()
        return out, err, code, answer
    finally:
        api_client.rest_client.pool_manager.clear()
        api_client.close()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::SyntaxWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_the_official_python_client(machine: Machine) -> None:
    await machine.pod("web", shell(SLEEP))

    async def shout(stream: trio.SocketStream) -> None:
        async for data in stream:
            await stream.send_all(data.upper())

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, shout, [listener])
        port = listener.socket.getsockname()[1]
        with trio.fail_after(SECONDS * 2):
            found = await trio.to_thread.run_sync(with_the_kubernetes_package, str(machine.kubeconfig), port)
        nursery.cancel_scope.cancel()
    gc.collect()  # it leaves sockets to the collector, whose warnings are ignored only here
    assert found == ("got hello\n", "err\n", 5, b"QUIET")
