"""The shim and the socket: a runtime starts a file and never knows."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trio

from kubrick_kernel import ConfigurationError, Kernel, hookimpl
from kubrick_network import CNIPlugin, Plugins, nft
from kubrick_network.service import Network, parse_call, serve
from kubrick_network.shim import install, source
from kubrick_network.testing import Fake, network_alone

ENVIRONMENT = {
    "CNI_COMMAND": "ADD",
    "CNI_CONTAINERID": "box",
    "CNI_NETNS": "/run/netns/box",
    "CNI_IFNAME": "eth0",
    "CNI_PATH": "/opt/cni/bin",
    "HOME": "/not-sent",
}
CONFIG = json.dumps({"cniVersion": "1.0.0", "name": "net", "type": "fake", "padding": "x" * 200_000}).encode()


async def run(file: Path, environment: dict[str, str] = ENVIRONMENT) -> tuple[int, Any]:
    done = await trio.run_process([str(file)], stdin=CONFIG, env=environment, capture_stdout=True, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else None


async def test_a_call_goes_through_the_shim_to_the_agent_and_back(tmp_path: Path, nursery: trio.Nursery) -> None:
    fake, socket = Fake(), tmp_path / "run" / "agent.sock"
    await nursery.start(serve, socket, Plugins([fake]).serve)
    install(tmp_path / "bin", ["fake"], str(socket), {})
    code, result = await run(tmp_path / "bin" / "fake")
    assert (code, result["ips"][0]["address"]) == (0, "192.0.2.2/24")
    assert len(fake.requests[0].config["padding"]) == 200_000
    code, error = await run(tmp_path / "bin" / "fake", ENVIRONMENT | {"CNI_COMMAND": "FLY"})
    assert (code, error["code"]) == (1, 4)
    assert await run(tmp_path / "bin" / "fake", ENVIRONMENT | {"CNI_COMMAND": "DEL"}) == (0, None)
    nursery.cancel_scope.cancel()


async def test_many_calls_at_once_are_all_answered(tmp_path: Path, nursery: trio.Nursery) -> None:
    socket = tmp_path / "agent.sock"
    await nursery.start(serve, socket, Plugins([Fake()]).serve)
    install(tmp_path / "bin", ["fake"], str(socket), {})
    found: list[str] = []

    async def one(number: int) -> None:
        code, result = await run(tmp_path / "bin" / "fake", ENVIRONMENT | {"CNI_CONTAINERID": f"box{number}"})
        assert code == 0
        found.append(result["ips"][0]["address"])

    async with trio.open_nursery() as callers:
        for number in range(12):
            callers.start_soon(one, number)
    assert len(found) == 12
    nursery.cancel_scope.cancel()


async def test_without_an_agent_the_shim_says_try_again(tmp_path: Path) -> None:
    install(tmp_path / "bin", ["fake"], str(tmp_path / "agent.sock"), {})
    code, error = await run(tmp_path / "bin" / "fake")
    assert (code, error["code"], error["msg"]) == (1, 11, "the node agent does not answer")
    assert "agent.sock" in error["details"]


async def test_nonsense_on_the_socket_is_dropped_and_the_next_call_answered(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    socket = tmp_path / "agent.sock"
    await nursery.start(serve, socket, Plugins([Fake()]).serve)
    async with await trio.open_unix_socket(str(socket)) as stream:
        await stream.send_all(b"GET / HTTP/1.1")
        stream.socket.shutdown(trio.socket.SHUT_WR)
        assert await stream.receive_some(100) == b""
    install(tmp_path / "bin", ["fake"], str(socket), {})
    assert (await run(tmp_path / "bin" / "fake"))[0] == 0
    nursery.cancel_scope.cancel()


def test_what_the_shim_sends_is_read_back() -> None:
    assert parse_call(b"bridge\0CNI_A=1=2\0CNI_B=\0\0{\0}") == ("bridge", {"CNI_A": "1=2", "CNI_B": ""}, b"{\0}")
    assert parse_call(b"bridge\0\0") == ("bridge", {}, b"")
    with pytest.raises(ValueError, match="not what the shim sends"):
        parse_call(b"bridge")


def test_a_folder_of_shims_is_kept_in_order(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("#!/bin/sh\n")
    install(tmp_path / "bin", ["a", "b"], "/run/x.sock", {})
    (tmp_path / "bin" / "other").write_text("somebody else's")
    install(tmp_path / "bin", ["b"], "/run/x.sock", {"a": str(theirs)})
    files = {file.name: os.path.realpath(file) == str(theirs) for file in (tmp_path / "bin").iterdir()}
    assert files == {"a": True, "b": False, "other": False}
    install(tmp_path / "bin", ["a", "b"], "/run/x.sock", {})
    assert not (tmp_path / "bin" / "a").is_symlink()
    assert theirs.read_text() == "#!/bin/sh\n"


def test_an_interpreter_with_a_long_path_is_started_by_the_shell(tmp_path: Path) -> None:
    import sys

    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    (folder / "python").symlink_to(os.path.realpath(sys.executable))
    file = tmp_path / "fake"
    file.write_text(source("/nowhere.sock", str(folder / "python")))
    file.chmod(0o755)
    done = subprocess.run([file], input=b"{}", capture_output=True)
    assert json.loads(done.stdout)["code"] == 11


def test_a_socket_path_the_kernel_can_not_hold_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"set a shorter one: \[plugins.network\] socket"):
        source("/x" * 60, "/usr/bin/python3")


class Brick:
    """A plugin that answers the hook."""

    @hookimpl
    def kubrick_register_cni(self, kernel: Kernel) -> Sequence[CNIPlugin]:
        return [Fake("mine")]


def make_kernel(tmp_path: Path, **settings: Any) -> Kernel:
    return network_alone(data_dir=tmp_path, extra={"brick": Brick()}, settings=settings)


async def test_the_component_prepares_what_a_runtime_reads_and_answers_it(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    kernel = make_kernel(tmp_path, pod_cidrs=["10.9.0.0/24"])
    await nursery.start(kernel.run)
    network = kernel.find(Network)
    assert network.plugins.names == ["mine"]
    (file,) = network.conf_dir.iterdir()
    document = json.loads(file.read_text())
    assert document["plugins"][0]["ipam"]["ranges"] == [[{"subnet": "10.9.0.0/24"}]]
    assert (await run(network.bin_dir / "mine"))[0] == 0
    kernel.shutdown()


async def test_a_program_named_as_standard_that_is_nowhere_stops_the_start(tmp_path: Path) -> None:
    kernel = make_kernel(tmp_path, standard=["mine"], program_dirs=["/nowhere"])
    with pytest.raises(ConfigurationError, match="standard: failed to find plugin 'mine'"):
        await kernel.run()


async def test_a_program_named_as_standard_lies_in_the_folder(tmp_path: Path, nursery: trio.Nursery) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "mine").write_text('#!/bin/sh\necho \'{"cniVersion":"1.0.0"}\'\n')
    (programs / "mine").chmod(0o755)
    kernel = make_kernel(tmp_path, standard=["mine"], program_dirs=[str(programs)])
    await nursery.start(kernel.run)
    assert await run(kernel.find(Network).bin_dir / "mine") == (0, {"cniVersion": "1.0.0"})
    kernel.shutdown()


def test_a_machine_without_the_library_for_rules_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = make_kernel(tmp_path)
    assert not kernel.plugins.obstacles(kernel.composition)
    monkeypatch.setattr(nft, "LIBRARY", "libnftables.so.none")
    nft.load.cache_clear()
    assert kernel.plugins.obstacles(kernel.composition) == ["libnftables.so.none can't be loaded; install nftables"]
