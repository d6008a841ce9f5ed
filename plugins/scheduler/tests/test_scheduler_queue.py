"""The scheduling queue, in time that the tests move."""

import pytest

from kubrick_scheduler.contract import Action, ClusterEvent, EventWithHint
from kubrick_scheduler.events import FORCE_ACTIVATE, NODE_ADD, POD_DELETE
from kubrick_scheduler.gates import SchedulingGates
from kubrick_scheduler.pod import PodInfo
from kubrick_scheduler.queue import Profile, SchedulingQueue
from kubrick_scheduler.testing import node, pod

FIT = "NodeResourcesFit"
AFFINITY = "NodeAffinity"
DEFAULT = "default-scheduler"


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def queue(clock):
    return make_queue(clock)


def make_queue(clock, hint=None, **settings):
    gates = SchedulingGates()

    def gate(info):
        why = gates.pre_enqueue(info)
        return (gates.name, why) if why else None

    events = {
        FIT: [
            EventWithHint(ClusterEvent("Node", Action.ADD | Action.UPDATE_NODE_ALLOCATABLE)),
            EventWithHint(ClusterEvent("Pod", Action.DELETE), hint),
        ],
        AFFINITY: [EventWithHint(ClusterEvent("Node", Action.ADD | Action.UPDATE_NODE_LABEL))],
        gates.name: list(gates.events_to_register()),
    }
    profile = Profile(lambda info, queued_at: (-info.priority, queued_at), gate, events)
    return SchedulingQueue({DEFAULT: profile}, clock, **settings)


def info(name="web", **spec):
    return PodInfo(pod(name, **spec))


def popped(queue):
    found = queue.pop()
    return found.pod.name if found else None


def refuse(queue, *rejectors):
    queued = queue.pop()
    return queue.refuse(queued, frozenset(rejectors))


def test_the_more_important_pod_is_first_and_among_equals_the_one_that_waits_longer(queue, clock):
    for name, priority in (("first", 0), ("second", 0), ("urgent", 10)):
        clock.now += 1
        queue.add(info(name, priority=priority))
    assert [popped(queue) for _ in range(4)] == ["urgent", "first", "second", None]


def test_a_refused_pod_waits_for_an_event_that_its_refuser_registered(queue, clock):
    queue.add(info())
    assert refuse(queue, FIT) == "unschedulable"
    clock.now += 60
    queue.happened(ClusterEvent("Node", Action.UPDATE_NODE_LABEL))
    assert queue.place("default/web") == "unschedulable"
    queue.happened(ClusterEvent("Node", Action.UPDATE_NODE_ALLOCATABLE))
    assert queue.place("default/web") == "active"


def test_a_hint_decides_whether_the_event_may_help(clock):
    asked = []

    def hint(waiting, old, new):
        asked.append((waiting.name, old["metadata"]["name"], new))
        return old["metadata"]["name"] == "big"

    queue = make_queue(clock, hint)
    queue.add(info())
    refuse(queue, FIT)
    clock.now += 60
    queue.happened(POD_DELETE, pod("small", on="a"), None)
    assert queue.place("default/web") == "unschedulable"
    queue.happened(POD_DELETE, pod("big", on="a"), None)
    assert queue.place("default/web") == "active"
    assert asked == [("web", "small", None), ("web", "big", None)]


def test_a_hint_that_fails_counts_as_yes(clock, capsys):
    def hint(waiting, old, new):
        raise RuntimeError("no idea")

    queue = make_queue(clock, hint)
    queue.add(info())
    refuse(queue, FIT)
    clock.now += 60
    queue.happened(POD_DELETE, pod("other", on="a"), None)
    assert queue.place("default/web") == "active"
    assert "a queueing hint failed" in capsys.readouterr().err


def test_the_backoff_doubles_from_one_to_ten_seconds(queue, clock):
    queue.add(info())
    waits = []
    for _ in range(6):
        queued = queue.pop()
        queue.refuse(queued, frozenset((FIT,)))
        waits.append(queue.backoff(queued))
        clock.now += 60
        queue.happened(NODE_ADD)
    assert waits == [1, 2, 4, 8, 10, 10]


def test_an_event_within_the_backoff_moves_the_pod_to_backoff_until_it_is_over(queue, clock):
    queue.add(info())
    refuse(queue, FIT)
    queue.happened(NODE_ADD)
    assert queue.place("default/web") == "backoff"
    assert queue.next_flush() == clock.now + 1
    clock.now += 1
    queue.flush()
    assert queue.place("default/web") == "active"
    assert queue.next_flush() is None


def test_when_nothing_is_active_a_backing_off_pod_is_taken_early(queue):
    queue.add(info())
    refuse(queue, FIT)
    queue.happened(NODE_ADD)
    assert popped(queue) == "web"


def test_a_pod_that_failed_by_an_error_is_not_taken_early(queue, clock):
    queue.add(info())
    assert refuse(queue) == "backoff"
    assert popped(queue) is None
    clock.now += 1
    queue.flush()
    assert popped(queue) == "web"


def test_errors_in_a_row_back_off_by_their_own_count(queue, clock):
    queue.add(info())
    waits = []
    for rejectors in ((), (), (FIT,), ()):
        queued = queue.pop()
        queue.refuse(queued, frozenset(rejectors))
        waits.append(queue.backoff(queued))
        clock.now += 60
        queue.flush()
        queue.happened(NODE_ADD)
    assert waits == [1, 2, 1, 1]


