"""Imports point one way: leaf, host, client, API, kernel."""

import subprocess
import sys
from pathlib import Path
from typing import Any


def test_every_package_has_its_layer(members: list[Any], configuration: dict[str, Any]) -> None:
    linter = configuration["tool"]["importlinter"]
    packages = {member.package for member in members}
    assert set(linter["root_packages"]) == packages
    (layers,) = [contract["layers"] for contract in linter["contracts"] if contract["type"] == "layers"]
    listed = [name.strip() for layer in layers for name in layer.replace(":", "|").split("|")]
    assert sorted(listed) == sorted(packages)


def test_the_layers_hold(root: Path) -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
