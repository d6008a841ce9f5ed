"""The ConfigMaps and Secrets that this node's pods refer to, each watched by itself and only while somebody
refers to it; and what a pod refers to."""

from collections.abc import Callable, Iterator
from typing import Any

import trio
from attrs import define, field

from kubrick_api.errors import StatusError
from kubrick_api_core import CONFIG_MAPS, SECRETS
from kubrick_api_node import RUNTIME_CLASSES
from kubrick_client import Client, Informer, Unreachable
from kubrick_node.runtime import RuntimeFailure
from kubrick_node.volumes import Reference, VolumeFailure

Object = dict[str, Any]
Key = tuple[str, str, str]

SYNC_SECONDS = 10.0
RESOURCES = {"ConfigMap": CONFIG_MAPS, "Secret": SECRETS}


def environment_references(container: Object) -> Iterator[Reference]:
    for source in container.get("envFrom") or ():
        if "configMapRef" in source:
            yield Reference("ConfigMap", source["configMapRef"].get("name", ""))
        if "secretRef" in source:
            yield Reference("Secret", source["secretRef"].get("name", ""))
    for variable in container.get("env") or ():
        source = variable.get("valueFrom") or {}
        if "configMapKeyRef" in source:
            yield Reference("ConfigMap", source["configMapKeyRef"].get("name", ""))
        if "secretKeyRef" in source:
            yield Reference("Secret", source["secretKeyRef"].get("name", ""))


def pod_references(pod: Object) -> set[Reference]:
    """What the containers' environments and image pulls need; volumes say theirs themselves."""
    spec = pod["spec"]
    found = {Reference("Secret", one["name"]) for one in spec.get("imagePullSecrets") or () if one.get("name")}
    for listed in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(listed) or ():
            found.update(environment_references(container))
    return found


@define(eq=False)
class _Watched:
    informer: Informer
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    synced: trio.Event = field(factory=trio.Event)
    users: set[str] = field(factory=set)


class References:
    """`changed` is called with a pod's uid when something it refers to came, changed or went."""

    def __init__(self, client: Client, changed: Callable[[str], None]) -> None:
        self._client = client
        self._changed = changed
        self._watched: dict[Key, _Watched] = {}
        self._held: dict[str, set[Key]] = {}
        self._nursery: trio.Nursery | None = None

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for watched in self._watched.values():
                nursery.start_soon(self._watch, watched)
            task_status.started()
            await trio.sleep_forever()

    def hold(self, pod: Object, references: set[Reference]) -> None:
        """The pod refers to these, and to no others any more."""
        uid, namespace = pod["metadata"]["uid"], pod["metadata"]["namespace"]
        wanted: set[Key] = {(one.kind, namespace, one.name) for one in references if one.name}
        before = self._held.get(uid, set())
        for key in wanted - before:
            watched = self._watched.get(key)
            if watched is None:
                watched = self._watched[key] = self._start(key)
            watched.users.add(uid)
        for key in before - wanted:
            watched = self._watched[key]
            watched.users.discard(uid)
            if not watched.users:
                watched.scope.cancel()
                del self._watched[key]
        if wanted:
            self._held[uid] = wanted
        else:
            self._held.pop(uid, None)

    def release(self, pod: Object) -> None:
        self.hold(pod, set())

    def _start(self, key: Key) -> _Watched:
        kind, namespace, name = key
        selector = f"metadata.name={name}"
        watched = _Watched(Informer(self._client, RESOURCES[kind], namespace, field_selector=selector))

        def tell(*_objects: Object) -> None:
            for uid in list(watched.users):
                self._changed(uid)

        watched.informer.add_handler(added=tell, updated=tell, deleted=tell)
        if self._nursery is not None:
            self._nursery.start_soon(self._watch, watched)
        return watched

    async def _watch(self, watched: _Watched) -> None:
        with watched.scope:
            async with trio.open_nursery() as nursery:
                await nursery.start(watched.informer.run)
                watched.synced.set()

    async def runtime_handler(self, name: str) -> str:
        """The handler of a RuntimeClass ("" has the default one). Raises RuntimeFailure."""
        if not name:
            return ""
        try:
            found = await self._client.get(RUNTIME_CLASSES, name)
        except (StatusError, Unreachable) as error:
            gone = isinstance(error, StatusError) and error.code == 404
            why = (
                f'runtimeclass.node.k8s.io "{name}" not found'
                if gone
                else f"failed to lookup RuntimeClass {name}: {error}"
            )
            raise RuntimeFailure("FailedCreatePodSandBox", f"Failed to create pod sandbox: {why}") from None
        return str(found.get("handler", ""))

    async def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """The object, None when there is none. Raises VolumeFailure when the API doesn't say."""
        watched = self._watched.get((kind, namespace, name))
        if watched is None:
            return None
        if not watched.informer.synced:
            with trio.move_on_after(SYNC_SECONDS):
                await watched.synced.wait()
        if not watched.informer.synced:
            raise VolumeFailure(f"failed to sync {kind.lower()} cache: timed out waiting for the condition")
        return watched.informer.get(namespace, name)
