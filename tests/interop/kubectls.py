"""Which kubectl versions there are on this machine."""

import shutil
from pathlib import Path

import pytest

WANTED = ("1.27", "1.33")


def installed() -> list[str]:
    """The oldest and the newest wanted kubectl beside the one on the PATH, or that one alone."""
    found = shutil.which("kubectl")
    if found is None:
        return []
    beside = [Path(found).resolve().with_name(f"kubectl.{version}") for version in WANTED]
    return [str(path) for path in beside if path.exists()] or [found]


each_kubectl = pytest.mark.parametrize("kubectl", installed(), ids=lambda path: Path(path).name)
