"""The component that keeps flow control and its objects in step.

It follows FlowSchemas and priority levels on the bus; once a minute, and at the start, it sees that the
mandatory and suggested objects are there and have the specs they should have, and it says of every schema whether
its level exists. The rules are those of kube-apiserver's two controllers for this.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import trio

from kubrick_api import codec
from kubrick_api.equality import same
from kubrick_api.errors import StatusError
from kubrick_api.names import GVR
from kubrick_api_flowcontrol import FLOW_SCHEMAS, PRIORITY_LEVEL_CONFIGURATIONS
from kubrick_api_flowcontrol.mandatory import FLOW_SCHEMAS as MANDATORY_SCHEMAS
from kubrick_api_flowcontrol.mandatory import PRIORITY_LEVELS as MANDATORY_LEVELS
from kubrick_client import Client, connect
from kubrick_flow_control.control import Control
from kubrick_flow_control.limits import PERIOD
from kubrick_flow_control.suggested import AUTO_UPDATE, mandatory, suggested
from kubrick_kernel import Compacted, Lagged, rfc3339
from kubrick_kernel.log import get_logger

if TYPE_CHECKING:
    from kubrick_kernel import Kernel

Object = dict[str, Any]
RESOURCES = {"FlowSchema": FLOW_SCHEMAS, "PriorityLevelConfiguration": PRIORITY_LEVEL_CONFIGURATIONS}
INTERVAL = 60.0
"""Seconds between two looks at the objects."""

log = get_logger("flow-control")


def is_mandatory(kind: str, name: str) -> bool:
    return name in (MANDATORY_SCHEMAS if kind == "FlowSchema" else MANDATORY_LEVELS)


def corrected(stored: Object, wanted: Object) -> Object | None:
    """What to store instead of one of the objects every cluster has; None when it is as it should be. A mandatory
    one has its spec (but for what may be changed of the level `exempt`); of a suggested one the spec is its owner's as
    soon as the annotation says so, or the owner has changed it and there is no annotation."""
    metadata = stored["metadata"]
    annotations = metadata.get("annotations") or {}
    compulsory = is_mandatory(stored["kind"], metadata["name"])
    automatic = annotations.get(AUTO_UPDATE)
    if automatic not in ("true", "false"):
        automatic = "true" if metadata.get("generation", 1) == 1 else "false"
    spec = wanted["spec"] if compulsory or automatic == "true" else stored.get("spec")
    if stored["kind"] == "PriorityLevelConfiguration" and metadata["name"] == "exempt" and automatic == "false":
        spec = {**wanted["spec"], "exempt": (stored.get("spec") or {}).get("exempt", wanted["spec"]["exempt"])}
    annotations = {**annotations, AUTO_UPDATE: automatic}
    if same(stored.get("spec"), spec) and annotations == metadata.get("annotations"):
        return None
    return {**stored, "metadata": {**metadata, "annotations": annotations}, "spec": spec}


def condition(schema: Object, found: bool, now: str) -> Object | None:
    """The condition Dangling, when it has to be set."""
    level = ((schema.get("spec") or {}).get("priorityLevelConfiguration") or {}).get("name", "")
    if found:
        status, reason = "False", "Found"
        message = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}" and it exists'
    else:
        status, reason = "True", "NotFound"
        message = (
            f'This FlowSchema references the PriorityLevelConfiguration object named "{level}" '
            "but there is no such object"
        )
    conditions = (schema.get("status") or {}).get("conditions") or ()
    old = next((each for each in conditions if each.get("type") == "Dangling"), None)
    if old is not None and (old.get("status"), old.get("reason"), old.get("message")) == (status, reason, message):
        return None
    since = old["lastTransitionTime"] if old is not None and old.get("status") == status else now
    return {
        "type": "Dangling",
        "status": status,
        "lastTransitionTime": since,
        "reason": reason,
        "message": message,
    }


def established(now: str) -> list[Object]:
    """The objects every cluster begins with, schemas with their conditions."""
    objects = [*mandatory(), *suggested()]
    for obj in objects:
        if obj["kind"] == "FlowSchema":
            obj["status"] = {"conditions": [condition(obj, True, now)]}
    return objects


class Upkeep:
    """Component "flow-control"."""

    name = "flow-control"
    requires: tuple[str, ...] = ("bus", "apiserver")

    def __init__(self, kernel: "Kernel", control: Control) -> None:
        self._kernel = kernel
        self._control = control
        self._changed = trio.Event()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            self._control.later = nursery
            try:
                self._control.begin(trio.current_time())
                self._reload()
                for resource in RESOURCES.values():
                    nursery.start_soon(self._follow, resource)
                nursery.start_soon(self._borrow)
                nursery.start_soon(self._report)
                nursery.start_soon(self._maintain)
                task_status.started()
                await trio.sleep_forever()
            finally:
                self._control.later = None

    def _objects(self) -> list[Object]:
        """All there are, levels first; shared."""
        topics = [self._kernel.bus.topic(f"{resource.qualified}/".encode()) for resource in RESOURCES.values()]
        return [codec.decode(item) for topic in reversed(topics) for item in topic.range().items]

    def _reload(self) -> None:
        """Mandatory objects are in force even while they are not there."""
        objects = self._objects()
        there = {(obj["kind"], obj["metadata"]["name"]) for obj in objects}
        missing = [obj for obj in mandatory() if (obj["kind"], obj["metadata"]["name"]) not in there]
        self._control.reload([*objects, *missing], trio.current_time())
        self._changed.set()

    async def _follow(self, resource: GVR) -> None:
        topic = self._kernel.bus.topic(f"{resource.qualified}/".encode())
        subscription = topic.follow()
        self._reload()
        try:
            while True:
                try:
                    await subscription.receive()
                except (Lagged, Compacted):
                    subscription.close()
                    await trio.lowlevel.checkpoint()
                    subscription = topic.follow()
                self._reload()
        finally:
            subscription.close()

    async def _borrow(self) -> None:
        while True:
            await trio.sleep(PERIOD)
            self._control.borrow(trio.current_time())

    async def _report(self) -> None:
        """Keeps the schemas' condition Dangling true."""
        client = self._client()
        while True:
            self._changed = trio.Event()
            objects = self._objects()
            levels = {obj["metadata"]["name"] for obj in objects if obj["kind"] == "PriorityLevelConfiguration"}
            for obj in objects:
                if obj["kind"] == "FlowSchema":
                    await self._say(client, obj, levels)
            await self._changed.wait()

    async def _say(self, client: Client, schema: Object, levels: set[str]) -> None:
        level = ((schema.get("spec") or {}).get("priorityLevelConfiguration") or {}).get("name", "")
        told = condition(schema, level in levels, rfc3339(self._kernel.clock.now()))
        if told is None:
            return
        patch = {"status": {"conditions": [told]}}
        try:
            await client.patch(FLOW_SCHEMAS, schema["metadata"]["name"], patch, kind="strategic", subresource="status")
        except StatusError as error:
            log.debug("a FlowSchema's status was not written", name=schema["metadata"]["name"], reason=error.message)

    async def _maintain(self) -> None:
        client = self._client()
        while True:
            await self._look_after(client, [*mandatory(), *suggested()])
            await trio.sleep(INTERVAL)

    async def _look_after(self, client: Client, wanted: Iterable[Object]) -> None:
        """Create what is missing, correct what is wrong, remove what only looks as if it were ours."""
        stored = {(obj["kind"], obj["metadata"]["name"]): obj for obj in self._objects()}
        for obj in wanted:
            key = obj["kind"], obj["metadata"]["name"]
            there = stored.pop(key, None)
            try:
                if there is None:
                    await client.create(RESOURCES[obj["kind"]], obj)
                elif (better := corrected(there, obj)) is not None:
                    await client.update(RESOURCES[obj["kind"]], better)
            except StatusError as error:
                log.debug("not maintained", kind=key[0], name=key[1], reason=error.message)
        for (kind, name), obj in stored.items():
            if (obj["metadata"].get("annotations") or {}).get(AUTO_UPDATE) == "true":
                try:
                    await client.delete(RESOURCES[kind], name, uid=obj["metadata"]["uid"])
                except StatusError as error:
                    log.debug("not removed", kind=kind, name=name, reason=error.message)

    def _client(self) -> Client:
        return connect(self._kernel, "system:apiserver", ("system:masters",))
