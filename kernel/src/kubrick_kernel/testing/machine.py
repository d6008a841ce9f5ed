"""The storage suite's state machine: Hypothesis drives an engine and a model of a few lines in step.

The model keeps every state there ever was as a plain dict. The engine lives in a trio run of its own
in another thread, under a clock that moves only when a rule moves it. Needs Hypothesis.
"""

import shutil
import tempfile
import threading
import unittest
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar

import trio
import trio.testing
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kubrick_kernel.store import Check, Compacted, Conflict, Delete, Event, Item, Op, Put, Watch
from kubrick_kernel.testing.stage import Engine, Stage, staged, within

T = TypeVar("T")
PATIENCE = 20.0
KEYS = [b"a/1", b"a/2", b"a/3", b"b/1", b"b/2", b"ab", b"\xff"]
PREFIXES = [b"", b"a/", b"a", b"b/", b"\xff", b"c"]

keys = st.sampled_from(KEYS)
prefixes = st.sampled_from(PREFIXES)
backwards = st.integers(0, 12)
"""How many commits ago."""
steps = st.tuples(keys, st.sampled_from(["put", "stamp", "ttl", "delete", "check"]), st.sampled_from("*=!0"))


class Known(NamedTuple):
    """What the model knows of an item."""

    value: bytes
    revision: int
    created: int


State = dict[bytes, Known]
Change = tuple[bytes, int, Known | None, Known | None]
"""Key, revision, now, before."""


class Model:
    """A store, as simply as it can be said."""

    def __init__(self) -> None:
        self.states: dict[int, State] = {0: {}}
        self.compacted = 0
        self.deadlines: dict[bytes, float] = {}

    @property
    def revision(self) -> int:
        return next(reversed(self.states))

    @property
    def now(self) -> State:
        return self.states[self.revision]

    def ago(self, commits: int) -> int:
        return list(self.states)[-1 - min(commits, len(self.states) - 1)]

    def become(self, revision: int, state: State) -> None:
        assert revision > self.revision
        self.states[revision] = state

    def changes(self, prefix: bytes, after: int) -> list[Change]:
        """What a watch must tell, sorted by key within a commit."""
        found: list[Change] = []
        revisions = [revision for revision in self.states if revision >= after]
        for old, new in pairwise(revisions):
            was, now = self.states[old], self.states[new]
            found += [
                (key, new, now.get(key), was.get(key))
                for key in sorted(was.keys() | now.keys())
                if key.startswith(prefix) and was.get(key) != now.get(key)
            ]
        return found


def known(item: Item | None) -> Known | None:
    return None if item is None else Known(item.value, item.revision, item.created)


def told(events: list[Event]) -> list[Change]:
    changes = [(event.key, event.revision, known(event.item), known(event.previous)) for event in events]
    return sorted(changes, key=lambda change: (change[1], change[0]))


