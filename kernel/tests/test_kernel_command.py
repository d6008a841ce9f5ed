"""The kubrick command, run as a user runs it, with a made-up distribution of plugins installed."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

KUBRICK = Path(sys.executable).parent / "kubrick"

BELL = '''"""Rings once all is ready."""
from attrs import frozen
import click, trio
from kubrick_kernel import ConfigurationError, Option, Profile, hookimpl

@frozen
class Settings:
    volume: int = 5
    muffled: bool = False
    ropes: int = 1

class Ringer:
    name = "ringer"
    requires = ("bus",)
    def __init__(self, kernel):
        self.kernel = kernel
    async def run(self, task_status):
        volume = self.kernel.settings("bell").volume
        if volume > 10:
            raise ConfigurationError(f"volume {volume} is too loud; at most 10")
        muffled = self.kernel.settings("bell").muffled
        self.kernel.announcements["bell"] = ("mmh" if muffled else "ding") * volume
        self.kernel.announcements["ropes"] = str(self.kernel.settings("bell").ropes)
        task_status.started()
        await trio.sleep_forever()

class Sweeper:
    name = "sweeper"
    requires = ()
    def __init__(self, kernel):
        self.dirt = kernel.data_dir / "dirt"
    async def run(self, task_status):
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            self.dirt.unlink(missing_ok=True)

@hookimpl
def kubrick_register_sweepers(kernel):
    return [Sweeper(kernel)]

@hookimpl
def kubrick_register_settings():
    return Settings

@hookimpl
def kubrick_register_components(kernel):
    return [Ringer(kernel)]

@hookimpl
def kubrick_register_options():
    return [
        Option("--volume", "bell", "volume", "How loud.", int),
        Option("--muffled", "bell", "muffled", "Less so.", bool),
    ]

@hookimpl
def kubrick_register_commands():
    return [click.Command("sing", callback=lambda: click.echo("la la"), help="Sing.")]

@hookimpl
def kubrick_register_obstacles(composition):
    return ["there is no tower; build one"] if composition.plugins.get("bell", {}).get("volume") == 9 else []

@hookimpl
def kubrick_register_checks(kernel):
    return ["the bell has no clapper; hang one"] if kernel.settings("bell").volume == 0 else []
'''
PROFILES = '''"""Profiles made up for tests."""
from kubrick_kernel import Profile, hookimpl

@hookimpl
def kubrick_register_profiles():
    return [
        Profile(
            "belfry",
            "a bell",
            ("bell",),
            store="memory",
            preference=1000,
            reason="it is the loudest",
            settings={"bell": {"volume": 3, "ropes": 4}},
        ),
        Profile("bare", "nothing", (), store="memory", preference=999),
    ]
'''
MODULES = {
    "bell": BELL,
    "profiles_test": PROFILES,
    "landmine": "raise RuntimeError('imported, though not enabled')",
    "command_greet": '''"""Greets."""
import click
from kubrick_kernel import hookimpl

@hookimpl
def kubrick_register_commands():
    return [click.Command("greet", callback=lambda: click.echo("hello"), help="Greet.")]
''',
}
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the made-up distribution is installed."""
    site = tmp_path_factory.mktemp("site")
    entries = [f"{name.replace('_', '-')} = acme_{name}" for name in MODULES]
    for name, source in MODULES.items():
        (site / f"acme_{name}.py").write_text(source)
    information = site / "acme-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[kubrick]\n" + "\n".join(entries) + "\n")
    home = tmp_path_factory.mktemp("home")
    # Here the default is what is tested; the made-up profiles are preferred to any other.
    inherited = {name: value for name, value in os.environ.items() if name != "KUBRICK_PROFILE"}
    return inherited | {"PYTHONPATH": str(site), "HOME": str(home), "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Run:
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [KUBRICK, *arguments], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=30
        )

    return run


