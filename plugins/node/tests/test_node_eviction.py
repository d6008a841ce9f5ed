"""When a node is short of something, decided without one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubrick_node.eviction import (
    IMAGEFS,
    MEMORY,
    NODEFS,
    NODEFS_INODES,
    PIDS,
    Observed,
    Watch,
    reserved,
    thresholds,
    written,
)

MI = 1 << 20


def test_thresholds_are_quantities_or_percentages():
    memory, disk = thresholds({MEMORY: "100Mi", NODEFS: "10%", NODEFS_INODES: "0%"})
    assert memory.amount.of(10**12) == 100 * MI
    assert disk.amount.of(1000) == 100
    assert (memory.grace, disk.grace) == (0, 0)


def test_percentages_come_out_as_the_kubelet_computes_them():
    """In single precision, and cut off: 7883388831 is what its events say of a disk of this size."""
    (disk,) = thresholds({NODEFS: "15%"})
    assert written(NODEFS, disk.amount.of(52555923456)) == "7883388831"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (({"swap.available": "1Mi"},), 'unsupported eviction signal "swap.available"'),
        (({MEMORY: "0"},), "must be positive"),
        (({MEMORY: "much"},), "quantities must match"),
        (({NODEFS: "120%"},), "between 0% and 100%"),
        (({NODEFS: "x%"},), "no percentage"),
        (({}, {MEMORY: "1Gi"}), "grace period must be specified for the soft eviction threshold memory.available"),
    ],
)
def test_a_threshold_that_means_nothing_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        thresholds(*settings)


def test_what_is_kept_free_is_that_of_the_hard_thresholds():
    found = thresholds({NODEFS: "10%"}, {NODEFS: "50%"}, {NODEFS: 60.0})
    assert reserved(found, NODEFS, 1000) == 100
    assert reserved(found, MEMORY, 1000) == 0


def test_a_hard_threshold_asks_for_an_eviction_at_once_and_its_condition_lasts():
    watch = Watch(thresholds({NODEFS: "10%"}), transition=300.0)
    assert watch.observe({NODEFS: Observed(100, 1000)}, 0.0).pressures == ()
    short = watch.observe({NODEFS: Observed(99, 1000)}, 10.0)
    assert short.pressures == ("DiskPressure",)
    assert [one.signal for one in short.met] == [NODEFS]
    after = watch.observe({NODEFS: Observed(500, 1000)}, 20.0)
    assert (after.pressures, after.met) == (("DiskPressure",), ())
    assert watch.observe({NODEFS: Observed(500, 1000)}, 309.0).pressures == ("DiskPressure",)
    assert watch.observe({NODEFS: Observed(500, 1000)}, 310.0).pressures == ()


def test_a_soft_threshold_waits_for_its_grace_and_begins_anew_when_it_was_fine():
    watch = Watch(thresholds({}, {MEMORY: "1Gi"}, {MEMORY: 30.0}))
    low, fine = {MEMORY: Observed(1, 1 << 34)}, {MEMORY: Observed(1 << 33, 1 << 34)}
    assert watch.observe(low, 0.0).met == ()
    assert watch.observe(low, 0.0).pressures == ("MemoryPressure",)
    assert watch.observe(low, 29.0).met == ()
    assert watch.observe(fine, 30.0).met == ()
    assert watch.observe(low, 31.0).met == ()
    assert [one.signal for one in watch.observe(low, 61.0).met] == [MEMORY]


def test_what_was_short_stays_short_until_as_much_is_free_as_is_to_be_reclaimed():
    watch = Watch(thresholds({NODEFS: "100Mi"}, reclaims={NODEFS: "50Mi"}))
    assert watch.observe({NODEFS: Observed(120 * MI, 1 << 30)}, 0.0).met == ()
    assert watch.observe({NODEFS: Observed(99 * MI, 1 << 30)}, 1.0).met
    assert watch.observe({NODEFS: Observed(149 * MI, 1 << 30)}, 2.0).met
    assert not watch.is_over({NODEFS: Observed(149 * MI, 1 << 30)})
    assert watch.is_over({NODEFS: Observed(150 * MI, 1 << 30)})
    assert watch.observe({NODEFS: Observed(150 * MI, 1 << 30)}, 3.0).met == ()
    assert watch.observe({NODEFS: Observed(149 * MI, 1 << 30)}, 4.0).met == ()


def test_memory_is_the_most_urgent_and_what_cannot_be_seen_is_not_short():
    watch = Watch(thresholds({NODEFS: "10%", IMAGEFS: "15%", MEMORY: "100Mi", PIDS: "1k"}))
    seen = {NODEFS: Observed(0, 100), MEMORY: Observed(0, 100), PIDS: Observed(999, 32768)}
    found = watch.observe(seen, 0.0)
    assert [one.signal for one in found.met] == [MEMORY, NODEFS, PIDS]
    assert found.pressures == ("DiskPressure", "MemoryPressure", "PIDPressure")


@pytest.mark.parametrize(
    ("signal", "amount", "text"),
    [
        (MEMORY, 100 * MI, "100Mi"),
        (NODEFS, 82836 * 1024, "82836Ki"),
        (NODEFS, 1025, "1025"),
        (NODEFS, 1000, "1k"),
        (NODEFS, 0, "0"),
        (NODEFS_INODES, 5000, "5k"),
        (NODEFS_INODES, 2048, "2048"),
    ],
)
def test_amounts_are_written_as_kubernetes_does(signal, amount, text):
    assert written(signal, amount) == text


@given(
    levels=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 50)), min_size=1, max_size=20),
    transition=st.integers(0, 100),
)
def test_a_condition_holds_whenever_its_threshold_is_met_and_never_longer_than_its_transition(levels, transition):
    watch, now, last = Watch(thresholds({PIDS: "20"}), float(transition)), 0.0, None
    for available, pause in levels:
        now += pause
        found = watch.observe({PIDS: Observed(available, 100)}, now)
        if available < 20:
            last = now
            assert found.met
        else:
            assert not found.met
        assert bool(found.pressures) == (last is not None and (last == now or now - last < transition))
