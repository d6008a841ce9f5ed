"""The scheduler's stable metrics, counted in plain numbers.

Nothing of prometheus_client is imported until somebody scrapes: importing it costs a tenth of the time in
which a whole cluster starts. `Metrics.collect` makes the metric families then.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import define, field

ATTEMPT_SECONDS = tuple(0.001 * 2**i for i in range(15))
ATTEMPTS = (1.0, 2.0, 4.0, 8.0, 16.0)

SCHEDULED = "scheduled"
UNSCHEDULABLE = "unschedulable"
ERROR = "error"


@define(eq=False)
class Histogram:
    """Counts per bucket of one label combination."""

    bounds: tuple[float, ...]
    counts: list[int] = field(init=False)
    total: float = 0.0

    def __attrs_post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """(upper bound, how many up to it)"""
        found: list[tuple[str, float]] = []
        so_far = 0
        for bound, many in zip((*self.bounds, float("inf")), self.counts, strict=True):
            so_far += many
            found.append(("+Inf" if bound == float("inf") else str(bound), float(so_far)))
        return found


class Metrics:
    """A prometheus_client collector. `pending` is asked at scrape time for the number of pods per queue; the
    running scheduler sets it."""

    def __init__(self) -> None:
        self.pending: Callable[[], Mapping[str, int]] = dict
        self._attempts: dict[tuple[str, str], int] = {}
        self._durations: dict[tuple[str, str], Histogram] = {}
        self._incoming: dict[tuple[str, str], int] = {}
        self._per_pod = Histogram(ATTEMPTS)

    def attempted(self, profile: str, result: str, seconds: float) -> None:
        """One attempt is over."""
        key = (result, profile)
        self._attempts[key] = self._attempts.get(key, 0) + 1
        histogram = self._durations.get(key)
        if histogram is None:
            histogram = self._durations[key] = Histogram(ATTEMPT_SECONDS)
        histogram.observe(seconds)

    def scheduled_after(self, attempts: int) -> None:
        """A pod is bound, after so many attempts."""
        self._per_pod.observe(attempts)

    def arrived(self, queue: str, event: str) -> None:
        key = (queue, event)
        self._incoming[key] = self._incoming.get(key, 0) + 1

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        pending = GaugeMetricFamily("scheduler_pending_pods", "Pods waiting for a node, by queue.", labels=["queue"])
        for queue, many in self.pending().items():
            pending.add_metric([queue], many)
        yield pending
        attempts = CounterMetricFamily(
            "scheduler_schedule_attempts", "Attempts to schedule pods, by result.", labels=["result", "profile"]
        )
        for labels, many in self._attempts.items():
            attempts.add_metric(labels, many)
        yield attempts
        durations = HistogramMetricFamily(
            "scheduler_scheduling_attempt_duration_seconds",
            "Seconds per attempt (algorithm and binding).",
            labels=["result", "profile"],
        )
        for labels, histogram in self._durations.items():
            durations.add_metric(labels, histogram.buckets(), histogram.total)
        yield durations
        incoming = CounterMetricFamily(
            "scheduler_queue_incoming_pods", "Pods added to queues, by event and queue.", labels=["queue", "event"]
        )
        for labels, many in self._incoming.items():
            incoming.add_metric(labels, many)
        yield incoming
        per_pod = HistogramMetricFamily("scheduler_pod_scheduling_attempts", "Attempts it took to schedule a pod.")
        per_pod.add_metric([], self._per_pod.buckets(), self._per_pod.total)
        yield per_pod
