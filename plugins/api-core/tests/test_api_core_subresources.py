"""Bindings, evictions, scales, finalization and the other subresources, through an API server."""

from typing import Any

import pytest

from kubrick_api.errors import StatusError
from kubrick_api.names import GVR
from kubrick_api_core import (
    BINDINGS,
    COMPONENT_STATUSES,
    NAMESPACES,
    PODS,
    REPLICATION_CONTROLLERS,
    SECRETS,
    SERVICE_ACCOUNTS,
)
from kubrick_testing import Cluster, build, run_cluster

Object = dict[str, Any]
BUDGETS = GVR("policy", "v1", "poddisruptionbudgets")


def binding(node: str, name: str = "web") -> Object:
    return {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": {"kind": "Node", "name": node}}


def eviction(name: str = "web") -> Object:
    return {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "default"}}


async def bind(api: Cluster, node: str) -> Object:
    return await api.client.create(PODS, binding(node), "default", subresource="binding", name="web")


async def evict(api: Cluster, **options: Any) -> Object:
    return await api.client.create(PODS, eviction(), "default", subresource="eviction", name="web", **options)


async def test_a_binding_places_a_pod_once(api: Cluster) -> None:
    await api.client.create(PODS, build.pod(), "default")
    assert (await bind(api, "n1"))["status"] == "Success"
    placed = await api.client.get(PODS, "web", "default")
    assert placed["spec"]["nodeName"] == "n1"
    assert placed["metadata"]["generation"] == 1, "as the conformance suite has it"
    (condition,) = placed["status"]["conditions"]
    assert (condition["type"], condition["status"]) == ("PodScheduled", "True")
    with pytest.raises(StatusError) as caught:
        await bind(api, "n2")
    assert caught.value.code == 409
    assert caught.value.message == (
        'Operation cannot be fulfilled on pods/binding "web": pod web is already assigned to node "n1"'
    )


async def test_the_bindings_resource_does_the_same(api: Cluster) -> None:
    await api.client.create(PODS, build.pod(), "default")
    await api.client.create(BINDINGS, binding("n1"), "default")
    assert (await api.client.get(PODS, "web", "default"))["spec"]["nodeName"] == "n1"


async def test_a_gated_pod_is_not_placed(api: Cluster) -> None:
    made = await api.client.create(PODS, build.pod(schedulingGates=[{"name": "wait"}]), "default")
    assert made["status"]["conditions"][0]["reason"] == "SchedulingGated"
    with pytest.raises(StatusError, match=r"has non-empty \.spec\.schedulingGates"):
        await bind(api, "n1")


async def test_a_new_pod_is_pending_with_its_quality_of_service(api: Cluster) -> None:
    made = build.pod(requests={"cpu": "1"})
    made["status"] = {"phase": "Running"}
    stored = await api.client.create(PODS, made, "default")
    assert stored["status"] == {"phase": "Pending", "qosClass": "Burstable"}


async def test_an_unscheduled_pod_goes_at_once_and_a_placed_one_gracefully(api: Cluster) -> None:
    await api.client.create(PODS, build.pod(), "default")
    await api.client.delete(PODS, "web", "default")
    await api.client.create(PODS, build.pod(), "default")
    await bind(api, "n1")
    going = await api.client.delete(PODS, "web", "default")
    assert going["metadata"]["deletionGracePeriodSeconds"] == 30
    assert (await api.client.get(PODS, "web", "default"))["metadata"]["deletionTimestamp"]
    with pytest.raises(StatusError, match="is being deleted, cannot be assigned to a host"):
        await api.client.create(PODS, binding("n1"), "default", subresource="binding", name="web")


