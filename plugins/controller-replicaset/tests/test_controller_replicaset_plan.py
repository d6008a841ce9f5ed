"""How many pods, which go first, what the status says: the pure part."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubrick_controller_replicaset.expectations import TIMEOUT, Expectations
from kubrick_controller_replicaset.plan import (
    BURST,
    Failure,
    choose_victims,
    compute_status,
    pod_from_template,
    slow_start,
    surplus,
)

Object = dict[str, Any]
NOW = 1_000_000.0


def at(seconds: float) -> str:
    """A Kubernetes Time, `seconds` before NOW."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(NOW - seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def replica_set(replicas: int = 3, **spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "web", "namespace": "default", "uid": "rs", "generation": 4},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web", "tier": "front"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
            **spec,
        },
    }


def pod(
    name: str,
    *,
    node: str = "n1",
    phase: str = "Running",
    ready: float | None = 100.0,
    created: float = 1000.0,
    restarts: int = 0,
    cost: str = "",
    leaving: bool = False,
    labels: dict[str, str] | None = None,
) -> Object:
    metadata: Object = {
        "name": name,
        "namespace": "default",
        "uid": f"uid-{name}",
        "creationTimestamp": at(created),
        "labels": labels or {"app": "web", "tier": "front"},
    }
    if cost:
        metadata["annotations"] = {"controller.kubernetes.io/pod-deletion-cost": cost}
    if leaving:
        metadata["deletionTimestamp"] = at(0)
    condition = {
        "type": "Ready",
        "status": "False" if ready is None else "True",
        "lastTransitionTime": at(ready or 0),
    }
    return {
        "metadata": metadata,
        "spec": {"nodeName": node} if node else {},
        "status": {
            "phase": phase,
            "conditions": [condition],
            "containerStatuses": [{"name": "c", "restartCount": restarts}],
        },
    }


def first_victim(*pods: Object, related: tuple[Object, ...] = ()) -> str:
    (victim,) = choose_victims(pods, [*pods, *related], 1, NOW)
    name: str = victim["metadata"]["name"]
    return name


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (pod("keep"), pod("go", node="")),
        (pod("keep"), pod("go", phase="Pending")),
        (pod("keep", phase="Unknown"), pod("go", phase="Pending")),
        (pod("keep"), pod("go", ready=None)),
        (pod("keep", cost="10"), pod("go", cost="-1")),
        (pod("keep"), pod("go", cost="-5")),
        (pod("keep", ready=1000), pod("go", ready=1)),
        (pod("keep", restarts=1), pod("go", restarts=7)),
        (pod("keep", created=1000), pod("go", created=1)),
        # an earlier criterion outweighs all later ones
        (pod("keep", cost="-100", created=1), pod("go", node="", cost="100", created=1000)),
    ],
)
def test_the_pod_kubernetes_would_delete_first_goes_first(better: Object, worse: Object) -> None:
    assert first_victim(better, worse) == "go"
    assert first_victim(worse, better) == "go"


def test_a_pod_that_shares_its_node_with_many_of_its_kind_goes_first() -> None:
    neighbours = tuple(pod(f"other-{n}", node="crowded") for n in range(3))
    assert first_victim(pod("keep", node="quiet"), pod("go", node="crowded"), related=neighbours) == "go"


def test_pods_of_about_one_age_are_told_apart_by_uid_not_by_age() -> None:
    assert first_victim(pod("a", ready=1000), pod("b", ready=990)) == "a"


def test_batches_double_and_add_up() -> None:
    assert list(slow_start(0)) == []
    assert list(slow_start(11)) == [1, 2, 4, 4]
    assert sum(slow_start(500)) == 500


def test_no_more_than_a_burst_is_created_or_deleted_at_once() -> None:
    assert surplus(replica_set(10_000), []) == -BURST
    assert surplus(replica_set(0), [pod(str(n)) for n in range(BURST + 7)]) == BURST
    assert surplus(replica_set(3), [pod("a"), pod("b")]) == -1


