"""ImageLocality: prefers nodes that already have the pod's images."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubrick_kernel import hookimpl
from kubrick_scheduler import Plugin

if TYPE_CHECKING:
    from kubrick_kernel import Kernel


@hookimpl
def kubrick_register_scheduler_plugins(kernel: "Kernel") -> Sequence[Plugin]:
    from kubrick_scheduler_image_locality.plugin import ImageLocality

    return (ImageLocality(),)