async def running(api: Cluster, allowed: int) -> None:
    """A ready pod under a budget that allows so many disruptions."""
    await api.client.create(PODS, build.pod(labels={"app": "web"}), "default")
    await bind(api, "n1")
    pod = await api.client.get(PODS, "web", "default")
    status = {**pod["status"], "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    await api.client.update(PODS, {**pod, "status": status}, subresource="status")
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    body = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"}, "spec": spec}
    budget = await api.client.create(BUDGETS, body, "default")
    counts = {"disruptionsAllowed": allowed, "currentHealthy": 1 + allowed, "desiredHealthy": 1, "expectedPods": 1}
    status = {"observedGeneration": 1, **counts}
    await api.client.update(BUDGETS, {**budget, "status": status}, subresource="status")


async def test_an_eviction_spends_the_budget_and_deletes_the_pod(api: Cluster) -> None:
    await running(api, allowed=1)
    assert (await evict(api))["status"] == "Success"
    budget = await api.client.get(BUDGETS, "b", "default")
    assert budget["status"]["disruptionsAllowed"] == 0
    assert list(budget["status"]["disruptedPods"]) == ["web"]
    pod = await api.client.get(PODS, "web", "default")
    assert pod["metadata"]["deletionTimestamp"]
    assert "DisruptionTarget" in [condition["type"] for condition in pod["status"]["conditions"]]


async def test_an_eviction_that_the_budget_forbids_is_429_with_the_cause_that_drain_looks_for(api: Cluster) -> None:
    await running(api, allowed=0)
    with pytest.raises(StatusError) as caught:
        await evict(api)
    assert caught.value.code == 429
    assert caught.value.message == "Cannot evict pod as it would violate the pod's disruption budget."
    assert caught.value.details is not None
    (cause,) = caught.value.details["causes"]
    assert cause["reason"] == "DisruptionBudget"
    assert cause["message"] == "The disruption budget b needs 1 healthy pods and has 1 currently"


async def test_an_eviction_on_trial_changes_nothing(api: Cluster) -> None:
    await running(api, allowed=1)
    await evict(api, dry_run=True)
    assert "deletionTimestamp" not in (await api.client.get(PODS, "web", "default"))["metadata"]
    assert (await api.client.get(BUDGETS, "b", "default"))["status"]["disruptionsAllowed"] == 1


async def test_scaling_changes_replicas_and_nothing_else(api: Cluster) -> None:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [build.container()]}}
    body = {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "rc"}}
    made = await api.client.create(REPLICATION_CONTROLLERS, {**body, "spec": {"template": template}}, "default")
    assert made["spec"]["selector"] == {"app": "web"}
    patch = {"spec": {"replicas": 5}}
    scale = await api.client.patch(REPLICATION_CONTROLLERS, "rc", patch, "default", subresource="scale")
    assert (scale["kind"], scale["spec"], scale["status"]["selector"]) == ("Scale", {"replicas": 5}, "app=web")
    after = await api.client.get(REPLICATION_CONTROLLERS, "rc", "default")
    assert after["spec"] == {**made["spec"], "replicas": 5}
    assert after["metadata"]["generation"] == 2
    negative = {"spec": {"replicas": -1}}
    with pytest.raises(StatusError, match="must be greater than or equal to 0"):
        await api.client.patch(REPLICATION_CONTROLLERS, "rc", negative, "default", subresource="scale")


async def test_a_namespace_terminates_first_and_goes_when_finalized(api: Cluster) -> None:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}}
    made = await api.client.create(NAMESPACES, body)
    assert made["spec"] == {"finalizers": ["kubernetes"]}
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": "team"}
    going = await api.client.delete(NAMESPACES, "team")
    assert going["status"]["phase"] == "Terminating"
    stored = await api.client.get(NAMESPACES, "team")
    await api.client.update(NAMESPACES, {**stored, "spec": {}}, subresource="finalize")
    with pytest.raises(StatusError) as caught:
        await api.client.get(NAMESPACES, "team")
    assert caught.value.code == 404


async def test_ephemeral_containers_come_only_through_their_subresource(api: Cluster) -> None:
    await api.client.create(PODS, build.pod(), "default")
    pod = await api.client.get(PODS, "web", "default")
    debugger = {"name": "debug", "image": "busybox:1"}
    changed = {**pod, "spec": {**pod["spec"], "ephemeralContainers": [debugger]}}
    after = await api.client.update(PODS, changed, subresource="ephemeralcontainers")
    assert after["spec"]["ephemeralContainers"][0]["name"] == "debug"