def test_a_pod_is_made_from_the_template_and_owned() -> None:
    made = pod_from_template(replica_set())
    assert made["metadata"]["generateName"] == "web-"
    assert made["metadata"]["labels"] == {"app": "web", "tier": "front"}
    assert made["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": "web",
            "uid": "rs",
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def test_the_status_counts_what_is_there_and_says_when_the_next_pod_becomes_available() -> None:
    pods = [
        pod("old", ready=100),
        pod("fresh", ready=4),
        pod("unready", ready=None),
        pod("unlabelled", labels={"app": "web"}),
        pod("done", phase="Succeeded"),
        pod("leaving", leaving=True),
    ]
    status, wait = compute_status(replica_set(4, minReadySeconds=10), pods, None, NOW, "now")
    assert status == {
        "replicas": 4,
        "fullyLabeledReplicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 2,
        "terminatingReplicas": 1,
        "observedGeneration": 4,
    }
    assert wait == pytest.approx(6)


def test_a_failure_is_a_condition_until_it_is_over() -> None:
    owner = replica_set()
    status, _ = compute_status(owner, [], Failure("FailedCreate", "quota"), NOW, "t1")
    expected = {
        "type": "ReplicaFailure",
        "status": "True",
        "lastTransitionTime": "t1",
        "reason": "FailedCreate",
        "message": "quota",
    }
    assert status["conditions"] == [expected]
    owner["status"] = status
    again, _ = compute_status(owner, [], Failure("FailedCreate", "other"), NOW, "t2")
    assert again["conditions"] == [expected]
    over, _ = compute_status(owner, [], None, NOW, "t3")
    assert "conditions" not in over


def test_an_expectation_is_given_up_after_five_minutes() -> None:
    expectations = Expectations()
    assert expectations.satisfied("k", 0)
    expectations.expect_creates("k", 2, 0)
    expectations.created("k")
    assert not expectations.satisfied("k", 1)
    assert expectations.satisfied("k", TIMEOUT + 1)
    expectations.created("k")
    assert expectations.satisfied("k", 1)


STEPS = st.lists(
    st.one_of(
        st.just(("reconcile", 0)),
        st.tuples(st.just("see"), st.integers(1, 4)),
        st.tuples(st.just("resize"), st.integers(0, 8)),
        st.tuples(st.just("fail"), st.integers(1, 2)),
        st.tuples(st.just("die"), st.integers(0, 5)),
    ),
    max_size=60,
)


@given(STEPS)
def test_a_late_informer_never_makes_it_create_too_many_or_delete_too_many(steps: list[tuple[str, int]]) -> None:
    """The API holds `alive`; the informer's `shown` follows through a queue of events, any time later."""
    expectations, key = Expectations(), "k"
    alive: dict[str, Object] = {}
    shown: dict[str, Object] = {}
    events: list[tuple[str, str]] = []
    wanted, number, failing = 3, 0, 0

    def see(count: int) -> None:
        for _ in range(min(count, len(events))):
            kind, name = events.pop(0)
            if kind == "add":
                shown[name] = pod(name)
                expectations.created(key)
            else:
                shown.pop(name, None)
                expectations.deleted(key, name)

    def reconcile() -> None:
        nonlocal number, failing
        if not expectations.satisfied(key, 0):
            return
        active = list(shown.values())
        excess = surplus(replica_set(wanted), active)
        if excess < 0:
            expectations.expect_creates(key, -excess, 0)
            for _ in range(-excess):
                if failing:
                    failing -= 1
                    expectations.created(key)
                    continue
                number += 1
                alive[f"p{number}"] = pod(f"p{number}")
                events.append(("add", f"p{number}"))
            assert len(alive) <= wanted
        elif excess > 0:
            victims = [v["metadata"]["name"] for v in choose_victims(active, active, excess, NOW)]
            expectations.expect_deletes(key, set(victims), 0)
            before = len(alive)
            for name in victims:
                if alive.pop(name, None) is None:
                    expectations.deleted(key, name)
                else:
                    events.append(("delete", name))
            assert len(alive) >= min(wanted, before - len(victims))

    for step, amount in steps:
        if step == "reconcile":
            reconcile()
        elif step == "see":
            see(amount)
        elif step == "resize":
            wanted = amount
        elif step == "fail":
            failing = amount
        elif alive:
            name = list(alive)[amount % len(alive)]
            del alive[name]
            events.append(("delete", name))
    failing = 0
    for _ in range(4):
        see(len(events))
        reconcile()
    assert len(alive) == wanted
