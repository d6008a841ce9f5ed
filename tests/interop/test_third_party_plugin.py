"""A stranger's scheduler plugin: made, built to a wheel, installed into a clean environment, enabled, at work."""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

from kubrick_testing import RealCluster

BIN = Path(sys.executable).parent
POD = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "web", "image": "nginx"}]}}


def run(*command: str | Path, folder: Path) -> str:
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def clean_environment(folder: Path, wheel: Path) -> Path:
    """A new virtual environment with the wheel in it and Kubrick beside it; returns its Python."""
    run(sys.executable, "-m", "venv", "--without-pip", folder, folder=folder.parent)
    python = folder / "bin" / "python"
    run(BIN / "uv", "pip", "install", "--offline", "--no-deps", "--python", python, wheel, folder=folder)
    site = next(folder.glob("lib/python*/site-packages"))
    # What a user gets from the package index is installed here already: this environment sees it.
    (site / "kubrick.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    return python


def installed_plugin(folder: Path) -> tuple[Path, Path]:
    """Make, build and install the plugin; returns its environment's Python and a cluster file that enables it."""
    run(BIN / "kubrick", "new", "scheduler-plugin", "acme-gpu-filter", folder=folder)
    run(BIN / "uv", "build", "--wheel", "--offline", "--out-dir", folder, folder=folder / "acme-gpu-filter")
    (wheel,) = folder.glob("*.whl")
    file = folder / "cluster.toml"
    file.write_text(
        '[cluster]\nprofile = "hollow"\nenable = ["acme-gpu-filter"]\n'
        '[plugins.acme-gpu-filter]\nlabel = "gpu"\n[plugins.runtime-hollow]\nnodes = 3\n'
    )
    return clean_environment(folder / "environment", wheel), file


async def test_a_scheduler_plugin_from_a_wheel_takes_part_in_scheduling(tmp_path: Path):
    python, file = installed_plugin(tmp_path)
    cluster = RealCluster(tmp_path / "data", ("-f", str(file)), python=python)
    await cluster.start()
    try:
        await cluster.kubectl("label", "node", "node-2", "gpu=yes")
        for n in range(3):
            pod = {**POD, "metadata": {"name": f"gpu-{n}", "annotations": {"gpu": "wanted"}}}
            await cluster.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
        await cluster.kubectl("wait", "--for=condition=Ready", "pods", "--all", "--timeout=30s")
        nodes = await cluster.kubectl("get", "pods", "-o", "jsonpath={.items[*].spec.nodeName}")
        assert nodes.split() == ["node-2"] * 3
        await cluster.kubectl("label", "node", "node-2", "gpu-")
        refused = {**POD, "metadata": {"name": "refused", "annotations": {"gpu": "wanted"}}}
        await cluster.kubectl("apply", "-f", "-", stdin=json.dumps(refused))
        await cluster.kubectl(
            "wait", "--for=jsonpath={.status.conditions[0].reason}=Unschedulable", "pod/refused", "--timeout=30s"
        )
        message = await cluster.kubectl("get", "pod", "refused", "-o", "jsonpath={.status.conditions[0].message}")
        assert "3 node(s) didn't have the label that the pod asks for" in message
    finally:
        await cluster.stop()
