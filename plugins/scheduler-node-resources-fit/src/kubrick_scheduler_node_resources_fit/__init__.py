"""NodeResourcesFit: a node must have room for what the pod requests; scores by how full it gets."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubrick_kernel import ConfigurationError, hookimpl
from kubrick_scheduler import Plugin
from kubrick_scheduler_node_resources_fit.settings import Settings

if TYPE_CHECKING:
    from kubrick_kernel import Kernel

NAME = "scheduler-node-resources-fit"


@hookimpl
def kubrick_register_settings() -> type:
    return Settings


@hookimpl
def kubrick_register_scheduler_plugins(kernel: "Kernel") -> Sequence[Plugin]:
    from kubrick_scheduler_node_resources_fit.plugin import NodeResourcesFit

    settings = kernel.settings(NAME)
    if wrong := settings.wrong():
        raise ConfigurationError(f"[plugins.{NAME}] {wrong}")
    return (NodeResourcesFit(settings),)
