"""Prometheus finds the API server, the node and the pods with kubernetes_sd_configs, and scrapes them, over TLS with a
service account's token.

`.ci/system tests` unpacks one that has these: Debian 12's is built without.
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

import pytest
import yaml

from kubrick_runtime_cri.archive import busybox_archive

sys.path.insert(0, str(Path(__file__).parent))
from machines import IMAGE, Machine, Object, container, eventually, running

PROGRAM = Path(__file__).parents[2] / ".venv" / "tools" / "prometheus"
SERVER = "127.0.0.1:9090"

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="real containers need root"),
    pytest.mark.skipif(not PROGRAM.exists(), reason="needs what `.ci/system tests` unpacks"),
]

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
SERVICE_LABELS = [
    "__meta_kubernetes_namespace",
    "__meta_kubernetes_service_name",
    "__meta_kubernetes_endpoint_port_name",
]


def exporter(name: str) -> Object:
    """A pod with a metric, that asks to be scraped."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": {"prometheus.io/scrape": "true"}},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [container(SERVED, ports=[{"name": "web", "containerPort": 8080}])],
        },
    }


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
    """With a pod that has metrics, one that didn't ask, and a Prometheus."""
    file = tmp_path_factory.mktemp("image") / "busybox.tar"
    file.write_bytes(busybox_archive(IMAGE, platform.machine()))
    made = Machine()
    try:
        made.up()
        made.kubrick("image", "load", str(file))
        made.kubectl("apply", "-f", "-", text=ACCOUNT)
        quiet = exporter("quiet")
        del quiet["metadata"]["annotations"]
        made.apply(exporter("exporter"), quiet)
        running(made, "exporter")
        folder = made.directory
        shutil.copy(made.data / "pki" / "ca.crt", folder / "ca.crt")
        (folder / "token").write_text(made.kubectl("create", "token", "prometheus", "-n", "monitoring").strip())
        kubeconfig = yaml.safe_load((made.data / "admin.kubeconfig").read_text())
        settings = folder / "prometheus.yml"
        settings.write_text(yaml.safe_dump(configuration(kubeconfig["clusters"][0]["cluster"]["server"], folder)))
        prometheus = (
            str(PROGRAM),
            f"--config.file={settings}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address={SERVER}",
        )
        with running_in(made, "prometheus", *prometheus):
            yield made
    finally:
        made.close()


def answer(machine: Machine, path: str) -> Object:
    """What its HTTP API says; {} while it isn't up yet."""
    done = subprocess.run(
        machine.inside("busybox", "wget", "-qO-", f"http://{SERVER}/api/v1/{path}"), capture_output=True, timeout=60
    )
    found: Object = json.loads(done.stdout)["data"] if done.returncode == 0 else {}
    return found


def value(machine: Machine, query: str) -> list[tuple[Object, float]]:
    found = answer(machine, f"query?query={query}").get("result", [])
    return [(each["metric"], float(each["value"][1])) for each in found]


def targets(machine: Machine) -> list[tuple[str, str]]:
    """The job and the address of every target; [] while there is one that isn't scraped, or only with an error."""
    found = answer(machine, "targets?state=active").get("activeTargets", [])
    if any(target["health"] != "up" or target["lastError"] for target in found):
        return []
    return sorted((target["labels"]["job"], target["scrapeUrl"]) for target in found)


def told(machine: Machine) -> str:
    said = answer(machine, "targets?state=active").get("activeTargets", [])
    return "\n".join([*map(str, said), (machine.directory / "prometheus.log").read_text()])


def node_address(machine: Machine) -> str:
    addresses = machine.get("nodes")["items"][0]["status"]["addresses"]
    return next(str(each["address"]) for each in addresses if each["type"] == "InternalIP")


def serving(machine: Machine, *pods: str) -> list[tuple[str, str]]:
    """The targets there are to be: four, with one pod that asks."""
    server = machine.get("endpoints", "kubernetes")["subsets"][0]
    node = node_address(machine)
    return sorted(
        [
            ("apiservers", f"https://{server['addresses'][0]['ip']}:{server['ports'][0]['port']}/metrics"),
            ("nodes", f"https://{node}:10250/metrics"),
            ("containers", f"https://{node}:10250/metrics/cadvisor"),
            *(("pods", f"http://{machine.get('pod', pod)['status']['podIP']}:8080/metrics") for pod in pods),
        ]
    )


def finds(machine: Machine, *pods: str) -> None:
    """In time exactly these pods are targets, besides the server and the node, and all of them answer."""
    wanted = serving(machine, *pods)
    eventually(lambda: targets(machine) == wanted, state=lambda: f"{wanted}\n{told(machine)}")


def test_the_server_the_node_and_the_pod_that_asks_are_found_and_answer(machine: Machine) -> None:
    finds(machine, "exporter")


def test_a_pod_is_found_when_it_comes_and_forgotten_when_it_goes(machine: Machine) -> None:
    machine.apply(exporter("another"))
    running(machine, "another")
    finds(machine, "exporter", "another")
    machine.kubectl("delete", "pod", "another")
    finds(machine, "exporter")


def test_what_was_scraped_can_be_asked_for(machine: Machine) -> None:
    counted = eventually(lambda: value(machine, "answered_total{pod='exporter'}"))
    assert [(labels["job"], count) for labels, count in counted] == [("pods", 42.0)]
    lists = eventually(lambda: value(machine, "apiserver_request_total{resource='pods',verb='LIST'}"))
    assert any(labels["code"] == "200" and count >= 1 for labels, count in lists)
    working = "container_memory_working_set_bytes{pod='exporter',container='main'}"
    assert eventually(lambda: value(machine, working))[0][1] > 10_000


def test_no_list_or_watch_of_the_discovery_was_refused(machine: Machine) -> None:
    finds(machine, "exporter")
    own = machine.run("busybox", "wget", "-qO-", f"http://{SERVER}/metrics").splitlines()
    codes = [line.split()[0] for line in own if line.startswith("prometheus_sd_kubernetes_http_request_total")]
    assert codes == ['prometheus_sd_kubernetes_http_request_total{status_code="200"}'], told(machine)
    assert "prometheus_sd_kubernetes_failures_total 0" in own


def test_without_the_token_the_node_and_the_server_tell_nothing(machine: Machine) -> None:
    script = (
        "import ssl, sys, urllib.request, urllib.error\n"
        "for url in sys.argv[1:]:\n"
        "    try: print(urllib.request.urlopen(url, context=ssl._create_unverified_context(), timeout=20).status)\n"
        "    except urllib.error.HTTPError as error: print(error.code)\n"
    )
    addresses = [url for _, url in serving(machine)]
    codes = machine.run(sys.executable, "-c", script, *addresses).split()
    assert dict(zip(addresses, codes, strict=True)) == {url: "401" if ":10250/" in url else "403" for url in addresses}