async def test_a_resize_changes_resources_only(api: Cluster) -> None:
    await api.client.create(PODS, build.pod(requests={"cpu": "1"}), "default")
    patch = {"spec": {"containers": [{"name": "web", "resources": {"requests": {"cpu": "2"}}}]}}
    after = await api.client.patch(PODS, "web", patch, "default", kind="strategic", subresource="resize")
    assert after["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "2"}
    same = await api.client.patch(PODS, "web", {"spec": {"hostname": "x"}}, "default", subresource="resize")
    assert same == after
    disk = {"spec": {"containers": [{"name": "web", "resources": {"requests": {"ephemeral-storage": "1Gi"}}}]}}
    with pytest.raises(StatusError, match="only cpu and memory resources are mutable"):
        await api.client.patch(PODS, "web", disk, "default", kind="strategic", subresource="resize")


async def test_component_statuses_show_what_runs_by_kubernetes_names() -> None:
    async with run_cluster("control-plane") as cluster:
        client = cluster.client
        found = (await client.list(COMPONENT_STATUSES))["items"]
        assert [each["metadata"]["name"] for each in found] == ["controller-manager", "etcd-0", "scheduler"]
        (one,) = (await client.list(COMPONENT_STATUSES, field_selector="metadata.name=etcd-0"))["items"]
        assert one["conditions"] == [{"type": "Healthy", "status": "True", "message": "ok"}]
        assert (await client.list(COMPONENT_STATUSES, label_selector="a=b"))["items"] == []
        with pytest.raises(StatusError) as caught:
            await client.get(COMPONENT_STATUSES, "etcd-1")
        assert caught.value.code == 404


async def test_tokens_need_somebody_who_signs_them() -> None:
    async with run_cluster("api", disable=["auth-service-account"]) as api:
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}}
        await api.client.create(SERVICE_ACCOUNTS, account, "default")
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}}
        with pytest.raises(StatusError) as caught:
            await api.client.create(SERVICE_ACCOUNTS, request, "default", subresource="token", name="robot")
        assert caught.value.code == 501


async def test_the_last_disruption_turns_the_budgets_condition(api: Cluster) -> None:
    await running(api, allowed=1)
    await evict(api)
    (condition,) = (await api.client.get(BUDGETS, "b", "default"))["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == (
        "DisruptionAllowed",
        "False",
        "InsufficientPods",
    )


async def unready(api: Cluster) -> None:
    pod = await api.client.get(PODS, "web", "default")
    status = {**pod["status"], "conditions": [{"type": "Ready", "status": "False"}]}
    await api.client.update(PODS, {**pod, "status": status}, subresource="status")


@pytest.mark.parametrize(("policy", "healthy", "goes"), [(None, 1, True), (None, 0, False), ("AlwaysAllow", 0, True)])
async def test_an_unready_pod_goes_while_enough_are_healthy_or_always_if_so_allowed(
    api: Cluster, policy: str | None, healthy: int, goes: bool
) -> None:
    await running(api, allowed=0)
    await unready(api)
    budget = await api.client.get(BUDGETS, "b", "default")
    changed = {**budget, "spec": {**budget["spec"], "unhealthyPodEvictionPolicy": policy}}
    budget = await api.client.update(BUDGETS, changed)
    status = {**budget["status"], "currentHealthy": healthy, "observedGeneration": budget["metadata"]["generation"]}
    await api.client.update(BUDGETS, {**budget, "status": status}, subresource="status")
    if goes:
        await evict(api)
        assert "disruptedPods" not in (await api.client.get(BUDGETS, "b", "default"))["status"]
    else:
        with pytest.raises(StatusError) as caught:
            await evict(api)
        assert caught.value.code == 429
    pod = await api.client.get(PODS, "web", "default")
    assert ("deletionTimestamp" in pod["metadata"]) is goes


async def test_an_eviction_waits_for_the_budget_to_be_counted(api: Cluster) -> None:
    await running(api, allowed=1)
    budget = await api.client.get(BUDGETS, "b", "default")
    await api.client.update(BUDGETS, {**budget, "spec": {**budget["spec"], "minAvailable": 2}})
    with pytest.raises(StatusError) as caught:
        await evict(api)
    assert (caught.value.code, caught.value.details) == (
        429,
        {
            "retryAfterSeconds": 10,
            "causes": [
                {
                    "reason": "DisruptionBudget",
                    "message": "The disruption budget b is still being processed by the server.",
                }
            ],
        },
    )


async def test_a_pod_under_two_budgets_stays(api: Cluster) -> None:
    await running(api, allowed=1)
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    body = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "c"}, "spec": spec}
    await api.client.create(BUDGETS, body, "default")
    with pytest.raises(StatusError) as caught:
        await evict(api)
    assert (caught.value.code, caught.value.message) == (
        500,
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
    )


