"""Every pod gets an account and a token; mirrors of static pods get neither."""

from typing import Any

import pytest
import trio
import trio.testing

from kubrick_admission_service_account import MIRROR, MOUNT_PATH
from kubrick_api.errors import StatusError
from kubrick_api_core import PODS, SERVICE_ACCOUNTS
from kubrick_testing import build, run_cluster


def account(name: str = "default", **fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default"}, **fields}


async def message_of(call: Any) -> str:
    with pytest.raises(StatusError) as error:
        await call
    assert error.value.code == 403
    return error.value.message


async def test_a_pod_gets_the_default_account_and_its_token() -> None:
    async with run_cluster("api") as cluster:
        await cluster.client.create(SERVICE_ACCOUNTS, account(imagePullSecrets=[{"name": "registry"}]))
        spec = (await cluster.client.create(PODS, build.pod(initContainers=[build.container("first")])))["spec"]
        assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("default", "default")
        assert spec["imagePullSecrets"] == [{"name": "registry"}]
        (volume,) = spec["volumes"]
        assert volume["name"].startswith("kube-api-access-")
        assert volume["projected"] == {
            "defaultMode": 420,
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {
                    "downwardAPI": {
                        "items": [
                            {
                                "path": "namespace",
                                "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                            }
                        ]
                    }
                },
            ],
        }
        mount = {"name": volume["name"], "readOnly": True, "mountPath": MOUNT_PATH}
        for container in (*spec["containers"], *spec["initContainers"]):
            assert container["volumeMounts"] == [mount]


async def test_a_container_that_has_something_there_is_left_alone() -> None:
    async with run_cluster("api") as cluster:
        await cluster.client.create(SERVICE_ACCOUNTS, account())
        mounts = [{"name": "own", "mountPath": MOUNT_PATH}]
        pod = build.pod(volumes=[{"name": "own", "emptyDir": {}}])
        pod["spec"]["containers"][0]["volumeMounts"] = mounts
        spec = (await cluster.client.create(PODS, pod))["spec"]
        assert [volume["name"] for volume in spec["volumes"]] == ["own"]


@pytest.mark.parametrize(
    ("of_pod", "of_account", "mounted"),
    [(None, None, True), (None, False, False), (True, False, True), (False, True, False)],
)
async def test_the_pod_decides_about_the_token_then_the_account(of_pod: Any, of_account: Any, mounted: bool) -> None:
    async with run_cluster("api") as cluster:
        fields = {} if of_account is None else {"automountServiceAccountToken": of_account}
        await cluster.client.create(SERVICE_ACCOUNTS, account(**fields))
        asked = {} if of_pod is None else {"automountServiceAccountToken": of_pod}
        spec = (await cluster.client.create(PODS, build.pod(**asked)))["spec"]
        assert bool(spec.get("volumes")) is mounted


async def test_an_account_that_is_missing_is_an_error() -> None:
    async with run_cluster("api") as cluster:
        assert await message_of(cluster.client.create(PODS, build.pod(serviceAccountName="robot"))) == (
            'pods "web" is forbidden: error looking up service account default/robot: serviceaccount "robot" not found'
        )


async def test_the_default_account_is_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    async with run_cluster("api") as cluster:
        client = cluster.client
        start = trio.current_time()
        message = await message_of(client.create(PODS, build.pod()))
        assert message.endswith('serviceaccount "default" not found')
        assert trio.current_time() - start == pytest.approx(1.0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.create, PODS, build.pod())
            await trio.sleep(0.25)
            await client.create(SERVICE_ACCOUNTS, account())
        assert (await client.get(PODS, "web", "default"))["spec"]["serviceAccountName"] == "default"


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"serviceAccountName": "default"}, "a mirror pod may not reference service accounts"),
        ({"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}, "a mirror pod may not reference secrets"),
        (
            {
                "volumes": [
                    {"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
                ]
            },
            "a mirror pod may not use ServiceAccountToken volume projections",
        ),
    ],
)
async def test_a_mirror_pod_may_not_have_what_is_the_apis(spec: Any, why: str) -> None:
    async with run_cluster("api") as cluster:
        pod = build.pod(nodeName="n", annotations={MIRROR: "hash"}, **spec)
        assert await message_of(cluster.client.create(PODS, pod)) == f'pods "web" is forbidden: {why}'


async def test_a_mirror_pod_is_left_as_it_is() -> None:
    async with run_cluster("api") as cluster:
        pod = build.pod(nodeName="n", annotations={MIRROR: "hash"})
        spec = (await cluster.client.create(PODS, pod))["spec"]
        assert "serviceAccountName" not in spec
        assert "volumes" not in spec
