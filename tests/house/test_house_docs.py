"""The documents are true: code in them runs, commands in them exist, links in them lead somewhere."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from attrs import frozen

from kubrick_kernel.cli import Cli, cli
from kubrick_kernel.composition import parse_composition
from kubrick_kernel.up import Up

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BIN = Path(sys.executable).parent
FENCE = re.compile(r"^```(\w*)(?: file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@frozen
class Block:
    """A fenced block of a page: its language, the file it is (or ""), and its text."""

    page: Path
    language: str
    file: str
    text: str


def blocks(page: Path) -> list[Block]:
    return [Block(page, *(found or "" for found in match.groups())) for match in FENCE.finditer(page.read_text())]


def commands() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block in blocks(page):
            if block.language == "console":
                for line in block.text.splitlines():
                    assert line.startswith("$ "), f"{page}: a console block shows commands only: {line}"
                    for command in (line[2:], *re.findall(r"\$\((.*?)\)", line)):
                        yield page.name, command


def run(*command: str | Path, folder: Path, path: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, cwd=folder, env=os.environ | {"PYTHONPATH": str(path)}, capture_output=True, text=True, timeout=120
    )


def test_the_tutorials_plugin_passes_its_tests_and_may_be_enabled(tmp_path: Path) -> None:
    page = ROOT / "docs" / "tutorial" / "write-a-plugin.md"
    for block in blocks(page):
        if block.file:
            file = tmp_path / block.file
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text)
    built = run(BIN / "uv", "build", "--wheel", "--offline", "--out-dir", "dist", folder=tmp_path, path=tmp_path)
    assert built.returncode == 0, built.stderr
    site = tmp_path / "site"
    subprocess.run([sys.executable, "-m", "zipfile", "-e", *(tmp_path / "dist").glob("*.whl"), site], check=True)
    tested = run(sys.executable, "-m", "pytest", "-q", "tests", folder=tmp_path, path=site)
    assert tested.returncode == 0, tested.stdout
    checked = run(BIN / "kubrick", "check", "-f", "cluster.toml", folder=tmp_path, path=site)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_in_the_documents_is_code(page: Path) -> None:
    for block in blocks(page):
        assert block.language in {"python", "toml", "console"}, f"a block of {block.language or 'nothing'}"
        if block.language == "python":
            assert block.file, "a Python block is a file that a test runs"
            ast.parse(block.text)
        if block.language == "toml" and block.file in ("", "cluster.toml"):
            parse_composition(block.text, page)


def test_commands_in_the_documents_exist() -> None:
    found = [(page, command.split()) for page, command in commands() if command.startswith("kubrick ")]
    assert found
    for page, (_, name, *arguments) in found:
        if name == "up":
            # The file named in a document isn't here; the other flags are what is looked at.
            kept = [
                part for before, part in zip(["", *arguments], arguments, strict=False) if "-f" not in (before, part)
            ]
            Up().make_context("up", kept)
            continue
        assert isinstance(cli, Cli)
        command = cli.get_command(click.Context(cli), name)
        assert command is not None, f"{page}: kubrick {name}"
        parameters = {option for parameter in command.params for option in parameter.opts}
        assert {part for part in arguments if part.startswith("-")} <= parameters, f"{page}: kubrick {name} {arguments}"


def test_makes_targets_named_in_the_documents_exist() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        assert set(re.findall(r"(?:`|\$ )make (\w+)", page.read_text())) <= targets


def test_the_readmes_test_command_is_the_one_ci_runs() -> None:
    shown = [command for page, command in commands() if page == "README.md" and command.startswith("make")]
    assert shown == ["make up", "make test"]
    steps = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line and not line.startswith("#")]
    assert steps == ["set -euo pipefail", 'cd "$(dirname "$0")/.."', "make test"]


def test_the_readme_fits_on_a_screen() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 45


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_command_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "command-line.md").read_text()
    listed = cli.list_commands(click.Context(cli))
    assert [name for name in listed if f"`kubrick {name}" not in page] == []
    flags = [option for parameter in Up().params for option in parameter.opts]
    assert [flag for flag in flags if f"`{flag}" not in page] == []
