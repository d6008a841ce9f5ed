"""What a Deployment needs next: a pure function from it and its ReplicaSets to a `Plan`.

The steps are kube-controller-manager's (pkg/controller/deployment: sync.go, rolling.go, recreate.go,
progress.go), taken on drafts instead of on the API, so that one reconcile writes each ReplicaSet and
the Deployment's status once at most. One thing is stricter: old pods are taken away only on the word of
ReplicaSets that have seen their present size, so that a rolling update keeps its bounds however late
those reports are.
"""

from collections.abc import Callable, Sequence
from zlib import crc32

import orjson
from attrs import define, field

from kubrick_api.names import NAME_ALPHABET
from kubrick_api.resource import Object
from kubrick_controller.ownership import make_reference
from kubrick_controller_deployment import conditions as status_of
from kubrick_controller_deployment.draft import DESIRED, HASH_LABEL, MAXIMUM, REVISION, Draft, same_template
from kubrick_controller_deployment.sizes import (
    MAX_INT32,
    is_rolling,
    max_surge,
    max_unavailable,
    new_size,
    replicas_of,
    share,
)

MAX_NAME = 253


@define
class Plan:
    """`create` and `update` are ReplicaSets to write, `delete` ones to delete. `status` is the
    Deployment's, `annotations` what changes in its annotations; both are to be written only when they
    differ from what it has. `again` says in how many seconds to look without any event."""

    status: Object
    create: Draft | None = None
    update: list[Draft] = field(factory=list)
    delete: list[Object] = field(factory=list)
    annotations: dict[str, str] = field(factory=dict)
    again: float | None = None


@define
class Moment:
    """Now: in seconds, and as Kubernetes writes it."""

    seconds: float
    timestamp: str


def make_plan(
    deployment: Object, replica_sets: Sequence[Object], now: Moment, old_pods: Callable[[Object | None], bool]
) -> Plan:
    """`replica_sets` are those the Deployment controls. `old_pods(new)` says whether pods of any but the
    new ReplicaSet are left (asked for the Recreate strategy only)."""
    return _Planner(deployment, replica_sets, now, old_pods).plan()