@pytest.fixture
def running(environment: dict[str, str], tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """``kubrick up --data-dir data`` in `tmp_path`, ended afterwards."""
    process = subprocess.Popen(
        [KUBRICK, "up", "--data-dir", "data", "--volume", "2"],
        env=environment,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        process.terminate()


def until_ready(process: "subprocess.Popen[str]") -> list[str]:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip())
        if line.startswith("ready in"):
            break
    return lines


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_up_runs_until_told_to_stop_and_says_what_it_chose(running: "subprocess.Popen[str]", number: int) -> None:
    lines = until_ready(running)
    assert lines[:2] == ["profile belfry (the default here: it is the loudest), store memory", "bell: dingding"]
    assert lines[2] == "ropes: 4", "the profile's setting, which no flag or file speaks of"
    assert lines[3].startswith("ready in ")
    running.send_signal(number)
    _, errors = running.communicate(timeout=10)
    assert running.returncode == 0
    assert errors == "stopping (again to stop at once)\n"


def test_status_tells_of_a_running_cluster_and_of_none(run: Run, running: "subprocess.Popen[str]") -> None:
    until_ready(running)
    status = run("status", "--data-dir", "data")
    assert status.returncode == 0
    words = status.stdout.split()
    assert words[words.index("ringer") + 1] == "ready"
    assert "bell: dingding" in status.stdout
    assert f"process {running.pid}, profile belfry, store memory" in status.stdout
    nothing = run("status", "--data-dir", "elsewhere")
    assert nothing.returncode == 1
    assert nothing.stderr == "kubrick: nothing is running with data directory elsewhere\n"


def test_a_data_directory_in_use_is_one_line_and_exit_code_2(run: Run, running: "subprocess.Popen[str]") -> None:
    until_ready(running)
    for command in ("up", "check"):
        second = run(command, "--data-dir", "data")
        assert second.returncode == 2
        assert second.stderr.count("\n") == 1
        assert f"in use by process {running.pid}" in second.stderr


@pytest.mark.parametrize(
    ("arguments", "file", "message"),
    [
        (["up", "-f", "c.toml"], "[cluster]\nname = ", "kubrick: c.toml: is not valid TOML: Invalid value (at end of"),
        (["up", "-f", "c.toml"], "[cluster]\nenable = ['bells']", "there is no plugin 'bells'; did you mean bell?"),
        (["up", "-f", "c.toml"], "[plugins.bell]\nvolume = 'x'", "c.toml: [plugins.bell] volume: 'x' is not allowed"),
        (["up", "-f", "absent.toml"], "", "kubrick: absent.toml: cannot read it: No such file or directory"),
        (["up", "--profile", "belfri"], "", "unknown profile 'belfri'; did you mean belfry?"),
        (["up", "--volume", "11", "--data-dir", "data"], "", "kubrick: volume 11 is too loud; at most 10"),
        (["up", "--data-dir", "c.toml/x"], "", "cannot write to it (Not a directory); choose another with --data-dir"),
        (["check", "-f", "c.toml"], "[plugins.bell]\nvolume = 0", "kubrick: the bell has no clapper; hang one"),
        (
            ["check", "-f", "c.toml"],
            "[cluster]\nprofile = 'belfry'\n[plugins.bell]\nvolume = 9",
            "kubrick: there is no tower; build one",
        ),
        (["up", "--profile", "belfry", "--volume", "9"], "", "kubrick: there is no tower; build one"),
        (["check", "-f", "c.toml"], "[cluster]\nenable = ['landmine']", "plugin 'landmine' can't be imported: Runtime"),
        (["plugins", "show", "bells"], "", "kubrick: there is no plugin 'bells'; did you mean bell?"),
        (
            ["up", "--volum", "3"],
            "",
            "kubrick: No such option '--volum'. Did you mean '--volume'? (see kubrick up --help)",
        ),
        (["up", "--volume", "x"], "", "'x' is not a valid integer (see kubrick up --help)"),
        (["up", "-f", "."], "", "is a directory (see kubrick up --help)"),
        (["plugins", "show"], "", "kubrick: Missing argument 'NAME' (see kubrick plugins show --help)"),
        (["stauts"], "", "kubrick: there is no command 'stauts'; did you mean status? (see kubrick --help)"),
    ],
)
def test_what_the_user_can_put_right_is_one_line_and_exit_code_2(
    run: Run, tmp_path: Path, arguments: list[str], file: str, message: str
) -> None:
    (tmp_path / "c.toml").write_text(file)
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_a_command_there_is_help(run: Run) -> None:
    done = run()
    assert done.returncode == 2
    assert "Usage: kubrick [OPTIONS] COMMAND" in done.stderr


def test_flags_of_plugins_are_in_the_help(run: Run) -> None:
    done = run("up", "--help")
    assert done.returncode == 0
    assert "--volume INTEGER" in done.stdout
    assert "How loud." in done.stdout


def test_plugins_lists_what_is_installed_and_imports_only_what_takes_part(run: Run) -> None:
    done = run("plugins")
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    assert rows["bell"] == ["yes", "Rings", "once", "all", "is", "ready."]
    assert rows["landmine"] == ["no"]


def test_plugins_show_says_hooks_and_settings(run: Run) -> None:
    done = run("plugins", "show", "bell")
    assert done.returncode == 0, done.stderr
    assert "bell (enabled): Rings once all is ready." in done.stdout
    assert "kubrick_register_components, kubrick_register_obstacles, kubrick_register_options" in done.stdout
    assert "volume 5 a whole number" in " ".join(done.stdout.split())


def test_check_says_when_all_is_well_and_changes_nothing(run: Run, tmp_path: Path) -> None:
    done = run("check", "--data-dir", "data")
    assert done.returncode == 0, done.stderr
    assert "all is well: 2 plugins, profile belfry (the default here: it is the loudest), data" in done.stdout
    assert not (tmp_path / "data").exists()


def test_check_notes_settings_that_have_no_effect(run: Run, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[plugins.landmine]\nx = 1")
    done = run("check", "-f", "c.toml", "--data-dir", "data")
    assert "note: [plugins.landmine] has no effect, because 'landmine' takes no part" in done.stdout


def test_plugins_add_commands(run: Run) -> None:
    assert run("greet").stdout == "hello\n"
    assert run("sing").stdout == "la la\n"
    listed = run("--help").stdout
    assert "Greet." in listed
    assert "Sing." in listed


def test_down_stops_what_runs_and_has_plugins_remove_what_they_left(
    running: "subprocess.Popen[str]", run: Run, tmp_path: Path
) -> None:
    until_ready(running)
    dirt = tmp_path / "data" / "dirt"
    dirt.touch()
    done = run("down", "--data-dir", "data")
    assert done.stdout.splitlines() == [f"process {running.pid} has ended", "nothing is left running"]
    assert running.wait(5) == 0
    assert not dirt.exists()
    dirt.touch()
    assert run("down", "--data-dir", "data").stdout == "nothing is left running\n"
    assert not dirt.exists()


def test_down_goes_by_the_profile_that_was_run(
    running: "subprocess.Popen[str]", environment: dict[str, str], tmp_path: Path
) -> None:
    until_ready(running)
    running.kill()
    running.wait(5)
    (tmp_path / "data" / "dirt").touch()
    command = [KUBRICK, "down", "--data-dir", "data"]
    # Without the memory of it, this would be a profile whose plugins know nothing of the dirt.
    subprocess.run(command, env=environment | {"KUBRICK_PROFILE": "bare"}, cwd=tmp_path, check=True, timeout=30)
    assert not (tmp_path / "data" / "dirt").exists()


def test_the_environment_names_the_profile_where_nothing_else_does(environment: dict[str, str], tmp_path: Path) -> None:
    def plugins(*arguments: str) -> str:
        chosen = environment | {"KUBRICK_PROFILE": "bare"}
        done = subprocess.run(
            [KUBRICK, "plugins", *arguments], env=chosen, cwd=tmp_path, capture_output=True, text=True, timeout=30
        )
        return done.stdout.splitlines()[-1]

    (tmp_path / "c.toml").write_text("[cluster]\nprofile = 'belfry'")
    assert plugins() == "profile bare (named by KUBRICK_PROFILE), store memory"
    assert plugins("-f", "c.toml") == "profile belfry, store memory"
    assert plugins("--profile", "belfry") == "profile belfry, store memory"


def test_up_says_which_variable_names_a_profile(run: Run) -> None:
    assert "KUBRICK_PROFILE" in run("up", "--help").stdout


def test_down_where_nothing_ever_was_says_so(run: Run, tmp_path: Path) -> None:
    done = run("down", "--data-dir", "elsewhere")
    assert done.returncode == 2
    assert "there is no data directory" in done.stderr
    (tmp_path / "empty").mkdir()
    done = run("down", "--data-dir", "empty")
    assert done.returncode == 2
    assert "no cluster was ever run in" in done.stderr
    assert not list((tmp_path / "empty").iterdir())


def test_a_flag_of_type_bool_takes_no_value(environment: dict[str, str], tmp_path: Path) -> None:
    command = [KUBRICK, "up", "--data-dir", "data", "--muffled", "--volume", "1"]
    with subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        lines = until_ready(process)
        process.terminate()
    assert "bell: mmh" in lines
