"""Brings a ReplicaSet's pods in line with `plan`, and keeps its status.

Status changes of pods arrive in bursts (a hundred pods become ready within a second); they are
gathered, so that a ReplicaSet is looked at, and its status written, at most once in `GATHER` seconds
for their sake, and at once when nothing happened for that long.
"""

from typing import Any

import trio
from attrs import define, field

from kubrick_api.errors import NAMESPACE_TERMINATING, StatusError
from kubrick_api.resource import Object
from kubrick_api.selectors import from_label_selector
from kubrick_api_apps import REPLICA_SETS
from kubrick_api_core import PODS
from kubrick_client import Informer
from kubrick_controller import Context
from kubrick_controller.keys import key_of
from kubrick_controller.ownership import (
    CONTROLLER_INDEX,
    adoption,
    by_controller,
    claim,
    controller_reference,
    orphans_of,
    release,
)
from kubrick_controller.pod import is_active
from kubrick_controller.writes import OwnWrites
from kubrick_controller_replicaset.expectations import Expectations
from kubrick_controller_replicaset.plan import (
    FAILED_CREATE,
    FAILED_DELETE,
    KIND,
    Failure,
    choose_victims,
    compute_status,
    concerns,
    pod_from_template,
    slow_start,
    surplus,
)
from kubrick_kernel.clock import rfc3339

GATHER = 0.02


@define
class Managed:
    """What came of creating or deleting pods. Pods in `deleted` no longer count, although the informer
    may still show them: a status must never say more than there is."""

    failure: Failure | None = None
    error: Exception | None = None
    deleted: set[str] = field(factory=set)


