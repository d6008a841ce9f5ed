from kubrick_scheduler import PodInfo
from kubrick_scheduler.testing import pod
from kubrick_scheduler_priority_sort import PrioritySort


def test_priority_comes_first_and_then_the_time_in_the_queue():
    plugin = PrioritySort()
    waiting = [("late", 0, 3.0), ("early", 0, 1.0), ("urgent", 100, 2.0), ("lowly", -1, 0.0)]
    by_key = sorted(waiting, key=lambda w: plugin.sort_key(PodInfo(pod(w[0], priority=w[1])), w[2]))
    assert [name for name, _, _ in by_key] == ["urgent", "early", "late", "lowly"]