@define(eq=False)
class _Planner:
    deployment: Object
    replica_sets: Sequence[Object]
    now: Moment
    old_pods: Callable[[Object | None], bool]
    sets: list[Draft] = field(init=False)
    new: Draft | None = None
    annotations: dict[str, str] = field(factory=dict)
    delete: list[Object] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.sets = sorted((Draft.of(each) for each in self.replica_sets), key=lambda draft: draft.created)
        self.new = next((each for each in self.sets if same_template(self.deployment, each.obj)), None)

    @property
    def old(self) -> list[Draft]:
        return [each for each in self.sets if each is not self.new]

    def plan(self) -> Plan:
        if "deletionTimestamp" in self.deployment["metadata"]:
            return self._finish(self._count())
        self._note_pause()
        if self.deployment["spec"].get("paused"):
            self._adopt_revision()
            self._scale()
            self._clean_up()
            return self._finish(self._count())
        self._adopt_revision()
        if self._is_scaling():
            self._scale()
            return self._finish(self._count())
        if is_rolling(self.deployment):
            self._roll()
        else:
            self._recreate()
        return self._finish(self._progress(self._count()))

    # The new ReplicaSet and its revision.

    def _adopt_revision(self) -> None:
        """The new ReplicaSet, if it is there, carries the highest revision."""
        new = self.new
        if new is None:
            return
        new.advance(self.deployment, max((each.revision for each in self.old), default=0) + 1)
        wanted = self.deployment["spec"].get("minReadySeconds", 0)
        if new.min_ready_seconds != wanted:
            new.min_ready_seconds = wanted
            new.changed = True
        self._revise(new.annotations.get(REVISION, ""))
        if self._condition(status_of.PROGRESSING) is None:
            self._progressing("True", status_of.FOUND_REPLICA_SET, f'Found new replica set "{new.name}"')

    def _create(self) -> None:
        """Draft the new ReplicaSet when it is not there."""
        if self.new is not None:
            return
        body = new_replica_set(self.deployment)
        draft = Draft(body, 0, {}, body["spec"].get("minReadySeconds", 0), fresh=True, changed=True)
        revision = max((each.revision for each in self.sets), default=0) + 1
        draft.advance(self.deployment, revision)
        replicas = replicas_of(self.deployment)
        draft.resize(
            new_size(self.deployment, 0, sum(each.replicas for each in self.sets)),
            replicas,
            replicas + max_surge(self.deployment),
        )
        self.new = draft
        self.sets.append(draft)
        self._revise(str(revision))
        self._progressing("True", status_of.NEW_REPLICA_SET, f'Created new replica set "{draft.name}"')

    def _revise(self, revision: str) -> None:
        if revision and (self.deployment["metadata"].get("annotations") or {}).get(REVISION) != revision:
            self.annotations[REVISION] = revision

    # Sizes.

    def _resize(self, draft: Draft, size: int) -> bool:
        replicas = replicas_of(self.deployment)
        return draft.resize(size, replicas, replicas + max_surge(self.deployment))

    def _resize_if_differs(self, draft: Draft, size: int) -> bool:
        """Like `_resize`, but leaves the noted bounds alone when the size is right."""
        return draft.replicas != size and self._resize(draft, size)

    def _is_scaling(self) -> bool:
        """Whether the Deployment's size changed since a ReplicaSet that has pods was last sized."""
        for draft in self.sets:
            noted = draft.number(DESIRED)
            if draft.replicas > 0 and noted is not None and noted != replicas_of(self.deployment):
                return True
        return False

    def _scale(self) -> None:
        """Give the Deployment's size to the one ReplicaSet that has pods, or spread it in proportion."""
        replicas = replicas_of(self.deployment)
        active = [each for each in self.sets if each.replicas > 0]
        if len(active) <= 1:
            lone = active[0] if active else self.new or (max(self.old, key=lambda d: d.created, default=None))
            if lone is not None:
                self._resize_if_differs(lone, replicas)
            return
        if self._is_saturated():
            for draft in self.old:
                self._resize_if_differs(draft, 0)
            return
        if is_rolling(self.deployment):
            self._spread(active)

    def _is_saturated(self) -> bool:
        """Whether the new ReplicaSet alone is all that is wanted."""
        new, replicas = self.new, replicas_of(self.deployment)
        return (
            new is not None
            and new.replicas == replicas
            and new.number(DESIRED) == replicas
            and new.available == replicas
        )

    def _spread(self, active: list[Draft]) -> None:
        """Proportional scaling: the larger get more, and the largest what rounding leaves over."""
        replicas = replicas_of(self.deployment)
        allowed = replicas + max_surge(self.deployment) if replicas > 0 else 0
        to_add = allowed - sum(each.replicas for each in active)
        active.sort(key=lambda draft: draft.created, reverse=to_add > 0)
        active.sort(key=lambda draft: draft.replicas, reverse=True)
        sizes, added = [], 0
        for draft in active:
            part = share(
                self.deployment,
                draft.replicas,
                draft.number(MAXIMUM) or 0,
                to_add,
                added,
            )
            added += part
            sizes.append(draft.replicas + part)
        sizes[0] = max(0, sizes[0] + to_add - added)
        for draft, size in zip(active, sizes, strict=True):
            self._resize(draft, size)

    # Rolling update.

    def _roll(self) -> None:
        self._create()
        new = self.new
        assert new is not None
        if self._grow(new):
            return
        if not self._shrink_old(new) and status_of.is_complete(self.deployment, self.deployment.get("status", {})):
            self._clean_up()

    def _grow(self, new: Draft) -> bool:
        replicas = replicas_of(self.deployment)
        if new.replicas > replicas:
            return self._resize(new, replicas)
        size = new_size(self.deployment, new.replicas, sum(each.replicas for each in self.sets))
        return self._resize_if_differs(new, size)

    def _shrink_old(self, new: Draft) -> bool:
        """Take away old pods: unhealthy ones first, then as many as availability allows."""
        old = [each for each in self.old if each.replicas > 0]
        if any(each.behind for each in self.sets):
            return False  # what it reports as available may be gone already
        least = replicas_of(self.deployment) - max_unavailable(self.deployment)
        pods = sum(each.replicas for each in self.sets)
        room = pods - least - (new.replicas - new.available)
        if not old or room <= 0:
            return False
        removed = 0
        for draft in old:
            unhealthy = min(room - removed, draft.replicas - draft.available)
            if unhealthy > 0 and self._resize(draft, draft.replicas - unhealthy):
                removed += unhealthy
        spare = sum(each.available for each in self.sets) - least
        for draft in old:
            healthy = min(draft.replicas, spare)
            if healthy > 0 and self._resize(draft, draft.replicas - healthy):
                removed += healthy
                spare -= healthy
        return removed > 0

    # Recreate.

    def _recreate(self) -> None:
        scaled_down = [self._resize(each, 0) for each in self.old if each.replicas > 0]
        if scaled_down or any(each.status("replicas") for each in self.old):
            return
        if self.old_pods(self.new.obj if self.new else None):
            return
        self._create()
        assert self.new is not None
        self._resize_if_differs(self.new, replicas_of(self.deployment))
        if status_of.is_complete(self.deployment, self.deployment.get("status", {})):
            self._clean_up()

    # History.

    def _clean_up(self) -> None:
        """Delete old ReplicaSets beyond revisionHistoryLimit, lowest revision first, if they are idle."""
        limit: int | None = self.deployment["spec"].get("revisionHistoryLimit")
        if limit is None or limit == MAX_INT32:
            return
        alive = sorted(
            (each for each in self.old if not each.leaving), key=lambda draft: (draft.revision, draft.created)
        )
        for draft in alive[: max(0, len(alive) - limit)]:
            if not (draft.replicas or draft.status("replicas") or draft.behind):
                self.delete.append(draft.obj)

    # Status.

    def _condition(self, type: str) -> Object | None:
        return status_of.find(self.deployment.get("status", {}).get("conditions") or (), type)

    def _progressing(self, status: str, reason: str, message: str) -> None:
        """Put a Progressing condition on the Deployment being planned for, if it has a deadline."""
        if status_of.deadline_of(self.deployment) is None:
            return
        condition = status_of.make(status_of.PROGRESSING, status, reason, message, self.now.timestamp)
        before = self.deployment.get("status", {})
        conditions = status_of.put(before.get("conditions") or (), condition)
        self.deployment = {**self.deployment, "status": {**before, "conditions": conditions}}

    def _note_pause(self) -> None:
        """A pause, and its end, restart the deadline; a deadline already missed stays missed."""
        known = self._condition(status_of.PROGRESSING)
        reason = known.get("reason") if known else None
        if reason == status_of.TIMED_OUT:
            return
        paused = bool(self.deployment["spec"].get("paused"))
        if paused and reason != status_of.PAUSED:
            self._progressing("Unknown", status_of.PAUSED, "Deployment is paused")
        elif not paused and reason == status_of.PAUSED:
            self._progressing("Unknown", status_of.RESUMED, "Deployment is resumed")

    def _count(self) -> Object:
        return status_of.count(self.deployment, self.sets, self.new, self.now.timestamp)

    def _progress(self, counted: Object) -> Object:
        return status_of.progress(self.deployment, counted, self.sets, self.new, self.now.seconds, self.now.timestamp)

    def _finish(self, status: Object) -> Plan:
        return Plan(
            status,
            create=self.new if self.new is not None and self.new.fresh else None,
            update=[each for each in self.sets if each.changed and not each.fresh],
            delete=self.delete,
            annotations=self.annotations,
            again=status_of.check_again(self.deployment, status, self.now.seconds),
        )


