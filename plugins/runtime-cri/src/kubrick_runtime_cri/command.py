"""``kubrick image``: bring images to the node of a running cluster, and see which are there. It speaks to the
containerd in the data directory, so there is no registry between."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click
import trio

from kubrick_kernel import Composition, ConfigurationError, default_data_dir, load_composition
from kubrick_node import Image, RuntimeFailure
from kubrick_runtime_cri.calls import Calls
from kubrick_runtime_cri.channel import Channel, RPCError
from kubrick_runtime_cri.containerd import Paths
from kubrick_runtime_cri.images import Images

T = TypeVar("T")
UNITS = ("B", "kB", "MB", "GB", "TB")
SHORT_ID = 12

_FILE = click.option("-f", "--file", type=click.Path(path_type=Path, dir_okay=False), help="The cluster file.")
_DATA_DIR = click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Where everything is kept."
)


@click.group()
def image() -> None:
    """Look after the images of a running cluster's node."""


@image.command()
@click.argument("archive", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_FILE
@_DATA_DIR
def load(archive: Path, file: Path | None, data_dir: Path | None) -> None:
    """Import an image ARCHIVE (docker save, or OCI layout) as a tar file."""
    names = _ask(file, data_dir, lambda images: images.import_archive(str(archive.absolute())))
    for name in names:
        click.echo(f"loaded {name}")


@image.command("list")
@_FILE
@_DATA_DIR
def list_(file: Path | None, data_dir: Path | None) -> None:
    """Say which images are there."""
    rows = [("IMAGE", "ID", "SIZE")]
    rows += sorted(row for one in _ask(file, data_dir, lambda images: images.listed()) for row in _rows(one))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for row in rows:
        click.echo(f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}")


def _rows(one: Image) -> list[tuple[str, str, str]]:
    short = one.id.removeprefix("sha256:")[:SHORT_ID]
    return [(name, short, human(one.size)) for name in one.tags or one.digests or ("<none>",)]


def human(size: float) -> str:
    """1234567 → 1.2MB. Pure."""
    unit = UNITS[0]
    for unit in UNITS:
        if size < 1000 or unit == UNITS[-1]:
            break
        size /= 1000
    return f"{size:.3g}{unit}"


def _ask(file: Path | None, data_dir: Path | None, question: Callable[[Images], Awaitable[T]]) -> T:
    composition = load_composition(file) if file else Composition()
    directory = (data_dir or default_data_dir(composition.name)).resolve()
    socket = Paths(directory / "containerd").socket
    if not Path(socket).is_socket():
        raise ConfigurationError(f"no containerd runs in {directory}; start a cluster with real containers there")

    async def ask() -> T | ConfigurationError:
        async with trio.open_nursery() as nursery:
            channel = Channel(socket)
            await nursery.start(channel.run)
            try:
                answer: T | ConfigurationError = await question(Images(Calls(channel), "ctr", socket))
            except (RuntimeFailure, RPCError) as error:
                answer = ConfigurationError(str(error))
            nursery.cancel_scope.cancel()
        return answer

    answer = trio.run(ask)
    if isinstance(answer, ConfigurationError):
        raise answer
    return answer
