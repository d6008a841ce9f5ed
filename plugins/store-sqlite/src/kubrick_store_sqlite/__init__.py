"""The embedded storage engine: SQLite with group commit."""

from typing import TYPE_CHECKING, Literal

from attrs import frozen

from kubrick_kernel import ConfigurationError, hookimpl

if TYPE_CHECKING:
    from kubrick_kernel.kernel import Kernel
    from kubrick_kernel.store import Store

NAME = "store-sqlite"


@frozen
class Settings:
    """``synchronous``: "full" survives a power failure; "normal" may lose the last acknowledged
    commits then (not when only this process dies), and spares each group of commits a disk flush."""

    synchronous: Literal["full", "normal"] = "full"


@hookimpl
def kubrick_register_settings() -> type:
    return Settings


@hookimpl
def kubrick_open_store(kernel: "Kernel", name: str) -> "Store | None":
    if name != "sqlite":
        return None
    if kernel.data_dir is None:
        raise ConfigurationError("store 'sqlite' needs a data directory: give one, or use the store 'memory'")
    from kubrick_store_sqlite.engine import SqliteStore

    return SqliteStore(kernel.data_dir / "store", kernel.clock, synchronous=kernel.settings(NAME).synchronous)
