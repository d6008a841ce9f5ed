"""One process per data directory, and an honest status."""

import os
from pathlib import Path

import pytest

from kubrick_kernel import ConfigurationError, default_data_dir
from kubrick_kernel.datadir import held, problem_with, read_status, write_status


def test_a_held_directory_refuses_a_second_holder_and_names_the_first(tmp_path: Path) -> None:
    with held(tmp_path), pytest.raises(ConfigurationError, match=rf"in use by process {os.getpid()}; stop it"):
        held(tmp_path).__enter__()
    with held(tmp_path):
        pass


def test_it_is_made_for_its_owner_only(tmp_path: Path) -> None:
    with held(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


def test_a_place_that_cannot_be_a_directory_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"cannot write to it .*; choose another with --data-dir"):
        held(tmp_path / "file" / "data").__enter__()
    assert "cannot write to" in (problem_with(tmp_path / "file") or "")
    assert "cannot write to it (File name too long)" in (problem_with(tmp_path / ("a" * 300)) or "")


def test_the_status_is_there_only_while_somebody_holds_the_directory(tmp_path: Path) -> None:
    assert read_status(tmp_path) is None
    with held(tmp_path):
        write_status(tmp_path, {"pid": 7})
        assert read_status(tmp_path) == {"pid": 7}
        assert problem_with(tmp_path) == f"data directory {tmp_path}: in use by process 7"
    assert read_status(tmp_path) is None
    assert problem_with(tmp_path) is None


def test_a_status_left_behind_by_a_killed_process_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("12345")
    write_status(tmp_path, {"pid": 12345})
    assert read_status(tmp_path) is None


def test_the_default_place_is_under_the_users_home_or_var_lib_for_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_data_dir("dev") == Path("/var/lib/kubrick/dev")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert default_data_dir("dev") == Path("/home/ada/.local/share/kubrick/dev")
