"""Runs containers through CRI v1: in the runtime behind `endpoint`, or in a private containerd that is started
when there is none."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kubrick_kernel import Component, Composition, ConfigurationError, Kernel, Option, hookimpl

if TYPE_CHECKING:
    import click


@hookimpl
def kubrick_register_settings() -> type:
    from kubrick_runtime_cri.settings import Settings

    return Settings


@hookimpl
def kubrick_register_options() -> Sequence[Option]:
    return [
        Option("--container-runtime-endpoint", "runtime-cri", "endpoint", "The socket of a CRI runtime to use.", str),
        Option(
            "--keep-pods",
            "node",
            "keep_pods",
            "Leave the pods running when this ends.",
            bool,
        ),
    ]


@hookimpl
def kubrick_register_components(kernel: Kernel) -> Sequence[Component]:
    from kubrick_node import ContainerRuntime
    from kubrick_node.keeping import keeps_pods
    from kubrick_runtime_cri.containerd import Containerd, Paths
    from kubrick_runtime_cri.runtime import CRIRuntime, Place

    settings = kernel.settings("runtime-cri")
    if kernel.data_dir is None:
        raise ConfigurationError("runtime-cri needs a data directory: add --data-dir")
    data_dir = Path(kernel.data_dir).resolve()
    directory = data_dir / "containerd"
    components: list[Component] = []
    socket = settings.endpoint.removeprefix("unix://")
    if not socket:
        paths = Paths(directory, str(data_dir / settings.cni_bin_dir), str(data_dir / settings.cni_conf_dir))
        containerd = Containerd(paths, keep_pods=keeps_pods(kernel), snapshotter=settings.snapshotter)
        kernel.offer(Containerd, containerd)
        components.append(containerd)
        socket = paths.socket
    place = Place(
        socket,
        data_dir / "pods",
        str(data_dir / settings.log_directory),
        cgroup_driver=settings.cgroup_driver,
        log_size=settings.log_size,
        log_files=settings.log_files,
    )
    kernel.offer(ContainerRuntime, CRIRuntime(place, kernel.clock))
    return components


@hookimpl
def kubrick_register_sweepers(kernel: Kernel) -> Sequence[Component]:
    from kubrick_runtime_cri.containerd import Containerd

    return [kernel.find(Containerd)] if kernel.has(Containerd) else []


@hookimpl
def kubrick_register_obstacles(composition: Composition) -> Sequence[str]:
    """A runtime of the user's own brings what it needs."""
    if composition.plugins.get("runtime-cri", {}).get("endpoint"):
        return []
    from kubrick_runtime_cri.needs import missing_packages

    missing = missing_packages()
    if not missing:
        return []
    return [f"real containers need packages that are missing; as root: apt-get install {' '.join(missing)}"]


@hookimpl
def kubrick_register_commands() -> "Sequence[click.Command]":
    from kubrick_runtime_cri.command import image

    return [image]
