"""The kernel's hooks. Each is synchronous, is asked once at start, and returns objects.

A plugin is a module (or object) named in the entry-point group ``kubrick``; its functions marked
with `hookimpl` answer these. A host adds hooks of its own by answering `kubrick_add_hookspecs`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import click

    from kubrick_kernel.composition import Composition, Option, Profile
    from kubrick_kernel.kernel import Kernel
    from kubrick_kernel.lifecycle import Component
    from kubrick_kernel.store import Store

PROJECT = "kubrick"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def kubrick_add_hookspecs(manager: pluggy.PluginManager) -> None:
    """Called when a plugin is registered, before any other hook: a host calls
    ``manager.add_hookspecs(its_module)`` here to add the extension points of its family."""


@hookspec
def kubrick_register_components(kernel: "Kernel") -> "Sequence[Component]":
    """Components to run. Called once, after settings are read and before anything runs: build
    objects and offer them (`Kernel.offer`), but look others up (`Kernel.find`) only in `run`."""
    return ()


@hookspec(firstresult=True)
def kubrick_open_store(kernel: "Kernel", name: str) -> "Store | None":
    """The storage engine called `name` ("memory", "sqlite", ...), or None if it is not this
    plugin's. Only the plugin ``store-<name>`` that the user chose is asked."""


@hookspec
def kubrick_register_settings() -> type | None:
    """The attrs class of this plugin's settings, with a default for every field; the table
    ``[plugins.<name>]`` of the cluster file is structured into it. Asked of each plugin."""


@hookspec
def kubrick_register_profiles() -> "Sequence[Profile]":
    """Named plugin sets this plugin contributes. Asked before the profile is known, so only of plugins
    called ``profiles`` or ``profiles-<anything>``, and of those the user enables by name."""
    return ()


@hookspec
def kubrick_register_options() -> "Sequence[Option]":
    """Flags of ``kubrick up``, each of which sets one of this plugin's settings."""
    return ()


@hookspec
def kubrick_register_commands() -> "Sequence[click.Command]":
    """Subcommands of the ``kubrick`` command. Asked of the plugin ``command-<name>`` when the user
    types ``kubrick <name>``, and of the plugins of the default composition."""
    return ()


@hookspec
def kubrick_register_sweepers(kernel: "Kernel") -> "Sequence[Component]":
    """For ``kubrick down``: those of this plugin's components that, started and ended once more, remove
    what a run that was killed or told to keep something has left on the machine."""
    return ()


@hookspec
def kubrick_register_obstacles(composition: "Composition") -> Sequence[str]:
    """What keeps this plugin from running on this machine, for this user, with what `composition` says: a
    missing program, a missing right. One line each, saying what to do. A profile with an obstacle is passed over
    where none is named, and refused by ``kubrick up`` where it is. Asked often: look, touch nothing."""
    return ()


@hookspec
def kubrick_register_checks(kernel: "Kernel") -> Sequence[str]:
    """For ``kubrick check``: what is wrong with this machine or composition for this plugin, one
    clear line each, saying what to do. An empty sequence means all is well."""
    return ()
