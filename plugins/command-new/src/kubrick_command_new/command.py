"""The command: checks the names, fills in the templates, and says what to do next."""

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

import click

from kubrick_command_new.kinds import KINDS, NAME, Kind, names
from kubrick_kernel import ConfigurationError


@click.command()
@click.argument("kind", metavar="KIND")
@click.argument("name")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to put it (default: a folder of that name).",
)
def new(kind: str, name: str, directory: Path | None) -> None:
    """Make a new plugin package: scheduler-plugin, controller, admission-plugin, store or api-group."""
    if kind not in KINDS:
        raise ConfigurationError(f"there is no kind {kind!r}; the kinds are: {', '.join(KINDS)}")
    if not NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} can't be a package's name; use lower-case letters, digits and hyphens, like acme-gpu-filter"
        )
    target = directory or Path(name)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigurationError(f"{target} is not empty; choose another place with --directory")
    for file in write(KINDS[kind], name, target):
        click.echo(f"  {file}")
    click.echo(f"Next: pip install -e {target} && pytest {target}, then enable it as {target}/README.md says.")


def write(kind: Kind, name: str, target: Path) -> list[Path]:
    """Make the package in `target`; returns the files written."""
    known = names(kind, name)
    written = []
    for folder in ("any", kind.name):
        for path, text in _templates(files("kubrick_command_new") / "templates" / folder):
            file = target / path.replace("PACKAGE", known["package"])
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(Template(text).substitute(known), encoding="utf-8")
            written.append(file)
    return sorted(written)


def _templates(folder: Traversable, path: str = "") -> Iterator[tuple[str, str]]:
    """The templates under `folder`, as (path without ".txt", text); PACKAGE in a path is the package."""
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _templates(entry, f"{path}{entry.name}/")
        else:
            yield path + entry.name.removesuffix(".txt"), entry.read_text(encoding="utf-8")
