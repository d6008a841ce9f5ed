"""A brick imports what it declares and declares what it imports, so that its wheel works alone."""

import ast
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

IMPORTED_AS = {"attr": "attrs", "yaml": "pyyaml", "jwt": "pyjwt", "google": "protobuf"}
"""Distributions whose packages have another name."""
BUILT = ("kernel", "api-core", "scheduler-node-ports")
"""A brick without hosts, one with data files, and a leaf: these are built and imported for real."""


def imported(member: Any, *, for_tests: bool = False) -> set[str]:
    """The distributions whose packages `member` imports, at run time or for types; `for_tests`: those
    of its public test tools, which may need what its extra ``testing`` names."""
    packages = set()
    for file, tree in member.modules.items():
        if for_tests != ("testing" in file.relative_to(member.source).with_suffix("").parts):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                packages |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                packages.add(node.module.partition(".")[0])
    foreign = packages - set(sys.stdlib_module_names) - {member.package}
    return {canonicalize_name(IMPORTED_AS.get(package, package)) for package in foreign}


def described(member: Any) -> set[str]:
    """The API groups whose types `member`'s schemas refer to."""
    file = member.source / "schemas.json"
    groups = re.findall(r'"ref":"io\.k8s\.api\.(\w+)\.', file.read_text()) if file.exists() else []
    return {f"kubrick-api-{group}" for group in groups} - {f"kubrick-{member.name}"}


def declared(member: Any, extra: str = "") -> set[str]:
    lines = member.project.get("optional-dependencies", {}).get(extra, []) if extra else member.project["dependencies"]
    return {canonicalize_name(Requirement(line).name) for line in lines}


def test_everything_imported_or_referred_to_is_declared(members: list[Any]) -> None:
    lines = []
    for member in members:
        missing = (imported(member) | described(member)) - declared(member)
        missing |= imported(member, for_tests=True) - declared(member) - declared(member, "testing")
        if missing:
            lines.append(f"{member.name} lacks {', '.join(sorted(missing))}")
    assert not lines, "\n".join(lines)


def test_everything_declared_is_imported(members: list[Any]) -> None:
    idle = {member.name: declared(member) - imported(member) - described(member) for member in members}
    lines = [f"{name} doesn't need {', '.join(sorted(found))}" for name, found in idle.items() if found]
    assert not lines, "\n".join(lines)


def needs(name: str, members: dict[str, Any]) -> Iterator[str]:
    """The distribution `name` and all it needs."""
    known = members.get(name)
    lines = known.project["dependencies"] if known else distribution(name).requires or []
    yield name
    for requirement in map(Requirement, lines):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield from needs(canonicalize_name(requirement.name), members)


@pytest.mark.parametrize("name", BUILT)
def test_a_wheel_builds_and_imports_with_only_what_it_declares(
    name: str, members: list[Any], root: Path, tmp_path: Path
) -> None:
    by_distribution = {canonicalize_name(member.project["name"]): member for member in members}
    alone = tmp_path / "alone"
    alone.mkdir()
    wanted = dict.fromkeys(needs(f"kubrick-{name}", by_distribution))
    for found in wanted:
        if member := by_distribution.get(found):
            build(member.folder, tmp_path / "dist")
        else:
            link_installed(found, alone)
    for wheel in (tmp_path / "dist").glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(alone)
    package = by_distribution[f"kubrick-{name}"].package
    modules = sorted(
        ".".join(file.relative_to(alone).with_suffix("").parts).removesuffix(".__init__")
        for file in (alone / package).rglob("*.py")
        if "testing" not in file.parts
    )
    script = f"import sys; sys.path[:0] = [{str(alone)!r}]; [__import__(module) for module in {modules!r}]"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def build(folder: Path, target: Path) -> None:
    uv = Path(sys.executable).parent / "uv"
    done = subprocess.run(
        [uv, "build", "--wheel", "--offline", "--quiet", "--out-dir", target, folder], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def link_installed(name: str, target: Path) -> None:
    """Make the top-level files and folders of an installed distribution visible in `target`."""
    try:
        installed = distribution(name)
    except PackageNotFoundError:
        pytest.fail(f"{name} is declared and not installed")
    for file in installed.files or []:
        top = file.parts[0]
        source = Path(str(installed.locate_file(top)))
        if top not in ("..", "__pycache__") and not (target / top).exists():
            (target / top).symlink_to(source)
