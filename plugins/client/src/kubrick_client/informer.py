"""A local copy of a resource, kept up to date by a watch, with indexes and callbacks.

List once, then watch from the list's revision; resume after a disconnect, list again after 410 or an
error. Callbacks are synchronous and run after the copy has changed. Objects are shared with everyone
in the process: never change them.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

import trio
from attrs import define

from kubrick_api.errors import StatusError
from kubrick_api.names import GVR
from kubrick_api.resource import Object
from kubrick_client.client import Client
from kubrick_client.transport import Unreachable, WatchEvent
from kubrick_kernel.log import get_logger

Objects = list[Object]
Key = tuple[str, str]
BACKOFF_START = 0.8
BACKOFF_LIMIT = 30.0
SHORT = 1.0
"""A watch that ends sooner than this is followed by a pause, however it ended."""
PAGE = 500
log = get_logger("client")


class Lister(Protocol):
    """The reading half of an informer."""

    def get(self, namespace: str, name: str) -> Object | None: ...

    def by_index(self, name: str, value: str) -> list[Object]: ...

    def list(self, namespace: str = "") -> list[Object]: ...


@define
class Handler:
    added: Callable[[Object], None] | None
    updated: Callable[[Object, Object], None] | None
    deleted: Callable[[Object], None] | None


@define
class Index:
    values: Callable[[Object], Iterable[str]]
    buckets: dict[str, dict[Key, Object]]


class Informer:
    """See the module. `namespace` "" means all of them (and cluster-scoped resources)."""

    def __init__(
        self,
        client: Client,
        gvr: GVR,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
    ) -> None:
        self.client = client
        self.gvr = gvr
        self.namespace = namespace
        self.label_selector = label_selector
        self.field_selector = field_selector
        self.synced = False
        self.resource_version = ""
        self._spaces: dict[str, dict[str, Object]] = {}
        self._indexes: dict[str, Index] = {}
        self._handlers: list[Handler] = []

    def add_handler(
        self,
        added: Callable[[Object], None] | None = None,
        updated: Callable[[Object, Object], None] | None = None,
        deleted: Callable[[Object], None] | None = None,
    ) -> None:
        """Call these on each change. What is there already is reported as added, at once."""
        handler = Handler(added, updated, deleted)
        self._handlers.append(handler)
        if added is not None:
            for obj in self.list():
                self._tell(added, obj)

    def add_index(self, name: str, values: Callable[[Object], Iterable[str]]) -> None:
        """Keep objects findable by what `values` says of them. Naming an index again is harmless:
        the first definition stays, so two users of a shared informer may both ask for it."""
        if name in self._indexes:
            return
        index = self._indexes[name] = Index(values, {})
        for obj in self.list():
            _insert(index, _key(obj), obj)

    def get(self, namespace: str, name: str) -> Object | None:
        space = self._spaces.get(namespace)
        return space.get(name) if space is not None else None

    def by_index(self, name: str, value: str) -> list[Object]:
        bucket = self._indexes[name].buckets.get(value)
        return [*bucket.values()] if bucket else []

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Runs until cancelled; started once the first list is in."""
        backoff = BACKOFF_START
        while True:
            began = trio.current_time()
            try:
                if not self.resource_version:
                    await self._relist()
                    if not self.synced:
                        self.synced = True
                        task_status.started()
                await self._follow()
                failed = False
            except StatusError as error:
                self.resource_version = ""
                failed = error.code != 410
                if failed:
                    log.warning("watching again", resource=self.gvr.qualified, error=str(error))
            except Unreachable as error:
                failed = True
                log.info("watching again", resource=self.gvr.qualified, error=str(error))
            if trio.current_time() - began >= SHORT:
                backoff = BACKOFF_START
                if not failed:
                    continue
            await trio.sleep(backoff * (1 + self.client.generator.random()))
            backoff = min(backoff * 2, BACKOFF_LIMIT)

    async def _relist(self) -> None:
        objects: Objects = []
        token = ""
        while True:
            page = await self.client.list(
                self.gvr,
                self.namespace,
                label_selector=self.label_selector,
                field_selector=self.field_selector,
                limit=PAGE,
                continue_=token,
            )
            objects += self._typed(page)
            token = page["metadata"].get("continue", "")
            if not token:
                break
        self._replace(objects)
        self.resource_version = page["metadata"]["resourceVersion"]

    @staticmethod
    def _typed(page: Object) -> Iterable[Object]:
        """The items, each saying its kind (over HTTPS only the list does)."""
        items: Objects = page.get("items") or []
        if items and "kind" not in items[0]:
            kind, api_version = page["kind"].removesuffix("List"), page["apiVersion"]
            return [{"kind": kind, "apiVersion": api_version, **item} for item in items]
        return items

    async def _follow(self) -> None:
        async with self.client.watch(
            self.gvr,
            self.namespace,
            label_selector=self.label_selector,
            field_selector=self.field_selector,
            resource_version=self.resource_version,
        ) as stream:
            while events := await stream.receive():
                for event in events:
                    self._apply(event)

    def _apply(self, event: WatchEvent) -> None:
        obj = event.object
        self.resource_version = obj["metadata"]["resourceVersion"]
        if event.type == "BOOKMARK":
            return
        if event.type == "DELETED":
            self._remove(obj)
        else:
            self._store(obj)

    def _replace(self, objects: Iterable[Object]) -> None:
        gone = {_key(obj): obj for obj in self.list()}
        for obj in objects:
            old = gone.pop(_key(obj), None)
            if old is None or old["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
                self._store(obj)
        for obj in gone.values():
            self._remove(obj)

    def _store(self, obj: Object) -> None:
        metadata = obj["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        space = self._spaces.setdefault(key[0], {})
        old = space.get(key[1])
        space[key[1]] = obj
        for index in self._indexes.values():
            if old is not None:
                _discard(index, key, old)
            _insert(index, key, obj)
        for handler in self._handlers:
            if old is None:
                if handler.added is not None:
                    self._tell(handler.added, obj)
            elif handler.updated is not None:
                self._tell(handler.updated, old, obj)

    def _remove(self, obj: Object) -> None:
        key = _key(obj)
        space = self._spaces.get(key[0])
        old = space.pop(key[1], None) if space is not None else None
        if space is None or old is None:
            return
        if not space:
            del self._spaces[key[0]]
        for index in self._indexes.values():
            _discard(index, key, old)
        for handler in self._handlers:
            if handler.deleted is not None:
                self._tell(handler.deleted, obj)

    def _tell(self, callback: Callable[..., None], *objects: Object) -> None:
        """One callback's bug must not stop the copy, nor the other callbacks."""
        try:
            callback(*objects)
        except Exception as error:
            where = "/".join(_key(objects[-1]))
            log.error("an informer's handler failed", resource=self.gvr.qualified, object=where, exc_info=error)

    def list(self, namespace: str = "") -> list[Object]:
        """All objects, or those of one namespace, oldest in this copy first."""
        if namespace:
            return [*self._spaces.get(namespace, {}).values()]
        return [obj for space in self._spaces.values() for obj in space.values()]


def _key(obj: Object) -> Key:
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _insert(index: Index, key: Key, obj: Object) -> None:
    for value in index.values(obj):
        index.buckets.setdefault(value, {})[key] = obj


def _discard(index: Index, key: Key, obj: Object) -> None:
    for value in index.values(obj):
        bucket = index.buckets.get(value)
        if bucket is not None:
            bucket.pop(key, None)
            if not bucket:
                del index.buckets[value]
