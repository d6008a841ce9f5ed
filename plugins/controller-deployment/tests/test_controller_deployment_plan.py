"""What a Deployment does next, as a pure function, and that a rolling update keeps its bounds."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubrick_controller_deployment import conditions as status_of
from kubrick_controller_deployment.draft import DESIRED, HASH_LABEL, HISTORY, MAXIMUM, REVISION, remember
from kubrick_controller_deployment.plan import Moment, Plan, make_plan, template_hash
from kubrick_controller_deployment.sizes import fenceposts, max_surge, max_unavailable, scaled

Object = dict[str, Any]


def deployment(replicas: int = 10, *, image: str = "v1", kind: str = "RollingUpdate", **spec: Any) -> Object:
    rolling = {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}} if kind == "RollingUpdate" else {}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default", "uid": "d", "generation": 1, "resourceVersion": "1"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": kind, **rolling},
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": image}]},
            },
            **spec,
        },
        "status": {},
    }


def at(seconds: float) -> Moment:
    from datetime import UTC, datetime

    return Moment(seconds, datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))


class World:
    """The API's ReplicaSets, a ReplicaSet controller that keeps up when told to, and what the deployment
    controller's cache shows: its own writes at once, status reports only when `deliver`ed."""

    def __init__(self, obj: Object) -> None:
        self.deployment = obj
        self.sets: dict[str, Object] = {}
        self.cache: dict[str, Object] = {}
        self.ready: dict[str, int] = {}
        self.pods: dict[str, int] = {}
        self.now = 1000.0
        self.created = 0
        self.old_pods_left = False

    def set_image(self, image: str) -> None:
        self.deployment["spec"]["template"]["spec"]["containers"][0]["image"] = image
        self.deployment["metadata"]["generation"] += 1

    def resize(self, replicas: int) -> None:
        self.deployment["spec"]["replicas"] = replicas
        self.deployment["metadata"]["generation"] += 1

    def reconcile(self) -> Plan:
        """One reconcile of the deployment controller; writes are refused when the cache was stale."""
        seen = [deepcopy(each) for each in self.cache.values()]
        plan = make_plan(self.deployment, seen, at(self.now), lambda new: self.old_pods_left)
        if plan.create is not None:
            self._create(plan)
        for draft in plan.update:
            name = draft.name
            if self.sets[name]["metadata"]["resourceVersion"] != draft.obj["metadata"]["resourceVersion"]:
                return plan
            self._write(name, draft.body())
        for obj in plan.delete:
            for table in (self.sets, self.cache, self.pods, self.ready):
                table.pop(obj["metadata"]["name"], None)
        self.deployment["status"] = plan.status
        if plan.annotations:
            self.deployment["metadata"].setdefault("annotations", {}).update(plan.annotations)
        return plan

    def _create(self, plan: Plan) -> None:
        assert plan.create is not None
        name = plan.create.name
        if name in self.sets:
            raise AssertionError("its own ReplicaSet is in the cache")
        self.created += 1
        body = deepcopy(plan.create.body())
        stamp = at(self.created).timestamp
        body["metadata"] |= {"uid": name, "generation": 1, "resourceVersion": "1", "creationTimestamp": stamp}
        self.sets[name] = body
        self.cache[name] = deepcopy(body)
        self.pods[name] = self.ready[name] = 0

    def _write(self, name: str, body: Object) -> None:
        body = deepcopy(body)
        before = self.sets[name]
        body["status"] = before.get("status", {})
        body["metadata"]["generation"] = before["metadata"]["generation"] + (body["spec"] != before["spec"])
        self._store(name, body)
        self.cache[name] = deepcopy(body)

    def _store(self, name: str, body: Object) -> None:
        body["metadata"]["resourceVersion"] = str(int(self.sets[name]["metadata"]["resourceVersion"]) + 1)
        self.sets[name] = body

    def run_pods(self, name: str) -> None:
        """The ReplicaSet controller: as many pods as asked for, unready ones deleted first; then a report."""
        body = deepcopy(self.sets[name])
        self.pods[name] = body["spec"]["replicas"]
        self.ready[name] = min(self.ready[name], self.pods[name])
        status = {"observedGeneration": body["metadata"]["generation"], "replicas": self.pods[name]}
        status |= {"readyReplicas": self.ready[name], "availableReplicas": self.ready[name]}
        if body.get("status") != status:
            self._store(name, body | {"status": status})

    def become_ready(self, name: str, count: int) -> None:
        self.ready[name] = min(self.pods[name], self.ready[name] + count)

    def deliver(self, name: str) -> None:
        self.cache[name] = deepcopy(self.sets[name])

    def settle(self, rounds: int = 200) -> None:
        """Everybody works in turn until the rollout is complete."""
        for _ in range(rounds):
            self.reconcile()
            for name in list(self.sets):
                self.run_pods(name)
                self.become_ready(name, 3)
                self.run_pods(name)
                self.deliver(name)
            self.now += 1
            self.old_pods_left = False
            plan = self.reconcile()
            if status_of.is_complete(self.deployment, plan.status) and not plan.update and not plan.create:
                return
        raise AssertionError(f"still not complete: {self.deployment['status']}")

    def sizes(self) -> list[int]:
        return [each["spec"]["replicas"] for each in self.sets.values()]

    @property
    def new(self) -> Object:
        return max(self.sets.values(), key=lambda each: int(each["metadata"]["annotations"][REVISION]))

    def condition(self, kind: str) -> Object:
        found = status_of.find(self.deployment["status"]["conditions"], kind)
        assert found is not None
        return found


