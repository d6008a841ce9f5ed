"""runtime-cri against a private containerd: real processes, on the machine's network (which needs no CNI).

Every test has a containerd of its own below a short-lived folder, and ends with nothing left of it.
"""

import os
import platform
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from kubrick_api_core.agents import Target
from kubrick_http.channels import ERROR, RESIZE, STDERR, STDIN, STDOUT, exit_code
from kubrick_http.remotecommand import Streams
from kubrick_kernel import SystemClock
from kubrick_node import (
    ContainerSpec,
    ContainerState,
    LogOptions,
    Mount,
    PodState,
    RuntimeFailure,
    RuntimeInfo,
    SandboxSpec,
)
from kubrick_node.serving.service import PodService
from kubrick_node.testing.runtime import CHECKS, Subject, check_a_sandbox_is_ready_until_it_is_stopped
from kubrick_runtime_cri.archive import busybox_archive
from kubrick_runtime_cri.containerd import Containerd, Paths
from kubrick_runtime_cri.runtime import DOWN, CRIRuntime, Place

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="a containerd of its own needs root")]

Object = dict[str, Any]
IMAGE = "kubrick.test/busybox:1"
CGROUP = "kubrick-test"
ABSENT = "127.0.0.1:1/absent:1"
"""Nobody listens there, and no packet leaves the machine."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, because of the socket in it."""
    made = Path(tempfile.mkdtemp(prefix="kubrick-", dir="/tmp"))
    yield made
    left = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(made) in line]
    for cgroup in Path("/sys/fs/cgroup").glob(f"*/{CGROUP}"):
        for inner in sorted((p for p in cgroup.rglob("*") if p.is_dir()), reverse=True):
            inner.rmdir()
        cgroup.rmdir()
    for cgroup in Path("/sys/fs/cgroup").glob("*/k8s.io"):  # where containerd puts what nobody assigned
        with suppress(OSError):
            cgroup.rmdir()
    shutil.rmtree(made, ignore_errors=not left)
    assert not left, "mounts are left behind"
    assert not processes(str(made)), "processes are left behind"


class Machine:
    """A containerd, a runtime in front of it, and pods to run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.containerd = Containerd(Paths(folder / "containerd"))
        self.place = Place(self.containerd.paths.socket, folder / "pods", str(folder / "logs"))
        self.runtime = CRIRuntime(self.place, SystemClock())
        self.news: set[str] = set()
        self.runtime.on_change(self.news.add)

    async def start_runtime(self, nursery: trio.Nursery) -> trio.CancelScope:
        """A runtime that knows nothing yet, as after a restart of the agent; cancelling the scope ends it."""
        self.runtime = CRIRuntime(self.place, SystemClock())
        self.news = set()
        self.runtime.on_change(self.news.add)
        scope = trio.CancelScope()

        async def run(task_status: trio.TaskStatus[None]) -> None:
            with scope:
                await self.runtime.run(task_status)

        await nursery.start(run)
        return scope

    def pod(self, name: str, *containers: Object, **spec: Any) -> Object:
        metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}", "labels": {"app": name}}
        return {"metadata": metadata, "spec": {"hostNetwork": True, "containers": list(containers), **spec}}

    async def start(self, pod: Object, attempt: int = 0, **more: Any) -> ContainerState:
        """Start the pod's first container (in a new sandbox, if there is none) as the agent does."""
        container = pod["spec"]["containers"][0]
        state = await self.runtime.observe(pod)
        sandbox = SandboxSpec(cgroup_parent=f"/{CGROUP}/{pod['metadata']['uid']}")
        if not state.sandbox_ready:
            await self.runtime.run_sandbox(pod, 0, sandbox)
            state = await self.runtime.observe(pod)
        await self.runtime.ensure_image(pod, container)
        await self.runtime.start_container(
            ContainerSpec(pod, container, state.sandbox_id, "app", attempt, sandbox=sandbox, **more)
        )
        return self.main(await self.runtime.observe(pod))

    def main(self, state: PodState) -> ContainerState:
        found = state.container("main")
        assert found is not None
        return found

    async def until(self, pod: Object, wanted: Callable[[ContainerState], bool]) -> ContainerState:
        """Wait for news of the pod until its main container is as wanted."""
        with trio.fail_after(60):
            while not wanted(main := self.main(await self.runtime.observe(pod))):
                self.news.discard(pod["metadata"]["uid"])
                await eventually(lambda: pod["metadata"]["uid"] in self.news)
        return main

    async def logs(self, container: str, **options: Any) -> str:
        out: list[bytes] = []

        async def write(text: bytes) -> None:
            out.append(text)

        await self.runtime.read_logs(container, LogOptions(**options), write)
        return b"".join(out).decode()


