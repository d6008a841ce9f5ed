"""The plugin ``store-memory``: the kernel's own engine, entering by the same door as a stranger's."""

from typing import TYPE_CHECKING

from kubrick_kernel.hookspecs import hookimpl
from kubrick_kernel.memory import MemoryStore
from kubrick_kernel.store import Store

if TYPE_CHECKING:
    from kubrick_kernel.kernel import Kernel


@hookimpl
def kubrick_open_store(kernel: "Kernel", name: str) -> "Store | None":
    return MemoryStore(kernel.clock) if name == "memory" else None
