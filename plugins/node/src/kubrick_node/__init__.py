"""The node agent: a kubelet that drives whatever `ContainerRuntime` it is given."""

from collections.abc import Sequence
from typing import Any

from kubrick_kernel import Kernel, hookimpl
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

NODES_BINDING: dict[str, Any] = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "kubrick:nodes"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:node"},
    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:nodes"}],
}


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
    "PodState",
    "PodStats",
    "RuntimeFailure",
    "RuntimeHealth",
    "RuntimeInfo",
    "SandboxSpec",
    "Traffic",
    "Usage",
]
