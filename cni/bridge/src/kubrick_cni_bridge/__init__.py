"""Containers on a bridge, by veth pairs: the CNI plugin bridge."""

from collections.abc import Sequence

from kubrick_kernel import Kernel, hookimpl
from kubrick_network import CNIPlugin


@hookimpl
def kubrick_register_cni(kernel: Kernel) -> Sequence[CNIPlugin]:
    from kubrick_cni_bridge.plugin import Bridge

    return [Bridge()]
