"""``kubrick down``: stop the process that has a data directory, then remove what any earlier run left outside
it. What that is only the plugins know: those of their components that keep things on the machine are started
once more, without the cluster, and ended as at a clean stop.
"""

import os
import signal
from pathlib import Path

import attrs
import click
import trio

from kubrick_kernel.composition import Composition
from kubrick_kernel.datadir import held, read_profile, read_status
from kubrick_kernel.errors import ConfigurationError
from kubrick_kernel.kernel import Kernel
from kubrick_kernel.lifecycle import Component, Supervisor

STOP_SECONDS = 120.0
SWEEP_SECONDS = 120.0
LOOK_SECONDS = 0.05


def take_down(composition: Composition, directory: Path) -> None:
    """Raises `ConfigurationError` when there never was a cluster, or it does not end."""
    if not directory.is_dir():
        raise ConfigurationError(f"there is no data directory {directory}; name the right one with --data-dir")
    running = read_status(directory)
    last = read_profile(directory)
    if last is None and running is None:
        # The default profile's plugins would look for what they never left, and touch the machine for it.
        raise ConfigurationError(f"no cluster was ever run in {directory}; name the right one with --data-dir")
    composition = attrs.evolve(composition, profile=composition.profile or last or "")
    if running is not None:
        trio.run(_stop, int(running["pid"]), directory)
        click.echo(f"process {running['pid']} has ended")
    kernel = Kernel(attrs.evolve(composition, store="memory"), data_dir=directory, sweeping=True)
    answers = kernel.plugins.hook.kubrick_register_sweepers(kernel=kernel)
    sweepers = [component for answer in answers for component in answer]
    if sweepers:
        with held(directory):
            trio.run(_sweep, sweepers)
        click.echo("nothing is left running")


async def _stop(pid: int, directory: Path) -> None:
    try:
        if pid:  # one that has only just begun hasn't said; it is waited for
            os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    with trio.move_on_after(STOP_SECONDS):
        while read_status(directory) is not None:  # noqa: ASYNC110  # another process's lock
            await trio.sleep(LOOK_SECONDS)
        return
    raise ConfigurationError(f"process {pid} does not end; kill it, then run `kubrick down` again")


async def _sweep(components: list[Component]) -> None:
    """Start them, and end them in order."""
    supervisor = Supervisor(components)
    async with trio.open_nursery() as nursery:
        with trio.move_on_after(SWEEP_SECONDS) as waiting:
            await nursery.start(supervisor.run)
        supervisor.stop()
    if waiting.cancelled_caught:
        raise ConfigurationError("what an earlier run left could not be taken over; see the log above")
