"""What the API server adds to the kubrick command: the kubeconfig's path, and a check of the port."""

import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from kubrick_apiserver import kubrick_register_checks, kubrick_register_commands
from kubrick_apiserver.command import kubeconfig
from kubrick_kernel import Composition, ConfigurationError, Kernel


def test_the_kubeconfigs_path_is_printed(tmp_path: Path) -> None:
    (tmp_path / "admin.kubeconfig").write_text("")
    done = CliRunner().invoke(kubeconfig, ["--data-dir", str(tmp_path)])
    assert done.output == f"{tmp_path}/admin.kubeconfig\n"
    assert [command.name for command in kubrick_register_commands()] == ["kubeconfig"]


def test_before_the_first_start_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="`kubrick up` makes it when the cluster first starts"):
        CliRunner().invoke(kubeconfig, ["--data-dir", str(tmp_path)], catch_exceptions=False)


def test_the_check_finds_a_busy_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"

        def problems(address: str) -> list[str]:
            settings = {"apiserver": {"listen": address}}
            return list(kubrick_register_checks(Kernel(Composition(profile="api", store="memory", plugins=settings))))

        assert problems("127.0.0.1:0") == []
        assert problems("") == []
        for nowhere in ("ä..b:1", f"{'a' * 300}:1"):
            (problem,) = problems(nowhere)
            assert problem.startswith(f"apiserver: cannot listen on {nowhere}: no such address")
        (problem,) = problems(listen)
        assert problem.startswith(f"apiserver: cannot listen on {listen}: another program is using this port")


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("max_request_bytes", -1, "'max_request_bytes' must be > 0: -1"),
        ("request_timeout", float("nan"), "'request_timeout' must be > 0: nan"),
        ("advertise_address", "here", "advertise_address: 'here' is not an IP address"),
        ("certificate_names", ["a b"], "certificate_names: 'a b' is neither a DNS name nor an address"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(key: str, value: Any, what: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Kernel(Composition(profile="api", store="memory", plugins={"apiserver": {key: value}}))
    assert str(caught.value) == f"the composition: [plugins.apiserver]: {what}"


def test_a_server_without_the_core_group_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="nothing works without plugin 'api-core'"):
        Kernel(Composition(profile="api", store="memory", disable=("api-core",)))
