"""Nothing new where there is no namespace, or one that is going; the system's own stay."""

from typing import Any

import pytest

from kubrick_api.errors import StatusError
from kubrick_api_authorization.names import LOCAL_SUBJECT_ACCESS_REVIEWS
from kubrick_api_core import CONFIG_MAPS, NAMESPACES
from kubrick_testing import build, run_cluster


async def refused(call: Any) -> StatusError:
    with pytest.raises(StatusError) as error:
        await call
    return error.value


async def test_a_missing_namespace_is_not_found() -> None:
    async with run_cluster("api") as cluster:
        error = await refused(cluster.client.create(CONFIG_MAPS, build.config_map(namespace="nowhere")))
        assert (error.code, error.message) == (404, 'namespaces "nowhere" not found')
        assert error.details == {"name": "nowhere", "kind": "namespaces"}


async def test_a_terminating_namespace_takes_nothing_new_but_lets_things_change_and_go() -> None:
    async with run_cluster("api") as cluster:
        client = cluster.client
        await client.create(NAMESPACES, build.namespace("team"))
        kept = await client.create(CONFIG_MAPS, build.config_map("kept", "team"))
        await client.delete(NAMESPACES, "team")
        error = await refused(client.create(CONFIG_MAPS, build.config_map("new", "team")))
        assert error.message == (
            'configmaps "new" is forbidden: unable to create new content in namespace team because it is '
            "being terminated"
        )
        assert error.details is not None
        assert error.details["causes"][0]["reason"] == "NamespaceTerminating"
        await client.update(CONFIG_MAPS, {**kept, "data": {"a": "b"}})
        await client.delete(CONFIG_MAPS, "kept", "team")


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
async def test_the_systems_namespaces_cannot_be_deleted(name: str) -> None:
    async with run_cluster("api") as cluster:
        error = await refused(cluster.client.delete(NAMESPACES, name))
        assert (error.code, error.message) == (
            403,
            f'namespaces "{name}" is forbidden: this namespace may not be deleted',
        )


async def test_an_access_review_says_nothing_about_the_namespace() -> None:
    async with run_cluster("api") as cluster:
        spec = {"user": "eve", "resourceAttributes": {"namespace": "nowhere", "verb": "get", "resource": "pods"}}
        review = await cluster.client.create(LOCAL_SUBJECT_ACCESS_REVIEWS, {"spec": spec}, "nowhere")
        assert review["status"]["allowed"] is False
