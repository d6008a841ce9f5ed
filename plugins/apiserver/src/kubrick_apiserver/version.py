"""Which Kubernetes this server says it is."""

import platform
import sys

import orjson

MAJOR, MINOR = "1", "36"
GIT_VERSION = "v1.36.0+kubrick"
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def version() -> dict[str, str]:
    """What /version answers; goVersion and compiler say what really runs."""
    machine = platform.machine()
    return {
        "major": MAJOR,
        "minor": MINOR,
        "emulationMajor": MAJOR,
        "emulationMinor": MINOR,
        "minCompatibilityMajor": MAJOR,
        "minCompatibilityMinor": "35",
        "gitVersion": GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z",
        "goVersion": f"python{platform.python_version()}",
        "compiler": sys.implementation.name,
        "platform": f"{sys.platform}/{MACHINES.get(machine, machine)}",
    }


def version_json() -> bytes:
    return orjson.dumps(version(), option=orjson.OPT_INDENT_2)
