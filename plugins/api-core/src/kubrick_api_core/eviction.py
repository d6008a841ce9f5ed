"""pods/eviction: delete a pod if its disruption budget allows.

From pkg/registry/core/pod/storage/eviction.go. The budget's status is decremented first, with the pod
noted in disruptedPods, so that two evictions can't spend the same allowance; the pod is then marked
with the condition DisruptionTarget and deleted.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from attrs import evolve

from kubrick_api.errors import StatusError, bad_request, conflict, forbidden, not_found, too_many_requests
from kubrick_api.names import GVR
from kubrick_api.resource import Object
from kubrick_api.selectors import from_label_selector
from kubrick_api.storage import Call, Reader, Storage, WriteContext
from kubrick_api_core.binding import set_condition
from kubrick_api_core.names import PODS
from kubrick_api_core.pods import TERMINAL
from kubrick_kernel import rfc3339

BUDGETS = GVR("policy", "v1", "poddisruptionbudgets")
BUDGET = GVR("policy", "v1", "poddisruptionbudget")
"""How refusals call it."""
POD = GVR("", "v1", "Pod")
MISMATCHES = (
    ("uid", "UID", "deleted and then recreated"),
    ("resourceVersion", "ResourceVersion", "modified"),
)
SYNC_FAILED = "SyncFailed"
BLOCKED = "Cannot evict pod as it would violate the pod's disruption budget."
MAX_DISRUPTED = 2000
ATTEMPTS = 20
CONFLICT = 409
DISRUPTION_TARGET = {
    "type": "DisruptionTarget",
    "status": "True",
    "reason": "EvictionByEvictionAPI",
    "message": "Eviction API: evicting",
}
SUCCESS = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


async def evict(call: Call, storage: Storage, context: WriteContext) -> Object:
    """Answers POST of an Eviction."""
    eviction: dict[str, Any] = call.body or {}
    if call.name != (eviction.get("metadata") or {}).get("name"):
        raise bad_request("name in URL does not match name in Eviction object")
    options: dict[str, Any] = dict(eviction.get("deleteOptions") or {})
    dry_run = _dry_run(call, options) or context.dry_run
    asked = (options.get("preconditions") or {}).get("resourceVersion")
    for _ in range(ATTEMPTS):
        pod = storage.reader.get(PODS, call.namespace, call.name)
        if pod is None:
            raise not_found(PODS, call.name)
        version = asked
        judged = counts(pod)
        budget = _budget(storage.reader, pod) if judged else None
        if budget is not None and not may_skip(pod, budget):
            await _spend(call, storage, budget, context.now, dry_run=dry_run)
        elif not asked and (budget is not None or (not judged and not _over(pod))):
            version = pod["metadata"]["resourceVersion"]
        try:
            await _go(call, storage, context, options, pod, version, dry_run=dry_run)
        except StatusError as error:
            if error.code != CONFLICT or asked or not version:
                raise
            if budget is not None:
                raise processing(budget["metadata"]["name"]) from error
            continue
        return dict(SUCCESS)
    raise conflict(PODS, call.name)


def _dry_run(call: Call, options: dict[str, Any]) -> bool:
    """Whether this is a trial: the request or its content may say so. Raises StatusError when they disagree."""
    asked = call.params.get("dryRun")
    if asked and options.get("dryRun") and options["dryRun"] != [asked]:
        both = f"[{asked}] and [{' '.join(options['dryRun'])}]"
        raise StatusError(500, "", f"Non-matching dry-run options in request and content: {both}")
    return bool(asked or options.get("dryRun"))


def _over(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in TERMINAL or bool(pod["metadata"].get("deletionTimestamp"))


def _budget(reader: Reader, pod: Object) -> Object | None:
    budgets = budgets_of(reader, pod)
    if len(budgets) > 1:
        why = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        raise StatusError(500, "", why)
    return budgets[0] if budgets else None


async def _go(
    call: Call,
    storage: Storage,
    context: WriteContext,
    options: dict[str, Any],
    pod: Object,
    version: str | None,
    *,
    dry_run: bool,
) -> None:
    """Mark the pod that was judged and delete it. Raises StatusError (409) when it is another by now."""
    preconditions = dict(options.get("preconditions") or {})
    preconditions.setdefault("uid", pod["metadata"]["uid"])
    if version:
        preconditions["resourceVersion"] = version
    if not dry_run:
        marked = await _mark(call, storage, context.now, preconditions)
        if version:
            preconditions["resourceVersion"] = marked["metadata"]["resourceVersion"]
    params = {**call.params, "dryRun": "All"} if dry_run else dict(call.params)
    body = {**options, "kind": "DeleteOptions", "apiVersion": "v1", "preconditions": preconditions}
    if dry_run:
        body["dryRun"] = ["All"]
    await storage.handle(evolve(call, verb="delete", resource=PODS, subresource="", params=params, body=body))


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
        if _selects(budget["spec"].get("selector"), labels)
    ]


def _selects(selector: Object | None, labels: dict[str, str]) -> bool:
    """No selector matches nothing, and one that makes no sense doesn't either; an empty one matches every pod."""
    if selector is None:
        return False
    try:
        return from_label_selector(selector).matches(labels)
    except ValueError:
        return False


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
            raise processing(name)
        allowed = status.get("disruptionsAllowed", 0)
        if allowed < 0:
            raise forbidden(BUDGET, name, "pdb disruptions allowed is negative")
        disrupted = status.get("disruptedPods") or {}
        if len(disrupted) > MAX_DISRUPTED:
            raise forbidden(
                BUDGET, name, "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
            )
        if allowed == 0:
            raise blocked(_why(name, status))
        status["disruptionsAllowed"] = allowed - 1
        if allowed == 1:
            _used_up(status, now)
        status["disruptedPods"] = {**disrupted, pod: rfc3339(now)}
        return budget

    return change


