"""The fixtures that pytest finds (entry point ``pytest11``)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pytest_trio import trio_fixture

if TYPE_CHECKING:
    from kubrick_testing.cluster import Cluster
    from kubrick_testing.process import RealCluster

MARKER = "kubrick(nodes, seed, enable, disable, settings, arguments): what differs for this test's cluster"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)


def _asked(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the test's marker asks for."""
    marker = request.node.get_closest_marker("kubrick")
    return dict(marker.kwargs) if marker is not None else {}


@trio_fixture  # type: ignore[untyped-decorator]  # pytest-trio has no types
async def cluster(request: pytest.FixtureRequest) -> "AsyncIterator[Cluster]":
    """A control plane in this process on the memory store; with nodes if the test takes `hollow_nodes`."""
    from kubrick_testing.cluster import run_cluster

    asked = _asked(request)
    settings: dict[str, dict[str, Any]] = dict(asked.get("settings", {}))
    profile = "control-plane"
    if "hollow_nodes" in request.fixturenames:
        profile = "hollow"
        settings["runtime-hollow"] = {"nodes": asked.get("nodes", 3), **settings.get("runtime-hollow", {})}
    async with run_cluster(
        profile,
        seed=asked.get("seed", 0),
        enable=asked.get("enable", ()),
        disable=asked.get("disable", ()),
        settings=settings,
    ) as running:
        yield running


@pytest.fixture
def hollow_nodes(cluster: "Cluster") -> Any:
    """The cluster's hollow nodes: `names`, `stop(name)` and `await start(name)`."""
    from kubrick_runtime_hollow.nodes import HollowNodes

    return cluster.kernel.find(HollowNodes)


@trio_fixture  # type: ignore[untyped-decorator]  # pytest-trio has no types
async def real_cluster(request: pytest.FixtureRequest, tmp_path: Path) -> "AsyncIterator[RealCluster]":
    """``kubrick up --profile hollow`` as a process, ready; stopped after the test."""
    from kubrick_testing.process import RealCluster

    running = RealCluster(tmp_path / "data", _asked(request).get("arguments", ("--profile", "hollow")))
    await running.start()
    try:
        yield running
    finally:
        await running.stop()
