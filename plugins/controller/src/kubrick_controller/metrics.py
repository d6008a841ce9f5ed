"""The queues' and reconciles' metrics, in Prometheus' terms.

Workers only count in plain integers; this turns them into metric families when somebody scrapes.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import trio
from attrs import define

from kubrick_client.workqueue import BUCKETS, Histogram, WorkQueue

if TYPE_CHECKING:
    from prometheus_client.core import Metric


@define
class Reconciles:
    """How one controller's reconciles ended."""

    succeeded: int = 0
    requeued: int = 0
    failed: int = 0
    panicked: int = 0


class Counted(Protocol):
    """What has something to report."""

    @property
    def queue(self) -> WorkQueue: ...

    @property
    def reconciles(self) -> Reconciles: ...


class QueueMetrics:
    """A Prometheus collector over running controllers."""

    def __init__(self) -> None:
        self.running: Sequence[Counted] = ()

    def describe(self) -> list["Metric"]:
        """Nothing: names are known only when collecting, and the registry should not collect to learn them."""
        return []

    def collect(self) -> Iterator["Metric"]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        now = trio.current_time()
        adds = CounterMetricFamily("workqueue_adds", "Keys added to a work queue", labels=["name"])
        retries = CounterMetricFamily("workqueue_retries", "Keys added again after a failure", labels=["name"])
        depth = GaugeMetricFamily("workqueue_depth", "Keys waiting for a worker", labels=["name"])
        longest = GaugeMetricFamily(
            "workqueue_longest_running_processor_seconds", "Age of the oldest reconcile under way", labels=["name"]
        )
        unfinished = GaugeMetricFamily(
            "workqueue_unfinished_work_seconds", "Summed age of reconciles under way", labels=["name"]
        )
        waited = self._histogram("workqueue_queue_duration_seconds", "How long keys wait for a worker")
        worked = self._histogram("workqueue_work_duration_seconds", "How long a reconcile takes")
        results = CounterMetricFamily(
            "controller_runtime_reconcile", "Reconciles by how they ended", labels=["controller", "result"]
        )
        for running in self.running:
            queue, label = running.queue, [running.queue.name]
            ages = [now - since for since in queue.started.values()]
            adds.add_metric(label, queue.adds)
            retries.add_metric(label, queue.retries)
            depth.add_metric(label, queue.depth)
            longest.add_metric(label, max(ages, default=0.0))
            unfinished.add_metric(label, sum(ages))
            waited.add_metric(label, *cumulative(queue.waited))
            worked.add_metric(label, *cumulative(queue.worked))
            ended = running.reconciles
            results.add_metric([queue.name, "success"], ended.succeeded)
            results.add_metric([queue.name, "requeue"], ended.requeued)
            results.add_metric([queue.name, "error"], ended.failed + ended.panicked)
        yield from (adds, retries, depth, longest, unfinished, waited, worked, results)

    @staticmethod
    def _histogram(name: str, help: str) -> Any:
        from prometheus_client.core import HistogramMetricFamily

        return HistogramMetricFamily(name, help, labels=["name"])


def cumulative(histogram: Histogram) -> tuple[list[tuple[str, float]], float]:
    """Prometheus' shape: (upper bound, how many at most that) pairs, and the sum."""
    buckets: list[tuple[str, float]] = []
    seen = 0
    for bound, count in zip((*map(str, BUCKETS), "+Inf"), histogram.counts, strict=True):
        seen += count
        buckets.append((bound, seen))
    return buckets, histogram.total
