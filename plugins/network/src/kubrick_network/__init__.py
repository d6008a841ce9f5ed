"""CNI in the node agent: plugins as bricks, networks as chains of them.

Third parties write plugins against `kubrick_network.contract`, whose names are re-exported here. A
container runtime reaches them through small executables (shim.py) and a unix socket (service.py);
code in this process through `Networks`. Programs that speak CNI work beside them, both ways.
"""

from collections.abc import Sequence

import pluggy

from kubrick_kernel import Component, Composition, Kernel, hookimpl
from kubrick_network.contract import CNIPlugin, Request
from kubrick_network.errors import CNIError, invalid
from kubrick_network.lists import Attachment, NetworkList, bridged_list, load_lists, parse_list
from kubrick_network.networks import Networks
from kubrick_network.plugins import Plugins
from kubrick_network.result import DNS, SUPPORTED, Address, Interface, Result, Route, parse_result, render_result

__all__ = [
    "DNS",
    "SUPPORTED",
    "Address",
    "Attachment",
    "CNIError",
    "CNIPlugin",
    "Interface",
    "NetworkList",
    "Networks",
    "Plugins",
    "Request",
    "Result",
    "Route",
    "bridged_list",
    "invalid",
    "load_lists",
    "parse_list",
    "parse_result",
    "render_result",
]


@hookimpl
def kubrick_add_hookspecs(manager: pluggy.PluginManager) -> None:
    from kubrick_network import hookspecs

    manager.add_hookspecs(hookspecs)


@hookimpl
def kubrick_register_settings() -> type:
    from kubrick_network.service import Settings

    return Settings


@hookimpl
def kubrick_register_components(kernel: Kernel) -> Sequence[Component]:
    from kubrick_network.service import Network

    network = Network(kernel, kernel.settings("network"))
    kernel.offer(Network, network)
    return [network]


@hookimpl
def kubrick_register_sweepers(kernel: Kernel) -> Sequence[Component]:
    """Its plugins are needed to take pods off the network."""
    from kubrick_network.service import Network

    return [kernel.find(Network)]


@hookimpl
def kubrick_register_obstacles(composition: Composition) -> Sequence[str]:
    """Root is asked for by who needs it for more than this: a network can be composed to be looked at."""
    from kubrick_network.nft import load

    try:
        load()
    except CNIError as error:
        return [error.msg]
    return []
