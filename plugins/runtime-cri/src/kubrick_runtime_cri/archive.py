"""Builds small container images as OCI archives, without a registry: the sandbox's, and those of tests.

An image needs programs, and a static busybox is one file with all of them.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kubrick_runtime_cri.needs import busybox
from kubrick_runtime_cri.reference import normalize

PAUSE_IMAGE = "kubrick.dev/pause:1"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_APPLETS = (
    *(
        "cat",
        "chmod",
        "cp",
        "cut",
        "date",
        "dd",
        "df",
        "echo",
        "env",
        "false",
        "grep",
        "head",
        "hostname",
        "httpd",
        "id",
    ),
    *("ip", "kill", "ln", "ls", "md5sum", "mkdir", "mount", "mv", "nc", "nslookup", "ping", "printenv", "ps", "pwd"),
    *("readlink", "rm", "sed", "seq", "sh", "sleep", "sort", "stat", "sync", "tail", "tar", "test", "timeout", "top"),
    *("touch", "tr", "true", "umount", "uname", "uniq", "vi", "wc", "wget", "which", "xargs", "yes"),
)
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


def architecture(machine: str) -> str:
    """An image's word for what uname calls the machine."""
    return _ARCHITECTURES.get(machine, machine)


def oci_archive(
    name: str,
    files: Mapping[str, bytes | str],
    *,
    machine: str,
    entrypoint: Sequence[str] = (),
    command: Sequence[str] = (),
    user: str = "",
    working_dir: str = "",
    env: Sequence[str] = (),
) -> bytes:
    """An archive with one image of one layer. `files` maps absolute paths to contents, or to the target of a
    symbolic link if that is a string; all files are executable. The same input gives the same bytes."""
    layer = _tar({path.lstrip("/"): content for path, content in files.items()})
    config = _json(
        {
            "architecture": architecture(machine),
            "os": "linux",
            "config": {
                "Entrypoint": list(entrypoint),
                "Cmd": list(command),
                "User": user,
                "WorkingDir": working_dir,
                "Env": list(env) or ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            },
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _descriptor(_CONFIG, config),
            "layers": [_descriptor(_LAYER, layer)],
        }
    )
    named = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rpartition(":")[2]}
    index = {
        "schemaVersion": 2,
        "mediaType": _INDEX,
        "manifests": [{**_descriptor(_MANIFEST, manifest), "annotations": named}],
    }
    blobs = {f"blobs/sha256/{_digest(blob)[7:]}": blob for blob in (layer, config, manifest)}
    return _tar({"oci-layout": _json({"imageLayoutVersion": "1.0.0"}), "index.json": _json(index), **blobs})


def pause_archive(machine: str) -> bytes:
    """The sandbox's image: a process that stays."""
    return oci_archive(
        PAUSE_IMAGE, {"/bin/busybox": busybox()}, machine=machine, entrypoint=["/bin/busybox", "sleep", "inf"]
    )


def busybox_archive(name: str, machine: str, command: Sequence[str] = ("sh",), user: str = "") -> bytes:
    """An image with busybox under the names of its most used programs."""
    links = {f"/bin/{applet}": "busybox" for applet in _APPLETS}
    return oci_archive(name, {"/bin/busybox": busybox(), **links}, machine=machine, command=command, user=user)


def _tar(files: Mapping[str, bytes | str]) -> bytes:
    out = io.BytesIO()
    folders: set[str] = set()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, content in files.items():
            for parent in reversed(Path(path).parents[:-1]):
                if str(parent) not in folders:
                    folders.add(str(parent))
                    entry = tarfile.TarInfo(str(parent))
                    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                    archive.addfile(entry)
            entry = tarfile.TarInfo(path)
            entry.mode = 0o755
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                archive.addfile(entry)
            else:
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _descriptor(kind: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": _digest(blob), "size": len(blob)}


def image_names(path: str) -> dict[str, str]:
    """The full names of the images in an archive, docker's or OCI's, each with how the archive spells it. Blocks.
    Raises OSError, ValueError."""
    names: list[str] = []
    try:
        with tarfile.open(path) as archive:
            there = set(archive.getnames())
            if "manifest.json" in there:
                names = [tag for entry in _read(archive, "manifest.json") for tag in entry.get("RepoTags") or ()]
            if not names and "index.json" in there:
                for manifest in _read(archive, "index.json").get("manifests") or ():
                    named = manifest.get("annotations") or {}
                    name = named.get("io.containerd.image.name") or named.get("org.opencontainers.image.ref.name", "")
                    if ":" in name or "/" in name:
                        names.append(name)
    except (tarfile.TarError, EOFError) as error:
        raise ValueError(f"not an image archive: {error}") from None
    if not names:
        raise ValueError("no image with a name in it")
    return {normalize(name): name for name in names}


def _read(archive: tarfile.TarFile, name: str) -> Any:
    file = archive.extractfile(name)
    if file is None:
        raise ValueError(f"{name} is not a file")
    return json.load(file)
