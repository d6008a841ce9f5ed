"""What a ReplicaSet needs: how many pods more or less, which ones go first, and what its status is.

Pure. The rules and their order are Kubernetes' (pkg/controller/replicaset, controller.ActivePodsWithRanks).
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cmp_to_key
from math import log2

from attrs import define

from kubrick_api.names import GVK
from kubrick_api.resource import Object
from kubrick_controller.ownership import make_reference
from kubrick_controller.pod import available_in, is_active, is_ready, is_terminating, ready_since, seconds

KIND = GVK("apps", "v1", "ReplicaSet")
BURST = 500
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
REPLICA_FAILURE = "ReplicaFailure"
FAILED_CREATE = "FailedCreate"
FAILED_DELETE = "FailedDelete"
PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def wanted(replica_set: Object) -> int:
    """How many pods it asks for."""
    replicas: int = replica_set["spec"].get("replicas", 1)
    return replicas


def surplus(replica_set: Object, active: Sequence[Object]) -> int:
    """How many of the active pods are too many (below zero: are missing), at most a burst at a time."""
    return max(-BURST, min(BURST, len(active) - wanted(replica_set)))


def slow_start(count: int) -> Iterator[int]:
    """Batch sizes: 1, 2, 4, ... so that a create that can't succeed fails once and not `count` times."""
    size = 1
    while count > 0:
        batch = min(size, count)
        yield batch
        count -= batch
        size *= 2


def pod_from_template(replica_set: Object) -> Object:
    """The pod to create. Shares the template's parts: not to be changed."""
    template = replica_set["spec"]["template"]
    given = template.get("metadata") or {}
    metadata: Object = {
        "generateName": replica_set["metadata"]["name"] + "-",
        "namespace": replica_set["metadata"]["namespace"],
    }
    metadata.update({part: given[part] for part in ("labels", "annotations", "finalizers") if given.get(part)})
    metadata["ownerReferences"] = [make_reference({**replica_set, "apiVersion": "apps/v1", "kind": KIND.kind})]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def choose_victims(active: Sequence[Object], related: Iterable[Object], count: int, now: float) -> list[Object]:
    """The `count` pods to delete. `related` are the pods of all ReplicaSets of the same owner: a pod
    that has many of them on its node goes earlier."""
    if count >= len(active):
        return list(active)
    crowd: dict[str, int] = {}
    for pod in related:
        if is_active(pod):
            node = pod["spec"].get("nodeName", "")
            crowd[node] = crowd.get(node, 0) + 1
    ranked = [Ranked.of(pod, crowd, now) for pod in active]
    ranked.sort(key=cmp_to_key(compare))
    return [each.pod for each in ranked[:count]]


@define
class Ranked:
    """A pod and what decides about it. `first` holds the criteria that compare as they are."""

    pod: Object
    first: tuple[bool, int, bool, int, int]
    ready_at: float | None
    ready_age: int
    restarts: tuple[int, int]
    created_at: float | None
    created_age: int

    @classmethod
    def of(cls, pod: Object, crowd: dict[str, int], now: float) -> "Ranked":
        node = pod["spec"].get("nodeName", "")
        ready = is_ready(pod)
        first = (
            bool(node),
            PHASES.get(pod.get("status", {}).get("phase", ""), 0),
            ready,
            deletion_cost(pod),
            -crowd.get(node, 0),
        )
        ready_at = ready_since(pod) if ready else None
        created_at = seconds(pod["metadata"].get("creationTimestamp"))
        return cls(pod, first, ready_at, _age(ready_at, now), _restarts(pod), created_at, _age(created_at, now))


def compare(one: Ranked, other: Ranked) -> int:
    """Below zero when `one` is deleted before `other`."""
    if one.first != other.first:
        return -1 if one.first < other.first else 1
    if one.first[2] and one.ready_at != other.ready_at:
        return _younger(one, other, one.ready_at, other.ready_at, one.ready_age - other.ready_age)
    if one.restarts != other.restarts:
        return -1 if one.restarts > other.restarts else 1
    if one.created_at != other.created_at:
        return _younger(one, other, one.created_at, other.created_at, one.created_age - other.created_age)
    return 0


