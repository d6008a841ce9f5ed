"""What ``kubrick new`` makes builds to a wheel whose own tests pass, and says what is wrong with a name."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from kubrick_command_new.command import write
from kubrick_command_new.kinds import KINDS

BIN = Path(sys.executable).parent


def run(*command: str | Path, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    known = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    return subprocess.run(
        command, cwd=folder, env=known | environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_makes_builds_to_a_wheel_whose_tests_pass(kind: str, tmp_path: Path) -> None:
    package = tmp_path / "acme-gpu-filter"
    write(KINDS[kind], "acme-gpu-filter", package)
    built = run(BIN / "uv", "build", "--wheel", "--offline", "--out-dir", tmp_path, folder=package)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    tested = run(
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--import-mode=importlib",
        "tests",
        folder=package,
        PYTHONPATH=str(tmp_path / "site"),
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr
    checked = run(BIN / "kubrick", "check", "-f", "cluster.toml", folder=package, PYTHONPATH=str(tmp_path / "site"))
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_makes_is_clean(kind: str, tmp_path: Path) -> None:
    write(KINDS[kind], "acme-gpu-filter", tmp_path / "made")
    rules = ("--extend-select", "I,UP,B,C4,SIM,RUF,PT,RET,N")
    for command in (("check", *rules), ("format", "--check")):
        done = run(BIN / "ruff", *command, "--isolated", "--line-length=120", ".", folder=tmp_path / "made")
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("cni", "acme"),
            "there is no kind 'cni'; the kinds are: scheduler-plugin, controller, admission-plugin",
        ),
        (("store", "Acme_Log"), "'Acme_Log' can't be a package's name; use lower-case letters"),
        (("store", "taken"), "taken is not empty; choose another place with --directory"),
    ],
)
def test_a_wrong_kind_name_or_place_is_one_line(arguments: tuple[str, str], message: str, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("")
    done = run(BIN / "kubrick", "new", *arguments, folder=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_it_lists_what_it_wrote_and_what_to_do_next(tmp_path: Path) -> None:
    done = run(BIN / "kubrick", "new", "scheduler-plugin", "acme-gpu-filter", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "acme-gpu-filter/src/acme_gpu_filter/rule.py" in done.stdout
    assert "Next: pip install -e acme-gpu-filter" in done.stdout
    assert (tmp_path / "acme-gpu-filter" / "cluster.toml").exists()
