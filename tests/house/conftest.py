"""The house as data: every member of the workspace, with its metadata and its source parsed once."""

import ast
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from attrs import define

ROOT = Path(__file__).parents[2]


@define(slots=False)
class Member:
    """One folder that is a distribution."""

    folder: Path

    @cached_property
    def project(self) -> dict[str, Any]:
        project: dict[str, Any] = tomllib.loads((self.folder / "pyproject.toml").read_text())["project"]
        return project

    @property
    def name(self) -> str:
        """The name everything else is spelled from: plugins/x is x, admission/x is admission-x."""
        if self.folder.parent == ROOT:
            return self.folder.name
        family = self.folder.parent.name
        return self.folder.name if family == "plugins" else f"{family}-{self.folder.name}"

    @property
    def package(self) -> str:
        return "kubrick_" + self.name.replace("-", "_")

    @property
    def source(self) -> Path:
        return self.folder / "src" / self.package

    @cached_property
    def modules(self) -> dict[Path, ast.Module]:
        """Every module of the package, parsed."""
        return {file: ast.parse(file.read_text()) for file in sorted(self.source.rglob("*.py"))}

    @property
    def tests(self) -> list[Path]:
        return sorted((self.folder / "tests").rglob("*.py"))


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def configuration(root: Path) -> dict[str, Any]:
    """The root pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text())


@pytest.fixture(scope="session")
def members(root: Path) -> list[Member]:
    files = [root / "kernel" / "pyproject.toml", *root.glob("*/*/pyproject.toml")]
    return [Member(file.parent) for file in sorted(files)]
