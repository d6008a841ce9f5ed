"""Addresses from ranges, kept in files on this node: the CNI plugin host-local.

Configuration and files are those of the plugin of that name that containernetworking ships, so either
may go on where the other stopped.
"""

from collections.abc import Sequence

from kubrick_kernel import Kernel, hookimpl
from kubrick_network import CNIPlugin


@hookimpl
def kubrick_register_cni(kernel: Kernel) -> Sequence[CNIPlugin]:
    from kubrick_cni_host_local.plugin import HostLocal

    return [HostLocal()]
