"""Volumes in folders of the test's own, as whoever runs the tests."""

import os
import threading
from base64 import b64encode
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from kubrick_kernel import TrioClock
from kubrick_node.volumes import Mounted, Reference, VolumeFailure, VolumeJob, mounting
from kubrick_node.volumes.atomic import DATA, BadPath, File, check_path, write_files
from kubrick_node.volumes.kinds import check_host_path, memory_size, standard_kinds
from kubrick_node.volumes.payload import entries
from kubrick_node.volumes.subpath import open_beneath

POD = {
    "metadata": {"name": "web", "namespace": "team", "uid": "u1", "labels": {"app": "web"}},
    "spec": {"serviceAccountName": "robot", "containers": [{"name": "web"}]},
}


class Sources:
    """What volumes are told, by a test."""

    def __init__(self):
        self.maps = {}
        self.secrets = {}
        self.tokens = 0
        self.allocatable = {"memory": "1Gi"}

    async def config_map(self, namespace, name):
        return self.maps.get((namespace, name))

    async def secret(self, namespace, name):
        return self.secrets.get((namespace, name))

    async def token(self, pod, audience, seconds):
        self.tokens += 1
        return f"token-{self.tokens}-{audience}-{seconds}", trio.current_time() + seconds * 0.8


@pytest.fixture
def sources():
    return Sources()


@pytest.fixture(autouse=True)
def no_mounts(monkeypatch):
    """Memory-backed volumes are plain folders here; tests/root has the real ones."""
    monkeypatch.setattr(mounting, "can_mount", lambda: False)