def _why(name: str, status: Object) -> str:
    """Why no disruption is allowed. What is counted isn't trustworthy when the budget couldn't be kept."""
    head = f"The disruption budget {name}"
    allowed = (c for c in status.get("conditions") or () if c.get("type") == "DisruptionAllowed")
    condition: Object = next(allowed, {})
    told = condition.get("message") if condition.get("status") == "False" else ""
    healthy, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
    if told and condition.get("reason") == SYNC_FAILED:
        return f"{head} does not allow evicting pods currently because it failed sync: {told}"
    if healthy <= desired:
        return f"{head} needs {desired} healthy pods and has {healthy} currently"
    tail = f" ({condition.get('reason', '')}): {told}" if told else ""
    return f"{head} does not allow evicting pods currently{tail}"


def _used_up(status: Object, now: datetime) -> None:
    """The condition DisruptionAllowed turns False with the last disruption."""
    condition = {
        "type": "DisruptionAllowed",
        "status": "False",
        "reason": "InsufficientPods",
        "message": "",
        "observedGeneration": status.get("observedGeneration", 0),
    }
    status["conditions"] = list(status.get("conditions") or ())
    set_condition(status, condition, now)


def processing(budget: str) -> StatusError:
    return blocked(f"The disruption budget {budget} is still being processed by the server.", retry_after=10)


def blocked(why: str, retry_after: int = 0) -> StatusError:
    return too_many_requests(BLOCKED, retry_after, [{"reason": "DisruptionBudget", "message": why}])


async def _mark(call: Call, storage: Storage, now: datetime, preconditions: dict[str, Any]) -> Object:
    def change(pod: Object) -> Object:
        for field, kind, happened in MISMATCHES:
            asked, found = preconditions.get(field), pod["metadata"].get(field)
            if asked and asked != found:
                why = f"the {kind} in the precondition ({asked}) does not match the {kind} in record ({found})."
                raise conflict(POD, call.name, f"{why} The object might have been {happened}")
        set_condition(pod.setdefault("status", {}), dict(DISRUPTION_TARGET), now)
        return pod

    update = evolve(call, verb="update", resource=PODS, subresource="status", body=None, params={})
    return await storage.modify(update, change, subresource="status", admit=False)
