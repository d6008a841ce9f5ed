"""watch: changes of one resource, filtered for one client, each encoded once for everybody.

A `Feed` turns a topic's subscription into changes as one client sees them: an object that comes to match
its selector is ADDED, one that stops matching is DELETED (with its last matching state and the revision of
the change). Frames are kept on the shared `Event`, per representation, so a thousand watchers cost one
encoding. Bookmarks tell quiet clients how far they are; a client that is too slow is cut off.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import orjson
import trio
from attrs import frozen

from kubrick_api import codec
from kubrick_api.errors import StatusError, too_large_resource_version, too_old_resource_version
from kubrick_api.resource import Object, Resource
from kubrick_api.storage import Call
from kubrick_apiserver.audience import Member
from kubrick_apiserver.options import ListOptions, list_options, revision
from kubrick_apiserver.read import prefix
from kubrick_apiserver.selection import Selection, selection
from kubrick_http.response import Outlet
from kubrick_kernel import Compacted, Event, FutureRevision, Item
from kubrick_kernel.bus import Lagged, Subscription

if TYPE_CHECKING:
    from kubrick_apiserver.registry import Registry

ADDED, MODIFIED, DELETED, BOOKMARK, ERROR = "ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"
BOOKMARK_SECONDS = 60.0
LAST_BOOKMARK_SECONDS = 2.0
"""How long before a watch times out it gets its last bookmark."""
MIN_TIMEOUT = 1800.0
SLICE = 256
"""So many events at most are made into one piece: the next one waits until the connection has taken it."""
INITIAL_EVENTS_END = {"k8s.io/initial-events-end": "true"}


@frozen
class Bookmark:
    """Everything up to `revision` has been sent; with `initial`, the initial state has been."""

    revision: int
    initial: bool = False


Convert = Callable[[Object, bool], Object]

Change = tuple[str, Event]
"""The type, as this client sees it, and what happened. A DELETED shows `Event.previous`."""


@frozen
class Plan:
    """A watch as asked for, checked: `after` is where it starts, None meaning now. `state` says whether
    the current objects come first; `marked` whether a bookmark ends them, and `least` how old they may be."""

    options: ListOptions
    chosen: Selection | None
    within: bytes
    after: int | None
    state: bool
    marked: bool
    least: int = 0


def plan(registry: "Registry", resource: Resource, call: Call) -> Plan:
    """Raises StatusError for what can't be watched."""
    options = list_options(call.params, watch=True)
    chosen = selection(resource, call.namespace, call.name, options, lambda item: registry.decode(resource, item))
    within = prefix(resource, call.namespace)
    if chosen is not None and chosen.key is not None:
        within = chosen.key
    asked = revision(options.resource_version)
    wanted = options.initial_events
    if wanted:
        return Plan(options, chosen, within, None, True, options.bookmarks, asked)
    return Plan(options, chosen, within, asked or None, not asked and wanted is None, False)


