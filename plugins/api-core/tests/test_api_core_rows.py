"""Table cells as kubectl prints them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from kubrick_api_core.events import event_row
from kubrick_api_core.nodes import node_row
from kubrick_api_core.pod_rows import pod_row
from kubrick_api_core.service_rows import endpoints_row, service_row

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
CREATED = "2026-01-01T11:55:00Z"
WAITING = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}}
RUNNING = {"ready": True, "state": {"running": {}}}


def pod(*statuses: dict[str, Any], inits: list[dict[str, Any]] | None = None, **status: Any) -> dict[str, Any]:
    count = max(len(statuses), 1)
    return {
        "metadata": {"name": "web", "creationTimestamp": CREATED},
        "spec": {
            "containers": [{"name": f"c{i}"} for i in range(count)],
            "initContainers": [{"name": f"i{i}"} for i in range(len(inits or ()))],
        },
        "status": {
            "containerStatuses": [{"name": f"c{i}", **each} for i, each in enumerate(statuses)],
            "initContainerStatuses": [{"name": f"i{i}", **each} for i, each in enumerate(inits or ())],
            **status,
        },
    }


@pytest.mark.parametrize(
    ("made", "ready", "status", "restarts"),
    [
        (pod(phase="Pending"), "0/1", "Pending", "0"),
        (pod(RUNNING, phase="Running"), "1/1", "Running", "0"),
        (pod(RUNNING, WAITING, phase="Running"), "1/2", "CrashLoopBackOff", "0"),
        (pod({"state": {"terminated": {"reason": "Completed"}}}, phase="Succeeded"), "0/1", "Completed", "0"),
        (pod({"state": {"terminated": {"exitCode": 3}}}, phase="Failed"), "0/1", "ExitCode:3", "0"),
        (pod({"state": {"terminated": {"signal": 9}}}, phase="Failed"), "0/1", "Signal:9", "0"),
        (
            pod({**RUNNING, "restartCount": 2, "lastState": {"terminated": {"finishedAt": CREATED}}}, phase="Running"),
            "1/1",
            "Running",
            "2 (5m ago)",
        ),
        (pod({}, inits=[{"state": {"running": {}}}, {}], phase="Pending"), "0/1", "Init:0/2", "0"),
        (pod({}, inits=[WAITING], phase="Pending"), "0/1", "Init:CrashLoopBackOff", "0"),
        (pod({}, inits=[{"state": {"terminated": {"exitCode": 1}}}], phase="Pending"), "0/1", "Init:ExitCode:1", "0"),
        (
            pod(
                {"state": {"waiting": {"reason": "PodInitializing"}}},
                inits=[{"state": {"terminated": {"exitCode": 0}}}],
            ),
            "0/1",
            "PodInitializing",
            "0",
        ),
        (
            pod(conditions=[{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}], phase="Pending"),
            "0/1",
            "SchedulingGated",
            "0",
        ),
        (pod(phase="Failed", reason="Evicted"), "0/1", "Evicted", "0"),
    ],
)
def test_a_pods_status_tells_what_it_is_at(made: dict[str, Any], ready: str, status: str, restarts: str) -> None:
    row = pod_row(made, NOW)
    assert row[:5] == ["web", ready, status, restarts, "5m"]


def test_a_pod_being_deleted_is_terminating_unless_its_node_is_lost() -> None:
    made = pod(RUNNING, phase="Running")
    made["metadata"]["deletionTimestamp"] = CREATED
    assert pod_row(made, NOW)[2] == "Terminating"
    made["status"]["reason"] = "NodeLost"
    assert pod_row(made, NOW)[2] == "Unknown"


def test_a_sidecar_counts_as_ready() -> None:
    made = pod(RUNNING, inits=[{**RUNNING, "started": True}], phase="Running")
    made["spec"]["initContainers"][0]["restartPolicy"] = "Always"
    assert pod_row(made, NOW)[1:3] == ["2/2", "Running"]


def test_the_wide_cells_of_a_pod() -> None:
    made = pod(RUNNING, phase="Running", podIPs=[{"ip": "10.0.0.1"}])
    made["spec"] |= {"nodeName": "n1", "readinessGates": [{"conditionType": "lb"}]}
    assert pod_row(made, NOW)[5:] == ["10.0.0.1", "n1", "<none>", "0/1"]


@pytest.mark.parametrize(
    ("spec", "status", "cells"),
    [
        (
            {
                "type": "NodePort",
                "clusterIP": "10.96.0.7",
                "ports": [{"port": 80, "nodePort": 30000, "protocol": "TCP"}],
            },
            {},
            ["NodePort", "10.96.0.7", "<none>", "80:30000/TCP"],
        ),
        ({"type": "ClusterIP", "clusterIP": "None"}, {}, ["ClusterIP", "None", "<none>", "<none>"]),
        (
            {"type": "ExternalName", "externalName": "example.com"},
            {},
            ["ExternalName", "<none>", "example.com", "<none>"],
        ),
        ({"type": "LoadBalancer", "clusterIP": "10.96.0.8"}, {}, ["LoadBalancer", "10.96.0.8", "<pending>", "<none>"]),
        (
            {"type": "LoadBalancer", "clusterIP": "10.96.0.8"},
            {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}},
            ["LoadBalancer", "10.96.0.8", "1.2.3.4", "<none>"],
        ),
    ],
)
def test_a_service_row(spec: dict[str, Any], status: dict[str, Any], cells: list[str]) -> None:
    made = {"metadata": {"name": "s", "creationTimestamp": CREATED}, "spec": spec, "status": status}
    assert service_row(made, NOW) == ["s", *cells, "5m", "<none>"]


def test_endpoints_show_three_addresses() -> None:
    addresses = [{"ip": f"10.0.0.{i}"} for i in range(5)]
    made = {"metadata": {"name": "e"}, "subsets": [{"addresses": addresses, "ports": [{"port": 80}]}]}
    assert endpoints_row(made, NOW)[1] == "10.0.0.0:80,10.0.0.1:80,10.0.0.2:80 + 2 more..."


def test_a_node_row() -> None:
    made = {
        "metadata": {
            "name": "n1",
            "creationTimestamp": CREATED,
            "labels": {"node-role.kubernetes.io/control-plane": ""},
        },
        "spec": {"unschedulable": True},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "addresses": [{"type": "InternalIP", "address": "10.1.1.1"}],
            "nodeInfo": {"kubeletVersion": "v1.36.0"},
        },
    }
    assert node_row(made, NOW)[:7] == [
        "n1", "Ready,SchedulingDisabled", "control-plane", "5m", "v1.36.0", "10.1.1.1", "<none>",
    ]  # fmt: skip


def test_an_event_row_counts_its_series() -> None:
    made = {
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "Pod", "name": "web"},
        "source": {"component": "kubelet", "host": "n1"},
        "type": "Normal",
        "reason": "Pulled",
        "message": " done ",
        "firstTimestamp": "2026-01-01T11:00:00Z",
        "lastTimestamp": CREATED,
    }
    assert event_row(made, NOW) == ["5m", "Normal", "Pulled", "pod/web", "", "kubelet, n1", "done", "60m", "1", "e"]
    made["series"] = {"count": 9, "lastObservedTime": "2026-01-01T11:59:00.000000Z"}
    assert event_row(made, NOW)[0] == "60s"
    assert event_row(made, NOW)[8] == "9"
