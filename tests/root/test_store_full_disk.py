"""The disk under a store fills up: writes are refused, what was acknowledged is there, and room is all it needs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")]


def test_a_full_disk_refuses_writes_and_loses_none_that_were_acknowledged(tmp_path: Path) -> None:
    driver = Path(__file__).with_name("full_disk.py")
    command = ["unshare", "--mount", sys.executable, str(driver), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told.pop("before") > 100
    assert told.pop("refusal").endswith("not committed: database or disk is full")
    assert told == {"after": 10, "refused after": 0, "seen": True, "kept": True, "whole": True}