class StoreMachine(RuleBasedStateMachine):
    """Rules; `engine` is set by `store_machine`."""

    engine: ClassVar[Engine]

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.watches: list[tuple[Watch, bytes, int]] = []
        self.directory = Path(tempfile.mkdtemp())
        self.clock = trio.testing.MockClock()
        self.thread = threading.Thread(target=trio.run, args=(self._main,), kwargs={"clock": self.clock})
        self.opened = threading.Event()

    @initialize()
    def begin(self) -> None:
        self.thread.start()
        assert self.opened.wait(PATIENCE)

    def teardown(self) -> None:
        if self.thread.is_alive():
            trio.from_thread.run_sync(self.over.set, trio_token=self.token)
            self.thread.join()
        shutil.rmtree(self.directory)

    async def _main(self) -> None:
        self.token = trio.lowlevel.current_trio_token()
        self.over = trio.Event()
        async with staged(self.engine, self.directory) as stage:
            self.stage: Stage = stage
            self.opened.set()
            await self.over.wait()

    def do(self, function: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Run an async function beside the engine, for no longer than `PATIENCE` of real time."""
        return trio.from_thread.run(lambda: within(PATIENCE, function, *args), trio_token=self.token)

    def refuses(self, error: type[Exception], function: Callable[..., Awaitable[object]], *args: Any) -> None:
        try:
            self.do(function, *args)
        except error:
            return
        raise AssertionError(f"{function.__name__}{args} raised no {error.__name__}")

    @rule(plan=st.lists(steps, min_size=1, max_size=4, unique_by=lambda step: step[0]), ttl=st.integers(1, 20))
    def commit(self, plan: list[tuple[bytes, str, str]], ttl: int) -> None:
        """A transaction; each guard says nothing, what is right, what is wrong, or "absent"."""
        now = self.model.now
        ops: list[Op] = []
        failing: set[bytes] = set()
        for key, kind, guard in plan:
            right = now[key].revision if key in now else 0
            expect = {"*": None, "=": right, "!": right + 1, "0": 0}[guard if kind != "check" or guard != "*" else "="]
            if expect is not None and expect != right:
                failing.add(key)
            if kind == "check":
                assert expect is not None
                ops.append(Check(key, expect))
            elif kind == "delete":
                ops.append(Delete(key, expect))
            else:
                value = b"<%d>" % len(self.model.states)
                ops.append(Put(key, value, expect, 1 if kind == "stamp" else None, ttl if kind == "ttl" else None))
        conflict: Conflict | None = None
        try:
            committed = self.do(self.stage.store.commit, ops)
        except Conflict as refusal:
            conflict = refusal
        if conflict is not None:
            assert conflict.key in failing
            assert known(conflict.current) == now.get(conflict.key)
            return
        assert not failing
        self._committed(ops, committed.revision)
        since = [revision for revision in self.model.states if revision < committed.revision]
        assert told(list(committed.events)) == (self.model.changes(b"", since[-1]) if committed.events else [])
        assert [known(item) for item in committed.items] == [
            self.model.now[op.key] if isinstance(op, Put) else None for op in ops
        ]

    def _committed(self, ops: list[Op], revision: int) -> None:
        state = dict(self.model.now)
        for op in ops:
            if isinstance(op, Put):
                value = op.value if op.stamp is None else b"<%d" % revision + op.value[1:]
                created = state[op.key].created if op.key in state else revision
                state[op.key] = Known(value, revision, created)
                self.model.deadlines.pop(op.key, None)
                if op.ttl is not None:
                    self.model.deadlines[op.key] = self.clock.current_time() + op.ttl
            elif isinstance(op, Delete):
                state.pop(op.key, None)
                self.model.deadlines.pop(op.key, None)
        if state == self.model.now:
            assert revision == self.model.revision
        else:
            self.model.become(revision, state)

    @rule(prefix=prefixes, start=st.sampled_from([b"", *KEYS]), limit=st.integers(0, 3), ago=backwards)
    def range_then(self, prefix: bytes, start: bytes, limit: int, ago: int) -> None:
        revision = self.model.ago(ago)
        if revision < self.model.compacted:
            self.refuses(Compacted, self.stage.store.range, prefix, start, limit, revision)
            return
        state = self.model.states[revision]
        expected = [(key, state[key]) for key in sorted(state) if key.startswith(prefix) and key >= start]
        count = limit or len(expected)
        found = self.do(self.stage.store.range, prefix, start, limit, revision)
        assert [(item.key, known(item)) for item in found.items] == expected[:count]
        assert found.remaining == len(expected[count:])
        assert found.more == bool(found.remaining)
        assert found.revision == revision

    @rule(key=keys, ago=backwards)
    def get_then(self, key: bytes, ago: int) -> None:
        revision = self.model.ago(ago)
        if revision < self.model.compacted:
            self.refuses(Compacted, self.stage.store.get, key, revision)
        else:
            assert known(self.do(self.stage.store.get, key, revision)) == self.model.states[revision].get(key)

    @rule(prefix=prefixes, ago=backwards)
    def watch(self, prefix: bytes, ago: int) -> None:
        revision = self.model.ago(ago)
        if revision < self.model.compacted:
            self.refuses(Compacted, self.stage.store.watch, prefix, revision)
        else:
            self.watches.append((self.do(self.stage.store.watch, prefix, revision), prefix, revision))

    @precondition(lambda self: self.watches)
    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        """Read a watch up to now; maybe resume from its bookmark with another."""
        watch, prefix, after = self.watches.pop(data.draw(st.integers(0, len(self.watches) - 1)))
        expected = self.model.changes(prefix, after)

        async def all_of_it() -> list[Event]:
            events: list[Event] = []
            while len(events) < len(expected):
                events += await watch.receive()
            return events

        try:
            assert told(self.do(all_of_it)) == expected
        except Compacted:
            assert after < self.model.compacted
            return
        bookmark = trio.from_thread.run_sync(lambda: watch.revision, trio_token=self.token)
        assert max([after, *(change[1] for change in expected)]) <= bookmark <= self.model.revision
        if bookmark >= self.model.compacted and data.draw(st.booleans()):
            watch.close()
            self.watches.append((self.do(self.stage.store.watch, prefix, bookmark), prefix, bookmark))
        else:
            self.watches.append((watch, prefix, max([after, *(change[1] for change in expected)])))

    @rule(ago=backwards)
    def compact(self, ago: int) -> None:
        revision = self.model.ago(ago)
        self.do(self.stage.store.compact, revision)
        self.model.compacted = max(self.model.compacted, revision)

    @rule(seconds=st.integers(1, 15))
    def wait(self, seconds: int) -> None:
        """Whatever is due goes, in one commit or in several."""
        after = self.model.revision
        watch = self.do(self.stage.store.watch, b"", after)
        trio.from_thread.run_sync(self.clock.jump, seconds, trio_token=self.token)
        due = {key for key, deadline in self.model.deadlines.items() if deadline <= self.clock.current_time()}

        async def until_they_are_gone() -> list[Event]:
            events: list[Event] = []
            while len(events) < len(due):
                events += await watch.receive()
            return events

        events = self.do(until_they_are_gone)
        assert {event.key for event in events} == due
        for revision in sorted({event.revision for event in events}):
            gone = [Delete(event.key) for event in events if event.revision == revision]
            self._committed([*gone], revision)
        assert told(events) == self.model.changes(b"", after)
        watch.close()

    @precondition(lambda self: self.engine.durable)
    @rule()
    def reopen(self) -> None:
        self.do(self.stage.reopen)
        self.watches.clear()

    @invariant()
    def revisions_agree(self) -> None:
        if self.opened.is_set():
            assert self.stage.store.revision == self.model.revision
            assert self.stage.store.compacted == self.model.compacted


def store_machine(engine: Engine, share: float = 1.0, length: int = 40) -> type[unittest.TestCase]:
    """A test case (for pytest or unittest) that runs the machine on `engine`, for this share of the
    examples that Hypothesis' current profile asks for, each of at most so many steps."""

    class Machine(StoreMachine):
        pass

    Machine.engine = engine
    case: type[unittest.TestCase] = Machine.TestCase
    case.settings = settings(  # type: ignore[attr-defined]  # Hypothesis' own attribute
        max_examples=max(1, int(settings().max_examples * share)),
        stateful_step_count=length,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    return case