def _younger(one: Ranked, other: Ranked, at: float | None, other_at: float | None, ages: int) -> int:
    """The one whose age is of a smaller order goes first; within an order the uid decides, so that pods
    of about one age are deleted evenly spread rather than newest first."""
    if at is None or other_at is None:
        return -1 if at is None else 1
    if ages:
        return ages
    return -1 if one.pod["metadata"]["uid"] < other.pod["metadata"]["uid"] else 1


def _age(at: float | None, now: float) -> int:
    """The order of magnitude of an age: the logarithm to base 2 of its nanoseconds."""
    return int(log2((now - at) * 1e9)) if at is not None and now > at else -1


def deletion_cost(pod: Object) -> int:
    """The annotation's value; what is not a number counts as none."""
    text = (pod["metadata"].get("annotations") or {}).get(DELETION_COST)
    if text is None:
        return 0
    try:
        return int(text)
    except ValueError:
        return 0


def _restarts(pod: Object) -> tuple[int, int]:
    """The most restarts of a container, and of a sidecar."""
    status = pod.get("status", {})
    sidecars = {c["name"] for c in pod["spec"].get("initContainers") or () if c.get("restartPolicy") == "Always"}
    return (
        max((c.get("restartCount", 0) for c in status.get("containerStatuses") or ()), default=0),
        max(
            (c.get("restartCount", 0) for c in status.get("initContainerStatuses") or () if c["name"] in sidecars),
            default=0,
        ),
    )


@define
class Failure:
    """Why pods could not be created or deleted."""

    reason: str
    message: str


def compute_status(
    replica_set: Object, pods: Sequence[Object], failure: Failure | None, now: float, timestamp: str
) -> tuple[Object, float | None]:
    """The status that `pods` (all it controls) give it, and in how many seconds the next ready pod will
    count as available (None: nothing to wait for)."""
    spec = replica_set["spec"]
    labels = ((spec["template"].get("metadata") or {}).get("labels") or {}).items()
    min_ready = spec.get("minReadySeconds", 0)
    replicas = labelled = ready = available = terminating = 0
    soonest: float | None = None
    for pod in pods:
        if not is_active(pod):
            terminating += is_terminating(pod)
            continue
        replicas += 1
        labelled += labels <= (pod["metadata"].get("labels") or {}).items()
        wait = available_in(pod, min_ready, now)
        if wait is None:
            ready += is_ready(pod)
            continue
        ready += 1
        if wait == 0:
            available += 1
        elif soonest is None or wait < soonest:
            soonest = wait
    status: Object = {"replicas": replicas}
    counts = {
        "fullyLabeledReplicas": labelled,
        "readyReplicas": ready,
        "availableReplicas": available,
    }
    status.update({name: count for name, count in counts.items() if count})
    status["terminatingReplicas"] = terminating
    status["observedGeneration"] = replica_set["metadata"].get("generation", 0)
    conditions = _conditions(replica_set, failure, timestamp)
    if conditions:
        status["conditions"] = conditions
    return status, soonest


def _conditions(replica_set: Object, failure: Failure | None, timestamp: str) -> list[Object]:
    known = replica_set.get("status", {}).get("conditions") or []
    if failure is None:
        return [each for each in known if each["type"] != REPLICA_FAILURE]
    if any(each["type"] == REPLICA_FAILURE for each in known):
        return [*known]
    condition = {
        "type": REPLICA_FAILURE,
        "status": "True",
        "lastTransitionTime": timestamp,
        "reason": failure.reason,
        "message": failure.message,
    }
    return [*known, condition]


def concerns(old: Object, new: Object) -> bool:
    """Whether the change of a pod can matter to its ReplicaSet: most updates (addresses, container
    statuses, a node) don't."""
    before, after = old["metadata"], new["metadata"]
    return (
        before.get("labels") != after.get("labels")
        or before.get("ownerReferences") != after.get("ownerReferences")
        or ("deletionTimestamp" in before) != ("deletionTimestamp" in after)
        or old.get("status", {}).get("phase") != new.get("status", {}).get("phase")
        or _ready(old) != _ready(new)
    )


def _ready(pod: Object) -> tuple[str, str]:
    for found in pod.get("status", {}).get("conditions") or ():
        if found["type"] == "Ready":
            return found["status"], found.get("lastTransitionTime", "")
    return "", ""