class Feed:
    """One open watch. `next` returns changes and bookmarks; an empty list is the end."""

    def __init__(self, registry: "Registry", resource: Resource, plan: Plan) -> None:
        self.resource = resource
        self._registry = registry
        self._plan = plan
        self._matches = plan.chosen.matches if plan.chosen is not None else None
        self._subscription: Subscription | None = None
        self._initial: list[Change | Bookmark] = []
        self._later = 0
        options = plan.options
        timeout = options.timeout or MIN_TIMEOUT * (1 + registry.kernel.random.random())
        self._ends = trio.current_time() + timeout
        self._marks = self._next_mark() if options.bookmarks else self._ends

    def _next_mark(self) -> float:
        now = trio.current_time()
        last = self._ends - LAST_BOOKMARK_SECONDS
        return min(now + BOOKMARK_SECONDS, last) if last > now else self._ends

    async def open(self) -> None:
        """Subscribe. Raises StatusError: 410 when history no longer goes back far enough, 504 when the state
        that was asked for is yet to come."""
        plan = self._plan
        topic = self._registry.topic(self.resource)
        after = plan.after
        if plan.least > topic.revision:
            raise too_large_resource_version(plan.least, topic.revision)
        if after is None:
            after = topic.revision
            if plan.state:
                items = topic.range(plan.within).items
                matches = self._matches
                self._initial = [
                    (ADDED, Event(item.key, item.revision, item, None))
                    for item in items
                    if matches is None or matches(item)
                ]
            if plan.marked:
                self._initial.append(Bookmark(after, True))
        elif after > topic.revision:
            self._later = after
            after = topic.revision
        try:
            self._subscription = await topic.subscribe(after, plan.within)
        except Compacted as error:
            raise too_old_resource_version(after, error.compacted) from None
        except FutureRevision as error:
            raise too_large_resource_version(after, error.current) from None

    def close(self) -> None:
        if self._subscription is not None:
            self._subscription.close()

    @property
    def caught_up(self) -> bool:
        """Whether the client has seen everything, sees everything, and no bookmark is due."""
        return (
            self._matches is None
            and not self._initial
            and not self._later
            and self._subscription is not None
            and self._subscription.at_end
            and trio.current_time() < self._marks
        )

    @property
    def marks(self) -> float:
        """When the next bookmark is due, or the end, on trio's clock."""
        return self._marks

    @property
    def within(self) -> bytes:
        return self._plan.within

    def skip(self, revision: int) -> None:
        """The client was shown everything up to `revision` by an audience."""
        assert self._subscription is not None
        self._subscription.skip(revision)

    async def next(self) -> list[Change | Bookmark]:
        """Wait for something to send. Raises StatusError 410 when the watch can't go on."""
        if self._initial:
            initial, self._initial = self._initial, []
            return initial
        subscription = self._subscription
        assert subscription is not None
        while True:
            events: list[Event] = []
            with trio.move_on_at(self._marks):
                try:
                    events = await subscription.receive()
                except Lagged:
                    return []
                except Compacted as error:
                    raise too_old_resource_version(error.revision, error.compacted) from None
            if events:
                if changes := self._seen(events):
                    return changes
                continue
            if self._marks >= self._ends:
                return []
            self._marks = self._next_mark()
            return [Bookmark(max(subscription.revision, self._later))]

    def _seen(self, events: list[Event]) -> list[Change | Bookmark]:
        """`events` as this client sees them."""
        if self._later:
            events = [event for event in events if event.revision > self._later]
        matches = self._matches
        if matches is None:
            return seen(events)
        changes: list[Change | Bookmark] = []
        for event in events:
            item, previous = event.item, event.previous
            before = previous is not None and matches(previous)
            if item is not None and matches(item):
                changes.append((MODIFIED if before else ADDED, event))
            elif before:
                changes.append((DELETED, event))
        return changes


def seen(events: list[Event]) -> list[Change | Bookmark]:
    """Events as somebody sees them who selects nothing."""
    return [
        (DELETED if event.item is None else MODIFIED if event.previous is not None else ADDED, event)
        for event in events
    ]


@asynccontextmanager
async def opened(registry: "Registry", resource: Resource, asked: Plan) -> AsyncIterator[Feed]:
    """A feed for the length of a block. Raises StatusError 410."""
    feed = Feed(registry, resource, asked)
    try:
        await feed.open()
        yield feed
    finally:
        feed.close()


def bookmark_object(resource: Resource, mark: Bookmark) -> Object:
    metadata: Object = {"resourceVersion": str(mark.revision)}
    if mark.initial:
        metadata["annotations"] = INITIAL_EVENTS_END
    return {"kind": resource.kind.kind, "apiVersion": resource.kind.api_version, "metadata": metadata}


def shown(kind: str, event: Event) -> tuple[Item, int]:
    """The item that a change shows, and the revision it shows it with."""
    if kind == DELETED:
        assert event.previous is not None
        return event.previous, event.revision
    assert event.item is not None
    return event.item, event.item.revision


def memo(event: Event) -> dict[object, object]:
    """What has been made of an event already, by representation."""
    found: dict[object, object] | None = event.memo
    if found is None:
        found = event.memo = {}
    return found


def object_of(registry: "Registry", resource: Resource, kind: str, event: Event) -> Object:
    """The object of a change, as a dict. Shared: never change it."""
    item, at = shown(kind, event)
    if kind != DELETED:
        return registry.decode(resource, item)
    known = memo(event)
    key = ("deleted", resource.gvr)
    found = known.get(key)
    if found is None:
        obj = registry.decode(resource, item)
        found = known[key] = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(at)}}
    return found  # type: ignore[return-value]  # the key says what it is


Encode = Callable[[str, Object], bytes]


def json_frame(kind: str, obj: Object) -> bytes:
    return orjson.dumps({"type": kind, "object": obj}, option=orjson.OPT_APPEND_NEWLINE)


