"""Which kubectl versions there are on this machine."""

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

WANTED = ("1.27", "1.33")
OLD = Path(__file__).parents[2] / ".venv" / "tools" / "kubectl.1.20"
"""Debian's, which `.ci/system tests` unpacks there."""


def installed() -> list[str]:
    """The oldest and the newest wanted kubectl beside the one on the PATH, or that one alone; and Debian's, if it
    was unpacked."""
    found = shutil.which("kubectl")
    if found is None:
        return []
    beside = [Path(found).resolve().with_name(f"kubectl.{version}") for version in WANTED]
    old = [str(OLD)] if OLD.exists() else []
    return old + ([str(path) for path in beside if path.exists()] or [found])


@cache
def minor(kubectl: str) -> int:
    """The 27 of 1.27."""
    said = subprocess.run([kubectl, "version", "--client", "-o", "json"], capture_output=True, text=True, check=True)
    found = re.search(r'"minor": "(\d+)', said.stdout)
    assert found is not None, said.stdout
    return int(found.group(1))


each_kubectl = pytest.mark.parametrize("kubectl", installed(), ids=lambda path: Path(path).name)