def config_map(**data):
    return {"kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "team"}, "data": data}


async def set_up(tmp_path, sources, pod=POD, **volume):
    made = {"name": "v", **volume}
    plugin = next(one for one in standard_kinds(TrioClock()) if one.supports(made))
    directory = tmp_path / "v"
    directory.mkdir(exist_ok=True)
    return plugin, await plugin.set_up(VolumeJob(pod, made, directory, sources))


def shown(directory):
    """What a user of the volume finds, through its links."""
    found = {}
    for top, _, files in os.walk(directory, followlinks=True):
        for name in files:
            path = Path(top, name).relative_to(directory)
            if not path.parts[0].startswith(".."):
                found[str(path)] = (directory / path).read_text()
    return found


async def test_a_config_map_shows_its_entries_through_links(tmp_path, sources):
    sources.maps["team", "settings"] = config_map(colour="blue", size="xl")
    _, mounted = await set_up(tmp_path, sources, configMap={"name": "settings"})
    assert shown(mounted.path) == {"colour": "blue", "size": "xl"}
    assert os.readlink(mounted.path / "colour") == "..data/colour"
    assert (mounted.path / "colour").stat().st_mode & 0o777 == 0o644
    assert mounted.live


async def test_items_paths_and_modes_are_respected(tmp_path, sources):
    sources.maps["team", "settings"] = config_map(colour="blue", size="xl")
    items = [{"key": "colour", "path": "deep/er/c", "mode": 0o400}]
    _, mounted = await set_up(tmp_path, sources, configMap={"name": "settings", "items": items, "defaultMode": 0o600})
    assert shown(mounted.path) == {"deep/er/c": "blue"}
    assert os.readlink(mounted.path / "deep") == "..data/deep"
    assert (mounted.path / "deep/er/c").stat().st_mode & 0o777 == 0o400


async def test_a_change_swaps_everything_and_leaves_nothing_old(tmp_path, sources):
    sources.maps["team", "settings"] = config_map(a="1", b="1")
    _, mounted = await set_up(tmp_path, sources, configMap={"name": "settings"})
    first = os.readlink(mounted.path / DATA)
    await set_up(tmp_path, sources, configMap={"name": "settings"})
    assert os.readlink(mounted.path / DATA) == first
    sources.maps["team", "settings"] = config_map(b="2", c="2")
    await set_up(tmp_path, sources, configMap={"name": "settings"})
    assert shown(mounted.path) == {"b": "2", "c": "2"}
    names = {path.name for path in mounted.path.iterdir()}
    assert names == {DATA, os.readlink(mounted.path / DATA), "b", "c"}


async def test_what_is_missing_is_said_and_may_be_optional(tmp_path, sources):
    with pytest.raises(VolumeFailure, match=r'^configmap "settings" not found$'):
        await set_up(tmp_path, sources, configMap={"name": "settings"})
    with pytest.raises(VolumeFailure, match=r'^secret "keys" not found$'):
        await set_up(tmp_path, sources, secret={"secretName": "keys"})
    _, mounted = await set_up(tmp_path, sources, configMap={"name": "settings", "optional": True})
    assert shown(mounted.path) == {}
    sources.maps["team", "settings"] = config_map(a="1")
    items = [{"key": "nope", "path": "nope"}]
    with pytest.raises(VolumeFailure, match=r"^references non-existent config key: nope$"):
        await set_up(tmp_path, sources, configMap={"name": "settings", "items": items})


async def test_secrets_are_decoded(tmp_path, sources):
    data = {"key": b64encode(b"\x00s3cret").decode()}
    sources.secrets["team", "keys"] = {"kind": "Secret", "data": data}
    plugin, mounted = await set_up(tmp_path, sources, secret={"secretName": "keys", "defaultMode": 0o400})
    assert (mounted.path / "key").read_bytes() == b"\x00s3cret"
    await plugin.tear_down(mounted.path)
    assert not mounted.path.exists()


async def test_a_projection_joins_its_sources_and_refreshes_with_the_token(tmp_path, sources, autojump_clock):
    sources.maps["team", "ca"] = {"kind": "ConfigMap", "data": {"ca.crt": "PEM"}}
    projected = {
        "sources": [
            {"serviceAccountToken": {"path": "token", "expirationSeconds": 1000, "audience": "api"}},
            {"configMap": {"name": "ca", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
        ]
    }
    plugin, mounted = await set_up(tmp_path, sources, projected=projected)
    assert shown(mounted.path) == {"token": "token-1-api-1000", "ca.crt": "PEM", "namespace": "team"}
    assert mounted.refresh_at == trio.current_time() + 800
    assert plugin.references({"projected": projected}) == [Reference("ConfigMap", "ca")]


async def test_the_downward_api_follows_the_pod(tmp_path, sources):
    items = [
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "memory", "resourceFieldRef": {"containerName": "web", "resource": "limits.memory", "divisor": "1Mi"}},
    ]
    _, mounted = await set_up(tmp_path, sources, downwardAPI={"items": items})
    assert shown(mounted.path) == {"labels": 'app="web"', "memory": "1024"}
    changed = {**POD, "metadata": {**POD["metadata"], "labels": {"app": "db"}}}
    await set_up(tmp_path, sources, pod=changed, downwardAPI={"items": items})
    assert shown(mounted.path)["labels"] == 'app="db"'


async def test_an_empty_dir_is_anybodys_and_survives_another_set_up(tmp_path, sources):
    plugin, mounted = await set_up(tmp_path, sources, emptyDir={})
    assert mounted.path.stat().st_mode & 0o777 == 0o777
    (mounted.path / "kept").write_text("x")
    (mounted.path).chmod(0o700)
    await set_up(tmp_path, sources, emptyDir={})
    assert shown(mounted.path) == {"kept": "x"}
    assert mounted.path.stat().st_mode & 0o777 == 0o700
    await plugin.tear_down(mounted.path)
    assert list(tmp_path.iterdir()) == []


def test_memory_is_bounded_by_the_least_of_three():
    pod = {"spec": {"containers": [{"resources": {"limits": {"memory": "64Mi"}}}]}}
    assert memory_size(pod, {"sizeLimit": "1Mi"}, {"memory": "1Gi"}) == 1 << 20
    assert memory_size(pod, {}, {"memory": "1Gi"}) == 64 << 20
    assert memory_size({"spec": {"containers": [{}]}}, {}, {"memory": "1Gi"}) == 1 << 30


def test_host_paths_are_what_they_say(tmp_path):
    check_host_path(tmp_path / "new" / "deep", "DirectoryOrCreate")
    check_host_path(tmp_path / "file", "FileOrCreate")
    check_host_path(tmp_path / "new", "Directory")
    check_host_path(tmp_path / "anything", "")
    check_host_path(Path("/dev/null"), "CharDevice")
    for path, kind, words in (
        ("new", "File", "is not a file"),
        ("file", "Directory", "is not a directory"),
        ("file", "Socket", "is not a socket file"),
        ("nope", "File", "is not a file$"),
        ("nope", "Directory", "is not a directory$"),
    ):
        with pytest.raises(VolumeFailure, match=f"hostPath type check failed: .*{words}"):
            check_host_path(tmp_path / path, kind)


async def test_a_host_path_is_never_taken_down(tmp_path, sources):
    (tmp_path / "host").mkdir()
    plugin, mounted = await set_up(tmp_path, sources, hostPath={"path": str(tmp_path / "host"), "type": "Directory"})
    assert mounted == Mounted(tmp_path / "host")
    await plugin.tear_down(tmp_path / "v")
    assert (tmp_path / "host").exists()


@pytest.mark.parametrize("path", ["", "/etc", "../up", "a/../../b", "..data", "..2026/x"])
def test_a_path_that_would_leave_the_volume_is_refused(path):
    with pytest.raises(BadPath):
        check_path(path)


NAMES = st.sampled_from(["a", "b", "c/d", "c/e", "f/g/h"])
CONTENTS = st.dictionaries(NAMES, st.binary(max_size=8), max_size=4)


@settings(max_examples=30, deadline=None)
@given(st.lists(CONTENTS, min_size=1, max_size=5))
def test_after_any_changes_the_folder_shows_the_last(tmp_path_factory, versions):
    directory = tmp_path_factory.mktemp("volume")
    for index, version in enumerate(versions):
        write_files(directory, {name: File(data) for name, data in version.items()}, f"s{index}")
    found = {
        str(path.relative_to(directory / DATA)): path.read_bytes()
        for path in (directory / DATA).rglob("*")
        if path.is_file()
    }
    assert found == versions[-1]
    assert {path.name for path in directory.iterdir() if not path.name.startswith("..")} == {
        name.partition("/")[0] for name in versions[-1]
    }
    assert len([path for path in directory.iterdir() if path.name.startswith("..") and path.name != DATA]) == 1


def test_readers_never_see_old_and_new_together(tmp_path):
    """Readers open the folder behind ..data once and read all of it, as programs that watch it do."""
    directory = tmp_path / "volume"
    directory.mkdir()
    names = [f"file-{n}" for n in range(5)]

    def write(version):
        write_files(directory, {name: File(str(version).encode() * 50) for name in names}, f"v{version}")

    write(0)
    mixed, reads, done = [], [0], threading.Event()

    def read():
        while not done.is_set():
            try:
                folder = os.open(directory / DATA, os.O_RDONLY)
            except FileNotFoundError:
                # What the link led to may be gone by now; the link itself never is.
                if not os.path.lexists(directory / DATA):
                    mixed.append("no ..data")
                continue
            try:
                contents = set()
                for name in names:
                    file = os.open(name, os.O_RDONLY, dir_fd=folder)
                    with open(file, "rb") as opened:
                        contents.add(opened.read())
            except FileNotFoundError:
                continue  # the folder was replaced and removed meanwhile: the reader looks again
            finally:
                os.close(folder)
            reads[0] += 1
            if len(contents) != 1:
                mixed.append(contents)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for version in range(1, 200):
        write(version)
    done.set()
    for reader in readers:
        reader.join()
    assert mixed == []
    assert reads[0] > 0


def test_binary_entries_and_text_stand_together():
    obj = {"kind": "ConfigMap", "data": {"a": "é"}, "binaryData": {"b": b64encode(b"\xff").decode()}}
    files = entries("configmap", {"name": "x"}, obj, 0o600)
    assert {name: file.data for name, file in files.items()} == {"a": "é".encode(), "b": b"\xff"}


def resolved(volume, path):
    descriptor = open_beneath(volume, path)
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def test_a_subpath_stays_in_its_volume(tmp_path):
    volume, secret = tmp_path / "volume", tmp_path / "secret"
    volume.mkdir()
    secret.mkdir()
    (volume / "in").mkdir()
    (volume / "link").symlink_to("in")
    (volume / "out").symlink_to("../secret")
    (volume / "away").symlink_to(secret)
    (volume / "nowhere").symlink_to("nothing")
    assert resolved(volume, "in") == str(volume / "in")
    assert resolved(volume, "link") == str(volume / "in")
    assert resolved(volume, "") == str(volume)
    for path in ("out", "away", "out/x", "../secret", "/etc"):
        with pytest.raises(VolumeFailure, match="not within volume path"):
            open_beneath(volume, path)
    with pytest.raises(VolumeFailure, match="leads nowhere"):
        open_beneath(volume, "nowhere")
    assert list(secret.iterdir()) == []


def test_missing_folders_of_a_subpath_are_made(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "l").symlink_to("a")
    assert resolved(tmp_path, "l/b/c") == str(tmp_path / "a/b/c")
    assert (tmp_path / "a/b").stat().st_mode & 0o777 == 0o750


def test_mounts_below_a_folder_are_found_deepest_first():
    lines = ["1 1 8:1 / / rw - ext4 x rw", "2 1 0:1 / /a/b rw - tmpfs t rw", "3 2 0:2 / /a/b/c\\040d rw - tmpfs t rw"]
    lines.append("4 1 0:3 / /a/bc rw - tmpfs t rw")
    assert mounting.mounts_below(Path("/a/b"), "\n".join(lines)) == ["/a/b/c d", "/a/b"]
