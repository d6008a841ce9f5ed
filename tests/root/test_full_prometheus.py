"""Prometheus' rules for Kubernetes find and scrape the API server, the node and the pods, over TLS with a service
account's token.

Debian's Prometheus is built without kubernetes_sd_configs, so Debian's VictoriaMetrics reads these rules; Prometheus
itself then scrapes what was found.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from kubrick_runtime_cri.archive import busybox_archive

sys.path.insert(0, str(Path(__file__).parent))
from machines import IMAGE, Machine, Object, container, eventually, running

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="real containers need root"),
    pytest.mark.skipif(
        shutil.which("prometheus") is None or shutil.which("victoria-metrics") is None,
        reason="needs Debian's packages prometheus and victoria-metrics",
    ),
]

PROMETHEUS, DISCOVERY = "127.0.0.1:9090", "127.0.0.1:8428"
ACCOUNT = """
apiVersion: v1
kind: Namespace
metadata: {name: monitoring}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: prometheus, namespace: monitoring}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: prometheus}
rules:
- apiGroups: [""]
  resources: [nodes, services, endpoints, pods]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [nodes/metrics]
  verbs: [get]
- nonResourceURLs: [/metrics]
  verbs: [get]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: prometheus}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: prometheus}
subjects: [{kind: ServiceAccount, name: prometheus, namespace: monitoring}]
"""
SERVED = r"mkdir -p /www && printf 'answered_total 42\n' > /www/metrics && exec httpd -f -p 8080 -h /www"
EXPORTER: Object = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "exporter", "annotations": {"prometheus.io/scrape": "true"}},
    "spec": {
        "terminationGracePeriodSeconds": 1,
        "containers": [container(SERVED, ports=[{"name": "web", "containerPort": 8080}])],
    },
}
SERVICE_LABELS = [
    "__meta_kubernetes_namespace",
    "__meta_kubernetes_service_name",
    "__meta_kubernetes_endpoint_port_name",
]


def configuration(server: str, folder: Path) -> Object:
    """The well-known scrape configuration of a cluster, from outside of it."""
    access = {
        "tls_config": {"ca_file": str(folder / "ca.crt")},
        "authorization": {"credentials_file": str(folder / "token")},
    }

    def job(name: str, role: str, *relabel: Object, **more: object) -> Object:
        found = [{"role": role, "api_server": server, **access}]
        return {"job_name": name, "kubernetes_sd_configs": found, "relabel_configs": list(relabel), **more}

    keep = {"source_labels": SERVICE_LABELS, "action": "keep", "regex": "default;kubernetes;https"}
    labels = {"action": "labelmap", "regex": "__meta_kubernetes_node_label_(.+)"}
    marked = {
        "source_labels": ["__meta_kubernetes_pod_annotation_prometheus_io_scrape"],
        "action": "keep",
        "regex": "true",
    }
    named = {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"}
    return {
        "global": {"scrape_interval": "2s", "scrape_timeout": "2s"},
        "scrape_configs": [
            job("apiservers", "endpoints", keep, scheme="https", **access),
            job("nodes", "node", labels, scheme="https", **access),
            job("containers", "node", labels, scheme="https", metrics_path="/metrics/cadvisor", **access),
            job("pods", "pod", marked, named),
        ],
    }


def given(targets: list[Object], folder: Path) -> Object:
    """The same targets in Prometheus' own configuration."""
    file = folder / "targets.json"
    entries = []
    for target in targets:
        url = urlsplit(target["scrapeUrl"])
        where = {"job": target["labels"]["job"], "__scheme__": url.scheme, "__metrics_path__": url.path}
        entries.append({"targets": [url.netloc], "labels": where})
    file.write_text(json.dumps(entries))
    job = {
        "job_name": "found",
        "file_sd_configs": [{"files": [str(file)]}],
        "tls_config": {"ca_file": str(folder / "ca.crt")},
        "authorization": {"credentials_file": str(folder / "token")},
    }
    return {"global": {"scrape_interval": "2s", "scrape_timeout": "2s"}, "scrape_configs": [job]}


