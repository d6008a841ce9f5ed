"""Ports of the host forwarded to a container, by nftables: the CNI plugin portmap."""

from collections.abc import Sequence

from kubrick_kernel import Kernel, hookimpl
from kubrick_network import CNIPlugin


@hookimpl
def kubrick_register_cni(kernel: Kernel) -> Sequence[CNIPlugin]:
    from kubrick_cni_portmap.plugin import PortMap

    return [PortMap()]
