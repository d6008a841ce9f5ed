"""What /metrics shows: the server's own metrics and those of plugins, as text.

prometheus-client is imported when somebody asks; until then there are only numbers (`kubrick_apiserver.metrics`).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from attrs import define

from kubrick_apiserver.health import Health
from kubrick_apiserver.metrics import DURATIONS, SIZES, RequestMetrics
from kubrick_apiserver.version import GIT_VERSION, MAJOR, MINOR, version

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

NAMES = ("verb", "group", "version", "resource", "subresource", "scope")


@define(eq=False)
class ServerMetrics:
    """The server's own metrics, as prometheus-client collects them."""

    requests: RequestMetrics
    health: Health
    in_flight: Callable[[], dict[str, int]]
    stored: Callable[[], dict[str, int]]
    """How many objects there are of each resource."""

    def collect(self) -> Iterator["Metric"]:
        yield from self._request_metrics()
        yield from self._state_metrics()

    def _request_metrics(self) -> Iterator["Metric"]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        total = CounterMetricFamily(
            "apiserver_request",
            "Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, "
            "scope, component, and HTTP response code.",
            labels=[*NAMES, "component", "code", "dry_run", "system_client"],
        )
        durations = HistogramMetricFamily(
            "apiserver_request_duration_seconds",
            "Response latency distribution in seconds for each verb, dry run value, group, version, resource, "
            "subresource, scope and component.",
            labels=[*NAMES, "component", "dry_run"],
        )
        sizes = HistogramMetricFamily(
            "apiserver_response_sizes",
            "Response size distribution in bytes for each group, version, verb, resource, subresource, scope and "
            "component.",
            labels=[*NAMES, "component"],
        )
        running = GaugeMetricFamily(
            "apiserver_longrunning_requests",
            "Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, "
            "scope and component. Not all requests are tracked this way.",
            labels=[*NAMES, "component"],
        )
        for series in self.requests.series():
            labels = [*series.labels, "apiserver"]
            for (code, dry_run, client), count in series.codes.items():
                total.add_metric([*labels, str(code), dry_run, client], count)
            if series.labels[0] == "WATCH":
                running.add_metric(labels, series.open)
                continue
            durations.add_metric([*labels, ""], cumulative(DURATIONS, series.durations), series.seconds)
            sizes.add_metric(labels, cumulative(SIZES, series.sizes), series.size)
        yield from (total, durations, sizes, running)

    def _state_metrics(self) -> Iterator["Metric"]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        def gauge(name: str, text: str, labels: list[str], values: Iterable[tuple[list[str], float]]) -> "Metric":
            family = GaugeMetricFamily(name, text, labels=labels)
            for names, value in values:
                family.add_metric(names, value)
            return family

        yield gauge(
            "apiserver_current_inflight_requests",
            "Maximal number of currently used inflight request limit of this apiserver per request kind in last "
            "second.",
            ["request_kind"],
            (([kind], count) for kind, count in self.in_flight().items()),
        )
        yield gauge(
            "apiserver_storage_objects",
            "Number of stored objects at the time of last check split by kind.",
            ["resource"],
            (([resource], count) for resource, count in self.stored().items()),
        )
        yield gauge(
            "kubernetes_healthcheck",
            "This metric records the result of a single healthcheck.",
            ["name", "type"],
            (([name, path], passed) for (name, path), passed in self.health.results.items()),
        )
        checks = CounterMetricFamily(
            "kubernetes_healthchecks",
            "This metric records the results of all healthcheck.",
            labels=["name", "status", "type"],
        )
        for (name, path, outcome), count in self.health.counts.items():
            checks.add_metric([name, outcome, path], count)
        yield checks
        build = version()
        yield gauge(
            "kubernetes_build_info",
            "A metric with a constant '1' value labeled by major, minor, git version and platform.",
            ["major", "minor", "git_version", "platform"],
            [([MAJOR, MINOR, GIT_VERSION, build["platform"]], 1)],
        )


def cumulative(bounds: tuple[float, ...], counts: list[int]) -> list[tuple[str, float]]:
    """Buckets as Prometheus wants them: each counts all below."""
    total = 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip((*bounds, float("inf")), counts, strict=True):
        total += count
        name = "+Inf" if bound == float("inf") else str(int(bound) if bound == int(bound) and bound < 1e6 else bound)
        buckets.append((name, total))
    return buckets


CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Exposition:
    """The text of /metrics, from the collectors (`collect() -> metrics`) of this server and of plugins."""

    def __init__(self, collectors: Callable[[], Iterable[Any]]) -> None:
        self._collectors = collectors
        self._registry: CollectorRegistry | None = None

    def text(self) -> bytes:
        from prometheus_client import (
            CollectorRegistry,
            GCCollector,
            PlatformCollector,
            ProcessCollector,
            generate_latest,
        )

        if self._registry is None:
            self._registry = CollectorRegistry()
            for collector in (ProcessCollector, PlatformCollector, GCCollector):
                collector(registry=self._registry)
            for own in self._collectors():
                self._registry.register(own)
        return generate_latest(self._registry)