@pytest.mark.parametrize(
    ("value", "total", "up", "expected"),
    [(3, 10, True, 3), ("25%", 10, True, 3), ("25%", 10, False, 2), ("0%", 10, True, 0), ("100%", 7, False, 7)],
)
def test_percentages_round_up_for_surge_and_down_for_unavailable(
    value: int | str, total: int, up: bool, expected: int
) -> None:
    assert scaled(value, total, up) == expected


def test_when_both_bounds_are_none_one_pod_may_be_unavailable() -> None:
    obj = deployment(3)
    obj["spec"]["strategy"]["rollingUpdate"] = {"maxSurge": 0, "maxUnavailable": "1%"}
    assert fenceposts(obj) == (0, 1)


def test_a_new_deployment_creates_its_replica_set_at_full_size() -> None:
    world = World(deployment(10))
    plan = world.reconcile()
    assert plan.create is not None
    body = plan.create.body()
    digest = body["metadata"]["labels"][HASH_LABEL]
    assert body["metadata"]["name"] == f"web-{digest}"
    assert body["spec"]["selector"]["matchLabels"] == {"app": "web", HASH_LABEL: digest}
    assert body["spec"]["replicas"] == 10
    assert body["metadata"]["annotations"] == {REVISION: "1", DESIRED: "10", MAXIMUM: "13"}
    assert plan.create.scaled == [(0, 10)]
    assert plan.annotations == {REVISION: "1"}
    assert world.condition("Progressing")["reason"] == "NewReplicaSetCreated"
    assert world.condition("Progressing")["message"] == f'Created new replica set "web-{digest}"'
    assert world.condition("Available")["reason"] == "MinimumReplicasUnavailable"
    world.settle()
    assert world.condition("Progressing")["reason"] == "NewReplicaSetAvailable"
    assert world.condition("Progressing")["message"] == f'ReplicaSet "web-{digest}" has successfully progressed.'
    assert world.condition("Available")["message"] == "Deployment has minimum availability."


def test_nothing_is_written_when_nothing_is_to_do() -> None:
    world = World(deployment(3))
    world.settle()
    plan = world.reconcile()
    assert plan.create is None
    assert plan.update == []
    assert plan.annotations == {}
    assert plan.again is None


def test_a_rolling_update_begins_with_surge_and_the_old_go_as_the_new_become_available() -> None:
    world = World(deployment(10))
    world.settle()
    world.set_image("v2")
    world.reconcile()
    assert sorted(world.sizes()) == [3, 8]
    world.reconcile()
    assert sorted(world.sizes()) == [5, 8]
    world.reconcile()
    assert sorted(world.sizes()) == [5, 8]
    world.settle()
    assert sorted(world.sizes()) == [0, 10]


def test_going_back_reuses_the_old_replica_set_with_a_new_revision_and_remembers_the_old_one() -> None:
    world = World(deployment(2))
    world.settle()
    first = world.new["metadata"]["name"]
    world.set_image("v2")
    world.settle()
    assert world.deployment["metadata"]["annotations"][REVISION] == "2"
    world.set_image("v1")
    world.settle()
    assert len(world.sets) == 2
    assert world.new["metadata"]["name"] == first
    assert world.new["metadata"]["annotations"][REVISION] == "3"
    assert world.new["metadata"]["annotations"][HISTORY] == "1"
    assert world.deployment["metadata"]["annotations"][REVISION] == "3"


def test_a_long_history_drops_its_oldest_revisions() -> None:
    history = ""
    for revision in range(2000):
        history = remember(history, str(revision))
    assert len(history) <= 2000
    assert history.endswith(",1998,1999")


def test_recreate_waits_for_every_old_pod_to_go() -> None:
    world = World(deployment(3, kind="Recreate"))
    world.settle()
    world.set_image("v2")
    world.old_pods_left = True
    world.reconcile()
    assert world.sizes() == [0]
    (old,) = world.sets
    world.run_pods(old)
    world.deliver(old)
    world.reconcile()
    assert len(world.sets) == 1
    world.old_pods_left = False
    world.reconcile()
    assert sorted(world.sizes()) == [0, 3]
    world.settle()