async def test_a_binding_names_a_node(api: Cluster) -> None:
    await api.client.create(PODS, build.pod(), "default")
    body = {**binding(""), "target": {"kind": "Pod"}}
    with pytest.raises(StatusError) as caught:
        await api.client.create(PODS, body, "default", subresource="binding", name="web")
    assert (caught.value.code, caught.value.message) == (
        500,
        '[target.kind: Unsupported value: "Pod": supported values: "Node", "<empty>", target.name: Required value]',
    )


@pytest.mark.parametrize("named", ["other", ""])
@pytest.mark.parametrize(("subresource", "kind"), [("binding", "Binding"), ("eviction", "Eviction")])
async def test_what_is_posted_below_a_pod_names_that_pod(api: Cluster, subresource: str, kind: str, named: str) -> None:
    await api.client.create(PODS, build.pod(), "default")
    body = binding("n1", named) if subresource == "binding" else eviction(named)
    with pytest.raises(StatusError) as caught:
        await api.client.create(PODS, body, "default", subresource=subresource, name="web")
    assert (caught.value.code, caught.value.reason, caught.value.message) == (
        400,
        "BadRequest",
        f"name in URL does not match name in {kind} object",
    )


async def token_refusal(api: Cluster, metadata: Object | None = None, **spec: Any) -> tuple[int, str]:
    """What is said against a TokenRequest for the account "builder"."""
    body = {"metadata": metadata or {}, "spec": spec}
    with pytest.raises(StatusError) as caught:
        await api.client.create(SERVICE_ACCOUNTS, body, "default", subresource="token", name="builder")
    return caught.value.code, caught.value.message


async def test_token_requests_are_refused_in_kubernetes_words(api: Cluster) -> None:
    made = await api.client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "builder"}}, "default")
    await api.client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "default"}}, "default")
    await api.client.create(PODS, build.pod(), "default")
    invalid = 'TokenRequest.authentication.k8s.io "%s" is invalid: '
    short = "spec.expirationSeconds: Invalid value: %d: may not specify a duration less than 10 minutes"
    assert await token_refusal(api, expirationSeconds=599) == (422, invalid % "" + short % 599)
    assert await token_refusal(api, expirationSeconds=0) == (422, invalid % "" + short % 0)
    assert await token_refusal(api, expirationSeconds=(1 << 32) + 1) == (
        422,
        invalid % ""
        + "spec.expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds",
    )
    assert await token_refusal(api, {"name": "other"}) == (
        422,
        invalid % "builder" + 'metadata.name: Invalid value: "other": must match the service account name if specified',
    )
    assert await token_refusal(api, {"uid": "old"}) == (
        409,
        'Operation cannot be fulfilled on TokenRequest.authentication.k8s.io "builder": the UID in the token request '
        f"(old) does not match the UID of the service account ({made['metadata']['uid']})",
    )
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    assert await token_refusal(api, boundObjectRef=reference) == (
        400,
        "cannot bind token to object of type apps/v1, Kind=Deployment",
    )
    reference = {"apiVersion": "v1", "kind": "Pod", "name": "web"}
    assert await token_refusal(api, boundObjectRef=reference) == (
        400,
        'cannot bind token for serviceaccount "builder" to pod running with different serviceaccount name.',
    )
    assert await token_refusal(api, boundObjectRef={**reference, "name": "gone"}) == (404, 'pods "gone" not found')
    reference = {"apiVersion": "v1", "kind": "Secret", "name": "s", "uid": "old"}
    await api.client.create(SECRETS, {"metadata": {"name": "s"}}, "default")
    assert await token_refusal(api, boundObjectRef=reference) == (
        409,
        'Operation cannot be fulfilled on Secret "s": the UID in the bound object reference (old) does not match '
        "the UID in record. The object might have been deleted and then recreated",
    )


async def test_an_account_refers_to_secrets_by_name(api: Cluster) -> None:
    secrets = [{"name": "s", "namespace": "elsewhere", "kind": "Secret", "uid": "u"}]
    made = await api.client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "robot"}, "secrets": secrets}, "default")
    assert made["secrets"] == [{"name": "s"}]
    changed = await api.client.update(SERVICE_ACCOUNTS, {**made, "secrets": [*secrets, {"name": "t", "uid": "v"}]})
    assert changed["secrets"] == [{"name": "s"}, {"name": "t"}]
