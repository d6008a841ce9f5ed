"""kube-proxy's metrics, counted in plain numbers; prometheus-client is imported when somebody asks."""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

BOUNDS = tuple(0.001 * 2**i for i in range(15))
PARTIAL, FULL = "partial", "full"


class Histogram:
    """Seconds, in buckets that double from one millisecond."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        found: list[tuple[str, float]] = []
        so_far = 0
        for bound, many in zip((*map(str, BOUNDS), "+Inf"), self.counts, strict=True):
            so_far += many
            found.append((bound, so_far))
        return found


class Metrics:
    """A prometheus_client collector."""

    def __init__(self) -> None:
        self.sync_seconds = {PARTIAL: Histogram(), FULL: Histogram()}
        self.last_sync = 0.0
        self.last_queued = 0.0
        self.failures = 0
        self.service_changes = 0
        self.endpoint_changes = 0
        self.services = 0
        self.transactions = 0
        self.rebuilt = 0

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        prefix = "kubeproxy_sync"
        for name, text, histograms in (
            ("proxy_rules", "SyncProxyRules latency in seconds", self.sync_seconds.values()),
            ("partial_proxy_rules", "SyncProxyRules latency for partial resyncs", [self.sync_seconds[PARTIAL]]),
            ("full_proxy_rules", "SyncProxyRules latency for full resyncs", [self.sync_seconds[FULL]]),
        ):
            all_of_them = Histogram()
            for one in histograms:
                all_of_them.total += one.total
                all_of_them.counts = [a + b for a, b in zip(all_of_them.counts, one.counts, strict=True)]
            family = HistogramMetricFamily(f"{prefix}_{name}_duration_seconds", text)
            family.add_metric([], all_of_them.buckets(), all_of_them.total)
            yield family
        for name, text, value in (
            ("last_timestamp_seconds", "The last time proxy rules were successfully synced", self.last_sync),
            ("last_queued_timestamp_seconds", "The last time a sync of proxy rules was queued", self.last_queued),
        ):
            yield GaugeMetricFamily(f"{prefix}_proxy_rules_{name}", text, value=value)
        for name, text, value in (
            ("service_changes", "Cumulative proxy rules Service changes", self.service_changes),
            ("endpoint_changes", "Cumulative proxy rules Endpoint changes", self.endpoint_changes),
            ("nftables_sync_failures", "Cumulative proxy nftables sync failures", self.failures),
            ("nftables_transactions", "Transactions that were sent", self.transactions),
            ("nftables_rebuilds", "Times the table was made anew after a failure or a stranger's change", self.rebuilt),
        ):
            yield CounterMetricFamily(f"{prefix}_proxy_rules_{name}", text, value=value)
