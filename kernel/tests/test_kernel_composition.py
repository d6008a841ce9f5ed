"""A cluster file is read strictly; what is wrong with it is said with file, line or key."""

from pathlib import Path

import pytest

from kubrick_kernel import Composition, ConfigurationError, load_composition
from kubrick_kernel.composition import Option, parse_composition
from kubrick_kernel.up import with_flags

FILE = Path("cluster.toml")


def test_a_whole_file_is_read() -> None:
    text = """
        [cluster]
        name = "lab"
        profile = "hollow"
        enable = ["acme-gpu-filter"]
        disable = ["scheduler-image-locality"]
        store = "memory"
        [plugins.acme-gpu-filter]
        label = "gpu"
    """
    assert parse_composition(text, FILE) == Composition(
        name="lab",
        profile="hollow",
        enable=("acme-gpu-filter",),
        disable=("scheduler-image-locality",),
        store="memory",
        plugins={"acme-gpu-filter": {"label": "gpu"}},
        file=FILE,
    )


def test_an_empty_file_is_the_default_composition() -> None:
    assert parse_composition("", FILE) == Composition(file=FILE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[cluster]\nname = \n", r"^cluster.toml: is not valid TOML: .*line 2"),
        ("[clutser]", r"^cluster.toml: unknown table \[clutser\]; allowed are \[cluster\] and \[plugins.<plugin>\]"),
        ("cluster = 1", r"^cluster.toml: cluster must be a table, written \[cluster\]"),
        ("[cluster]\nprofil = 'x'", r"^cluster.toml: \[cluster\]: unknown key 'profil'; did you mean profile\?"),
        ("[cluster]\nenable = 'x'", r"^cluster.toml: \[cluster\] enable: 'x' is not allowed; it must be a list"),
        ("[cluster]\nname = '../x'", r"^cluster.toml: \[cluster\] name: '../x' must be letters, digits and '-'"),
        ("[plugins]\nx = 1", r"^cluster.toml: plugins.x must be a table, written \[plugins.x\]"),
    ],
)
def test_what_is_wrong_is_said_with_the_place(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse_composition(text, FILE)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent.toml: cannot read it: No such file"):
        load_composition(tmp_path / "absent.toml")
    (tmp_path / "latin.toml").write_bytes(b"name = '\xe9'")
    with pytest.raises(ConfigurationError, match=r"latin.toml: is not UTF-8 text"):
        load_composition(tmp_path / "latin.toml")


def test_flags_are_laid_over_the_files_settings() -> None:
    options = {"nodes": Option("--nodes", "hollow", "nodes", "how many", int)}
    composition = Composition(plugins={"hollow": {"nodes": 1, "speed": 2}})
    assert with_flags(composition, options, {"nodes": 3}).plugins == {"hollow": {"nodes": 3, "speed": 2}}
    assert with_flags(composition, options, {"nodes": None}) == composition
