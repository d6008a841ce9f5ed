"""The settings of runtime-cri."""

from typing import Literal

from attrs import frozen

from kubrick_runtime_cri.config import LOG_ROOT
from kubrick_runtime_cri.rotation import MAX_FILES, MAX_SIZE


@frozen
class Settings:
    """`endpoint` is the socket of a running runtime (unix:///run/containerd/containerd.sock); without one, a
    private containerd is started, with the CNI folders and the snapshotter given here.
    Folders are in the data directory unless their paths are absolute.
    `cgroup_driver` counts for a runtime that doesn't tell its own; logs are rotated at `log_size` bytes."""

    endpoint: str = ""
    snapshotter: str = "overlayfs"
    cni_bin_dir: str = "/opt/cni/bin"
    cni_conf_dir: str = "/etc/cni/net.d"
    log_directory: str = LOG_ROOT
    cgroup_driver: Literal["cgroupfs", "systemd"] = "cgroupfs"
    log_size: int = MAX_SIZE
    log_files: int = MAX_FILES