@pytest.fixture
async def machine(folder: Path) -> AsyncIterator[Machine]:
    machine = Machine(folder)
    async with trio.open_nursery() as nursery:
        with trio.fail_after(60):
            await nursery.start(machine.containerd.run)
            await machine.start_runtime(nursery)
            archive = folder / "busybox.tar"
            archive.write_bytes(busybox_archive(IMAGE, platform.machine()))
            assert await machine.runtime.import_image(str(archive)) == (IMAGE,)
        yield machine
        nursery.cancel_scope.cancel()


async def eventually(true: Callable[[], bool]) -> None:
    with trio.fail_after(60):
        while not true():  # noqa: ASYNC110  # what is waited for is outside of this process
            await trio.sleep(0.01)


async def process(text: str) -> int:
    """The pid of the one process with `text` on its command line: it may have to become it yet."""
    with trio.fail_after(60):
        await eventually(lambda: len(processes(text)) == 1)
    return processes(text)[0]


def shell(script: str, **more: Any) -> Object:
    return {"name": "main", "image": IMAGE, "command": ["sh", "-c", script], **more}


def ended(state: ContainerState) -> bool:
    return state.state == "exited"


def processes(text: str) -> list[int]:
    """The pids of processes with `text` on their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and text in (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


# A sandbox of its own network needs CNI, and has its test where there is one.
ON_THE_MACHINES_NETWORK = [check for check in CHECKS if check is not check_a_sandbox_is_ready_until_it_is_stopped]


@pytest.mark.parametrize("check", ON_THE_MACHINES_NETWORK, ids=lambda check: check.__name__)
async def test_it_is_a_container_runtime(check: Callable[[Subject], Awaitable[None]], machine: Machine) -> None:
    await check(
        Subject(
            machine.runtime,
            lambda name: machine.pod(name, shell("sleep 7770")),
            lambda name, code: machine.pod(name, shell(f"exit {code}")),
        )
    )


async def test_a_pod_runs_is_executed_in_and_goes_without_a_trace(machine: Machine) -> None:
    pod = machine.pod("web", shell("echo $GREETING; sleep 7771"))
    state = await machine.start(pod, env=(("GREETING", "hello"),))
    assert (state.state, state.attempt, state.image) == ("running", 0, IMAGE)
    assert state.id.startswith("containerd://")
    assert machine.runtime.info == RuntimeInfo("containerd", machine.runtime.info.version)
    assert await machine.runtime.exec_sync(pod, state.id, ["sh", "-c", "echo out; echo err >&2; exit 3"], 5) == (
        3,
        b"out\n",
        b"err\n",
    )
    assert await machine.logs(state.id) == "hello\n"
    assert [name for name, _ in (await machine.runtime.stats(pod)).containers] == ["main"]
    assert [p["metadata"]["uid"] for p in await machine.runtime.list_pods()] == ["uid-web"]
    for url in (
        await machine.runtime.exec_url(state.id, ["sh"], stdin=True, stdout=True, stderr=False, tty=True),
        await machine.runtime.attach_url(state.id, stdin=False, stdout=True, stderr=True, tty=False),
        await machine.runtime.port_forward_url((await machine.runtime.observe(pod)).sandbox_id, [80]),
    ):
        assert url.startswith("http://127.0.0.1:")

    await machine.runtime.stop_container(pod, state.id, 0)
    await machine.runtime.stop_sandbox(pod, (await machine.runtime.observe(pod)).sandbox_id)
    observed = await machine.runtime.observe(pod)
    assert (observed.sandbox_ready, machine.main(observed).exit_code) == (False, 137)
    await machine.runtime.remove(pod)
    await machine.runtime.remove(pod)
    assert await machine.runtime.observe(pod) == PodState()
    assert not processes("sleep 7771")
    assert list((machine.folder / "logs").iterdir()) == []


async def test_an_agent_that_restarts_finds_its_pods_running(machine: Machine) -> None:
    pod = machine.pod("kept", {"name": "main", "image": IMAGE, "command": ["sleep", "7772"]})
    before = await machine.start(pod)
    pid = await process("sleep 7772")
    async with trio.open_nursery() as nursery:
        scope = await machine.start_runtime(nursery)
        observed = await machine.runtime.observe(pod)
        assert machine.main(observed) == before
        assert observed.sandbox_ready
        os.kill(pid, signal.SIGKILL)
        await machine.until(pod, ended)
        assert (await machine.start(pod, 1)).attempt == 1
        scope.cancel()


async def test_a_killed_process_is_noticed_and_its_restarts_are_counted(machine: Machine) -> None:
    pod = machine.pod("killed", {"name": "main", "image": IMAGE, "command": ["sleep", "7773"]})
    for attempt in range(3):
        state = await machine.start(pod, attempt)
        assert state.attempt == attempt
        pid = await process("sleep 7773")
        os.kill(pid, signal.SIGKILL)
        state = await machine.until(pod, ended)
        assert (state.exit_code, state.reason) == (137, "Error")
    observed = await machine.runtime.observe(pod)
    assert [(c.name, c.attempt) for c in observed.previous] == [("main", 1)]
    await machine.start(pod, 3)
    observed = await machine.runtime.observe(pod)
    assert [(c.name, c.attempt) for c in (*observed.containers, *observed.previous)] == [("main", 3), ("main", 2)]
    left = await machine.runtime._cri("ListContainers")
    assert len(left.containers) == 3


async def test_exit_codes_reasons_and_last_words(machine: Machine) -> None:
    done = machine.pod("done", shell("echo bye > /dev/termination-log"))
    await machine.start(done)
    state = await machine.until(done, ended)
    assert (state.exit_code, state.reason, state.message) == (0, "Completed", "bye\n")
    assert state.finished_at is not None
    failed = machine.pod("failed", shell("echo the log; exit 5", terminationMessagePolicy="FallbackToLogsOnError"))
    await machine.start(failed)
    state = await machine.until(failed, ended)
    assert (state.exit_code, state.reason, state.message) == (5, "Error", "the log\n")


async def test_a_command_that_does_not_exist_is_a_start_error(machine: Machine) -> None:
    pod = machine.pod("broken", {"name": "main", "image": IMAGE, "command": ["/nothing"]})
    with pytest.raises(RuntimeFailure) as caught:
        await machine.start(pod)
    assert caught.value.reason == "RunContainerError"
    assert 'exec: "/nothing": stat /nothing: no such file or directory' in caught.value.message
    state = machine.main(await machine.runtime.observe(pod))
    assert (state.state, state.exit_code, state.reason) == ("exited", 128, "StartError")
    assert "/nothing" in state.message


async def test_images_that_can_not_be_had(machine: Machine) -> None:
    pod = machine.pod("imageless")

    async def reason(**container: str) -> tuple[str, str]:
        with pytest.raises(RuntimeFailure) as caught:
            await machine.runtime.ensure_image(pod, {"name": "main", **container})
        return caught.value.reason, caught.value.message

    pulled = await reason(image=ABSENT)
    assert pulled[0] == "ErrImagePull"
    assert pulled[1].startswith(f'rpc error: code = Unknown desc = failed to pull and unpack image "{ABSENT}"')
    never = f'Container image "{ABSENT}" is not present with pull policy of Never'
    assert await reason(image=ABSENT, imagePullPolicy="Never") == ("ErrImageNeverPull", never)
    assert (await reason(image="Bad Name"))[0] == "InvalidImageName"


async def test_images_come_and_go(machine: Machine) -> None:
    image = await machine.runtime.image_status(IMAGE)
    assert image is not None
    assert image.tags == (IMAGE,)
    assert not await machine.runtime.ensure_image({}, {"image": IMAGE, "imagePullPolicy": "IfNotPresent"})
    assert image in await machine.runtime.list_images()
    await machine.runtime.remove_image(IMAGE)
    assert await machine.runtime.image_status(IMAGE) is None
    nothing = machine.folder / "nothing.tar"
    nothing.write_bytes(b"")
    with pytest.raises(RuntimeFailure, match="InvalidImageArchive"):
        await machine.runtime.import_image(str(nothing))


async def test_an_image_with_a_short_name_is_had_by_it(machine: Machine) -> None:
    """As other tools write them into OCI archives; CRI knows full names only."""
    archive = machine.folder / "short.tar"
    archive.write_bytes(busybox_archive("busybox:short", platform.machine()))
    assert await machine.runtime.import_image(str(archive)) == ("docker.io/library/busybox:short",)
    image = await machine.runtime.image_status("busybox:short")
    assert image is not None
    assert [tag for tag in image.tags if "short" in tag] == ["docker.io/library/busybox:short"]
    assert not await machine.runtime.ensure_image({}, {"image": "busybox:short", "imagePullPolicy": "Never"})


async def test_too_much_memory_is_an_oom_kill(machine: Machine) -> None:
    limits = {"limits": {"memory": "16Mi", "cpu": "1"}}
    pod = machine.pod("hungry", shell("tail /dev/zero", resources=limits))
    await machine.start(pod)
    state = await machine.until(pod, ended)
    assert (state.exit_code, state.reason) == (137, "OOMKilled")


async def test_security_context_and_mounts_reach_the_process(machine: Machine) -> None:
    context = {
        "runAsUser": 1234,
        "runAsGroup": 2345,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    script = "id; grep -E 'CapBnd|NoNewPrivs|Seccomp:' /proc/self/status; touch /x; cat /data/file; touch /data/y"
    (machine.folder / "data").mkdir(mode=0o777)
    (machine.folder / "data" / "file").write_text("content\n")
    pod = machine.pod("safe", shell(script, securityContext=context), securityContext={"fsGroup": 3456})
    await machine.start(pod, mounts=(Mount("/data", str(machine.folder / "data"), read_only=True),))
    state = await machine.until(pod, ended)
    out = await machine.logs(state.id, stream="Stdout")
    assert "uid=1234 gid=2345 groups=2345,3456" in out
    assert "CapBnd:\t0000000000000000" in out
    assert "NoNewPrivs:\t1" in out
    assert "Seccomp:\t2" in out
    assert "content\n" in out
    assert (await machine.logs(state.id, stream="Stderr")).count("Read-only file system") == 2


async def test_what_may_not_run_as_root_does_not(machine: Machine) -> None:
    pod = machine.pod("root", shell("id", securityContext={"runAsNonRoot": True}))
    with pytest.raises(RuntimeFailure, match="image will run as root"):
        await machine.start(pod)


async def test_an_execution_that_takes_too_long_is_told_apart(machine: Machine) -> None:
    pod = machine.pod("slow", shell("sleep 7774"))
    state = await machine.start(pod)
    with pytest.raises(RuntimeFailure) as caught:
        await machine.runtime.exec_sync(pod, state.id, ["sleep", "7775"], 1)
    assert caught.value.reason == "DeadlineExceeded"


async def test_a_container_that_ignores_its_end_is_killed_after_its_grace(machine: Machine) -> None:
    pod = machine.pod("stubborn", shell("trap '' TERM; echo up; sleep 7776"))
    state = await machine.start(pod)
    log = Path(state.log_path)
    await eventually(lambda: b"up" in log.read_bytes())
    with trio.move_on_after(0.3) as scope:
        await machine.runtime.stop_container(pod, state.id, 30)
    assert scope.cancelled_caught
    with trio.fail_after(60):
        await machine.runtime.stop_container(pod, state.id, 0)
    assert (await machine.until(pod, ended)).exit_code == 137


async def test_logs_are_followed_through_a_rotation(machine: Machine) -> None:
    pod = machine.pod("talker", shell("i=0; while true; do i=$((i+1)); echo line $i; sleep 0.05; done"))
    state = await machine.start(pod)
    text = ""
    rotated = False

    async def write(piece: bytes) -> None:
        nonlocal text, rotated
        text += piece.decode()
        if text.count("\n") > 5 and not rotated:
            rotated = True
            await machine.runtime.rotate_log(state.id, Path(state.log_path))
        if text.count("\n") > 20:
            nursery.cancel_scope.cancel()

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(machine.runtime.read_logs, state.id, LogOptions(follow=True), write)
    lines = text.splitlines()
    assert lines == [f"line {number + 1}" for number in range(len(lines))]
    assert len(list(Path(state.log_path).parent.iterdir())) == 2


async def test_a_dead_sandbox_is_replaced(machine: Machine) -> None:
    pod = machine.pod("hollowed", shell("sleep 7777"))
    await machine.start(pod)
    first = (await machine.runtime.observe(pod)).sandbox_id
    await machine.runtime.stop_sandbox(pod, first)
    observed = await machine.runtime.observe(pod)
    assert not observed.sandbox_ready
    assert machine.main(observed).state == "exited"
    state = await machine.start(pod, 1)
    observed = await machine.runtime.observe(pod)
    assert observed.sandbox_ready
    assert state.sandbox_id == observed.sandbox_id != first


async def test_a_start_that_was_cut_short_is_made_good(machine: Machine) -> None:
    pod = machine.pod("cut", shell("sleep 7778"))
    await machine.start(pod)
    cut = shell("sleep 7779", name="cut")
    observed = await machine.runtime.observe(pod)
    spec = ContainerSpec(pod, {**cut, "name": "cut"}, observed.sandbox_id, "app", 0)
    started = machine.runtime._cri.asked

    async def die(reason: str, name: str, *rest: Any, **fields: Any) -> Any:
        if name == "StartContainer":
            raise RuntimeFailure(reason, "the agent died here")
        return await started(reason, name, *rest, **fields)

    machine.runtime._cri.asked = die  # type: ignore[method-assign]  # there is no other way to die just there
    with pytest.raises(RuntimeFailure):
        await machine.runtime.start_container(spec)
    machine.runtime._cri.asked = started  # type: ignore[method-assign]
    assert (await machine.runtime.observe(pod)).container("cut") is None
    await machine.runtime.start_container(spec)
    found = (await machine.runtime.observe(pod)).container("cut")
    assert found is not None
    assert found.state == "running"


async def test_a_runtime_that_dies_comes_back_with_its_containers(folder: Path) -> None:
    machine = Machine(folder)
    archive = folder / "busybox.tar"
    archive.write_bytes(busybox_archive(IMAGE, platform.machine()))
    async with trio.open_nursery() as nursery:

        async def supervised(task_status: trio.TaskStatus[None]) -> None:
            try:
                await machine.containerd.run(task_status)
            except* OSError:
                await back.wait()
                await nursery.start(machine.containerd.run)

        back = trio.Event()
        await nursery.start(supervised)
        await machine.start_runtime(nursery)
        await machine.runtime.import_image(str(archive))
        pod = machine.pod("survivor", {"name": "main", "image": IMAGE, "command": ["sleep", "7780"]})
        before = await machine.start(pod)
        os.kill(int(machine.containerd.paths.pid.read_text()), signal.SIGKILL)
        await eventually(lambda: not machine.containerd.paths.pid.exists())
        assert (await machine.runtime.health()).message == DOWN
        with pytest.raises(RuntimeFailure, match=r"connection error"):
            await machine.runtime.exec_sync(pod, before.id, ["true"], 1)
        observed: list[PodState] = []

        async def observe() -> None:
            observed.append(await machine.runtime.observe(pod))

        with trio.fail_after(60):
            async with trio.open_nursery() as waiting:
                waiting.start_soon(observe)
                await trio.sleep(0.2)
                assert not observed
                back.set()
        assert machine.main(observed[0]) == before
        assert await process("sleep 7780")
        pid = await process("sleep 7780")
        os.kill(pid, signal.SIGKILL)
        await machine.until(pod, ended)
        nursery.cancel_scope.cancel()


async def test_pods_can_be_kept_and_taken_over(folder: Path) -> None:
    keeping = Machine(folder)
    keeping.containerd.keep_pods = True
    archive = folder / "busybox.tar"
    archive.write_bytes(busybox_archive(IMAGE, platform.machine()))
    async with trio.open_nursery() as nursery:
        await nursery.start(keeping.containerd.run)
        await keeping.start_runtime(nursery)
        await keeping.runtime.import_image(str(archive))
        pod = keeping.pod("kept", {"name": "main", "image": IMAGE, "command": ["sleep", "7781"]})
        before = await keeping.start(pod)
        nursery.cancel_scope.cancel()
    assert await process("sleep 7781")
    later = Machine(folder)
    async with trio.open_nursery() as nursery:
        await nursery.start(later.containerd.run)
        await later.start_runtime(nursery)
        assert later.main(await later.runtime.observe(pod)) == before
        nursery.cancel_scope.cancel()
    assert not processes("sleep 7781")


async def test_exec_attach_and_port_forward_go_through_its_streaming_server(machine: Machine) -> None:
    pod = machine.pod("web", shell("echo ready; while read line; do echo got $line; done; sleep 7779", stdin=True))
    await machine.start(pod)
    service = PodService(lambda: [pod], machine.runtime, SystemClock())
    target = Target("default", "web", "main")

    async def said(session: Any) -> dict[int, bytes]:
        found = {STDOUT: b"", STDERR: b"", ERROR: b""}
        while (piece := await session.receive()) is not None:
            found[piece[0]] += piece[1]
            if piece[0] == ERROR:
                break
        return found

    with trio.fail_after(120):
        async with service.exec(target, ["sh", "-c", "wc -c; echo no >&2; exit 9"], Streams(stdin=True)) as session:
            for _ in range(20):
                await session.send(STDIN, b"x" * 50_000)
            await session.close_stdin()
            found = await said(session)
        assert (found[STDOUT].strip(), found[STDERR], exit_code(found[ERROR])) == (b"1000000", b"no\n", 9)

        tty = Streams(stdin=True, stderr=False, tty=True)
        async with service.exec(
            target, ["sh", "-c", "read line; until stty size | grep 40; do sleep 0.05; done"], tty
        ) as session:
            await session.send(RESIZE, b'{"Width":120,"Height":40}')
            await session.send(STDIN, b"\n")
            assert b"40 120" in (await said(session))[STDOUT]

        async with service.attach(target, Streams(stdin=True)) as session:
            await session.send(STDIN, b"hello\n")
            piece = await session.receive()
            assert piece == (STDOUT, b"got hello\n")

        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listener.socket.getsockname()[1]

        async def shout(stream: trio.SocketStream) -> None:
            async for data in stream:
                await stream.send_all(data.upper())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, shout, [listener])
            forwarding = service.port_forward(Target("default", "web"), ())
            async with forwarding as forwarder, forwarder.connect(port) as connection:
                await connection.send_all(b"quiet")
                assert await connection.receive_some(100) == b"QUIET"
                await connection.send_eof()
                assert await connection.receive_some(100) == b""
            nursery.cancel_scope.cancel()