def new_replica_set(deployment: Object) -> Object:
    """The ReplicaSet for the Deployment's present template, without size and annotations."""
    spec, metadata = deployment["spec"], deployment["metadata"]
    template = spec["template"]
    given = template.get("metadata") or {}
    digest = template_hash(template, deployment.get("status", {}).get("collisionCount"))
    labels = {**(given.get("labels") or {}), HASH_LABEL: digest}
    selector = {**spec["selector"]}
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: digest}
    body: Object = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{metadata['name'][: MAX_NAME - len(digest) - 1]}-{digest}",
            "namespace": metadata["namespace"],
            "labels": labels,
            "ownerReferences": [make_reference({**deployment, "apiVersion": "apps/v1", "kind": "Deployment"})],
        },
        "spec": {
            "replicas": 0,
            "selector": selector,
            "template": {**template, "metadata": {**given, "labels": labels}},
        },
    }
    if spec.get("minReadySeconds"):
        body["spec"]["minReadySeconds"] = spec["minReadySeconds"]
    return body


def template_hash(template: Object, collisions: int | None) -> str:
    """A short name for a template, in letters that can't spell words. `collisions` tells apart
    templates that would get the same one."""
    number = crc32(orjson.dumps([template, collisions], option=orjson.OPT_SORT_KEYS))
    return "".join(NAME_ALPHABET[ord(digit) % len(NAME_ALPHABET)] for digit in str(number))