class PlainFrames:
    """Frames of stored bytes."""

    name: object = None
    """The representation: frames of one name are the same bytes for everybody..."""
    first = False
    """... but for a watch's first, where this is true."""

    def __init__(self, registry: "Registry", resource: Resource) -> None:
        self.registry = registry
        self.resource = resource
        self.encoded: Encode = json_frame
        """Makes a frame of an object that is nobody else's."""

    def frame(self, kind: str, event: Event) -> bytes:
        known = memo(event)
        key = (kind, self.resource.gvr)
        found = known.get(key)
        if found is None:
            found = known[key] = b'{"type":"%b","object":%b}\n' % (kind.encode(), self._value(kind, event))
        return found  # type: ignore[return-value]  # the key says what it is

    def _value(self, kind: str, event: Event) -> bytes:
        if self.resource.stored_as is not None:
            return orjson.dumps(object_of(self.registry, self.resource, kind, event))
        item, at = shown(kind, event)
        return codec.restamp(item.value, at) if kind == DELETED else item.value

    def bookmark(self, mark: Bookmark) -> bytes:
        return self.encoded(BOOKMARK, bookmark_object(self.resource, mark))


class Frames(PlainFrames):
    """Frames in another representation. `convert(obj, first)` makes it of an object and `encode` a frame of that;
    what they make is shared by all watchers of the representation called `name`, but for a watch's first frame."""

    def __init__(
        self,
        registry: "Registry",
        resource: Resource,
        name: object,
        convert: Convert,
        encode: Encode = json_frame,
    ) -> None:
        super().__init__(registry, resource)
        self.name = name
        self.convert = convert
        self.encoded = encode
        self.first = True

    def frame(self, kind: str, event: Event) -> bytes:
        first, self.first = self.first, False
        if first:
            return self.encoded(kind, self.convert(object_of(self.registry, self.resource, kind, event), True))
        known = memo(event)
        key = (kind, self.resource.gvr, self.name)
        found = known.get(key)
        if found is None:
            obj = self.convert(object_of(self.registry, self.resource, kind, event), False)
            found = known[key] = self.encoded(kind, obj)
        return found  # type: ignore[return-value]  # the key says what it is

    def bookmark(self, mark: Bookmark) -> bytes:
        first, self.first = self.first, False
        return self.encoded(BOOKMARK, self.convert(bookmark_object(self.resource, mark), first))


class Stream:
    """The body of a watch response."""

    def __init__(self, registry: "Registry", resource: Resource, asked: Plan, frames: PlainFrames) -> None:
        self._registry = registry
        self._feed = Feed(registry, resource, asked)
        self._frames = frames
        self._over = False
        self._refused = b""
        self._outlet: Outlet | None = None
        self._backlog: list[Change | Bookmark] = []
        self._key = asked.within, resource.gvr, frames.name

    def attach(self, outlet: Outlet) -> None:
        """The connection can be written to by others: see `kubrick_apiserver.audience`."""
        self._outlet = outlet

    async def __aenter__(self) -> "Stream":
        try:
            await self._feed.open()
        except StatusError as error:
            # As kube-apiserver does: once a watch is under way, even 410 is an event.
            self._refused = self._frames.encoded(ERROR, error.status())
        self._registry.audiences.enter(self._key)
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._registry.audiences.exit(self._key)
        self._feed.close()

    async def next(self) -> bytes:
        if self._over:
            return b""
        if self._refused:
            self._over = True
            return self._refused
        try:
            changes = self._backlog
            if not changes:
                await self._listen()
                changes = await self._feed.next()
        except StatusError as error:
            self._over = True
            return self._frames.encoded(ERROR, error.status())
        self._backlog = changes[SLICE:]
        return self._piece(changes[:SLICE])

    def _piece(self, changes: list[Change | Bookmark]) -> bytes:
        frames = self._frames
        if len(changes) == 1:
            change = changes[0]
            return frames.bookmark(change) if isinstance(change, Bookmark) else frames.frame(*change)
        return b"".join(
            [frames.bookmark(each) if isinstance(each, Bookmark) else frames.frame(*each) for each in changes]
        )

    async def _listen(self) -> None:
        """Be in an audience for as long as that can be; nothing is sent by this stream meanwhile."""
        feed, outlet = self._feed, self._outlet
        while outlet is not None and feed.caught_up and not self._frames.first:
            registry = self._registry
            audiences = registry.audiences
            topic = registry.topic(feed.resource)
            audience = audiences.find(self._key, topic, feed.within, lambda events: self._piece(seen(events)))
            if audience is None:
                return
            member = Member(outlet)
            audience.members.add(member)
            try:
                with trio.move_on_at(feed.marks):
                    await member.released.wait()
            finally:
                feed.skip(audiences.leave(self._key, audience, member))
            await outlet.flush()
