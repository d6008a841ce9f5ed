"""A container runtime without processes, and the nodes that run on it: pods walk through their states
as their annotations say (see script.py), so that a cluster of any size fits into one process."""

from collections.abc import Sequence

from kubrick_kernel import Component, Kernel, Option, hookimpl


@hookimpl
def kubrick_register_settings() -> type:
    from kubrick_runtime_hollow.nodes import Settings

    return Settings


@hookimpl
def kubrick_register_options() -> Sequence[Option]:
    return [Option("--nodes", "runtime-hollow", "nodes", "How many hollow nodes to run.", int)]


@hookimpl
def kubrick_register_components(kernel: Kernel) -> Sequence[Component]:
    from kubrick_api_core.agents import NodeConnector
    from kubrick_runtime_hollow.nodes import HollowNodes

    nodes = HollowNodes(kernel, kernel.settings("runtime-hollow"))
    kernel.offer(HollowNodes, nodes)
    kernel.offer(NodeConnector, nodes)
    return [nodes]
