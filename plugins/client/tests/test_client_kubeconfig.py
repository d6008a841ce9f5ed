"""kubeconfig files, good and bad."""

import base64
from pathlib import Path

import pytest

from kubrick_client.kubeconfig import Access, load_kubeconfig
from kubrick_client.transport import Unreachable
from kubrick_kernel import ConfigurationError

GOOD = """
apiVersion: v1
kind: Config
current-context: dev
contexts:
- name: dev
  context: {cluster: here, user: me, namespace: team}
- name: other
  context: {cluster: there, user: token}
clusters:
- name: here
  cluster: {server: "https://127.0.0.1:6443/", certificate-authority: ca.pem}
- name: there
  cluster: {server: "https://there", insecure-skip-tls-verify: true, tls-server-name: real}
users:
- name: me
  user: {client-certificate-data: %s, client-key: key.pem}
- name: token
  user: {token: secret}
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "config"
    file.write_text(text)
    (folder / "ca.pem").write_text("CA")
    (folder / "key.pem").write_text("KEY")
    return file


def test_the_current_context_is_resolved_with_embedded_data_and_relative_files(tmp_path: Path) -> None:
    access = load_kubeconfig(write(tmp_path, GOOD % base64.b64encode(b"CERT").decode()))
    assert access.server == "https://127.0.0.1:6443"
    assert (access.ca, access.certificate, access.key) == ("CA", "CERT", "KEY")
    assert access.namespace == "team"
    assert access.authorization() == ""


def test_another_context_can_be_named(tmp_path: Path) -> None:
    access = load_kubeconfig(write(tmp_path, GOOD % ""), "other")
    assert access.insecure
    assert access.server_name == "real"
    assert access.authorization() == "Bearer secret"
    assert "secret" not in repr(access)


@pytest.mark.parametrize(
    ("text", "context", "says"),
    [
        ("[", "", "not YAML"),
        ("text", "", "not a kubeconfig"),
        ("contexts: 3\ncurrent-context: x", "", "not a kubeconfig"),
        ("contexts: [a]\ncurrent-context: x", "", "not a kubeconfig"),
        (
            GOOD.replace("https://127.0.0.1:6443", "127.0.0.1:6443") % "",
            "dev",
            "has no server such as https://HOST:PORT",
        ),
        ("{}", "", "no current-context"),
        (GOOD % "", "missing", "no context called 'missing'; there are: dev, other"),
        (GOOD % "'!'", "dev", "client-certificate-data is not base64"),
        (GOOD.replace("key.pem", "lost.pem") % "", "dev", "lost.pem: No such file"),
        (GOOD.replace("token: secret", "exec: {}") % "", "other", "uses exec, which is not supported"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, text: str, context: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load_kubeconfig(write(tmp_path, text), context)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)
    assert str(tmp_path / "config") in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nothing: No such file"):
        load_kubeconfig(tmp_path / "nothing")


def test_certificates_that_are_none_are_said_in_one_line() -> None:
    with pytest.raises(ConfigurationError, match=r"kubeconfig for https://here: .* cannot be used"):
        Access("https://here", ca="no PEM").tls()
    with pytest.raises(ConfigurationError, match=r"kubeconfig for https://here: .* cannot be used"):
        Access("https://here", certificate="no PEM", key="none").tls()


def test_a_lost_token_file_is_waited_for(tmp_path: Path) -> None:
    access = Access("https://here", token_file=str(tmp_path / "token"))
    with pytest.raises(Unreachable, match="No such file"):
        access.authorization()
    (tmp_path / "token").write_text("t\n")
    assert access.authorization() == "Bearer t"
