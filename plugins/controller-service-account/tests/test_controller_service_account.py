"""Every namespace has a service account called default, for as long as it lives."""

from typing import Any

import trio

from kubrick_api_core import NAMESPACES, SERVICE_ACCOUNTS
from kubrick_testing.cluster import Cluster

TEAM = {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "team"}}


def present(account: dict[str, Any] | None) -> bool:
    return account is not None


async def test_a_new_namespace_gets_its_account(autojump_clock: trio.testing.MockClock, cluster: Cluster) -> None:
    await cluster.client.create(NAMESPACES, TEAM)
    account = await cluster.until(SERVICE_ACCOUNTS, "default", present, "team")
    assert account is not None
    assert account["metadata"]["namespace"] == "team"


async def test_a_deleted_account_comes_back(autojump_clock: trio.testing.MockClock, cluster: Cluster) -> None:
    before = await cluster.until(SERVICE_ACCOUNTS, "default", present)
    assert before is not None
    uid = before["metadata"]["uid"]
    await cluster.client.delete(SERVICE_ACCOUNTS, "default", "default")
    await cluster.until(
        SERVICE_ACCOUNTS, "default", lambda account: account is not None and account["metadata"]["uid"] != uid
    )


async def test_a_namespace_that_ends_takes_it_along(autojump_clock: trio.testing.MockClock, cluster: Cluster) -> None:
    await cluster.client.create(NAMESPACES, TEAM)
    await cluster.until(SERVICE_ACCOUNTS, "default", present, "team")
    await cluster.client.delete(NAMESPACES, "team")
    await cluster.until(NAMESPACES, "team", lambda namespace: namespace is None, "")
    assert (await cluster.client.list(SERVICE_ACCOUNTS, "team"))["items"] == []
