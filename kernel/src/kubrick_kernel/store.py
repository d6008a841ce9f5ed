"""The storage contract: what every engine promises, and the words to talk to it.

Keys and values are bytes. One global, strictly increasing integer revision orders every commit;
a commit is atomic and gets exactly one revision. Acknowledged means durable. Reads at a revision
are snapshots. A watch is ordered, unique, gap-free, atomic per commit and resumable, and says
`Compacted` rather than skip.

Engines: `kubrick_kernel.memory.MemoryStore` (the reference and everybody's fake) and plugins
named ``store-<name>``. `kubrick_kernel.testing.store` is the conformance suite they all pass.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import trio
from attrs import define, field, frozen


class StoreError(Exception):
    """Anything a store can refuse."""


class Compacted(StoreError):
    """The revision asked for is older than what the store still keeps."""

    def __init__(self, revision: int, compacted: int) -> None:
        super().__init__(f"revision {revision} has been compacted; the oldest readable is {compacted}")
        self.revision = revision
        self.compacted = compacted


class FutureRevision(StoreError):
    """The revision asked for has not been committed yet."""

    def __init__(self, revision: int, current: int) -> None:
        super().__init__(f"revision {revision} is in the future; the current one is {current}")
        self.revision = revision
        self.current = current


class Conflict(StoreError):
    """A guard of a transaction did not hold; nothing was written. `current` is what stands there."""

    def __init__(self, key: bytes, expected: int, current: "Item | None") -> None:
        found = current.revision if current else 0
        super().__init__(f"{key!r}: expected revision {expected}, found {found}")
        self.key = key
        self.expected = expected
        self.current = current


@define(eq=False)
class Item:
    """One key's value as of one revision. Shared by all readers: never change it.

    `revision` is the commit that wrote this value, `created` the one that first wrote the key
    since it was last absent. `memo` belongs to whoever decodes values: the decoded form is kept
    here so that nobody decodes twice. The kernel never looks at it.
    """

    key: bytes
    value: bytes
    revision: int
    created: int
    memo: Any = field(default=None, repr=False)


@define(eq=False)
class Event:
    """One key's change. `item` is None for a delete; `previous` is None for a creation.

    `revision` is the commit's, also for a delete. `memo` is for whoever encodes events (see `Item`).
    """

    key: bytes
    revision: int
    item: Item | None
    previous: Item | None
    memo: Any = field(default=None, repr=False)


@frozen
class Put:
    """Write `value` at `key`.

    `expect` guards it: None writes anyway, 0 demands that the key is absent, n that it is at
    revision n. `stamp` is a byte offset in `value` (0 <= stamp <= len(value)): the engine inserts
    the commit's revision there, as decimal ASCII digits, so that a value can carry its own
    revision. `ttl` (seconds, > 0) deletes the key that long after the commit, by an ordinary
    delete; a later Put without ttl keeps the key for good. `memo` is handed on to the stored `Item`.
    """

    key: bytes
    value: bytes
    expect: int | None = None
    stamp: int | None = None
    ttl: float | None = None
    memo: Any = None


@frozen
class Delete:
    """Remove `key`. Without `expect`, removing an absent key changes nothing and is no error."""

    key: bytes
    expect: int | None = None


@frozen
class Check:
    """Demand that `key` is at revision `expect` (0: absent) and change nothing."""

    key: bytes
    expect: int


Op = Put | Delete | Check


@frozen
class Committed:
    """What a commit did: its revision, and per operation the stored `Item` (Put) or None.

    A transaction that changes nothing (only checks, or deletes of absent keys) gets no revision
    of its own: `revision` is then the current one, and `events` is empty.
    """

    revision: int
    items: tuple[Item | None, ...]
    events: tuple[Event, ...]


@frozen
class Range:
    """A snapshot of a key range: items in key order, whether more follow and how many, and the
    revision of the snapshot."""

    items: list[Item]
    more: bool
    remaining: int
    revision: int


class Watch(Protocol):
    """An open watch. Events arrive in commit order; all events of one commit arrive in one batch."""

    @property
    def revision(self) -> int:
        """Every event of the prefix up to this revision has been handed out (a bookmark)."""
        ...

    def receive_nowait(self) -> list[Event]:
        """All events available now, possibly none. Raises `Compacted` when the watch fell behind.

        What an engine has yet to read from its disk or from the network is not available now, so
        a reader of history uses `receive`. A watch from the current revision on has every commit
        of this process available as soon as that commit returns, or soon after (`revision` says)."""
        ...

    async def receive(self) -> list[Event]:
        """Wait until there is at least one event, then return all that are available."""
        ...

    def close(self) -> None:
        """Stop. Idempotent."""
        ...


@runtime_checkable
class Store(Protocol):
    """A storage engine. It is also the kernel's first component (`name` is "store").

    `run` opens it, says started, expires keys until cancelled, and closes it. Every other method
    may be called from any task between those two, and only from the trio thread.
    """

    name: str
    requires: tuple[str, ...]

    async def run(self, task_status: trio.TaskStatus[None]) -> None: ...

    @property
    def revision(self) -> int:
        """The newest revision this process knows to be committed (0 in an empty store)."""
        ...

    @property
    def compacted(self) -> int:
        """The oldest revision that can still be read or watched from (0: everything)."""
        ...

    async def get(self, key: bytes, revision: int | None = None) -> Item | None:
        """The item at `key`, or None; as of `revision` if given. Raises Compacted, FutureRevision."""
        ...

    async def range(self, prefix: bytes, start: bytes = b"", limit: int = 0, revision: int | None = None) -> Range:
        """Items whose key begins with `prefix`, in key order, from `start` (inclusive, a whole key;
        b"": the first). `limit` 0 means all. Raises Compacted, FutureRevision."""
        ...

    async def commit(self, ops: Sequence[Op]) -> Committed:
        """Apply `ops` atomically and durably. Keys must be distinct (ValueError). Raises `Conflict`
        when a guard fails. A commit that has begun is not undone by cancellation."""
        ...

    async def watch(self, prefix: bytes, after: int) -> Watch:
        """Events of `prefix` with revision > `after`. Raises Compacted, FutureRevision."""
        ...

    async def compact(self, revision: int) -> None:
        """Forget history before `revision`: reads and watches below it then raise Compacted.
        Never stalls writers. Raises FutureRevision."""
        ...

    async def snapshot(self, file: Path) -> int:
        """Write a consistent copy of the current state to `file` (which must not exist) while
        commits go on; returns its revision. The engine can be opened on it later."""
        ...
