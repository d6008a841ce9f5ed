"""What /metrics shows: the server's own metrics and those of plugins, as text.

prometheus-client is imported when somebody asks; until then there are only numbers (`kubrick_apiserver.metrics`).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from attrs import define, frozen

from kubrick_api.names import GVR
from kubrick_apiserver.health import Health
from kubrick_apiserver.metrics import DEPRECATED, AdmissionMetrics, Histogram, RequestMetrics
from kubrick_apiserver.version import version

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

STORE = "etcd-0"
"""What kube-apiserver calls its first store."""
BUILD = (
    ("build_date", "buildDate"),
    ("compiler", "compiler"),
    ("git_commit", "gitCommit"),
    ("git_tree_state", "gitTreeState"),
    ("git_version", "gitVersion"),
    ("go_version", "goVersion"),
    ("major", "major"),
    ("minor", "minor"),
    ("platform", "platform"),
)
FEATURES = {"WatchList": "BETA"}
"""Of the features that kube-apiserver lets one switch, those that this server has."""
NEVER = {
    "apiserver_validation_declarative_validation_mismatch": "Declarative and hand-written validation that disagreed.",
    "apiserver_validation_declarative_validation_panic": "Declarative validation that failed with an error of its own.",
    "disabled_metrics": "The count of disabled metrics.",
    "hidden_metrics": "The count of hidden metrics.",
}
"""Counters of what can't happen here: there is one validation, and all metrics are shown."""
NAMES = ("verb", "group", "version", "resource", "subresource", "scope")


@runtime_checkable
class Sized(Protocol):
    """A store that can say how much it has on disk."""

    def size(self) -> int:
        """In bytes."""
        ...


@frozen
class Stored:
    """What a resource's storage holds, and how many changes of it there were."""

    resource: GVR
    objects: int
    events: int


@define(eq=False)
class ServerMetrics:
    """The server's own metrics, as prometheus-client collects them."""

    requests: RequestMetrics
    health: Health
    in_flight: Callable[[], dict[str, int]]
    stored: "Callable[[], Iterable[Stored]]"
    size: Callable[[], int]
    """How many bytes the store has on disk."""
    admission: AdmissionMetrics

    def describe(self) -> list["Metric"]:
        """Nothing: the registry need not collect to learn names."""
        return []

    def collect(self) -> Iterator["Metric"]:
        yield from self._request_metrics()
        yield from self._duration_metrics()
        yield from self._storage_metrics()
        yield from self._health_metrics()
        yield from build_metrics()

    def _duration_metrics(self) -> Iterator["Metric"]:
        from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily

        plugins = HistogramMetricFamily(
            "apiserver_admission_controller_admission_duration_seconds",
            "Admission controller latency histogram in seconds, identified by name and broken out for each operation "
            "and API resource and type (validate or admit).",
            labels=["name", "operation", "rejected", "type"],
        )
        steps = HistogramMetricFamily(
            "apiserver_admission_step_admission_duration_seconds",
            "Admission sub-step latency histogram in seconds, broken out for each operation and API resource and step "
            "type (validate or admit).",
            labels=["operation", "rejected", "type"],
        )
        lists = HistogramMetricFamily(
            "apiserver_watch_list_duration_seconds",
            "Response latency distribution in seconds for watch list requests broken by group, version, resource and "
            "scope.",
            labels=["group", "version", "resource", "scope"],
        )
        deprecated = GaugeMetricFamily(
            "apiserver_requested_deprecated_apis",
            "Gauge of deprecated APIs that have been requested, broken out by API group, version, resource, "
            "subresource, and removed_release.",
            labels=["group", "version", "resource", "subresource", "removed_release"],
        )
        for (name, operation, phase, rejected), histogram in self.admission.plugins.items():
            plugins.add_metric([name, operation, str(rejected).lower(), phase], *shown(histogram))
        for (operation, phase, rejected), histogram in self.admission.steps.items():
            steps.add_metric([operation, str(rejected).lower(), phase], *shown(histogram))
        for labels, histogram in self.requests.watch_lists.items():
            lists.add_metric([*labels], *shown(histogram))
        for group, release, resource, subresource in self.requests.deprecated:
            removed = DEPRECATED[group, release, resource]
            deprecated.add_metric([group, release, resource, subresource, removed], 1)
        yield from (plugins, steps, lists, deprecated)

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
            for dry_run, histogram in series.durations.items():
                durations.add_metric([*labels, dry_run], *shown(histogram))
            if series.durations:
                sizes.add_metric(labels, *shown(series.sizes))
            if series.open:
                running.add_metric(labels, series.open)
        yield from (total, durations, sizes, running)

    def _storage_metrics(self) -> Iterator["Metric"]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        objects = GaugeMetricFamily(
            "apiserver_storage_objects",
            "Number of stored objects at the time of last check split by kind.",
            labels=["resource"],
        )
        events = CounterMetricFamily(
            "apiserver_storage_events_received",
            "Number of etcd events received split by kind.",
            labels=["group", "resource"],
        )
        size = GaugeMetricFamily(
            "apiserver_storage_size_bytes",
            "Size of the storage database file physically allocated in bytes.",
            labels=["storage_cluster_id"],
        )
        for stored in self.stored():
            objects.add_metric([stored.resource.qualified], stored.objects)
            events.add_metric([stored.resource.group, stored.resource.resource], stored.events)
        size.add_metric([STORE], self.size())
        yield from (objects, events, size)

    def _health_metrics(self) -> Iterator["Metric"]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        busy = GaugeMetricFamily(
            "apiserver_current_inflight_requests",
            "Maximal number of currently used inflight request limit of this apiserver per request kind in last "
            "second.",
            labels=["request_kind"],
        )
        for kind, count in self.in_flight().items():
            busy.add_metric([kind], count)
        last = GaugeMetricFamily(
            "kubernetes_healthcheck",
            "This metric records the result of a single healthcheck.",
            labels=["name", "type"],
        )
        for (name, path), passed in self.health.results.items():
            last.add_metric([name, path], passed)
        checks = CounterMetricFamily(
            "kubernetes_healthchecks",
            "This metric records the results of all healthcheck.",
            labels=["name", "status", "type"],
        )
        for (name, path, outcome), count in self.health.counts.items():
            checks.add_metric([name, outcome, path], count)
        yield from (busy, last, checks)


def build_metrics() -> Iterator["Metric"]:
    """What never changes while the server runs."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    about = version()
    build = GaugeMetricFamily(
        "kubernetes_build_info",
        "A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, build "
        "date, Go version, and compiler from which Kubernetes was built, and platform on which it is running.",
        labels=[name for name, _ in BUILD],
    )
    build.add_metric([about[key] for _, key in BUILD], 1)
    features = GaugeMetricFamily(
        "kubernetes_feature_enabled",
        "This metric records the data about the stage and enablement of a k8s feature.",
        labels=["name", "stage"],
    )
    for name, stage in FEATURES.items():
        features.add_metric([name, stage], 1)
    yield from (build, features)
    for name, text in NEVER.items():
        yield CounterMetricFamily(name, text, value=0)


def shown(histogram: Histogram) -> tuple[list[tuple[str, float]], float]:
    """A histogram as prometheus-client takes it."""
    return cumulative(histogram.bounds, histogram.counts), histogram.total


def cumulative(bounds: tuple[float, ...], counts: list[int]) -> list[tuple[str, float]]:
    """Buckets as Prometheus wants them: each counts all below."""
    total = 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip((*bounds, float("inf")), counts, strict=True):
        total += count
        name = "+Inf" if bound == float("inf") else f"{bound:g}"
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
