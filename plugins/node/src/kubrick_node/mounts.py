"""What of a pod's volumes is mounted where in a container, and the hosts file that every one gets. It prepares the
files; the runtime mounts them.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from kubrick_kernel import get_logger
from kubrick_node.expansion import expand, unknown_names
from kubrick_node.hosts import hosts_file, pod_hostname
from kubrick_node.place import Place
from kubrick_node.runtime import Mount, RuntimeFailure
from kubrick_node.volumes import Mounted, VolumeFailure
from kubrick_node.volumes.ownership import fs_group
from kubrick_node.volumes.subpath import bind_subpath

log = get_logger("node")

Object = dict[str, Any]
Propagation = Literal["None", "HostToContainer", "Bidirectional"]


def mounts(
    place: Place,
    mounted: Mapping[str, Mounted],
    pod: Object,
    container: Object,
    ips: Sequence[str],
    variables: Mapping[str, str],
    deep: bool,
) -> Iterator[Mount]:
    """What is mounted into a container, its hosts file included. `mounted` are the pod's volumes by name, `variables`
    the container's environment, `deep` says whether mounts can be read-only all the way down. Raises RuntimeFailure
    with reason CreateContainerConfigError."""
    taken = set()
    for index, wanted in enumerate(container.get("volumeMounts") or ()):
        there = mounted.get(wanted["name"])
        if there is None:
            text = f'cannot find volume "{wanted["name"]}" to mount into container "{container["name"]}"'
            raise RuntimeFailure("CreateContainerConfigError", text)
        taken.add(wanted["mountPath"].rstrip("/"))
        if there.image:
            yield Mount(wanted["mountPath"], wanted.get("subPath") or "", True, image=there.image)
            continue
        path = _path(place, pod, container, wanted, index, there, variables)
        propagation: Propagation = wanted.get("mountPropagation") or "None"
        read_only = bool(wanted.get("readOnly")) or there.read_only
        recursive = recursively_read_only(wanted, deep)
        yield Mount(wanted["mountPath"], str(path), read_only, propagation, recursive)
    if "/etc/hosts" not in taken:
        yield Mount("/etc/hosts", str(write_hosts(place, pod, ips)))


def _path(
    place: Place,
    pod: Object,
    container: Object,
    wanted: Object,
    index: int,
    there: Mounted,
    variables: Mapping[str, str],
) -> Path:
    expression = wanted.get("subPathExpr")
    part = wanted.get("subPath") or ""
    if expression:
        unknown = unknown_names(expression, variables)
        if unknown:
            text = f"missing value for {unknown[0]!r} in subPathExpr {expression!r}"
            raise RuntimeFailure("CreateContainerConfigError", text)
        part = expand(expression, variables)
    if not part:
        return there.path
    target = place.directory(pod["metadata"]["uid"]) / "subpaths" / wanted["name"] / container["name"] / str(index)
    try:
        return bind_subpath(there.path, part, target)
    except (VolumeFailure, OSError) as error:
        # The user is not told more: it would be about the machine's files.
        log.warning("subPath not prepared", pod=pod["metadata"]["name"], volume=wanted["name"], error=str(error))
        text = f'failed to prepare subPath for volumeMount "{wanted["name"]}" of container "{container["name"]}"'
        raise RuntimeFailure("CreateContainerConfigError", text) from None


def write_hosts(place: Place, pod: Object, ips: Sequence[str]) -> Path:
    """In place, not by renaming: the file is mounted into running containers."""
    hostname, domain = pod_hostname(pod, place.cluster_domain, place.node_name)
    own = place.host_file.read_text() if pod["spec"].get("hostNetwork") and place.host_file.exists() else ""
    text = hosts_file(pod, ips, hostname, domain, own)
    file = place.directory(pod["metadata"]["uid"]) / "etc-hosts"
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists() or file.read_text() != text:
        file.write_text(text)
        file.chmod(0o644)
        group = fs_group(pod)
        if group is not None and os.geteuid() == 0:
            os.chown(file, -1, group)
    return file


def recursively_read_only(mount: Object, possible: bool) -> bool:
    """Whether a mount is read-only with all that is mounted below (KEP-3857). Raises RuntimeFailure when it can't be
    and has to."""
    mode = mount.get("recursiveReadOnly") or "Disabled"
    if mode == "Disabled":
        return False
    wants = f'volume "{mount["name"]}" requested recursive read-only mode, but it is not'
    if not mount.get("readOnly"):
        problem = f"{wants} read-only"
    elif (mount.get("mountPropagation") or "None") != "None":
        problem = f'{wants} compatible with propagation "{mount["mountPropagation"]}"'
    elif mode == "Enabled" and not possible:
        problem = f"{wants} supported by the runtime"
    else:
        return possible
    raise RuntimeFailure("CreateContainerConfigError", problem)
