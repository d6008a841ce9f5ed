"""What the agent knows in numbers: /stats/summary, /metrics/resource and /metrics. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from kubrick_kernel import rfc3339
from kubrick_node.runtime import PodStats, Usage

Object = dict[str, Any]


def summary(node: str, measured: Sequence[tuple[Object, PodStats]], now: datetime) -> Object:
    """The kubelet's stats summary; the node's figures are the sum of its pods'."""
    pods = [_pod(pod, stats, now) for pod, stats in measured]
    total = _sum(usage for _, stats in measured for _, usage in stats.containers)
    return {"node": {"nodeName": node, **_usage(total, now)}, "pods": pods}


def _pod(pod: Object, stats: PodStats, now: datetime) -> Object:
    metadata = pod["metadata"]
    found: Object = {
        "podRef": {key: metadata[key] for key in ("name", "namespace", "uid")},
        "startTime": (pod.get("status") or {}).get("startTime"),
        "containers": [
            {"name": name, "startTime": _started(pod, name), **_usage(usage, now), **_files(usage, now)}
            for name, usage in stats.containers
        ],
        **_usage(_sum(usage for _, usage in stats.containers), now),
    }
    if stats.interfaces:
        interfaces = [
            {
                "name": each.name,
                "rxBytes": each.rx_bytes,
                "rxErrors": each.rx_errors,
                "txBytes": each.tx_bytes,
                "txErrors": each.tx_errors,
            }
            for each in stats.interfaces
        ]
        found["network"] = {"time": rfc3339(now), **interfaces[0], "interfaces": interfaces}
    return found


def _started(pod: Object, name: str) -> str | None:
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        if status["name"] == name:
            started: str | None = ((status.get("state") or {}).get("running") or {}).get("startedAt")
            return started
    return None


def _usage(usage: Usage, now: datetime) -> Object:
    at = rfc3339(usage.at or now)
    return {
        "cpu": {"time": at, "usageCoreNanoSeconds": usage.cpu_nanoseconds},
        "memory": {
            "time": at,
            "usageBytes": usage.memory_usage,
            "workingSetBytes": usage.memory_working_set,
            "rssBytes": usage.memory_rss,
            "pageFaults": usage.page_faults,
            "majorPageFaults": usage.major_page_faults,
        },
    }


def _files(usage: Usage, now: datetime) -> Object:
    at = rfc3339(usage.at or now)
    return {"rootfs": {"time": at, "usedBytes": usage.filesystem_used, "inodesUsed": usage.filesystem_inodes}}


def _sum(usages: Iterable[Usage]) -> Usage:
    cpu = memory = working = resident = faults = major = 0
    for usage in usages:
        cpu += usage.cpu_nanoseconds
        memory += usage.memory_usage
        working += usage.memory_working_set
        resident += usage.memory_rss
        faults += usage.page_faults
        major += usage.major_page_faults
    return Usage(cpu, memory, working, resident, faults, major)


def resource_metrics(measured: Sequence[tuple[Object, PodStats]]) -> str:
    """/metrics/resource: what metrics-server reads."""
    lines = [
        "# HELP container_cpu_usage_seconds_total [STABLE] "
        "Cumulative cpu time consumed by the container in core-seconds",
        "# TYPE container_cpu_usage_seconds_total counter",
    ]
    memory = [
        "# HELP container_memory_working_set_bytes [STABLE] Current working set of the container in bytes",
        "# TYPE container_memory_working_set_bytes gauge",
    ]
    total = _sum(usage for _, stats in measured for _, usage in stats.containers)
    for pod, stats in measured:
        where = f'namespace="{pod["metadata"]["namespace"]}",pod="{pod["metadata"]["name"]}"'
        for name, usage in stats.containers:
            labels = f'{{container="{name}",{where}}}'
            lines.append(f"container_cpu_usage_seconds_total{labels} {usage.cpu_nanoseconds / 1e9}")
            memory.append(f"container_memory_working_set_bytes{labels} {usage.memory_working_set}")
    return "\n".join(
        [
            *lines,
            *memory,
            "# HELP node_cpu_usage_seconds_total [STABLE] Cumulative cpu time consumed by the node in core-seconds",
            "# TYPE node_cpu_usage_seconds_total counter",
            f"node_cpu_usage_seconds_total {total.cpu_nanoseconds / 1e9}",
            "# HELP node_memory_working_set_bytes [STABLE] Current working set of the node in bytes",
            "# TYPE node_memory_working_set_bytes gauge",
            f"node_memory_working_set_bytes {total.memory_working_set}",
            "# HELP resource_scrape_error [STABLE] "
            "1 if there was an error while getting container metrics, 0 otherwise",
            "# TYPE resource_scrape_error gauge",
            "resource_scrape_error 0",
            "",
        ]
    )


def agent_metrics(node: str, pods: Sequence[Object]) -> str:
    """/metrics: the kubelet's own, as far as they mean something here."""
    running = [pod for pod in pods if (pod.get("status") or {}).get("phase") == "Running"]
    states = {"created": 0, "exited": 0, "running": 0, "unknown": 0}
    for pod in pods:
        for status in (pod.get("status") or {}).get("containerStatuses") or ():
            state = status.get("state") or {}
            states["running" if "running" in state else "exited" if "terminated" in state else "created"] += 1
    return "\n".join(
        [
            "# HELP kubelet_node_name [ALPHA] The node's name. The count is always 1.",
            "# TYPE kubelet_node_name gauge",
            f'kubelet_node_name{{node="{node}"}} 1',
            "# HELP kubelet_running_pods [BETA] Number of pods that have a running pod sandbox",
            "# TYPE kubelet_running_pods gauge",
            f"kubelet_running_pods {len(running)}",
            "# HELP kubelet_running_containers [BETA] Number of containers currently running",
            "# TYPE kubelet_running_containers gauge",
            *(f'kubelet_running_containers{{container_state="{name}"}} {count}' for name, count in states.items()),
            "",
        ]
    )
