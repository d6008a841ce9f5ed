"""What the server counts, and how /metrics shows it.

Counting happens on the way of every request, so it is a dictionary look-up and a few additions of our
own; prometheus-client is imported when somebody asks for /metrics, and turns the counts into text. Only
resources that exist get labels of their own: strangers can't make the server count without end.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from attrs import define, field

from kubrick_api.names import GVR
from kubrick_apiserver.health import Health
from kubrick_apiserver.version import GIT_VERSION, MAJOR, MINOR, version
from kubrick_apiserver.web import Request, RequestInfo

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

DURATIONS = tuple(
    float(bound)
    for bound in "0.005 0.025 0.05 0.1 0.2 0.4 0.6 0.8 1 1.25 1.5 2 3 4 5 6 8 10 15 20 30 45 60".split()  # noqa: SIM905
)
SIZES = (1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9)
VERBS = {
    "get": "GET",
    "list": "LIST",
    "watch": "WATCH",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETECOLLECTION",
    "post": "POST",
    "put": "PUT",
    "head": "HEAD",
    "options": "OPTIONS",
}
PATHS = frozenset(
    ("/healthz", "/livez", "/readyz", "/version", "/metrics", "/api", "/apis", "/openapi/v2", "/openapi/v3")
)
SYSTEM_CLIENTS = {
    "system:kube-controller-manager": "kube-controller-manager",
    "system:kube-scheduler": "kube-scheduler",
}
Labels = tuple[str, ...]


@define(eq=False)
class Series:
    """Everything counted for one combination of verb, group, version, resource, subresource and scope."""

    labels: Labels
    codes: dict[tuple[int, str, str], int] = field(factory=dict)
    """By (code, dry run, system client)."""
    durations: list[int] = field(factory=lambda: [0] * (len(DURATIONS) + 1))
    seconds: float = 0.0
    sizes: list[int] = field(factory=lambda: [0] * (len(SIZES) + 1))
    size: int = 0
    open: int = 0


class RequestMetrics:
    """Counts requests. `known` says whether a resource exists."""

    def __init__(self, known: Callable[[GVR, str], bool] = lambda resource, subresource: True) -> None:
        self._known = known
        self._series: dict[tuple[str, str, str, str, str, bool, bool], Series] = {}

    def observe(self, request: Request, code: int, seconds: float, size: int) -> None:
        """One request was answered (or, for a stream, begun)."""
        series = self._find(request.info)
        dry_run = "All" if "dryRun" in request.query else ""
        key = code, dry_run, SYSTEM_CLIENTS.get(request.user.name, "")
        series.codes[key] = series.codes.get(key, 0) + 1
        if request.info.verb != "watch":
            series.durations[bisect_left(DURATIONS, seconds)] += 1
            series.seconds += seconds
            series.sizes[bisect_left(SIZES, size)] += 1
            series.size += size

    def long_running(self, info: RequestInfo, change: int) -> None:
        """A streamed answer began (1) or ended (-1)."""
        self._find(info).open += change

    def series(self) -> Iterable[Series]:
        return self._series.values()

    def _find(self, info: RequestInfo) -> Series:
        key = info.verb, info.group, info.version, info.resource, info.subresource, not info.namespace, not info.name
        found = self._series.get(key)
        return found or self._add(info, key)

    def _add(self, info: RequestInfo, key: tuple[str, str, str, str, str, bool, bool]) -> Series:
        verb = VERBS.get(info.verb, "other")
        if info.resource_request and self._known(GVR(info.group, info.version, info.resource), info.subresource):
            scope = "resource" if info.name else "namespace" if info.namespace else "cluster"
            labels: Labels = (verb, info.group, info.version, info.resource, info.subresource, scope)
        else:
            key = verb, "", "", "", info.path if info.path in PATHS else "", True, True
            labels = (*key[:5], "")
        found = self._series.get(key)
        if found is None:
            found = self._series[key] = Series(labels)
        return found


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
            durations.add_metric([*labels, ""], _cumulative(DURATIONS, series.durations), series.seconds)
            sizes.add_metric(labels, _cumulative(SIZES, series.sizes), series.size)
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


def _cumulative(bounds: tuple[float, ...], counts: list[int]) -> list[tuple[str, float]]:
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
