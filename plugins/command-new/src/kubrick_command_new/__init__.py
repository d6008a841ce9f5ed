"""``kubrick new KIND NAME``: a new plugin package that builds, passes its own tests and works."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubrick_kernel import hookimpl

if TYPE_CHECKING:
    import click


@hookimpl
def kubrick_register_commands() -> "Sequence[click.Command]":
    from kubrick_command_new.command import new

    return (new,)
