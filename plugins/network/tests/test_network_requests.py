"""Calls as runtimes make them: what is wrong is said with CNI's codes."""

import json
from typing import Any

import pytest

from kubrick_network import CNIError, Plugins
from kubrick_network.request import environment_of, parse_args, parse_request
from kubrick_network.testing import Fake

ENVIRONMENT = {
    "CNI_COMMAND": "ADD",
    "CNI_CONTAINERID": "box",
    "CNI_NETNS": "/run/netns/box",
    "CNI_IFNAME": "eth0",
    "CNI_ARGS": "K8S_POD_NAME=web;IgnoreUnknown=1",
    "CNI_PATH": "/opt/cni/bin:/usr/lib/cni",
}
CONFIG = {"cniVersion": "1.0.0", "name": "net", "type": "fake"}


def serve(config: Any = None, **environment: str) -> tuple[int, Any]:
    stdin = config if isinstance(config, bytes) else json.dumps(CONFIG | (config or {})).encode()
    code, output = Plugins([Fake()]).serve("fake", ENVIRONMENT | environment, stdin)
    return code, json.loads(output) if output else None


def test_a_request_is_read_from_environment_and_stdin_and_written_back() -> None:
    request = parse_request(ENVIRONMENT, json.dumps(CONFIG).encode())
    assert (request.command, request.attachment, request.netns) == ("ADD", ("box", "eth0"), "/run/netns/box")
    assert request.args == {"K8S_POD_NAME": "web", "IgnoreUnknown": "1"}
    assert request.path == ("/opt/cni/bin", "/usr/lib/cni")
    assert environment_of(request) == ENVIRONMENT


def test_add_answers_with_a_result_of_the_configurations_version() -> None:
    for version in ("0.3.1", "1.0.0", "1.1.0"):
        code, result = serve({"cniVersion": version})
        assert code == 0
        assert result["cniVersion"] == version
        assert result["ips"][0]["address"] == "192.0.2.2/24"
        assert ("version" in result["ips"][0]) is (version == "0.3.1")


def test_delete_answers_with_nothing() -> None:
    assert serve(CNI_COMMAND="DEL", CNI_NETNS="") == (0, None)


def test_version_needs_no_more_than_the_command() -> None:
    code, output = Plugins([Fake()]).serve("fake", {"CNI_COMMAND": "VERSION"}, b"")
    assert code == 0
    assert json.loads(output)["supportedVersions"] == ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]


@pytest.mark.parametrize(
    ("environment", "config", "code", "message"),
    [
        ({"CNI_COMMAND": ""}, {}, 4, "required env variables [CNI_COMMAND] missing"),
        ({"CNI_COMMAND": "MOVE"}, {}, 4, "unknown CNI_COMMAND: MOVE"),
        ({"CNI_NETNS": "", "CNI_IFNAME": ""}, {}, 4, "required env variables [CNI_NETNS,CNI_IFNAME] missing"),
        ({"CNI_CONTAINERID": "../etc"}, {}, 4, "invalid characters in containerID '../etc'"),
        ({"CNI_IFNAME": "a-name-far-too-long"}, {}, 4, "interface name 'a-name-far-too-long' is too long"),
        ({"CNI_IFNAME": "a/b"}, {}, 4, "interface name 'a/b' is invalid"),
        ({"CNI_ARGS": "x"}, {}, 4, "CNI_ARGS: invalid pair 'x'"),
        ({}, b"{", 6, "the network configuration on stdin is no JSON"),
        ({}, b"[]", 6, "the network configuration on stdin is no JSON object"),
        ({}, {"name": ""}, 7, "missing network name"),
        ({}, {"name": "a/b"}, 7, "invalid characters found in network name 'a/b'"),
        ({}, {"ipam": 3}, 7, "ipam must be an object, not 3"),
        ({}, {"cniVersion": "0.2.0"}, 1, "incompatible CNI versions"),
        ({}, {"cniVersion": "new"}, 1, "cniVersion 'new' is not of the form 1.0.0"),
        ({"CNI_COMMAND": "CHECK"}, {"cniVersion": "0.3.1"}, 1, "config version does not allow CHECK"),
        ({"CNI_COMMAND": "GC"}, {}, 1, "config version does not allow GC"),
        ({"CNI_COMMAND": "GC"}, {"cniVersion": "1.1.0"}, 7, "GC needs the list cni.dev/valid-attachments"),
        ({"CNI_NETNS": "/proc/self/ns/net"}, {}, 8, "plugin's netns and netns from CNI_NETNS should not be the same"),
        ({}, {"prevResult": {"ips": [{}]}}, 6, "the result is not one CNI defines"),
    ],
)
def test_what_is_wrong_is_said_with_its_code(environment: dict[str, str], config: Any, code: int, message: str) -> None:
    status, error = serve(config, **environment)
    assert status == 1
    assert (error["code"], error["msg"]) == (code, message)


def test_a_plugin_the_agent_does_not_have_is_named_beside_those_it_has() -> None:
    code, output = Plugins([Fake()]).serve("weave", ENVIRONMENT, json.dumps(CONFIG).encode())
    assert code == 1
    assert json.loads(output)["details"] == "there are: fake"


def test_a_plugins_bug_is_an_internal_error() -> None:
    class Broken(Fake):
        def add(self, request: Any) -> Any:
            raise ZeroDivisionError("oops")

    code, output = Plugins([Broken()]).serve("fake", ENVIRONMENT, json.dumps(CONFIG).encode())
    assert code == 1
    assert json.loads(output)["code"] == 999


def test_arguments_are_pairs() -> None:
    assert parse_args("") == {}
    with pytest.raises(CNIError):
        parse_args("a=1;;b=2")
