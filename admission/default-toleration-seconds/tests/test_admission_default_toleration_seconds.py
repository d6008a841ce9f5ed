"""Five minutes on a node in trouble, unless the pod says otherwise."""

from typing import Any

import pytest

from kubrick_admission_default_toleration_seconds import NOT_READY, UNREACHABLE
from kubrick_api_core import PODS, SERVICE_ACCOUNTS
from kubrick_testing import build, run_cluster

SETTINGS = {"admission-default-toleration-seconds": {"not_ready_seconds": 60}}


def tolerates(key: str, seconds: int) -> dict[str, Any]:
    return {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}


@pytest.mark.parametrize(
    ("asked", "stored"),
    [
        ([], [tolerates(NOT_READY, 300), tolerates(UNREACHABLE, 300)]),
        ([tolerates(NOT_READY, 5)], [tolerates(NOT_READY, 5), tolerates(UNREACHABLE, 300)]),
        ([{"operator": "Exists"}], [{"operator": "Exists"}]),
        (
            [{"key": NOT_READY, "operator": "Exists", "effect": "NoSchedule"}],
            [
                {"key": NOT_READY, "operator": "Exists", "effect": "NoSchedule"},
                tolerates(NOT_READY, 300),
                tolerates(UNREACHABLE, 300),
            ],
        ),
    ],
)
async def test_what_is_not_tolerated_already_is_for_a_while(asked: Any, stored: Any) -> None:
    async with run_cluster("api") as cluster:
        await cluster.client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "default", "namespace": "default"}})
        pod = await cluster.client.create(PODS, build.pod(tolerations=asked))
        assert pod["spec"]["tolerations"] == stored


async def test_how_long_is_a_setting() -> None:
    async with run_cluster("api", settings=SETTINGS) as cluster:
        await cluster.client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "default", "namespace": "default"}})
        pod = await cluster.client.create(PODS, build.pod())
        assert pod["spec"]["tolerations"] == [tolerates(NOT_READY, 60), tolerates(UNREACHABLE, 300)]
