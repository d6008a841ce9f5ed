"""The loopback interface of a container: the CNI plugin loopback."""

from collections.abc import Sequence

from kubrick_kernel import Kernel, hookimpl
from kubrick_network import CNIPlugin


@hookimpl
def kubrick_register_cni(kernel: Kernel) -> Sequence[CNIPlugin]:
    from kubrick_cni_loopback.plugin import Loopback

    return [Loopback()]
