"""The ``kubrick`` command. Whatever is the user's to put right is one line on stderr and exit code 2.

Commands that the kernel doesn't have come from plugins: ``kubrick new`` from the plugin ``command-new``
if it is installed, else from any plugin of the default composition that offers one.
"""

import gc
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import attrs
import click
from click.exceptions import NoArgsIsHelpError

from kubrick_kernel.composition import Composition
from kubrick_kernel.datadir import default_data_dir, problem_with, read_status
from kubrick_kernel.errors import ConfigurationError
from kubrick_kernel.plugins import (
    COMMAND_PREFIX,
    STORE_PREFIX,
    PluginManager,
    build_plugin_manager,
    collect_profiles,
    installed,
    load,
)
from kubrick_kernel.settings import describe, suggest
from kubrick_kernel.up import DATA_DIR, FILE, PROFILE, STORE, Up, read_composition


def main() -> None:
    """The console script."""
    # Nearly all that is made while starting stays; looking for garbage in it is a tenth of the start.
    gc.disable()
    try:
        code = cli.main(standalone_mode=False, prog_name="kubrick")
    except ConfigurationError as error:
        click.echo(f"kubrick: {error}", err=True)
        code = 2
    except NoArgsIsHelpError as error:
        error.show()
        code = error.exit_code
    except click.ClickException as error:
        command = getattr(error, "ctx", None) or click.Context(cli, info_name="kubrick")
        message = " ".join(error.format_message().split()).rstrip(".")
        click.echo(f"kubrick: {message} (see {command.command_path} --help)", err=True)
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = 130
    sys.exit(code if isinstance(code, int) else 0)


