"""The metrics apiserver_flowcontrol_*, as prometheus-client collects them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kubrick_apiserver.exposition import cumulative
from kubrick_flow_control.control import Control
from kubrick_flow_control.flows import WAITS, Counts

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

BOTH = ["flow_schema", "priority_level"]


class Metrics:
    """A collector over `Control`."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def describe(self) -> "list[Metric]":
        """Nothing: the registry need not collect to learn names."""
        return []

    def collect(self) -> "Iterator[Metric]":
        counts = list(self._control.counts.values())
        yield from _gauges(counts)
        yield from _counters(counts)
        yield from self._limits()

    def _limits(self) -> "Iterator[Metric]":
        from prometheus_client.core import GaugeMetricFamily

        def gauge(name: str, text: str) -> GaugeMetricFamily:
            return GaugeMetricFamily(f"apiserver_flowcontrol_{name}", text, labels=["priority_level"])

        seats = "number of execution seats"
        nominal = gauge("nominal_limit_seats", f"Nominal {seats} configured for each priority level")
        current = gauge("current_limit_seats", f"current derived {seats} available to each priority level")
        least = gauge("lower_limit_seats", f"Configured lower bound on {seats} available to each level")
        most = gauge("upper_limit_seats", f"Configured upper bound on {seats} available to each level")
        smoothed = gauge("demand_seats_smoothed", "Smoothed seat demands")
        for name, level in self._control.levels.items():
            nominal.add_metric([name], level.bounds.nominal)
            least.add_metric([name], level.bounds.minimum)
            most.add_metric([name], level.bounds.maximum)
            current.add_metric([name], level.bounds.nominal if level.limit is None else level.limit)
            claim = self._control.claims.get(name)
            smoothed.add_metric([name], claim.smoothed if claim is not None else 0.0)
        yield from (nominal, current, least, most, smoothed)


def _gauges(counts: list[Counts]) -> "Iterator[Metric]":
    from prometheus_client.core import GaugeMetricFamily

    def gauge(name: str, text: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"apiserver_flowcontrol_{name}", text, labels=BOTH)

    who = "the API Priority and Fairness subsystem"
    stage = "initial (for a WATCH) or any (for a non-WATCH) execution stage"
    waiting = gauge("current_inqueue_requests", f"Number of requests currently pending in queues of {who}")
    running = gauge("current_executing_requests", f"Number of requests in {stage} in {who}")
    seats = gauge("current_executing_seats", f"Concurrency (number of seats) occupied by requests in {stage} in {who}")
    for count in counts:
        names = [count.schema, count.level]
        waiting.add_metric(names, count.queued)
        running.add_metric(names, count.executing)
        seats.add_metric(names, count.seats)
    yield from (waiting, running, seats)


def _counters(counts: list[Counts]) -> "Iterator[Metric]":
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

    dispatched = CounterMetricFamily(
        "apiserver_flowcontrol_dispatched_requests",
        "Number of requests executed by API Priority and Fairness subsystem",
        labels=BOTH,
    )
    rejected = CounterMetricFamily(
        "apiserver_flowcontrol_rejected_requests",
        "Number of requests rejected by API Priority and Fairness subsystem",
        labels=[*BOTH, "reason"],
    )
    waits = HistogramMetricFamily(
        "apiserver_flowcontrol_request_wait_duration_seconds",
        "Length of time a request spent waiting in its queue",
        labels=["execute", *BOTH],
    )
    for count in counts:
        names = [count.schema, count.level]
        dispatched.add_metric(names, count.dispatched)
        for reason, number in count.rejected.items():
            rejected.add_metric([*names, reason], number)
        waited = list(count.executed.counts)
        waited[0] += count.dispatched - sum(waited)  # those that waited for no time at all
        waits.add_metric(["true", *names], cumulative(WAITS, waited), count.executed.seconds)
        if count.rejected:
            waits.add_metric(["false", *names], cumulative(WAITS, count.refused.counts), count.refused.seconds)
    yield from (dispatched, rejected, waits)
