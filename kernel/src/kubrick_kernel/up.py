"""``kubrick up``: run a cluster in the foreground, say how far it is, drain on Ctrl-C.

The flags beyond the kernel's own come from plugins, and which plugins take part depends on flags: so
the arguments are read twice, first for the file and the profile only.
"""

import gc
import os
import signal
import sys
from pathlib import Path
from typing import Any

import attrs
import click
import trio

from kubrick_kernel import log
from kubrick_kernel.clock import process_age
from kubrick_kernel.composition import Composition, Option, load_composition
from kubrick_kernel.datadir import default_data_dir
from kubrick_kernel.errors import ConfigurationError
from kubrick_kernel.kernel import Kernel
from kubrick_kernel.plugins import PROFILE_VARIABLE, PluginManager, build_plugin_manager

FILE = click.Option(["-f", "--file"], type=click.Path(path_type=Path, dir_okay=False), help="The cluster file.")
PROFILE = click.Option(
    ["--profile"],
    help=f"A named plugin set, instead of the file's. Without either: {PROFILE_VARIABLE}, from the environment.",
)
DATA_DIR = click.Option(
    ["--data-dir"], type=click.Path(path_type=Path, file_okay=False), help="Where everything is kept."
)
STORE = click.Option(["--store"], help="The storage engine, instead of the file's: sqlite, memory, ...")
LOG_LEVEL = click.Option(
    ["--log-level"],
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="The least that is logged to stderr.",
)

GC_THRESHOLDS = (50_000, 20, 100)
"""How rarely the garbage collector looks. Objects are trees, which need no collector, and there are many of
them: with Python's own thresholds it took a tenth of a write's time and stopped everything for 50 ms."""


def read_composition(file: Path | None, profile: str | None = None, store: str | None = None) -> Composition:
    """The cluster file's composition (the default one without a file), with flags laid over it."""
    composition = load_composition(file) if file else Composition()
    if profile:
        composition = attrs.evolve(composition, profile=profile)
    if store:
        composition = attrs.evolve(composition, store=store)
    return composition


class Up(click.Command):
    """The command, whose parameters grow by the flags of the plugins that take part."""

    def __init__(self) -> None:
        super().__init__(
            "up",
            params=[FILE, PROFILE, DATA_DIR, STORE, LOG_LEVEL],
            callback=self._run,
            help="Run a cluster in the foreground until Ctrl-C.",
        )
        self._manager: PluginManager | None = None
        self._options: dict[str, Option] = {}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        asked_help = "--help" in args
        first = click.Command(
            "up",
            params=[FILE, PROFILE, STORE],
            add_help_option=False,
            context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
        ).make_context("up", [arg for arg in args if arg != "--help"], ctx.parent, resilient_parsing=asked_help)
        self._manager = build_plugin_manager(read_composition(**first.params))
        for plugin, register in self._manager.implementers("kubrick_register_options"):
            for option in register():
                self._add(plugin, option)
        return super().parse_args(ctx, args)

    def _add(self, plugin: str, option: Option) -> None:
        name = option.flag.lstrip("-").replace("-", "_")
        if any(option.flag in parameter.opts for parameter in self.params):
            raise ConfigurationError(f"plugin {plugin!r} offers the flag {option.flag}, which is taken; disable it")
        switch: dict[str, Any] = {"is_flag": True, "default": None} if option.type is bool else {"type": option.type}
        self.params.append(click.Option([option.flag, name], help=option.help, **switch))
        self._options[name] = option

    def _run(self, data_dir: Path | None, log_level: str, **flags: Any) -> None:
        assert self._manager is not None, "arguments are parsed before the command runs"
        log.configure(log_level)
        manager = self._manager
        composition = with_flags(manager.composition, self._options, flags)
        if profile := manager.profile:
            chosen = f" ({manager.why})" if manager.why else ""
            click.echo(f"profile {profile.name}{chosen}, store {manager.store}")
        if obstacles := manager.obstacles(composition):
            raise ConfigurationError("; ".join(obstacles))
        directory = (data_dir or default_data_dir(composition.name)).absolute()
        kernel = Kernel(composition, data_dir=directory, plugins=manager)
        trio.run(serve, kernel)


def with_flags(composition: Composition, options: dict[str, Option], flags: dict[str, Any]) -> Composition:
    """`composition` with the given flags written into their plugins' settings."""
    tables = {plugin: dict(table) for plugin, table in composition.plugins.items()}
    for name, option in options.items():
        if flags.get(name) is not None:
            tables.setdefault(option.plugin, {})[option.key] = flags[name]
    return attrs.evolve(composition, plugins=tables)


async def serve(kernel: Kernel) -> None:
    """Run `kernel`, telling the user how far it is, until SIGINT or SIGTERM; then drain it."""
    failure: ConfigurationError | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_drain_on_signal, kernel)
        progress = trio.CancelScope()
        nursery.start_soon(_show_progress, kernel, progress)
        try:
            await kernel.run(_WhenReady(kernel, progress))
        except ConfigurationError as error:
            failure = error
        nursery.cancel_scope.cancel()
    if failure:
        raise failure


class _WhenReady:
    """The task status of the whole kernel: once all is ready, says so and what to use."""

    def __init__(self, kernel: Kernel, progress: trio.CancelScope) -> None:
        self._kernel = kernel
        self._progress = progress

    def started(self, _value: None = None) -> None:
        self._progress.cancel()
        _clear_line()
        # What start-up made stays for good: the collector need not look at it again.
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        gc.enable()
        for name, value in self._kernel.announcements.items():
            click.echo(f"{name}: {value}")
        click.echo(f"ready in {process_age():.2f} s")


async def _drain_on_signal(kernel: Kernel) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            click.echo("stopping (again to stop at once)", err=True)
            kernel.shutdown()
            break
        async for number in signals:
            os._exit(128 + number)


async def _show_progress(kernel: Kernel, scope: trio.CancelScope) -> None:
    """On a terminal, one line that is written over; elsewhere a line every five seconds."""
    terminal = sys.stderr.isatty()
    with scope:
        while True:
            await trio.sleep(0.1 if terminal else 5)
            readiness = kernel.readiness()
            waiting = [name for name, ready in readiness.items() if not ready]
            text = f"{len(readiness) - len(waiting)} of {len(readiness)} ready; waiting for {', '.join(waiting)}"
            click.echo(f"\r\x1b[K{text[:100]}" if terminal else text, err=True, nl=not terminal)
    _clear_line()


def _clear_line() -> None:
    """On a terminal, take back the line that is written over."""
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", err=True, nl=False)
