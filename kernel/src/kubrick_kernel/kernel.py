"""One running program: a composition, its plugins, its store and bus, its components.

Building a `Kernel` imports the plugins, reads their settings and collects their components, and
fails at once when the composition is wrong. `Kernel.run` then runs it all.
"""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar, cast

import trio

from kubrick_kernel.bus import Bus, Compactor
from kubrick_kernel.clock import Clock, SystemClock, generator, seeded_uuid
from kubrick_kernel.composition import Composition
from kubrick_kernel.datadir import held, write_profile, write_status
from kubrick_kernel.errors import ConfigurationError
from kubrick_kernel.lifecycle import Component, Supervisor
from kubrick_kernel.log import get_logger
from kubrick_kernel.plugins import PluginManager, build_plugin_manager
from kubrick_kernel.settings import structure
from kubrick_kernel.store import Store

T = TypeVar("T")
log = get_logger("kernel")


class Kernel:
    """What plugins are handed: their settings, each other's offers, the store, the clock.

    `data_dir` is None for a program that keeps nothing; `seed` makes `random` (and so names and
    identities) repeat. `plugins` is a manager from `build_plugin_manager`, else one is built.
    `sweeping` tells components that they are started only to take away what is left: nothing is to be kept.
    """

    def __init__(
        self,
        composition: Composition,
        *,
        data_dir: Path | None = None,
        clock: Clock | None = None,
        seed: int | None = None,
        plugins: PluginManager | None = None,
        sweeping: bool = False,
    ) -> None:
        self.composition = composition
        self.data_dir = data_dir
        self.sweeping = sweeping
        self.clock: Clock = clock or SystemClock()
        self.random = generator(seed)
        self.plugins = plugins or build_plugin_manager(composition)
        self.announcements: dict[str, str] = {}
        """What the user is told once all is ready, by name ("kubeconfig")."""
        self._offers: dict[type, object] = {}
        self._settings = self._read_settings()
        self.store = self._open_store()
        self.bus = Bus(self.store)
        components: list[Component] = [self.store, self.bus, Compactor(self.bus)]
        for _, register in self.plugins.implementers("kubrick_register_components"):
            components += register(self)
        self._supervisor = Supervisor(components, self._write_status)

    def settings(self, plugin: str) -> Any:
        """The settings object of `plugin`: an instance of the class it registered."""
        if plugin not in self._settings:
            raise LookupError(f"plugin {plugin!r} takes no part or has no settings")
        return self._settings[plugin]

    def offer(self, contract: type[T], value: T) -> None:
        """Let others find `value` under `contract`; there is at most one."""
        if contract in self._offers:
            raise ConfigurationError(f"two plugins offer {_dotted(contract)}; disable one of them")
        self._offers[contract] = value

    def find(self, contract: type[T]) -> T:
        """What was offered under `contract`. Raises LookupError saying what is offered instead."""
        try:
            return cast(T, self._offers[contract])
        except KeyError:
            offers = ", ".join(sorted(_dotted(offered) for offered in self._offers)) or "nothing"
            raise LookupError(f"no enabled plugin offers {_dotted(contract)}; offered are: {offers}") from None

    def has(self, contract: type) -> bool:
        """Whether `find` would find anything."""
        return contract in self._offers

    def uuid(self) -> str:
        """A UUID from the kernel's generator."""
        return seeded_uuid(self.random)

    def readiness(self) -> dict[str, bool]:
        """Whether each component is ready, in starting order."""
        return self._supervisor.readiness()

    def shutdown(self) -> None:
        """Drain: `run` returns once every component has ended, in reverse order of dependence."""
        self._supervisor.stop()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run every component until `shutdown` or cancellation; started when all are ready. Once."""
        with ExitStack() as stack:
            if self.data_dir:
                stack.enter_context(held(self.data_dir))
                write_profile(self.data_dir, self.plugins.profile_name)
            self._write_status()
            await self._supervisor.run(task_status)

    def _read_settings(self) -> dict[str, Any]:
        read: dict[str, Any] = {}
        for plugin, register in self.plugins.implementers("kubrick_register_settings"):
            if settings := register():
                merged = {**self.plugins.defaults.get(plugin, {}), **self.composition.plugins.get(plugin, {})}
                read[plugin] = structure(settings, merged, f"{self.composition.source}: [plugins.{plugin}]")
        for plugin, table in self.composition.plugins.items():
            if table and plugin not in read and self.plugins.has_plugin(plugin):
                where = f"{self.composition.source}: [plugins.{plugin}]"
                raise ConfigurationError(f"{where}: plugin {plugin!r} has no settings; remove this table")
        return read

    def _open_store(self) -> Store:
        name = self.plugins.store
        store: Store | None = self.plugins.hook.kubrick_open_store(kernel=self, name=name)
        if store is None:
            raise ConfigurationError(f"plugin 'store-{name}' doesn't provide a store called {name!r}; it is broken")
        return store

    def _write_status(self) -> None:
        if self.data_dir:
            status = {
                "pid": os.getpid(),
                "name": self.composition.name,
                "profile": self.plugins.profile_name,
                "store": self.plugins.store,
                "components": self.readiness(),
                "announcements": self.announcements,
            }
            try:
                write_status(self.data_dir, status)
            except OSError as error:  # a full disk must not end what runs
                log.warning("status not written", directory=str(self.data_dir), error=str(error))


def _dotted(contract: type) -> str:
    return f"{contract.__module__}.{contract.__qualname__}"