def test_scaling_in_the_middle_of_a_rollout_is_proportional() -> None:
    world = World(deployment(10))
    world.deployment["spec"]["strategy"]["rollingUpdate"] = {"maxSurge": 3, "maxUnavailable": 2}
    world.settle()
    world.set_image("v2")
    world.reconcile()
    assert sorted(world.sizes()) == [3, 8]  # 11 of 13
    world.resize(20)
    world.reconcile()
    assert sum(world.sizes()) == 23
    assert world.new["spec"]["replicas"] == 5  # 3 x 23 / 13 rounded
    world.settle()
    assert sorted(world.sizes()) == [0, 20]


def test_a_paused_deployment_scales_but_does_not_roll() -> None:
    world = World(deployment(4))
    world.settle()
    world.deployment["spec"]["paused"] = True
    world.set_image("v2")
    world.resize(6)
    world.reconcile()
    assert world.sizes() == [6]
    assert world.condition("Progressing")["reason"] == "DeploymentPaused"
    assert world.condition("Progressing")["status"] == "Unknown"
    del world.deployment["spec"]["paused"]
    world.reconcile()
    assert world.condition("Progressing")["reason"] in ("DeploymentResumed", "NewReplicaSetCreated")
    world.settle()
    assert sorted(world.sizes()) == [0, 6]


def test_a_rollout_that_does_not_move_misses_its_deadline_and_says_when_to_look() -> None:
    world = World(deployment(3, progressDeadlineSeconds=60))
    plan = world.reconcile()
    assert plan.again == 61
    (name,) = world.sets
    world.run_pods(name)
    world.deliver(name)
    world.now += 30
    assert world.reconcile().again == 31 or world.condition("Progressing")["reason"] == "ReplicaSetUpdated"
    world.now += 100
    plan = world.reconcile()
    condition = world.condition("Progressing")
    assert (condition["status"], condition["reason"]) == ("False", "ProgressDeadlineExceeded")
    assert condition["message"] == f'ReplicaSet "{name}" has timed out progressing.'
    assert plan.again is None
    world.settle()
    assert world.condition("Progressing")["reason"] == "NewReplicaSetAvailable"


def test_history_beyond_its_limit_is_deleted_oldest_revision_first() -> None:
    world = World(deployment(1, revisionHistoryLimit=2))
    for number in range(6):
        world.set_image(f"v{number}")
        world.settle()
    world.reconcile()
    revisions = sorted(int(each["metadata"]["annotations"][REVISION]) for each in world.sets.values())
    assert revisions == [4, 5, 6]


def test_a_replica_sets_failure_becomes_the_deployments() -> None:
    world = World(deployment(2))
    world.reconcile()
    (name,) = world.sets
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}
    world.sets[name]["status"] = {"conditions": [failure]}
    world.deliver(name)
    world.reconcile()
    assert world.condition("ReplicaFailure")["message"] == "quota"


def test_the_hash_is_stable_short_and_different_after_a_collision() -> None:
    template = deployment()["spec"]["template"]
    assert template_hash(template, None) == template_hash(deepcopy(template), None)
    assert template_hash(template, None) != template_hash(template, 1)
    assert set(template_hash(template, None)) <= set("bcdfghjklmnpqrstvwxz2456789")


ACTIONS = st.lists(
    st.tuples(st.sampled_from(("reconcile", "pods", "ready", "deliver", "image")), st.integers(0, 3)), max_size=80
)
BOUND = st.one_of(st.integers(0, 5), st.integers(0, 100).map(lambda n: f"{n}%"))


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 12), BOUND, BOUND, ACTIONS)
def test_a_rolling_update_keeps_its_bounds_in_any_order_of_events_and_ends(
    replicas: int, surge: int | str, unavailable: int | str, actions: list[tuple[str, int]]
) -> None:
    obj = deployment(replicas)
    obj["spec"]["strategy"]["rollingUpdate"] = {"maxSurge": surge, "maxUnavailable": unavailable}
    world = World(obj)
    world.settle()
    world.set_image("v2")
    most = replicas + max_surge(obj)
    least = replicas - max_unavailable(obj)
    for action, number in actions:
        names = list(world.sets)
        name = names[number % len(names)]
        if action == "reconcile":
            world.reconcile()
        elif action == "pods":
            world.run_pods(name)
        elif action == "ready":
            world.become_ready(name, number + 1)
        elif action == "deliver":
            world.deliver(name)
        else:
            world.set_image(f"v{number}")
        assert sum(world.sizes()) <= most
        assert sum(min(world.ready[each], world.sets[each]["spec"]["replicas"]) for each in world.sets) >= least
    world.settle()
    assert sorted(world.sizes())[-1] == replicas
    assert sum(world.sizes()) == replicas
