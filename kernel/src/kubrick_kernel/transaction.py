"""What a transaction does to a store's current state: the one place where guards are judged.

Pure, so that every engine that keeps its current items at hand decides alike. It is called in the trio
thread, by engines that write elsewhere too.
"""

from collections.abc import Callable, Sequence

from kubrick_kernel.store import Committed, Conflict, Delete, Event, Item, Op, Put


def check(ops: Sequence[Op]) -> None:
    """Refuse what no state can make right: a key named twice, a stamp outside the value, a ttl that
    is not positive. Raises ValueError."""
    if len(ops) > 1 and len({op.key for op in ops}) != len(ops):
        raise ValueError("a transaction may name each key only once")
    for op in ops:
        if type(op) is Put:
            if op.stamp is not None and not 0 <= op.stamp <= len(op.value):
                raise ValueError(f"{op.key!r}: stamp {op.stamp} is outside the value's {len(op.value)} bytes")
            if op.ttl is not None and op.ttl <= 0:
                raise ValueError(f"{op.key!r}: ttl {op.ttl} is not positive")


def evaluate(ops: Sequence[Op], current: Callable[[bytes], Item | None], revision: int) -> Committed:
    """The outcome of `ops` (already checked) if they become commit `revision`. Raises Conflict."""
    items: list[Item | None] = []
    events: list[Event] = []
    for op in ops:
        key = op.key
        previous = current(key)
        expect = op.expect
        if expect is not None and expect != (0 if previous is None else previous.revision):
            raise Conflict(key, expect, previous)
        item = None
        if type(op) is Put:
            value = op.value
            stamp = op.stamp
            if stamp is not None:
                value = b"%b%d%b" % (value[:stamp], revision, value[stamp:])
            item = Item(key, value, revision, revision if previous is None else previous.created, op.memo)
            events.append(Event(key, revision, item, previous))
        elif type(op) is Delete and previous is not None:
            events.append(Event(key, revision, None, previous))
        items.append(item)
    return Committed(revision if events else revision - 1, tuple(items), tuple(events))
