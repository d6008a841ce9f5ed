"""What the agent knows in numbers: /stats/summary, /metrics/resource, /metrics/cadvisor and /metrics. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import define, field

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
    cpu = _Family("container_cpu_usage_seconds_total", "counter", CPU_HELP)
    memory = _Family("container_memory_working_set_bytes", "gauge", MEMORY_HELP)
    started = _Family("container_start_time_seconds", "gauge", START_HELP)
    pod_cpu = _Family("pod_cpu_usage_seconds_total", "counter", CPU_HELP.replace("container", "pod"))
    pod_memory = _Family("pod_memory_working_set_bytes", "gauge", MEMORY_HELP.replace("container", "pod"))
    for pod, stats in measured:
        where = {"namespace": pod["metadata"]["namespace"], "pod": pod["metadata"]["name"]}
        for name, usage in stats.containers:
            labels = {"container": name, **where}
            cpu.add(usage.cpu_nanoseconds / 1e9, labels)
            memory.add(usage.memory_working_set, labels)
            since = _started(pod, name)
            if since:
                started.add(datetime.fromisoformat(since).timestamp(), labels)
        total = _sum(usage for _, usage in stats.containers)
        pod_cpu.add(total.cpu_nanoseconds / 1e9, where)
        pod_memory.add(total.memory_working_set, where)
    whole = _sum(usage for _, stats in measured for _, usage in stats.containers)
    node_cpu = _Family("node_cpu_usage_seconds_total", "counter", CPU_HELP.replace("container", "node"))
    node_cpu.add(whole.cpu_nanoseconds / 1e9, {})
    node_memory = _Family("node_memory_working_set_bytes", "gauge", MEMORY_HELP.replace("container", "node"))
    node_memory.add(whole.memory_working_set, {})
    error = _Family("resource_scrape_error", "gauge", f"[STABLE] {SCRAPE_HELP}")
    error.add(0, {})
    return _exposed((cpu, memory, started, node_cpu, node_memory, pod_cpu, pod_memory, error))


def cadvisor_metrics(measured: Sequence[tuple[Object, PodStats]]) -> str:
    """/metrics/cadvisor: cAdvisor's names for what the runtime measures of containers and pods' networks."""
    families = {
        name: _Family(name, kind, help_)
        for name, kind, help_ in (
            ("container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed in seconds."),
            ("container_memory_usage_bytes", "gauge", "Current memory usage in bytes, including all memory."),
            ("container_memory_working_set_bytes", "gauge", "Current working set in bytes."),
            ("container_memory_rss", "gauge", "Size of RSS in bytes."),
            ("container_memory_failures_total", "counter", "Cumulative count of memory allocation failures."),
            ("container_fs_usage_bytes", "gauge", "Number of bytes that are consumed by the container."),
            ("container_fs_inodes_used", "gauge", "Number of Inodes used"),
            ("container_network_receive_bytes_total", "counter", "Cumulative count of bytes received"),
            ("container_network_receive_errors_total", "counter", "Cumulative count of errors while receiving"),
            ("container_network_transmit_bytes_total", "counter", "Cumulative count of bytes transmitted"),
            ("container_network_transmit_errors_total", "counter", "Cumulative count of errors while transmitting"),
        )
    }
    for pod, stats in measured:
        metadata = pod["metadata"]
        where = {"namespace": metadata["namespace"], "pod": metadata["name"]}
        for name, usage in stats.containers:
            labels = {"container": name, **where}
            for family, value in _of_container(usage):
                families[family].add(value, labels)
            failures = families["container_memory_failures_total"]
            failures.add(usage.page_faults, {**labels, "failure_type": "pgfault", "scope": "container"})
            failures.add(usage.major_page_faults, {**labels, "failure_type": "pgmajfault", "scope": "container"})
        for each in stats.interfaces:
            labels = {"interface": each.name, **where}
            families["container_network_receive_bytes_total"].add(each.rx_bytes, labels)
            families["container_network_receive_errors_total"].add(each.rx_errors, labels)
            families["container_network_transmit_bytes_total"].add(each.tx_bytes, labels)
            families["container_network_transmit_errors_total"].add(each.tx_errors, labels)
    return _exposed(families.values())


def _of_container(usage: Usage) -> Iterable[tuple[str, float]]:
    yield "container_cpu_usage_seconds_total", usage.cpu_nanoseconds / 1e9
    yield "container_memory_usage_bytes", usage.memory_usage
    yield "container_memory_working_set_bytes", usage.memory_working_set
    yield "container_memory_rss", usage.memory_rss
    yield "container_fs_usage_bytes", usage.filesystem_used
    yield "container_fs_inodes_used", usage.filesystem_inodes


CPU_HELP = "[STABLE] Cumulative cpu time consumed by the container in core-seconds"
MEMORY_HELP = "[STABLE] Current working set of the container in bytes"
START_HELP = "[STABLE] Start time of the container since unix epoch in seconds"
SCRAPE_HELP = "1 if there was an error while getting container metrics, 0 otherwise"


@define
class _Family:
    """One metric: its samples in Prometheus' text form."""

    name: str
    kind: str
    help: str
    lines: list[str] = field(factory=list)

    def add(self, value: float, labels: Mapping[str, str]) -> None:
        shown = ",".join(f'{key}="{text}"' for key, text in sorted(labels.items()))
        self.lines.append(f"{self.name}{{{shown}}} {value}" if shown else f"{self.name} {value}")


def _exposed(families: Iterable[_Family]) -> str:
    found: list[str] = []
    for family in families:
        found += [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.kind}", *family.lines]
    return "\n".join([*found, ""])


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
