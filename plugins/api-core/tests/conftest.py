"""An API server in this process with every API group and nothing else."""

from collections.abc import AsyncIterator

from pytest_trio import trio_fixture

from kubrick_testing import Cluster, run_cluster


@trio_fixture  # type: ignore[untyped-decorator]  # pytest-trio has no types
async def api() -> AsyncIterator[Cluster]:
    async with run_cluster("api", disable=("admission-service-account",)) as cluster:
        yield cluster
