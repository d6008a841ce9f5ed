"""Pods scheduled per second by the pure cycle: pop from the queue, decide, assume. No API server, no binding.

    .venv/bin/python tests/bench/scheduling.py [--nodes N] [--pods N]

The shapes are those of kube-scheduler's own benchmark (nodes of 4 CPUs, 32 Gi and 110 pods; pods of 100m and
500 Mi), whose figures include an API server and etcd. "every pod different" is the worst case for the
answers that plugins keep between pods.
"""

import argparse
import time
from collections.abc import Callable, Iterable
from typing import Any

from kubrick_kernel.clock import generator
from kubrick_scheduler.cycle import Framework, decide
from kubrick_scheduler.gates import SchedulingGates
from kubrick_scheduler.pod import PodInfo
from kubrick_scheduler.queue import Profile, SchedulingQueue
from kubrick_scheduler.table import NodeTable
from kubrick_scheduler.testing import node, pod
from kubrick_scheduler_image_locality.plugin import ImageLocality
from kubrick_scheduler_node_affinity.plugin import NodeAffinity
from kubrick_scheduler_node_affinity.settings import Settings as AffinitySettings
from kubrick_scheduler_node_name.plugin import NodeName
from kubrick_scheduler_node_ports.plugin import NodePorts
from kubrick_scheduler_node_resources_balanced_allocation.plugin import NodeResourcesBalancedAllocation
from kubrick_scheduler_node_resources_balanced_allocation.settings import Settings as BalancedSettings
from kubrick_scheduler_node_resources_fit.plugin import NodeResourcesFit
from kubrick_scheduler_node_resources_fit.settings import Settings as FitSettings
from kubrick_scheduler_node_unschedulable.plugin import NodeUnschedulable
from kubrick_scheduler_priority_sort import PrioritySort
from kubrick_scheduler_taint_toleration.plugin import TaintToleration

Object = dict[str, Any]
REQUESTS = {"cpu": "100m", "memory": "500Mi"}
ZONES = 5


def default_framework() -> Framework:
    """The default profile, as far as there are plugins."""
    plugins = [
        SchedulingGates(),
        PrioritySort(),
        NodeUnschedulable(),
        NodeName(),
        TaintToleration(),
        NodeAffinity(AffinitySettings()),
        NodePorts(),
        NodeResourcesFit(FitSettings()),
        NodeResourcesBalancedAllocation(BalancedSettings()),
        ImageLocality(),
    ]
    return Framework.of("default-scheduler", plugins)


def basic(i: int) -> Object:
    return pod(f"pod-{i}", requests=REQUESTS)


def in_a_zone(i: int) -> Object:
    term = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["zone-0", "zone-1"]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return pod(f"pod-{i}", requests=REQUESTS, affinity={"nodeAffinity": required})


def different(i: int) -> Object:
    return pod(f"pod-{i}", requests={"cpu": f"{50 + i % 97}m", "memory": f"{400 + i % 89}Mi"})


def measure(make: Callable[[int], Object], nodes: int, before: int, pods: int) -> float:
    """Pods per second, with `before` pods scheduled first."""
    framework, table, random = default_framework(), NodeTable(), generator(0)
    for i in range(nodes):
        table.put_node(node(f"node-{i}", labels={"zone": f"zone-{i % ZONES}"}))
    profile = Profile(framework.sort_key, framework.gate, framework.events())
    queue = SchedulingQueue({framework.scheduler_name: profile}, time.perf_counter)

    def schedule(numbers: Iterable[int]) -> None:
        for i in numbers:
            queue.add(PodInfo(make(i)))
        while (queued := queue.pop()) is not None:
            decision = decide(framework, queued.pod, table, random)
            if not decision.node:
                raise RuntimeError(decision.explain())
            table.assume(queued.pod, decision.node)
            queue.done(queued.pod.key)

    schedule(range(before))
    began = time.perf_counter()
    schedule(range(before, before + pods))
    return pods / (time.perf_counter() - began)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=5000)
    parser.add_argument("--pods", type=int, default=10000)
    asked = parser.parse_args(arguments)
    print(f"pure scheduling cycle, {asked.nodes} nodes, {asked.pods} pods")
    cases = (
        ("SchedulingBasic", basic, 1000, 356),
        ("SchedulingNodeAffinity", in_a_zone, 5000, 255),
        ("every pod different", different, 1000, 356),
    )
    for name, make, before, kubernetes in cases:
        rate = measure(make, asked.nodes, before, asked.pods)
        print(f"  {name:24} {rate:8,.0f} pods/s   kube-scheduler {kubernetes}   {rate / kubernetes:5.1f} ×")


if __name__ == "__main__":
    main()
