"""Volumes as root has them: memory, groups, bind mounts; and the cgroups of pods."""

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from kubrick_kernel import TrioClock
from kubrick_node.cgroups import ROOT, Cgroups
from kubrick_node.volumes import VolumeFailure, VolumeJob, mounting
from kubrick_node.volumes.kinds import standard_kinds
from kubrick_node.volumes.subpath import bind_subpath

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts, owners, cgroups"),
]
Object = dict[str, Any]
GROUP = 4711


class Sources:
    allocatable = {"memory": "64Mi"}  # noqa: RUF012 -- never changed

    async def config_map(self, namespace: str, name: str) -> Object | None:
        return {"kind": "ConfigMap", "data": {"colour": "blue"}}

    async def secret(self, namespace: str, name: str) -> Object | None:
        return {"kind": "Secret", "data": {"key": "czNjcmV0"}}

    async def token(self, pod: Object, audience: str, seconds: int) -> tuple[str, float]:
        return "token", trio.current_time() + seconds


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder whose mounts are gone afterwards, whatever happens."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name).resolve()
        try:
            yield place
        finally:
            for point in mounting.mounts_below(place):
                mounting.unmount(point)


async def set_up(place: Path, pod: Object | None = None, **volume: Any) -> tuple[Any, Path]:
    made = {"name": "v", **volume}
    plugin = next(one for one in standard_kinds(TrioClock()) if one.supports(made))
    directory = place / "v"
    directory.mkdir(exist_ok=True)
    pod = pod or {"metadata": {"name": "web", "namespace": "team", "uid": "u"}, "spec": {"containers": [{}]}}
    group = pod["spec"].get("securityContext", {}).get("fsGroup")
    user = pod["spec"].get("securityContext", {}).get("runAsUser")
    return plugin, (await plugin.set_up(VolumeJob(pod, made, directory, Sources(), group, user))).path


def pod_of(group: int, user: int | None = None) -> Object:
    context: Object = {"fsGroup": group, **({"runAsUser": user} if user else {})}
    return {
        "metadata": {"name": "web", "namespace": "team", "uid": "u"},
        "spec": {"securityContext": context, "containers": [{"name": "web"}]},
    }


async def test_memory_is_memory_of_the_size_asked_for(place: Path) -> None:
    plugin, path = await set_up(place, emptyDir={"medium": "Memory", "sizeLimit": "1Mi"})
    assert os.path.ismount(path)
    with pytest.raises(OSError, match="No space left"):
        (path / "big").write_bytes(bytes(2 << 20))
    (path / "big").unlink()
    (path / "small").write_text("x")
    await set_up(place, emptyDir={"medium": "Memory", "sizeLimit": "1Mi"})
    assert (path / "small").read_text() == "x"
    await plugin.tear_down(path)
    assert not path.exists()
    assert mounting.mounts_below(place) == []


async def test_secrets_never_reach_a_disk(place: Path) -> None:
    plugin, path = await set_up(place, secret={"secretName": "keys", "defaultMode": 0o400})
    assert os.path.ismount(path)
    assert (path / "key").read_text() == "s3cret"
    await plugin.tear_down(path)
    assert mounting.mounts_below(place) == []


async def test_a_group_owns_what_is_in_its_pods_volumes(place: Path) -> None:
    _, path = await set_up(place, pod_of(GROUP), emptyDir={})
    found = path.stat()
    assert found.st_gid == GROUP
    assert found.st_mode & stat.S_ISGID
    (path / "inherits").write_text("")
    assert (path / "inherits").stat().st_gid == GROUP


async def test_a_group_may_read_what_is_shown_to_it(place: Path) -> None:
    _, path = await set_up(place, pod_of(GROUP), configMap={"name": "settings", "defaultMode": 0o400})
    found = (path / "colour").stat()
    assert (found.st_gid, stat.S_IMODE(found.st_mode)) == (GROUP, 0o440)


async def test_a_token_is_for_the_pods_user(place: Path) -> None:
    projected = {"sources": [{"serviceAccountToken": {"path": "token"}}]}
    _, path = await set_up(place, pod_of(GROUP, user=1234), projected=projected)
    found = (path / "token").stat()
    assert (found.st_uid, found.st_gid) == (1234, GROUP)
    assert stat.S_IMODE(found.st_mode) == 0o640


def test_a_subpath_is_a_mount_of_its_own_and_cannot_be_led_astray(place: Path) -> None:
    volume, outside = place / "volume", place / "outside"
    (volume / "part").mkdir(parents=True)
    outside.mkdir()
    (volume / "file").write_text("x")
    target = bind_subpath(volume, "part", place / "subpaths" / "0")
    (target / "seen").write_text("y")
    assert (volume / "part" / "seen").read_text() == "y"
    assert bind_subpath(volume, "file", place / "subpaths" / "1").read_text() == "x"
    (volume / "part").rename(volume / "moved")
    (volume / "part").symlink_to(outside)
    assert (target / "seen").read_text() == "y"
    with pytest.raises(VolumeFailure, match="not within volume path"):
        bind_subpath(volume, "part", place / "subpaths" / "2")
    mounting.remove_tree(place / "subpaths")
    assert mounting.mounts_below(place) == []
    assert (volume / "moved" / "seen").read_text() == "y"


def test_nothing_is_removed_while_somebodys_data_is_mounted(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = place / "data"
    data.mkdir()
    (data / "precious").write_text("x")
    mounted = place / "volumes" / "v"
    mounted.mkdir(parents=True)
    mounting.bind(str(data), mounted)
    with monkeypatch.context() as patched:
        patched.setattr(mounting, "unmount", lambda target: None)
        with pytest.raises(VolumeFailure, match="still mounted"):
            mounting.remove_tree(place / "volumes")
    assert (data / "precious").exists()
    mounting.remove_tree(place / "volumes")
    assert (data / "precious").read_text() == "x"
    assert not mounted.exists()


def test_a_pods_cgroup_has_its_limits_and_goes_with_it() -> None:
    name = f"kubrick-test-{os.getpid()}"
    cgroups = Cgroups(name)
    resources = {"requests": {"cpu": "500m"}, "limits": {"cpu": "1", "memory": "64Mi"}}
    pod: Object = {
        "metadata": {"name": "web", "uid": "a-b"},
        "spec": {"containers": [{"name": "web", "resources": resources}]},
    }
    assert cgroups.parent(pod) == f"/{name}/kubepods/burstable/poda-b"
    try:
        cgroups.make(pod, [pod])
        if not (ROOT / "cgroup.controllers").exists():
            folder = ROOT / "cpu" / name / "kubepods" / "burstable"
            assert (folder / "cpu.shares").read_text().strip() == "512"
            assert (folder / "poda-b" / "cpu.cfs_quota_us").read_text().strip() == "100000"
            memory = ROOT / "memory" / name / "kubepods" / "burstable" / "poda-b" / "memory.limit_in_bytes"
            assert memory.read_text().strip() == str(64 << 20)
        cgroups.remove(pod)
        assert list(ROOT.glob(f"**/{name}/**/poda-b")) == []
    finally:
        cgroups.remove_all()
    assert list(ROOT.glob(f"*/{name}")) == []
