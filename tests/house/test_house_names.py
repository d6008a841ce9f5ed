"""One folder is one plugin with one name, spelled mechanically."""

from collections import Counter
from pathlib import Path
from typing import Any

LIBRARIES = {"kernel", "testing"}
"""Distributions that are no plugin: the kernel, and pytest's plugin."""
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "misc", "manager", "models"}


def test_distribution_import_and_entry_point_are_spelled_from_the_folder(members: list[Any]) -> None:
    wrong = []
    for member in members:
        entries = member.project.get("entry-points", {}).get("kubrick", {})
        expected = {member.name: member.package}
        if member.project["name"] != f"kubrick-{member.name}":
            wrong.append(f"{member.folder}: the distribution is {member.project['name']}")
        if not (member.source / "__init__.py").exists():
            wrong.append(f"{member.folder}: there is no src/{member.package}")
        if member.name not in LIBRARIES and entries != expected:
            wrong.append(f"{member.folder}: entry points are {entries}, not {expected}")
    assert not wrong, "\n".join(wrong)


def test_every_package_is_typed_and_says_what_it_is(members: list[Any]) -> None:
    wrong = []
    for member in members:
        if not (member.source / "py.typed").exists():
            wrong.append(f"{member.name}: no py.typed")
        if not member.project.get("description", "").endswith("."):
            wrong.append(f"{member.name}: the description is not a sentence")
        if member.project.get("requires-python") != ">=3.11":
            wrong.append(f"{member.name}: requires-python")
    assert not wrong, "\n".join(wrong)


def test_no_member_configures_tools_of_its_own(members: list[Any]) -> None:
    wrong = [
        str(file)
        for member in members
        for name in ("setup.cfg", "tox.ini", "pytest.ini", "mypy.ini", "ruff.toml", ".ruff.toml", "setup.py")
        if (file := member.folder / name).exists()
    ]
    wrong += [member.name for member in members if "[tool." in (member.folder / "pyproject.toml").read_text()]
    assert not wrong, "\n".join(wrong)


def test_every_member_has_tests_named_after_it(members: list[Any]) -> None:
    wrong = []
    for member in members:
        files = [file for file in member.tests if file.name != "conftest.py"]
        prefix = f"test_{member.name.replace('-', '_')}"
        if not files:
            wrong.append(f"{member.name}: no tests")
        wrong += [str(file) for file in files if file.name.startswith("test_") and not file.stem.startswith(prefix)]
    assert not wrong, "\n".join(wrong)


def test_test_files_have_names_of_their_own(root: Path) -> None:
    files = [file.name for folder in ("kernel", "plugins", "admission", "tests") for file in find(root / folder)]
    assert [name for name, count in Counter(files).items() if count > 1] == []


def find(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("test_*.py") if ".venv" not in file.parts]


def test_modules_are_named_for_something(members: list[Any]) -> None:
    assert [str(file) for member in members for file in member.modules if file.stem in EMPTY_NAMES] == []


def test_every_module_says_what_problem_it_solves(members: list[Any]) -> None:
    import ast

    silent = [
        str(file.relative_to(member.folder.parent))
        for member in members
        for file, tree in member.modules.items()
        if tree.body and not ast.get_docstring(tree)
    ]
    assert not silent, "\n".join(silent)


def test_the_default_set_has_every_member(members: list[Any], configuration: dict[str, Any]) -> None:
    names = {f"kubrick-{member.name}" for member in members}
    assert set(configuration["project"]["dependencies"]) == names
    assert set(configuration["tool"]["uv"]["sources"]) == names


def test_every_plugin_is_in_a_profile_or_is_chosen_by_name(members: list[Any]) -> None:
    from kubrick_profiles import kubrick_register_profiles

    in_profiles = {plugin for profile in kubrick_register_profiles() for plugin in profile.plugins}
    by_name = {member.name for member in members if member.name.startswith(("store-", "command-", "profiles"))}
    libraries = LIBRARIES | {"cel", "client", "http"}
    assert {member.name for member in members} - libraries - by_name == in_profiles - libraries
