"""What /metrics shows against Kubernetes' table of stable and beta metrics, and read as Prometheus reads it."""

import json
from pathlib import Path
from typing import Any

import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from kubrick_api.names import GVR
from kubrick_api.storage import UserInfo
from kubrick_apiserver.exposition import cumulative
from kubrick_apiserver.metrics import RequestMetrics
from kubrick_apiserver.request_info import parse_target
from kubrick_apiserver.server import APIServer
from kubrick_apiserver.web import Request
from kubrick_http.parser import Message
from kubrick_http.pulse import Pulse
from kubrick_kernel import SystemClock
from kubrick_store_sqlite.engine import SqliteStore
from kubrick_testing import Cluster, run_cluster

TABLE: list[dict[str, Any]] = json.loads((Path(__file__).parent / "data" / "metrics.json").read_text())
ELSEWHERE = (
    "container_",
    "cronjob_controller_",
    "endpoint_slice_controller_",
    "horizontal_pod_autoscaler_controller_",
    "job_controller_",
    "kube_pod_resource_",
    "kubelet_",
    "node_",
    "pod_",
    "prober_",
    "resource_scrape_error",
    "running_managed_controllers",
    "scheduler_",
    "workqueue_",
)
"""Those of controllers, scheduler and kubelet."""
NOTHING_TO_COUNT = {
    "apiserver_authentication_config_controller_automatic_reload_last_timestamp_seconds": "no configuration file",
    "apiserver_authentication_config_controller_automatic_reloads_total": "no configuration file",
    "apiserver_authorization_config_controller_automatic_reload_last_timestamp_seconds": "no configuration file",
    "apiserver_authorization_config_controller_automatic_reloads_total": "no configuration file",
    "apiserver_cel_compilation_duration_seconds": "of plugins that evaluate CEL",
    "apiserver_cel_evaluation_duration_seconds": "of plugins that evaluate CEL",
    "apiserver_validating_admission_policy_check_duration_seconds": "of the plugin for admission policies",
    "apiserver_validating_admission_policy_check_total": "of the plugin for admission policies",
    "apiserver_admission_webhook_admission_duration_seconds": "of the plugin for webhooks",
    "registered_metrics_total": "metrics have no versions here",
}
OWN = [row for row in TABLE if not row["name"].startswith(ELSEWHERE) and row["name"] not in NOTHING_TO_COUNT]


class Scrape:
    """The families of one scrape, by their name in the table."""

    def __init__(self, text: str) -> None:
        self.types: dict[str, str] = {}
        self.samples: dict[str, list[Sample]] = {}
        for family in text_string_to_metric_families(text):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            self.types[name] = family.type
            self.samples[name] = list(family.samples)

    def labels(self, name: str) -> set[frozenset[str]]:
        """The sets of labels that a family's samples have."""
        return {frozenset(sample.labels) - {"le"} for sample in self.samples[name]}

    def buckets(self, name: str) -> list[float]:
        """Of the first series there is."""
        found: dict[frozenset[tuple[str, str]], list[float]] = {}
        for sample in self.samples[name]:
            if sample.name.endswith("_bucket"):
                rest = frozenset((key, value) for key, value in sample.labels.items() if key != "le")
                found.setdefault(rest, []).append(float(sample.labels["le"]))
        return next(iter(found.values()))


async def scrape_of(cluster: Cluster, front: Any) -> Scrape:
    text = (await front("GET", "/metrics"))[1]
    assert isinstance(text, str)
    return Scrape(text)


class Front:
    """Requests through the filters, by an administrator."""

    def __init__(self, cluster: Cluster) -> None:
        self.filters = cluster.kernel.find(APIServer).filters
        self.certificate: bytes | None = None
        self.deadline = 0.0
        self.peer = "192.0.2.7"
        self.pulse = Pulse(SystemClock())

        async def identify(credentials: Any) -> UserInfo:
            return UserInfo("root", groups=("system:masters", "system:authenticated"))

        self.filters._authentication.identify = identify  # type: ignore[method-assign]  # it has no certificate

    async def __call__(self, method: str, target: str, body: Any = None, media: str = "application/json") -> Any:
        headers = {"host": "x", "content-type": media}
        data = b"" if body is None else json.dumps(body).encode()
        response = await self.filters(Message(method, target, headers, data, True), self)
        if isinstance(response.body, bytes | list):
            joined = response.body if isinstance(response.body, bytes) else b"".join(response.body)
            return response.status, joined.decode()
        async with response.body as stream:  # type: ignore[union-attr]  # a watch, over HTTP
            await stream.next()
        return response.status, ""


APPLY = "application/apply-patch+yaml"
CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}}


async def traffic(front: Front) -> None:
    """Something of everything that is counted."""
    maps = "/api/v1/namespaces/default/configmaps"
    assert (await front("POST", maps, CONFIG_MAP))[0] == 201
    assert (await front("POST", f"{maps}?dryRun=All", {**CONFIG_MAP, "metadata": {"name": "b"}}))[0] == 201
    assert (await front("GET", f"{maps}/a"))[0] == 200
    patch = await front("PATCH", f"{maps}/c?fieldManager=me", CONFIG_MAP | {"metadata": {"name": "c"}}, APPLY)
    assert patch[0] == 201
    assert (await front("GET", "/api/v1/endpoints"))[0] == 200
    assert (await front("GET", "/readyz"))[0] == 200
    nowhere = {**CONFIG_MAP, "metadata": {"name": "b"}}
    assert (await front("POST", "/api/v1/namespaces/nowhere/configmaps", nowhere))[0] == 404
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    assert (await front("GET", f"/api/v1/configmaps?{query}"))[0] == 200


