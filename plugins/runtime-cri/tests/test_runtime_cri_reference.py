"""Image names, pull policies and pull secrets."""

import base64
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from kubrick_runtime_cri.archive import busybox_archive, image_names, oci_archive
from kubrick_runtime_cri.containerd import Paths, mounts_below, render
from kubrick_runtime_cri.reference import BadReference, credentials, normalize, pull_policy

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1", "docker.io/library/busybox:1"),
        ("me/app", "docker.io/me/app:latest"),
        ("localhost/app:2", "localhost/app:2"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("registry.k8s.io/pause:3.9", "registry.k8s.io/pause:3.9"),
        ("index.docker.io/x", "docker.io/library/x:latest"),
        (f"busybox@{DIGEST}", f"docker.io/library/busybox@{DIGEST}"),
        (f"a.b/c/d:1@{DIGEST}", f"a.b/c/d:1@{DIGEST}"),
    ],
)
def test_names_are_completed(name: str, full: str) -> None:
    assert normalize(name) == full


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "invalid reference format"),
        ("-x", "invalid reference format"),
        ("a b", "invalid reference format"),
        ("Busybox", "repository name (library/Busybox) must be lowercase"),
        ("a.b/C:1", "repository name (C) must be lowercase"),
        ("x:", "invalid reference format"),
        ("f" * 64, "cannot specify 64-byte hexadecimal strings"),
    ],
)
def test_bad_names_are_told_apart(name: str, problem: str) -> None:
    with pytest.raises(BadReference) as caught:
        normalize(name)
    assert problem in str(caught.value)


def test_the_pull_policy_is_the_api_servers_default() -> None:
    assert pull_policy({"image": "a:1"}) == "IfNotPresent"
    assert pull_policy({"image": "a:latest", "imagePullPolicy": "Never"}) == "Never"
    assert pull_policy({"image": "localhost:5000/a"}) == "Always"
    assert pull_policy({"image": "a:latest"}) == "Always"
    assert pull_policy({"image": f"a@{DIGEST}"}) == "IfNotPresent"


def secret(auths: Any, kind: str = "kubernetes.io/dockerconfigjson") -> dict[str, Any]:
    key, content = (".dockerconfigjson", {"auths": auths}) if kind.endswith("json") else (".dockercfg", auths)
    return {"type": kind, "data": {key: base64.b64encode(json.dumps(content).encode()).decode()}}


def both(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_the_most_specific_credential_comes_first() -> None:
    auths = {
        "https://r.io": both("a", "1"),
        "r.io/team": {"username": "b", "password": "2"},
        "other.io": both("c", "3"),
    }
    assert credentials("r.io/team/app:1", [secret(auths)]) == [
        {"username": "b", "password": "2"},
        {"username": "a", "password": "1"},
    ]
    assert credentials("r.io/else:1", [secret(auths)]) == [{"username": "a", "password": "1"}]


def test_docker_hub_goes_by_its_old_names_and_registries_by_patterns() -> None:
    hub = secret({"https://index.docker.io/v1/": both("me", "p:w")}, "kubernetes.io/dockercfg")
    assert credentials("docker.io/library/x:1", [hub]) == [{"username": "me", "password": "p:w"}]
    wild = secret({"*.r.io:5000": {"identitytoken": "t"}})
    assert credentials("eu.r.io:5000/x:1", [wild]) == [{"identity_token": "t"}]
    assert credentials("eu.r.io/x:1", [wild]) == []
    assert credentials("a.eu.r.io:5000/x:1", [wild]) == []


@pytest.mark.parametrize("data", [{}, {".dockerconfigjson": "!"}, {".dockerconfigjson": "W10="}])
def test_a_secret_that_can_not_be_read_is_passed_over(data: dict[str, str]) -> None:
    assert credentials("r.io/x:1", [{"type": "kubernetes.io/dockerconfigjson", "data": data}, {"type": "Opaque"}]) == []


def test_an_archive_knows_its_names(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(oci_archive("web:1", {"/bin/web": b"x", "/bin/sh": "web"}, machine="x86_64"))
    assert image_names(str(path)) == {"docker.io/library/web:1": "web:1"}
    docker = io.BytesIO()
    with tarfile.open(fileobj=docker, mode="w:gz") as archive:
        content = json.dumps([{"RepoTags": ["a:1", "b.c/d:2"]}]).encode()
        entry = tarfile.TarInfo("manifest.json")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    path.write_bytes(docker.getvalue())
    assert image_names(str(path)) == {"docker.io/library/a:1": "a:1", "b.c/d:2": "b.c/d:2"}


@pytest.mark.parametrize("content", [b"", b"nothing", b"\0" * 10240])
def test_what_is_no_archive_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(content)
    with pytest.raises(ValueError):
        image_names(str(path))


def test_the_same_files_make_the_same_archive() -> None:
    assert busybox_archive("a:1", "x86_64") == busybox_archive("a:1", "x86_64")


def test_containerd_is_configured_below_one_folder() -> None:
    text = render(Paths(Path('/da"ta/containerd')), restrict_oom_score=True)
    assert 'root = "/da\\"ta/containerd/root"' in text
    assert "restrict_oom_score_adj = true" in text
    assert 'sandbox_image = "kubrick.dev/pause:1"' in text
    assert "io.containerd.snapshotter.v1.overlayfs" not in text


def test_mounts_are_found_below_a_folder_the_deepest_first() -> None:
    lines = [
        "1 0 0:1 / / rw - ext4 /dev/x rw",
        "2 1 0:2 / /d/state/a rw - tmpfs t rw",
        "3 2 0:3 / /d/state/a/b\\040c rw - tmpfs t rw",
        "4 1 0:4 / /data rw - tmpfs t rw",
    ]
    assert mounts_below("/d", lines) == ["/d/state/a/b c", "/d/state/a"]
