"""The clock, the machine's randomness and other event loops are banned outside the kernel."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BANNED = """
import asyncio
import datetime
import random
import time
import uuid

import anyio

time.time()
time.sleep(1)
time.monotonic()
datetime.datetime.now()
datetime.datetime.utcnow()
uuid.uuid4()
random.random()
"""


@pytest.mark.parametrize("place", ["plugins/x/src/kubrick_x/y.py", "kernel/src/kubrick_kernel/z.py", "tests/z.py"])
def test_time_and_randomness_are_inputs(root: Path, place: str) -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "ruff", "check", "--output-format=json", "--stdin-filename", root / place, "-"],
        input=BANNED,
        cwd=root,
        capture_output=True,
        text=True,
    )
    banned = {finding["message"].split("`")[1] for finding in json.loads(done.stdout) if finding["code"] == "TID251"}
    assert banned == {
        "asyncio",
        "anyio",
        "random",
        "time.time",
        "time.sleep",
        "time.monotonic",
        "datetime.datetime.now",
        "datetime.datetime.utcnow",
        "uuid.uuid4",
    }


def test_only_the_kernels_clock_is_exempt(root: Path) -> None:
    text = (root / "pyproject.toml").read_text()
    exempt = [line.split("=")[0].strip().strip('"') for line in text.splitlines() if "TID251" in line and "=" in line]
    assert exempt == ["kernel/src/kubrick_kernel/clock.py"]