@contextmanager
def running_in(machine: Machine, name: str, *command: str) -> Iterator[None]:
    """A program in the machine's network, for the length of a block."""
    with (machine.directory / f"{name}.log").open("wb") as log:
        program = subprocess.Popen(machine.inside(*command), stdout=log, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        program.terminate()
        program.wait(20)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """With a pod that has metrics, a VictoriaMetrics and a Prometheus."""
    file = tmp_path_factory.mktemp("image") / "busybox.tar"
    file.write_bytes(busybox_archive(IMAGE, platform.machine()))
    made = Machine()
    try:
        made.up()
        made.kubrick("image", "load", str(file))
        made.kubectl("apply", "-f", "-", text=ACCOUNT)
        made.apply(EXPORTER)
        running(made, "exporter")
        folder = made.directory
        shutil.copy(made.data / "pki" / "ca.crt", folder / "ca.crt")
        (folder / "token").write_text(made.kubectl("create", "token", "prometheus", "-n", "monitoring").strip())
        kubeconfig = yaml.safe_load((made.data / "admin.kubeconfig").read_text())
        rules, settings = folder / "rules.yml", folder / "prometheus.yml"
        rules.write_text(yaml.safe_dump(configuration(kubeconfig["clusters"][0]["cluster"]["server"], folder)))
        discovery = (
            "victoria-metrics",
            f"-promscrape.config={rules}",
            f"-storageDataPath={folder / 'victoria'}",
            f"-httpListenAddr={DISCOVERY}",
            "-search.latencyOffset=0s",
        )
        with running_in(made, "victoria-metrics", *discovery):
            targets = eventually(lambda: up(made, DISCOVERY))
            settings.write_text(yaml.safe_dump(given(targets, folder)))
            prometheus = (
                "prometheus",
                f"--config.file={settings}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address={PROMETHEUS}",
            )
            with running_in(made, "prometheus", *prometheus):
                yield made
    finally:
        made.close()


def answer(machine: Machine, server: str, path: str) -> Object:
    """What its HTTP API says; {} while it isn't up yet."""
    done = subprocess.run(
        machine.inside("busybox", "wget", "-qO-", f"http://{server}/api/v1/{path}"), capture_output=True, timeout=60
    )
    found: Object = json.loads(done.stdout)["data"] if done.returncode == 0 else {}
    return found


def value(machine: Machine, server: str, query: str) -> list[tuple[Object, float]]:
    found = answer(machine, server, f"query?query={query}").get("result", [])
    return [(each["metric"], float(each["value"][1])) for each in found]


def up(machine: Machine, server: str) -> list[Object]:
    """The targets, once all four are scraped without an error."""
    targets = answer(machine, server, "targets?state=active").get("activeTargets", [])
    said = [(target["scrapeUrl"], target["health"], target["lastError"]) for target in targets]
    (machine.directory / "targets").write_text("\n".join(map(str, said)))
    well = {target["labels"]["job"] for target in targets if target["health"] == "up" and not target["lastError"]}
    return targets if len(targets) == len(well) == 4 else []


@pytest.mark.parametrize("server", [DISCOVERY, PROMETHEUS])
def test_every_target_is_found_and_answers(machine: Machine, server: str) -> None:
    targets = eventually(lambda: up(machine, server))
    assert {target["labels"]["job"] for target in targets} == {"apiservers", "nodes", "containers", "pods"}


@pytest.mark.parametrize("server", [DISCOVERY, PROMETHEUS])
def test_what_was_scraped_can_be_asked_for(machine: Machine, server: str) -> None:
    found = eventually(lambda: value(machine, server, "answered_total"))
    assert [(labels["job"], count) for labels, count in found] == [("pods", 42.0)]
    lists = eventually(lambda: value(machine, server, "apiserver_request_total{resource='pods',verb='LIST'}"))
    assert any(labels["code"] == "200" and count >= 1 for labels, count in lists)
    working = "container_memory_working_set_bytes{pod='exporter',container='main'}"
    assert eventually(lambda: value(machine, server, working))[0][1] > 10_000


def test_without_the_token_the_node_and_the_server_tell_nothing(machine: Machine) -> None:
    node = machine.get("nodes")["items"][0]
    address = next(each["address"] for each in node["status"]["addresses"] if each["type"] == "InternalIP")
    script = (
        "import ssl, sys, urllib.request, urllib.error\n"
        "try: urllib.request.urlopen(sys.argv[1], context=ssl._create_unverified_context(), timeout=20)\n"
        "except urllib.error.HTTPError as error: print(error.code)\n"
    )
    assert machine.run(sys.executable, "-c", script, f"https://{address}:10250/metrics").strip() == "401"
