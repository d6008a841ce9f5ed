"""pods/eviction: delete a pod if its disruption budget allows.

From pkg/registry/core/pod/storage/eviction.go. The budget's status is decremented first, with the pod
noted in disruptedPods, so that two evictions can't spend the same allowance; the pod is then marked
with the condition DisruptionTarget and deleted.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from attrs import evolve

from kubrick_api.errors import StatusError, bad_request, forbidden, internal, not_found, too_many_requests
from kubrick_api.names import GVR
from kubrick_api.resource import Object
from kubrick_api.selectors import from_label_selector
from kubrick_api.storage import Call, Reader, Storage, WriteContext
from kubrick_api_core.binding import set_condition
from kubrick_api_core.names import PODS
from kubrick_api_core.pods import TERMINAL
from kubrick_kernel import rfc3339

BUDGETS = GVR("policy", "v1", "poddisruptionbudgets")
BLOCKED = "Cannot evict pod as it would violate the pod's disruption budget."
MAX_DISRUPTED = 2000
SUCCESS = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


async def evict(call: Call, storage: Storage, context: WriteContext) -> Object:
    """Answers POST of an Eviction."""
    eviction: dict[str, Any] = call.body or {}
    named = (eviction.get("metadata") or {}).get("name")
    if named and named != call.name:
        raise bad_request("name in URL does not match name in Eviction object")
    options: dict[str, Any] = dict(eviction.get("deleteOptions") or {})
    if call.params.get("dryRun"):
        options.setdefault("dryRun", [call.params["dryRun"]])
    dry_run = context.dry_run or bool(options.get("dryRun"))
    pod = storage.reader.get(PODS, call.namespace, call.name)
    if pod is None:
        raise not_found(PODS, call.name)
    if counts(pod):
        budgets = budgets_of(storage.reader, pod)
        if len(budgets) > 1:
            raise internal(
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
            )
        for budget in budgets:
            if not may_skip(pod, budget):
                await _spend(call, storage, budget, context.now, dry_run=dry_run)
        if not dry_run:
            await _mark(call, storage, context.now)
    params = {**call.params, "dryRun": "All"} if dry_run else dict(call.params)
    await storage.handle(
        evolve(
            call,
            verb="delete",
            resource=PODS,
            subresource="",
            params=params,
            body={**options, **_identity(pod, options)},
        )
    )
    return dict(SUCCESS)


def _identity(pod: Object, options: dict[str, Any]) -> dict[str, Any]:
    """The pod that was judged must be the pod that goes."""
    preconditions = dict(options.get("preconditions") or {})
    preconditions.setdefault("uid", pod["metadata"]["uid"])
    return {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": preconditions}


def counts(pod: Object) -> bool:
    """Whether budgets apply: not to a pod that is over, not yet running, or already going."""
    return (pod.get("status") or {}).get("phase") not in (*TERMINAL, "Pending") and not pod["metadata"].get(
        "deletionTimestamp"
    )


def budgets_of(reader: Reader, pod: Object) -> list[Object]:
    labels = pod["metadata"].get("labels") or {}
    return [
        budget
        for budget in reader.list(BUDGETS, pod["metadata"]["namespace"])
        if (selector := budget["spec"].get("selector")) is not None and from_label_selector(selector).matches(labels)
    ]


def may_skip(pod: Object, budget: Object) -> bool:
    """An unready pod may go without asking: always under AlwaysAllow, else while enough are healthy."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    if any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions):
        return False
    if budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status") or {}
    healthy, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
    return bool(healthy >= desired > 0)


async def _spend(call: Call, storage: Storage, budget: Object, now: datetime, *, dry_run: bool) -> None:
    name = budget["metadata"]["name"]
    change = spending(call.name, now)
    if dry_run:
        change({**budget, "status": {**(budget.get("status") or {})}})
        return
    update = evolve(call, verb="update", resource=BUDGETS, name=name, subresource="status", body=None, params={})
    await storage.modify(update, change, subresource="status", admit=False)


def spending(pod: str, now: datetime) -> Callable[[Object], Object]:
    """The change of a budget that lets `pod` go. Raises StatusError (429) when it doesn't."""

    def change(budget: Object) -> Object:
        name, status = budget["metadata"]["name"], budget.setdefault("status", {})
        if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
            raise blocked(f"The disruption budget {name} is still being processed by the server.", retry_after=10)
        allowed = status.get("disruptionsAllowed", 0)
        if allowed < 0:
            raise forbidden(BUDGETS, name, "pdb disruptions allowed is negative")
        disrupted = status.get("disruptedPods") or {}
        if len(disrupted) > MAX_DISRUPTED:
            raise forbidden(
                BUDGETS, name, "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
            )
        if allowed == 0:
            raise blocked(
                f"The disruption budget {name} needs {status.get('desiredHealthy', 0)} healthy pods and has "
                f"{status.get('currentHealthy', 0)} currently"
            )
        status["disruptionsAllowed"] = allowed - 1
        status["disruptedPods"] = {**disrupted, pod: rfc3339(now)}
        return budget

    return change


def blocked(why: str, retry_after: int = 0) -> StatusError:
    return too_many_requests(BLOCKED, retry_after, [{"reason": "DisruptionBudget", "message": why}])


async def _mark(call: Call, storage: Storage, now: datetime) -> None:
    def change(pod: Object) -> Object:
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
        }
        set_condition(pod.setdefault("status", {}), condition, now)
        return pod

    update = evolve(call, verb="update", resource=PODS, subresource="status", body=None, params={})
    await storage.modify(update, change, subresource="status", admit=False)