class Cli(click.Group):
    """The kernel's own commands first, then those of plugins, which are imported only if asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        own = super().list_commands(ctx)
        from_plugins = [name.removeprefix(COMMAND_PREFIX) for name in installed() if name.startswith(COMMAND_PREFIX)]
        try:
            return sorted({*own, *from_plugins, *_offered_commands()})
        except ConfigurationError:  # help must come even where a plugin is broken
            return sorted({*own, *from_plugins})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if own := super().get_command(ctx, cmd_name):
            return own
        if COMMAND_PREFIX + cmd_name in installed():
            commands: Sequence[click.Command] = load(COMMAND_PREFIX + cmd_name).kubrick_register_commands()
            return next(command for command in commands if command.name == cmd_name)
        return _offered_commands().get(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if "No such command" not in error.message:
                raise
            hint = suggest(args[0], self.list_commands(ctx), "there are")
            raise click.UsageError(f"there is no command {args[0]!r}{hint}", ctx) from None


def _offered_commands() -> dict[str, click.Command]:
    """The commands offered by plugins of any profile, of the preferred one first."""
    found: dict[str, click.Command] = {}
    for profile in ["", *collect_profiles(Composition())]:
        offered = build_plugin_manager(Composition(profile=profile)).hook.kubrick_register_commands()
        for command in (command for commands in offered for command in commands):
            found.setdefault(command.name or "", command)
    return found


@click.group(cls=Cli, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kubrick-kernel", prog_name="kubrick")
def cli() -> None:
    """Clusters in bricks: every part is a plugin."""


cli.add_command(Up())


CommandT = TypeVar("CommandT", bound=click.Command)


def _with(*options: click.Option) -> Callable[[CommandT], CommandT]:
    """Adds parameters that several commands share."""

    def decorate(command: CommandT) -> CommandT:
        command.params = [*command.params, *options]
        return command

    return decorate


@_with(FILE, DATA_DIR)
@cli.command()
def status(file: Path | None, data_dir: Path | None) -> None:
    """Say which components of a running cluster are ready."""
    directory = data_dir or default_data_dir(read_composition(file).name)
    found = read_status(directory)
    if found is None:
        click.echo(f"kubrick: nothing is running with data directory {directory}", err=True)
        sys.exit(1)
    table = _table("component", "state")
    for name, ready in found["components"].items():
        table.add_row(name, "ready" if ready else "not ready")
    _print(table)
    for name, value in found["announcements"].items():
        click.echo(f"{name}: {value}")
    click.echo(f"process {found['pid']}, profile {found['profile']}, store {found['store']}")
    sys.exit(0 if all(found["components"].values()) else 1)


@_with(FILE, PROFILE, DATA_DIR)
@cli.command()
def down(file: Path | None, profile: str | None, data_dir: Path | None) -> None:
    """Stop a running cluster, and remove what an earlier run left on this machine."""
    from kubrick_kernel.down import take_down

    composition = read_composition(file, profile)
    take_down(composition, (data_dir or default_data_dir(composition.name)).absolute())


@_with(FILE, PROFILE, STORE)
@cli.group(invoke_without_command=True)
@click.pass_context
def plugins(ctx: click.Context, file: Path | None, profile: str | None, store: str | None) -> None:
    """List the installed plugins, and which of them take part."""
    composition = read_composition(file, profile, store)
    ctx.obj = composition
    if ctx.invoked_subcommand:
        return
    manager = build_plugin_manager(composition)
    table = _table("plugin", "enabled", "what it is")
    for name in installed():
        # A plugin that takes no part isn't imported, so what it is can't be said.
        about = _summary(manager.get_plugin(name)) if manager.has_plugin(name) else ""
        table.add_row(name, "yes" if manager.has_plugin(name) else "no", about)
    _print(table)
    why = f" ({manager.why})" if manager.why else ""
    click.echo(f"profile {manager.profile_name or 'none'}{why}, store {manager.store}")


@plugins.command()
@click.argument("name")
@click.pass_obj
def show(composition: Composition, name: str) -> None:
    """Say which hooks plugin NAME answers, and its settings with their defaults."""
    if name not in installed():
        raise ConfigurationError(f"there is no plugin {name!r}{suggest(name, installed(), 'installed are')}")
    enabled = build_plugin_manager(composition).has_plugin(name)
    if name.startswith(STORE_PREFIX):
        composition = attrs.evolve(composition, store=name.removeprefix(STORE_PREFIX))
    elif not enabled:
        composition = attrs.evolve(composition, enable=(*composition.enable, name))
    manager = build_plugin_manager(composition)
    click.echo(f"{name} ({'enabled' if enabled else 'not enabled'}): {_summary(manager.get_plugin(name))}")
    click.echo("hooks: " + (", ".join(manager.hooks_of(name)) or "none"))
    settings = _settings_class(manager, name)
    if settings is None:
        click.echo("settings: none")
        return
    table = _table("setting", "default", "allowed")
    for field in attrs.fields(attrs.resolve_types(settings)):
        default = field.default.factory() if isinstance(field.default, attrs.Factory) else field.default  # type: ignore[arg-type]  # Factory is a class, typed as a function
        table.add_row(field.name, repr(default), describe(field.type))
    click.echo(f"settings, under [plugins.{name}]:")
    _print(table)


@_with(FILE, PROFILE, STORE, DATA_DIR)
@cli.command()
def check(file: Path | None, profile: str | None, store: str | None, data_dir: Path | None) -> None:
    """Say what is wrong with a composition, and with this machine for it."""
    from kubrick_kernel.kernel import Kernel

    composition = read_composition(file, profile, store)
    directory = (data_dir or default_data_dir(composition.name)).absolute()
    kernel = Kernel(composition, data_dir=directory)
    answers = kernel.plugins.hook.kubrick_register_checks(kernel=kernel)
    problems = kernel.plugins.obstacles(composition)
    problems += [problem for answer in answers for problem in answer]
    if problem := problem_with(directory):
        problems.insert(0, problem)
    for problem in problems:
        click.echo(f"kubrick: {problem}", err=True)
    if problems:
        sys.exit(2)
    idle = [name for name in composition.plugins if not kernel.plugins.has_plugin(name)]
    for name in idle:
        click.echo(f"note: [plugins.{name}] has no effect, because {name!r} takes no part")
    taking_part = len(kernel.plugins.names())
    why = f" ({kernel.plugins.why})" if kernel.plugins.why else ""
    click.echo(f"all is well: {taking_part} plugins, profile {kernel.plugins.profile_name}{why}, data in {directory}")


def _settings_class(manager: PluginManager, name: str) -> type | None:
    answers = dict(manager.implementers("kubrick_register_settings"))
    settings: type | None = answers[name]() if name in answers else None
    return settings


def _summary(plugin: object) -> str:
    """The first line of a plugin's docstring."""
    return (inspect.getdoc(plugin) or "").partition("\n")[0]


def _table(*columns: str) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _print(table: Any) -> None:
    """On a terminal as wide as it is; elsewhere wide enough that grep finds whole lines."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "160"))).print(table)