class ReplicaSetController:
    """The control loop of ReplicaSets."""

    name = "replicaset-controller"
    workers = 5

    def __init__(self) -> None:
        self.expectations = Expectations()
        self.own_writes = OwnWrites()
        self._looked: dict[str, float] = {}
        """When each key was last reconciled."""

    def setup(self, context: Context) -> None:
        self.context = context
        self.client = context.client
        self.pods: Informer = context.informer(PODS)
        self.sets: Informer = context.informer(REPLICA_SETS)
        self.pods.add_index(CONTROLLER_INDEX, by_controller)
        self.sets.add_index(CONTROLLER_INDEX, by_controller)
        self.sets.add_handler(self._set_added, self._set_updated, self._set_deleted)
        self.pods.add_handler(self._pod_added, self._pod_updated, self._pod_deleted)

    # Which keys a change concerns.

    def _set_added(self, replica_set: Object) -> None:
        self.context.queue.add(key_of(replica_set))

    def _set_updated(self, old: Object, new: Object) -> None:
        if old["metadata"]["uid"] != new["metadata"]["uid"]:
            self._set_deleted(old)
        if _wish(old) != _wish(new):
            self.context.queue.add(key_of(new))

    def _set_deleted(self, replica_set: Object) -> None:
        key = key_of(replica_set)
        self.own_writes.forget(replica_set)
        self.expectations.forget(key)
        self._looked.pop(key, None)
        self.context.queue.add(key)

    def _owner(self, pod: Object) -> str | None:
        """The key of the ReplicaSet that controls the pod."""
        reference = controller_reference(pod)
        if reference is None or reference["kind"] != KIND.kind:
            return None
        namespace = pod["metadata"]["namespace"]
        replica_set = self.sets.get(namespace, reference["name"])
        if replica_set is None or replica_set["metadata"]["uid"] != reference["uid"]:
            return None
        return f"{namespace}/{reference['name']}"

    def _pod_added(self, pod: Object) -> None:
        if "deletionTimestamp" in pod["metadata"]:
            self._pod_deleted(pod)
            return
        key = self._owner(pod)
        if key is not None:
            self.expectations.created(key)
            self._gather(key)
        elif controller_reference(pod) is None:
            self._offer(pod)

    def _pod_updated(self, old: Object, new: Object) -> None:
        if not concerns(old, new):
            return
        key, before = self._owner(new), self._owner(old)
        if before is not None and before != key:
            self.context.queue.add(before)
        if key is not None:
            if "deletionTimestamp" in new["metadata"]:
                self.expectations.deleted(key, new["metadata"]["name"])
            self._gather(key)
        elif controller_reference(new) is None:
            self._offer(new)

    def _pod_deleted(self, pod: Object) -> None:
        key = self._owner(pod)
        if key is not None:
            self.expectations.deleted(key, pod["metadata"]["name"])
            self._gather(key)

    def _offer(self, pod: Object) -> None:
        """A pod without a controller: whoever selects it may adopt it."""
        labels = pod["metadata"].get("labels")
        if not labels:
            return
        for replica_set in self.sets.list(pod["metadata"]["namespace"]):
            if from_label_selector(replica_set["spec"]["selector"]).matches(labels):
                self.context.queue.add(key_of(replica_set))

    def _gather(self, key: str) -> None:
        looked = self._looked.get(key)
        now = trio.current_time()
        if looked is None or now - looked >= GATHER:
            self.context.queue.add(key)
        else:
            self.context.queue.add_after(key, looked + GATHER - now)

    # One ReplicaSet.

    async def reconcile(self, key: str) -> None:
        namespace, _, name = key.partition("/")
        replica_set = self.sets.get(namespace, name)
        if replica_set is None:
            self.expectations.forget(key)
            return
        replica_set = self.own_writes.newest(replica_set)
        self._looked[key] = trio.current_time()
        trusted = self.expectations.satisfied(key, trio.current_time())
        pods = await self._claim(replica_set)
        done = Managed()
        if trusted and "deletionTimestamp" not in replica_set["metadata"]:
            done = await self._manage(key, replica_set, [pod for pod in pods if is_active(pod)])
        left = [pod for pod in pods if pod["metadata"]["name"] not in done.deleted] if done.deleted else pods
        await self._write_status(key, replica_set, left, done.failure)
        if done.error is not None:
            raise done.error

    async def _claim(self, replica_set: Object) -> list[Object]:
        """The pods it controls, after adopting and releasing what has to be."""
        namespace = replica_set["metadata"]["namespace"]
        uid = replica_set["metadata"]["uid"]
        orphans = [pod for pod in self.pods.by_index(CONTROLLER_INDEX, orphans_of(namespace)) if is_active(pod)]
        matches = from_label_selector(replica_set["spec"]["selector"]).matches
        decided = claim(replica_set, self.pods.by_index(CONTROLLER_INDEX, uid), orphans, matches)
        for pod in decided.release:
            if is_active(pod):
                await self._patch(pod, release(replica_set, pod))
        if decided.adopt and await self._still_there(replica_set):
            for pod in decided.adopt:
                if await self._patch(pod, adoption(replica_set, pod)):
                    decided.kept.append(pod)
        return decided.kept

    async def _still_there(self, replica_set: Object) -> bool:
        """Whether the API, asked live, still has it: one about to vanish must not adopt."""
        metadata = replica_set["metadata"]
        try:
            live = await self.client.get(REPLICA_SETS, metadata["name"], metadata["namespace"])
        except StatusError as error:
            if error.code == 404:
                return False
            raise
        return live["metadata"]["uid"] == metadata["uid"] and "deletionTimestamp" not in live["metadata"]

    async def _patch(self, pod: Object, patch: Object) -> bool:
        metadata = pod["metadata"]
        try:
            await self.client.patch(PODS, metadata["name"], patch, metadata["namespace"], kind="strategic")
        except StatusError as error:
            if error.code in (404, 409, 422):  # gone, or replaced by a namesake
                return False
            raise
        return True

    async def _manage(self, key: str, replica_set: Object, active: list[Object]) -> Managed:
        excess = surplus(replica_set, active)
        if excess < 0:
            error = await self._create(key, replica_set, -excess)
            return Managed(Failure(FAILED_CREATE, str(error)) if error else None, error)
        if excess > 0:
            related = self._related(replica_set, active)
            victims = choose_victims(active, related, excess, self.context.clock.timestamp())
            return await self._delete(key, replica_set, victims)
        return Managed()

    def _related(self, replica_set: Object, active: list[Object]) -> list[Object]:
        """The pods of every ReplicaSet with the same controller."""
        reference = controller_reference(replica_set)
        if reference is None:
            return active
        return [
            pod
            for each in self.sets.by_index(CONTROLLER_INDEX, reference["uid"])
            for pod in self.pods.by_index(CONTROLLER_INDEX, each["metadata"]["uid"])
        ]

    async def _create(self, key: str, replica_set: Object, count: int) -> Exception | None:
        """Create in growing batches; stop after the first batch in which one failed."""
        self.expectations.expect_creates(key, count, trio.current_time())
        pod = pod_from_template(replica_set)
        failures: list[Exception] = []

        async def create() -> None:
            try:
                made = await self.client.create(PODS, pod)
            except Exception as error:
                self.expectations.created(key)
                if isinstance(error, StatusError) and error.has_cause(NAMESPACE_TERMINATING):
                    stopped.append(error)  # no use repeating
                else:
                    failures.append(error)
                    self._say(replica_set, "Warning", FAILED_CREATE, f"Error creating: {error}")
            else:
                self._say(replica_set, "Normal", "SuccessfulCreate", f"Created pod: {made['metadata']['name']}")

        stopped: list[Exception] = []
        begun = 0
        for batch in slow_start(count):
            begun += batch
            if batch == 1:
                await create()
            else:
                async with trio.open_nursery() as nursery:
                    for _ in range(batch):
                        nursery.start_soon(create)
            if failures or stopped:
                break
        self.expectations.created(key, count - begun)
        return failures[0] if failures else None

    async def _delete(self, key: str, replica_set: Object, victims: list[Object]) -> Managed:
        self.expectations.expect_deletes(key, {pod["metadata"]["name"] for pod in victims}, trio.current_time())
        done = Managed()

        async def delete(name: str, uid: str) -> None:
            try:
                await self.client.delete(PODS, name, replica_set["metadata"]["namespace"], uid=uid)
            except Exception as error:
                self.expectations.deleted(key, name)
                if not (isinstance(error, StatusError) and error.code == 404):
                    done.error, done.failure = error, Failure(FAILED_DELETE, str(error))
                    self._say(replica_set, "Warning", FAILED_DELETE, f"Error deleting: {error}")
            else:
                done.deleted.add(name)
                self._say(replica_set, "Normal", "SuccessfulDelete", f"Deleted pod: {name}")

        async with trio.open_nursery() as nursery:
            for pod in victims:
                nursery.start_soon(delete, pod["metadata"]["name"], pod["metadata"]["uid"])
        return done

    def _say(self, replica_set: Object, type: str, reason: str, message: str) -> None:
        self.context.recorder.event(replica_set, type, reason, message)

    async def _write_status(self, key: str, replica_set: Object, pods: list[Object], failure: Failure | None) -> None:
        clock = self.context.clock
        status, wait = compute_status(replica_set, pods, failure, clock.timestamp(), rfc3339(clock.now()))
        if wait is not None:
            self.context.queue.add_after(key, wait)
        if not _same(replica_set.get("status", {}), status):
            body = {**replica_set, "status": status}
            self.own_writes.note(await self.client.update(REPLICA_SETS, body, subresource="status"))


def _same(old: Object, new: Object) -> bool:
    """Whether two statuses say the same; a count of 0 may be left out."""
    if old.keys() == new.keys():
        return old == new
    return {k: v for k, v in old.items() if v} == {k: v for k, v in new.items() if v}


def _wish(replica_set: Object) -> tuple[Any, ...]:
    """What of it the controller acts on: its own status updates should not call it again."""
    metadata = replica_set["metadata"]
    return metadata.get("generation"), metadata.get("deletionTimestamp"), metadata.get("ownerReferences")
