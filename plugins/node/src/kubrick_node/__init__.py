"""The node agent: a kubelet that drives whatever `ContainerRuntime` it is given."""

from collections.abc import Sequence
from typing import Any

import pluggy

from kubrick_kernel import Component, Kernel, hookimpl
from kubrick_node.runtime import (
    DNS,
    ContainerRuntime,
    ContainerSpec,
    ContainerState,
    Image,
    LogOptions,
    Mount,
    PodState,
    PodStats,
    RuntimeFailure,
    RuntimeHealth,
    RuntimeInfo,
    SandboxSpec,
    Traffic,
    Usage,
)
from kubrick_node.volumes import Mounted, Reference, Sources, VolumeFailure, VolumeJob, VolumePlugin

NODES_BINDING: dict[str, Any] = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "kubrick:nodes"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:node"},
    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:nodes"}],
}


@hookimpl
def kubrick_add_hookspecs(manager: pluggy.PluginManager) -> None:
    from kubrick_node import hookspecs

    manager.add_hookspecs(hookspecs)


@hookimpl
def kubrick_register_settings() -> type:
    from kubrick_node.settings import Settings

    return Settings


@hookimpl
def kubrick_register_components(kernel: Kernel) -> Sequence[Component]:
    from kubrick_node.node import Node

    node = Node(kernel, kernel.settings("node"))
    kernel.offer(Node, node)
    return [node]


@hookimpl
def kubrick_register_volumes(kernel: Kernel) -> Sequence[VolumePlugin]:
    """The kinds every Kubernetes has."""
    from kubrick_node.volumes.kinds import standard_kinds

    return standard_kinds(kernel.clock)


@hookimpl(optionalhook=True)
def kubrick_register_bootstrap_objects(kernel: Kernel) -> Sequence[dict[str, Any]]:
    """Lets nodes do what the role system:node says."""
    return [NODES_BINDING]


__all__ = [
    "DNS",
    "ContainerRuntime",
    "ContainerSpec",
    "ContainerState",
    "Image",
    "LogOptions",
    "Mount",
    "Mounted",
    "PodState",
    "PodStats",
    "Reference",
    "RuntimeFailure",
    "RuntimeHealth",
    "RuntimeInfo",
    "SandboxSpec",
    "Sources",
    "Traffic",
    "Usage",
    "VolumeFailure",
    "VolumeJob",
    "VolumePlugin",
]
