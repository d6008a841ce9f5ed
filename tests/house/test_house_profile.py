"""Nothing that a test starts takes the machine's own network: as root, the default profile would."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from kubrick_kernel import Composition, build_plugin_manager
from kubrick_runtime_cri.needs import BUSYBOX, PROGRAMS

ROOT = Path(__file__).parents[2]
BESIDE_THE_DEFAULT = {"kernel/tests/test_kernel_command.py"}
"""Its plugins are made up, and so is the profile it prefers."""


def test_the_environment_of_all_tests_names_a_profile_that_changes_nothing() -> None:
    assert os.environ["KUBRICK_PROFILE"] == "hollow"
    assert build_plugin_manager(Composition(store="memory")).profile_name == "hollow"


def test_it_is_inherited_by_what_tests_start() -> None:
    command = [sys.executable, "-m", "kubrick_kernel", "plugins"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "profile hollow (named by KUBRICK_PROFILE), store sqlite"


def test_the_environment_counts_for_every_test_of_the_workspace(configuration: dict[str, Any]) -> None:
    """A conftest.py counts for the folders below it."""
    paths = configuration["tool"]["pytest"]["ini_options"]["testpaths"]
    assert all((ROOT / path).is_dir() for path in paths)
    assert "os.environ[PROFILE_VARIABLE]" in (ROOT / "conftest.py").read_text()


def test_make_as_root_installs_what_real_containers_take() -> None:
    script = (ROOT / ".ci" / "system").read_text()
    installed = set(re.findall(r"missing\+=\(([\w-]+)\)", script.partition("id -u")[2]))
    assert {*PROGRAMS.values(), BUSYBOX, "nftables"} <= installed


def python_files() -> list[Path]:
    folders = ("kernel", "plugins", "admission", "cni", "tests")
    return [file for folder in folders for file in (ROOT / folder).rglob("*.py") if ".venv" not in file.parts]


def unnamed(tree: ast.Module) -> list[int]:
    """The lines where a composition is made that names no profile."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    made = [call for call in calls if ast.unparse(call.func).rpartition(".")[2] == "Composition"]
    return [call.lineno for call in made if not any(word.arg in ("profile", None) for word in call.keywords)]


def test_whoever_runs_a_composition_names_its_profile() -> None:
    """`Composition()` without one is fine to look at; a Kernel of it is not."""
    found = []
    for file in python_files():
        if "tests" not in file.parts:
            continue
        text = file.read_text()
        if "Kernel(" not in text:
            continue
        tree = ast.parse(text)
        kernels = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) == "Kernel"]
        for call in kernels:
            first = call.args[0] if call.args else None
            if isinstance(first, ast.Call) and first.lineno in unnamed(tree):
                found.append(f"{file.relative_to(ROOT)}:{call.lineno}")
    assert not found


def test_whoever_starts_the_command_says_which_profile_or_file() -> None:
    """A list of arguments with "up" in it, as code."""
    found = []
    for file in python_files():
        name = str(file.relative_to(ROOT))
        if name in BESIDE_THE_DEFAULT or name.endswith("kubrick_testing/process.py"):
            continue
        text = file.read_text()
        for node in ast.walk(ast.parse(text)) if '"up"' in text else ():
            if not isinstance(node, ast.List):
                continue
            words = [part.value for part in node.elts if isinstance(part, ast.Constant)]
            command = {"kubrick", "kubrick_kernel"} & set(words) or "kubrick" in ast.unparse(node).lower()
            if command and "up" in words and not {"--profile", "-f", "--file"} & set(words):
                found.append(f"{name}:{node.lineno}")
    assert not found


def test_the_cluster_of_a_test_in_a_process_of_its_own_is_never_the_machines() -> None:
    """Even where no conftest.py of ours is: a plugin author's root runs `RealCluster` too."""
    source = (ROOT / "plugins/testing/src/kubrick_testing/process.py").read_text()
    assert re.search(r'PROFILE_VARIABLE: os\.environ\.get\(PROFILE_VARIABLE\) or "hollow"', source)
