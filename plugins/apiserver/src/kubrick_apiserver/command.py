"""``kubrick kubeconfig``: where the administrator's kubeconfig is, so that scripts need not know."""

from pathlib import Path

import click

from kubrick_kernel import Composition, ConfigurationError, default_data_dir, load_composition


@click.command()
@click.option("-f", "--file", type=click.Path(path_type=Path, dir_okay=False), help="The cluster file.")
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Where everything is kept.")
def kubeconfig(file: Path | None, data_dir: Path | None) -> None:
    """Print the path of the administrator's kubeconfig."""
    composition = load_composition(file) if file else Composition()
    directory = (data_dir or default_data_dir(composition.name)).absolute()
    found = directory / "admin.kubeconfig"
    if not found.exists():
        raise ConfigurationError(f"there is no {found}; `kubrick up` makes it when the cluster first starts")
    click.echo(str(found))