@pytest.fixture(scope="module")
def scrape() -> Scrape:
    async def main() -> Scrape:
        async with run_cluster("api") as cluster:
            front = Front(cluster)
            await traffic(front)
            await front("GET", "/metrics")
            return await scrape_of(cluster, front)

    return trio.run(main)


@pytest.mark.parametrize("row", OWN, ids=lambda row: row["name"])
def test_a_metric_is_as_kubernetes_promises_it(scrape: Scrape, row: dict[str, Any]) -> None:
    name = row["name"]
    assert scrape.types.get(name) == row["type"]
    if name == "apiserver_flowcontrol_rejected_requests_total":
        assert scrape.samples[name] == []  # nobody was
        return
    assert scrape.samples[name]
    assert scrape.labels(name) == {frozenset(row["labels"])}
    if "buckets" in row:
        assert scrape.buckets(name) == [*row["buckets"], float("inf")]


def test_buckets_are_cumulative_and_end_in_the_count(scrape: Scrape) -> None:
    for name, kind in scrape.types.items():
        if kind != "histogram":
            continue
        series: dict[tuple[tuple[str, str], ...], list[float]] = {}
        totals: dict[tuple[tuple[str, str], ...], float] = {}
        for sample in scrape.samples[name]:
            labels = tuple(sorted((key, value) for key, value in sample.labels.items() if key != "le"))
            if sample.name.endswith("_bucket"):
                series.setdefault(labels, []).append(sample.value)
            elif sample.name.endswith("_count"):
                totals[labels] = sample.value
        for labels, counts in series.items():
            assert counts == sorted(counts), name
            assert counts[-1] == totals[labels], name


def value(scrape: Scrape, name: str, /, **labels: str) -> float:
    (sample,) = [
        sample
        for sample in scrape.samples[name]
        if sample.name == name and all(sample.labels[key] == wanted for key, wanted in labels.items())
    ]
    return float(sample.value)


def test_the_numbers_are_those_of_the_traffic(scrape: Scrape) -> None:
    total = "apiserver_request_total"
    assert value(scrape, total, verb="POST", resource="configmaps", code="201", dry_run="All") == 1
    assert value(scrape, total, verb="POST", resource="configmaps", code="201", dry_run="") == 1
    assert value(scrape, total, verb="APPLY", resource="configmaps", scope="resource") == 1
    assert value(scrape, total, verb="WATCH", resource="configmaps", scope="cluster", code="200") == 1
    assert value(scrape, "apiserver_storage_objects", resource="configmaps") == 2
    assert value(scrape, "apiserver_storage_events_received_total", group="", resource="configmaps") == 2
    assert value(scrape, "apiserver_requested_deprecated_apis", resource="endpoints") == 1
    assert value(scrape, "apiserver_longrunning_requests", verb="WATCH", resource="configmaps") == 0
    assert value(scrape, "kubernetes_healthcheck", name="ping", type="readyz") == 1
    assert value(scrape, "apiserver_flowcontrol_nominal_limit_seats", priority_level="workload-low") == 245
    assert value(scrape, "apiserver_flowcontrol_current_executing_requests", flow_schema="exempt") == 1
    rejected = [
        sample.labels["operation"]
        for sample in scrape.samples["apiserver_admission_step_admission_duration_seconds"]
        if sample.labels["rejected"] == "true"
    ]
    assert set(rejected) == {"CREATE"}


async def test_a_scrape_is_cheap_for_the_server_that_is_asked_nothing_else() -> None:
    """What grows with traffic is the number of series, and strangers can't make it grow."""
    async with run_cluster("api") as cluster:
        front = Front(cluster)
        await front("GET", "/metrics")
        before = len((await front("GET", "/metrics"))[1].splitlines())
        for number in range(200):
            await front("GET", f"/apis/group-{number}.example/v1/things-{number}")
            await front("GET", f"/path-{number}")
            await front("GET", f"/api/v1/namespaces/default/configmaps/{number}")
        after = len((await front("GET", "/metrics"))[1].splitlines())
        assert after - before < 120


async def test_the_size_of_the_store_is_that_of_its_files(tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery:
        store = SqliteStore(tmp_path, SystemClock())
        await nursery.start(store.run)
        assert store.size() == sum(
            file.stat().st_size for file in tmp_path.iterdir() if file.suffix in (".db", ".db-wal")
        )
        assert store.size() > 0
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("method", "target", "verb", "scope"),
    [
        ("GET", "/api/v1/pods", "LIST", "cluster"),
        ("GET", "/api/v1/namespaces/a/pods", "LIST", "namespace"),
        ("GET", "/api/v1/namespaces/a/pods?fieldSelector=metadata.name%3Dx", "LIST", "resource"),
        ("POST", "/api/v1/namespaces/a/pods/x/exec", "CONNECT", "resource"),
        ("DELETE", "/api/v1/namespaces/a/pods", "DELETECOLLECTION", "namespace"),
        ("HEAD", "/api/v1/namespaces/a/pods/x", "GET", "resource"),
    ],
)
def test_requests_are_counted_under_kubernetes_verbs_and_scopes(
    method: str, target: str, verb: str, scope: str
) -> None:
    metrics = RequestMetrics(lambda resource, subresource: resource == GVR("", "v1", "pods"))
    path, query, _, info = parse_target(method, target)
    metrics.observe(Request(method, path, query, {}, b"", info), 200, 0.1, 10)
    (series,) = metrics.series()
    assert (series.labels[0], series.labels[5]) == (verb, scope)


def test_bounds_are_written_as_go_writes_them() -> None:
    names = [name for name, _ in cumulative((0.0, 0.005, 1.0, 1000.0, 1e6, 1e9), [0] * 7)]
    assert names == ["0", "0.005", "1", "1000", "1e+06", "1e+09", "+Inf"]
