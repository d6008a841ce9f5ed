"""Carries out a Deployment's `plan`: writes ReplicaSets, says what was scaled, keeps the status."""

from kubrick_api.errors import NAMESPACE_TERMINATING, StatusError
from kubrick_api.resource import Object
from kubrick_api.selectors import from_label_selector
from kubrick_api_apps import DEPLOYMENTS, REPLICA_SETS
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
from kubrick_controller.pod import is_finished
from kubrick_controller.writes import OwnWrites
from kubrick_controller_deployment import conditions as status_of
from kubrick_controller_deployment.draft import Draft, same_template
from kubrick_controller_deployment.plan import Moment, Plan, make_plan
from kubrick_controller_deployment.sizes import is_rolling
from kubrick_kernel.clock import rfc3339

KIND = "Deployment"
SELECTING_ALL = "This deployment is selecting all pods. A non-empty selector is required."


class DeploymentController:
    """The control loop of Deployments."""

    name = "deployment-controller"
    workers = 5

    def setup(self, context: Context) -> None:
        self.own_deployments = OwnWrites()
        self.own_sets = OwnWrites()
        self.context = context
        self.client = context.client
        self.deployments: Informer = context.informer(DEPLOYMENTS)
        self.sets: Informer = context.informer(REPLICA_SETS)
        self.pods: Informer = context.informer(PODS)
        self.sets.add_index(CONTROLLER_INDEX, by_controller)
        self.pods.add_index(CONTROLLER_INDEX, by_controller)
        self.deployments.add_handler(self._touched, lambda _, new: self._touched(new), self.own_deployments.forget)
        self.sets.add_handler(self._set_touched, self._set_updated, self._set_deleted)
        self.pods.add_handler(deleted=self._pod_deleted)

    # Which keys a change concerns.

    def _touched(self, deployment: Object) -> None:
        self.context.queue.add(key_of(deployment))

    def _owner(self, obj: Object) -> Object | None:
        """The Deployment that controls a ReplicaSet."""
        reference = controller_reference(obj)
        if reference is None or reference["kind"] != KIND:
            return None
        found = self.deployments.get(obj["metadata"]["namespace"], reference["name"])
        return found if found is not None and found["metadata"]["uid"] == reference["uid"] else None

    def _set_touched(self, replica_set: Object) -> None:
        owner = self._owner(replica_set)
        if owner is not None:
            self._touched(owner)
        elif controller_reference(replica_set) is None:
            labels = replica_set["metadata"].get("labels") or {}
            for deployment in self.deployments.list(replica_set["metadata"]["namespace"]):
                if labels and from_label_selector(deployment["spec"]["selector"]).matches(labels):
                    self._touched(deployment)

    def _set_updated(self, old: Object, new: Object) -> None:
        before, after = controller_reference(old), controller_reference(new)
        if before != after:
            self._set_touched(old)
        self._set_touched(new)

    def _set_deleted(self, replica_set: Object) -> None:
        self.own_sets.forget(replica_set)
        self._set_touched(replica_set)

    def _pod_deleted(self, pod: Object) -> None:
        """The Recreate strategy waits for the last old pod to go."""
        reference = controller_reference(pod)
        if reference is None or reference["kind"] != "ReplicaSet":
            return
        replica_set = self.sets.get(pod["metadata"]["namespace"], reference["name"])
        owner = self._owner(replica_set) if replica_set is not None else None
        if owner is not None and not is_rolling(owner):
            self._touched(owner)

    # One Deployment.

    async def reconcile(self, key: str) -> None:
        namespace, _, name = key.partition("/")
        deployment = self.deployments.get(namespace, name)
        if deployment is None:
            return
        deployment = self.own_deployments.newest(deployment)
        selector = deployment["spec"]["selector"]
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            self.context.recorder.event(deployment, "Warning", "SelectingAll", SELECTING_ALL)
            return
        replica_sets = await self._claim(deployment)
        now = self.context.clock.now()
        moment = Moment(now.timestamp(), rfc3339(now))
        plan = make_plan(deployment, replica_sets, moment, lambda new: self._old_pods(replica_sets, new))
        if plan.create is not None and not await self._create(deployment, plan.create, moment):
            return
        for draft in plan.update:
            await self._update(deployment, draft)
        for replica_set in plan.delete:
            await self._delete(replica_set)
        await self._write_status(deployment, plan)
        if plan.again is not None:
            self.context.queue.add_after(key, plan.again)

    async def _update(self, deployment: Object, draft: Draft) -> None:
        try:
            self.own_sets.note(await self.client.update(REPLICA_SETS, draft.body()))
        except StatusError:
            self.own_sets.forget(draft.obj)
            raise
        self._report(deployment, draft)

    async def _claim(self, deployment: Object) -> list[Object]:
        """The ReplicaSets it controls, after adopting and releasing what has to be."""
        metadata = deployment["metadata"]
        owned = [self.own_sets.newest(each) for each in self.sets.by_index(CONTROLLER_INDEX, metadata["uid"])]
        owned += self.own_sets.unseen(metadata["uid"], owned)
        orphans = self.sets.by_index(CONTROLLER_INDEX, orphans_of(metadata["namespace"]))
        decided = claim(deployment, owned, orphans, from_label_selector(deployment["spec"]["selector"]).matches)
        for replica_set in decided.release:
            await self._patch(replica_set, release(deployment, replica_set))
        if decided.adopt:
            live = await self.client.get(DEPLOYMENTS, metadata["name"], metadata["namespace"])
            if live["metadata"]["uid"] == metadata["uid"] and "deletionTimestamp" not in live["metadata"]:
                for replica_set in decided.adopt:
                    adopted = await self._patch(replica_set, adoption(deployment, replica_set))
                    if adopted is not None:
                        decided.kept.append(adopted)
        return decided.kept

    async def _patch(self, replica_set: Object, patch: Object) -> Object | None:
        metadata = replica_set["metadata"]
        try:
            return await self.client.patch(
                REPLICA_SETS, metadata["name"], patch, metadata["namespace"], kind="strategic"
            )
        except StatusError as error:
            if error.code in (404, 409, 422):  # gone, or replaced by a namesake
                return None
            raise

    def _old_pods(self, replica_sets: list[Object], new: Object | None) -> bool:
        """Whether any but the new ReplicaSet has pods that have not finished."""
        for replica_set in replica_sets:
            uid = replica_set["metadata"]["uid"]
            if new is not None and uid == new["metadata"]["uid"]:
                continue
            for pod in self.pods.by_index(CONTROLLER_INDEX, uid):
                if not is_finished(pod):
                    return True
        return False

    async def _create(self, deployment: Object, draft: Draft, now: Moment) -> bool:
        """Create the new ReplicaSet. False when it turned out to be there already: its event will tell."""
        try:
            self.own_sets.note(await self.client.create(REPLICA_SETS, draft.body()))
        except StatusError as error:
            if error.reason == "AlreadyExists":
                await self._resolve_collision(deployment, draft)
                return False
            if not error.has_cause(NAMESPACE_TERMINATING):
                await self._report_failure(deployment, draft, error, now)
            raise
        self._report(deployment, draft)
        return True

    async def _resolve_collision(self, deployment: Object, draft: Draft) -> None:
        """The name is taken: by our own ReplicaSet, which the informer has not shown yet, or by another,
        and then the next hash has to differ."""
        there = await self.client.get(REPLICA_SETS, draft.name, deployment["metadata"]["namespace"])
        reference = controller_reference(there)
        ours = reference is not None and reference["uid"] == deployment["metadata"]["uid"]
        if ours and same_template(deployment, there):
            return
        status = {**deployment.get("status", {})}
        status["collisionCount"] = status.get("collisionCount", 0) + 1
        await self.client.update(DEPLOYMENTS, {**deployment, "status": status}, subresource="status")

    async def _report_failure(self, deployment: Object, draft: Draft, error: StatusError, now: Moment) -> None:
        message = f'Failed to create new replica set "{draft.name}": {error}'
        self.context.recorder.event(deployment, "Warning", status_of.FAILED_CREATE, message)
        if status_of.deadline_of(deployment) is None:
            return
        before = deployment.get("status", {})
        condition = status_of.make(status_of.PROGRESSING, "False", status_of.FAILED_CREATE, message, now.timestamp)
        conditions = status_of.put(before.get("conditions") or (), condition)
        if conditions == before.get("conditions"):
            return
        status = {**before, "conditions": conditions}
        try:
            await self.client.update(DEPLOYMENTS, {**deployment, "status": status}, subresource="status")
        except StatusError:
            return  # the failure itself is what the caller raises

    def _report(self, deployment: Object, draft: Draft) -> None:
        for before, after in draft.scaled:
            direction = "up" if after > before else "down"
            message = f"Scaled {direction} replica set {draft.name} from {before} to {after}"
            self.context.recorder.event(deployment, "Normal", "ScalingReplicaSet", message)

    async def _delete(self, replica_set: Object) -> None:
        metadata = replica_set["metadata"]
        try:
            await self.client.delete(REPLICA_SETS, metadata["name"], metadata["namespace"], uid=metadata["uid"])
        except StatusError as error:
            if error.code != 404:
                raise
        self.own_sets.forget(replica_set)

    async def _write_status(self, deployment: Object, plan: Plan) -> None:
        """One write for status and annotations: the status subresource takes annotations too."""
        metadata = deployment["metadata"]
        if plan.annotations:
            metadata = {**metadata, "annotations": {**(metadata.get("annotations") or {}), **plan.annotations}}
        elif same_status(deployment.get("status", {}), plan.status):
            return
        body = {**deployment, "metadata": metadata, "status": plan.status}
        self.own_deployments.note(await self.client.update(DEPLOYMENTS, body, subresource="status"))


def same_status(old: Object, new: Object) -> bool:
    """Whether two statuses say the same; a count of 0 may be left out, and order does not matter."""
    return _plain(old) == _plain(new)


def _plain(status: Object) -> Object:
    plain = {key: value for key, value in status.items() if value}
    plain["conditions"] = sorted(plain.get("conditions") or (), key=lambda condition: str(condition["type"]))
    return plain