def test_within_one_second_of_backoff_pods_are_ordered_by_priority(queue, clock):
    clock.now = 1000.1
    for name, priority in (("low", 0), ("high", 5)):
        queue.add(info(name, priority=priority))
    low, high = None, None
    for queued in (queue.pop(), queue.pop()):
        low, high = (queued, high) if queued.pod.name == "low" else (low, queued)
    queue.refuse(low, frozenset((FIT,)))
    clock.now = 1000.3
    queue.refuse(high, frozenset((FIT,)))
    queue.happened(NODE_ADD)
    assert [popped(queue), popped(queue)] == ["high", "low"]


def test_an_event_that_comes_while_a_pod_is_tried_is_not_lost(queue):
    queue.add(info())
    queued = queue.pop()
    queue.happened(NODE_ADD)
    assert queue.refuse(queued, frozenset((FIT,))) == "backoff"


def test_an_event_from_before_the_attempt_is_not_replayed(queue):
    queue.add(info("other"))
    queue.pop()
    queue.happened(NODE_ADD)
    queue.add(info())
    queued = queue.pop()
    assert queue.refuse(queued, frozenset((FIT,))) == "unschedulable"


def test_events_are_kept_only_as_long_as_an_older_attempt_runs(queue):
    for i in range(5):
        queue.add(info(f"p{i}"))
        queue.pop()
        queue.happened(NODE_ADD)
    assert len(queue._events) == 5
    queue.done("default/p0")
    assert len(queue._events) == 4
    for i in range(1, 5):
        queue.done(f"default/p{i}")
    assert len(queue._events) == 0


def test_a_pod_is_tried_again_after_five_minutes_without_any_event(queue, clock):
    queue.add(info())
    refuse(queue, FIT)
    assert queue.next_flush() == clock.now + 300
    clock.now += 299
    queue.flush()
    assert queue.place("default/web") == "unschedulable"
    clock.now += 1
    queue.flush()
    assert queue.place("default/web") == "active"


def test_a_gated_pod_waits_until_its_gates_are_gone(queue):
    queue.add(info(schedulingGates=[{"name": "acme.com/quota"}]))
    assert queue.pending() == {"active": 0, "backoff": 0, "unschedulable": 0, "gated": 1}
    queue.happened(NODE_ADD)
    assert popped(queue) is None
    queue.update(info(schedulingGates=[{"name": "acme.com/quota"}], priority=1))
    assert queue.place("default/web") == "gated"
    queue.update(info())
    assert popped(queue) == "web"


def test_a_change_of_its_own_may_help_a_waiting_pod(clock):
    queue = make_queue(clock)
    queue.profiles[DEFAULT].events[FIT].append(EventWithHint(ClusterEvent("Pod", Action.UPDATE_POD_SCALE_DOWN)))
    queue.add(info(cpu="4"))
    refuse(queue, FIT)
    clock.now += 60
    queue.update(info(cpu="4", labels={"a": "b"}))
    assert queue.place("default/web") == "unschedulable"
    queue.update(info(cpu="1"))
    assert queue.place("default/web") == "active"
    assert queue.pop().pod.requests == {"cpu": 1000}


def test_a_change_while_a_pod_is_tried_reaches_its_next_attempt(queue):
    queue.add(info())
    queued = queue.pop()
    queue.update(info(cpu="1"))
    queue.refuse(queued, frozenset((FIT,)))
    queue.happened(NODE_ADD)
    assert queue.pop().pod.requests == {"cpu": 1000}


def test_a_change_of_priority_reorders(queue):
    for name in ("a", "b"):
        queue.add(info(name))
    queue.update(info("b", priority=3))
    assert [popped(queue), popped(queue), popped(queue)] == ["b", "a", None]


def test_a_deleted_pod_is_not_tried_wherever_it_was(queue):
    queue.add(info("active"))
    queue.add(info("unschedulable"))
    queue.delete("default/active")
    assert refuse(queue, FIT) == "unschedulable"
    queue.delete("default/unschedulable")
    queue.happened(NODE_ADD)
    assert popped(queue) is None
    assert sum(queue.pending().values()) == 0


def test_a_pod_recreated_while_its_namesake_was_tried_is_kept(queue):
    queue.add(info())
    queued = queue.pop()
    queue.done("default/web")
    queue.add(info())
    assert queue.refuse(queued, frozenset((FIT,))) == "active"
    assert popped(queue) == "web"


def test_everything_can_be_woken_by_force(queue, clock):
    for name in ("a", "b"):
        queue.add(info(name))
    first, second = queue.pop(), queue.pop()
    queue.refuse(first, frozenset((FIT,)))
    queue.refuse(second, frozenset((AFFINITY,)))
    clock.now += 60
    queue.happened(FORCE_ACTIVATE)
    assert queue.pending()["active"] == 2


def test_entering_a_queue_is_counted_by_event(clock):
    seen = []
    queue = make_queue(clock, arrived=lambda place, event: seen.append((place, event)))
    queue.add(info())
    refuse(queue, FIT)
    queue.happened(NODE_ADD, None, node())
    clock.now += 1
    queue.flush()
    assert seen == [
        ("active", "PodAdd"),
        ("unschedulable", "ScheduleAttemptFailure"),
        ("backoff", "NodeAdd"),
        ("active", "BackoffComplete"),
    ]


def test_a_max_backoff_of_nothing_turns_backing_off_off(clock):
    queue = make_queue(clock, max_backoff=0)
    queue.add(info())
    refuse(queue, FIT)
    queue.happened(NODE_ADD)
    assert queue.place("default/web") == "active"
