"""The pure part of storage and bus against what it means."""

from hypothesis import given
from hypothesis import strategies as st

from kubrick_kernel.store import Event, Item
from kubrick_kernel.window import RESORT, Table, Window, prefix_end, undo

keys = st.binary(max_size=3)
changes = st.lists(st.tuples(keys, st.booleans()), max_size=40)


def replay(steps: list[tuple[bytes, bool]]) -> tuple[list[Event], list[dict[bytes, Item]]]:
    """The events of puts (True) and deletes, one per revision, and the state after each revision."""
    events: list[Event] = []
    states: list[dict[bytes, Item]] = [{}]
    for key, put in steps:
        before = states[-1]
        if not put and key not in before:
            continue
        revision = len(states)
        item = Item(key, b"", revision, revision) if put else None
        events.append(Event(key, revision, item, before.get(key)))
        after = {known: kept for known, kept in before.items() if known != key}
        states.append(after | {key: item} if item else after)
    return events, states


@given(changes, keys, keys, st.integers(0, 3), st.data())
def test_a_range_of_any_past_is_what_a_sorted_scan_finds(
    steps: list[tuple[bytes, bool]], prefix: bytes, start: bytes, limit: int, data: st.DataObject
) -> None:
    events, states = replay(steps)
    table = Table()
    for place, event in enumerate(events):
        table.apply(event)
        if place % 7 == 0:
            table.range(b"", b"", 0)
    then = data.draw(st.integers(0, len(events)))
    state = states[then]
    expected = [state[key] for key in sorted(state) if key.startswith(prefix) and key >= start]
    items, remaining = table.range(prefix, start, limit, undo(events[then:], prefix))
    count = limit or len(expected)
    assert items == expected[:count]
    assert remaining == len(expected[count:])


def test_a_table_stays_in_order_when_many_keys_come_and_go_between_two_reads() -> None:
    table = Table()
    live: set[bytes] = set()
    for turn in range(5):
        for n in range(2 * RESORT if turn % 2 else 20):
            key = b"%d" % (n * 7919 % 3001)
            item = None if key in live else Item(key, b"", 1, 1)
            table.apply(Event(key, 1, item, None))
            live ^= {key}
        assert [item.key for item in table.range(b"", b"", 0)[0]] == sorted(live)


@given(keys, keys)
def test_the_end_of_a_prefix_parts_its_keys_from_those_after(prefix: bytes, key: bytes) -> None:
    end = prefix_end(prefix)
    assert key.startswith(prefix) == (key >= prefix and (end is None or key < end))


@given(st.lists(st.integers(1, 4), max_size=60), st.integers(0, 5), st.data())
def test_a_window_holds_everything_after_its_start(sizes: list[int], capacity: int, data: st.DataObject) -> None:
    window = Window(0, capacity)
    everything: list[Event] = []
    for revision, size in enumerate(sizes, 1):
        batch = [Event(b"%d" % n, revision, None, None) for n in range(size)]
        window.extend(batch)
        everything += batch
    after = data.draw(st.integers(window.start, max(window.start, len(sizes))))
    expected = [event for event in everything if event.revision > after]
    assert window.since(window.position(after)) == window.after(after) == expected
    assert window.end == len(everything)
    if capacity:
        assert len(window.events) <= capacity + capacity // 4 + 4


def test_positions_stay_valid_while_a_window_is_compacted() -> None:
    window = Window(0)
    window.extend([Event(b"k", revision, None, None) for revision in range(1, 11)])
    position = window.position(7)
    window.compact(5)
    assert [event.revision for event in window.since(position)] == [8, 9, 10]
    assert window.position(5) == window.base
    window.restart(20)
    assert position < window.base == window.end
