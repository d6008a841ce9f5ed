"""Names of priority classes become numbers, and only one class is the default."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kubrick_api.errors import StatusError
from kubrick_api_core import PODS, SERVICE_ACCOUNTS
from kubrick_api_scheduling import PRIORITY_CLASSES
from kubrick_client import Client
from kubrick_testing import build, run_cluster


@asynccontextmanager
async def server() -> AsyncIterator[Client]:
    async with run_cluster("api") as cluster:
        await cluster.client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "default", "namespace": "default"}})
        yield cluster.client


def priority_class(name: str, value: int, **fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "value": value, **fields}


async def message_of(call: Any) -> str:
    with pytest.raises(StatusError) as error:
        await call
    assert error.value.code == 403
    return error.value.message


async def test_without_a_class_the_priority_is_zero() -> None:
    async with server() as client:
        pod = await client.create(PODS, build.pod())
        assert (pod["spec"]["priority"], pod["spec"]["preemptionPolicy"]) == (0, "PreemptLowerPriority")
        assert "priorityClassName" not in pod["spec"]


async def test_the_system_classes_are_there() -> None:
    async with server() as client:
        for name, value in (("system-node-critical", 2000001000), ("system-cluster-critical", 2000000000)):
            assert (await client.get(PRIORITY_CLASSES, name))["value"] == value
            pod = await client.create(PODS, build.pod(name, priorityClassName=name))
            assert pod["spec"]["priority"] == value


async def test_a_class_gives_its_value_and_policy() -> None:
    async with server() as client:
        await client.create(PRIORITY_CLASSES, priority_class("gentle", 100, preemptionPolicy="Never"))
        pod = await client.create(PODS, build.pod(priorityClassName="gentle"))
        assert (pod["spec"]["priority"], pod["spec"]["preemptionPolicy"]) == (100, "Never")


async def test_the_default_class_is_for_pods_that_name_none() -> None:
    async with server() as client:
        await client.create(PRIORITY_CLASSES, priority_class("usual", 7, globalDefault=True))
        pod = await client.create(PODS, build.pod())
        assert (pod["spec"]["priorityClassName"], pod["spec"]["priority"]) == ("usual", 7)
        message = await message_of(client.create(PRIORITY_CLASSES, priority_class("other", 8, globalDefault=True)))
        assert message == (
            'priorityclasses.scheduling.k8s.io "other" is forbidden: PriorityClass usual is already marked as '
            "default. Only one default can exist"
        )


async def test_a_default_class_counts_from_when_it_is_there_until_it_is_gone() -> None:
    async with server() as client:
        found = []
        for step in ("none", "there", "gone"):
            if step == "there":
                await client.create(PRIORITY_CLASSES, priority_class("usual", 7, globalDefault=True))
            elif step == "gone":
                await client.delete(PRIORITY_CLASSES, "usual")
            pod = await client.create(PODS, build.pod(step))
            found.append(pod["spec"]["priority"])
        assert found == [0, 7, 0]


async def test_what_the_pod_claims_must_be_what_its_class_says() -> None:
    async with server() as client:
        assert await message_of(client.create(PODS, build.pod(priorityClassName="gold"))) == (
            'pods "web" is forbidden: no PriorityClass with name gold was found'
        )
        assert await message_of(client.create(PODS, build.pod(priority=5))) == (
            'pods "web" is forbidden: the integer value of priority (5) must not be provided in pod spec; priority '
            "admission controller computed 0 from the given PriorityClass name"
        )
        assert await message_of(client.create(PODS, build.pod(preemptionPolicy="Never"))) == (
            'pods "web" is forbidden: the string value of PreemptionPolicy (Never) must not be provided in pod spec; '
            "priority admission controller computed PreemptLowerPriority from the given PriorityClass name"
        )
        pod = await client.create(PODS, build.pod(priority=0))
        assert pod["spec"]["priority"] == 0


async def test_an_update_that_leaves_the_priority_out_keeps_it() -> None:
    async with server() as client:
        pod = await client.create(PODS, build.pod())
        spec = {key: value for key, value in pod["spec"].items() if key not in ("priority", "preemptionPolicy")}
        updated = await client.update(PODS, {**pod, "spec": spec})
        assert updated["spec"] == pod["spec"]


async def test_a_second_default_class_is_refused() -> None:
    async with server() as client:
        await client.create(PRIORITY_CLASSES, priority_class("usual", 10, globalDefault=True))
        await client.create(PRIORITY_CLASSES, priority_class("other", 20))
        why = "PriorityClass usual is already marked as default. Only one default can exist"
        second = priority_class("second", 5, globalDefault=True)
        assert await message_of(client.create(PRIORITY_CLASSES, second)) == (
            f'priorityclasses.scheduling.k8s.io "second" is forbidden: {why}'
        )
        change = client.patch(PRIORITY_CLASSES, "other", {"globalDefault": True})
        assert await message_of(change) == f'priorityclasses.scheduling.k8s.io "other" is forbidden: {why}'
        await client.patch(PRIORITY_CLASSES, "usual", {"description": "for all"})
        await client.patch(PRIORITY_CLASSES, "usual", {"globalDefault": False})
        await client.patch(PRIORITY_CLASSES, "other", {"globalDefault": True})
