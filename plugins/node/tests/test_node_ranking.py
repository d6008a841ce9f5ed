"""Who goes first, who uses too much, and what they are told; decided without a node."""

import pytest

from kubrick_node.eviction import IMAGEFS, MEMORY, NODEFS, NODEFS_INODES, PIDS, Observed, thresholds
from kubrick_node.ranking import (
    ContainerUsage,
    PodUsage,
    Space,
    excess,
    has_storage_limits,
    is_critical,
    rank,
    shortage_message,
)

MI = 1 << 20


def make_pod(name, requests=None, limits=None, priority=0, volumes=(), annotations=None):
    resources = {"requests": requests or {}, "limits": limits or {}}
    return {
        "metadata": {"name": name, "uid": name, "annotations": annotations or {}},
        "spec": {
            "priority": priority,
            "containers": [{"name": "web", "resources": resources}],
            "volumes": list(volumes),
        },
    }


def used(memory=0, rootfs=0, logs=0, processes=0, own=0, inodes=0, **volumes):
    web = ContainerUsage("web", memory, Space(rootfs, inodes), Space(logs, 0))
    return PodUsage((web,), {name: Space(size, 1) for name, size in volumes.items()}, Space(own), processes)


def order(signal, *pairs, **more):
    usage = {pod["metadata"]["uid"]: found for pod, found in pairs if found is not None}
    return [pod["metadata"]["name"] for pod in rank(signal, [pod for pod, _ in pairs], usage, **more)]


SCRATCH = {"name": "scratch", "emptyDir": {}}


def test_for_memory_those_go_first_that_use_more_than_they_asked_for_then_the_least_important_then_the_biggest():
    assert order(
        MEMORY,
        (make_pod("modest", {"memory": "1Gi"}), used(memory=900 * MI)),
        (make_pod("important", priority=1000), used(memory=500 * MI)),
        (make_pod("small"), used(memory=10 * MI)),
        (make_pod("big", {"memory": "100Mi"}), used(memory=200 * MI)),
        (make_pod("unknown", {"memory": "9Gi"}, priority=5), None),
    ) == ["unknown", "big", "small", "important", "modest"]


def test_for_the_disk_files_logs_and_volumes_count_against_what_was_asked_for():
    pairs = (
        (make_pod("asked", {"ephemeral-storage": "1Gi"}), used(rootfs=900 * MI)),
        (make_pod("logger"), used(logs=50 * MI)),
        (make_pod("writer"), used(rootfs=60 * MI)),
        (make_pod("keeper", volumes=[SCRATCH]), used(scratch=70 * MI)),
        (make_pod("ram", volumes=[{"name": "m", "emptyDir": {"medium": "Memory"}}]), used(m=900 * MI, rootfs=1)),
    )
    assert order(NODEFS, *pairs) == ["keeper", "writer", "logger", "ram", "asked"]
    assert order(NODEFS, *pairs, own_imagefs=True)[:2] == ["keeper", "logger"]
    assert order(IMAGEFS, *pairs, own_imagefs=True)[:2] == ["writer", "ram"]


def test_for_inodes_it_is_their_number_that_counts():
    few, many = used(rootfs=900 * MI, inodes=3), used(inodes=3000)
    assert order(NODEFS_INODES, (make_pod("few"), few), (make_pod("many"), many)) == ["many", "few"]


def test_for_processes_importance_comes_before_number():
    assert order(
        PIDS,
        (make_pod("important", priority=9), used(processes=900)),
        (make_pod("few"), used(processes=2)),
        (make_pod("many"), used(processes=30)),
    ) == ["many", "few", "important"]


def test_static_pods_and_those_of_the_systems_priorities_are_critical():
    assert not is_critical(make_pod("p", priority=1_000_000_000, annotations={"kubernetes.io/config.source": "api"}))
    assert is_critical(make_pod("p", priority=2_000_000_000))
    assert is_critical(make_pod("p", annotations={"kubernetes.io/config.source": "file"}))
    assert is_critical(make_pod("p", annotations={"kubernetes.io/config.mirror": "abc"}))


def test_the_message_is_the_kubelets():
    met = thresholds({NODEFS: "10%"})
    pod = make_pod("p", {"ephemeral-storage": "1Ki"})
    text = shortage_message(pod, used(rootfs=3 * 1024, logs=1024), met, {NODEFS: Observed(512 * 1024, 1 << 30)})
    assert text == (
        "The node was low on resource: ephemeral-storage. Threshold quantity: 107374184, available: 512Ki. "
        "Container web was using 4Ki, request is 1Ki, has larger consumption of ephemeral-storage. "
    )
    met = thresholds({MEMORY: "100Mi"})
    text = shortage_message(make_pod("p"), used(memory=5 * MI), met, {MEMORY: Observed(MI, 1 << 30)})
    assert text == (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 1Mi. "
        "Container web was using 5Mi, request is 0, has larger consumption of memory. "
    )
    met = thresholds({PIDS: "1k"})
    text = shortage_message(make_pod("p"), used(processes=4), met, {PIDS: Observed(999, 32768)})
    assert text == "The node was low on resource: pids. Threshold quantity: 1k, available: 999. "


def limited(size):
    return {"name": "scratch", "emptyDir": {"sizeLimit": size}}


@pytest.mark.parametrize(
    ("pod", "usage", "words"),
    [
        (
            make_pod("p", volumes=[limited("1Mi")]),
            used(scratch=MI + 1),
            'Usage of EmptyDir volume "scratch" exceeds the limit "1Mi". ',
        ),
        (make_pod("p", volumes=[limited("1Mi")]), used(scratch=MI), ""),
        (make_pod("p", volumes=[limited("1Mi")]), used(rootfs=9 * MI), ""),
        (
            make_pod("p", limits={"ephemeral-storage": "2Mi"}, volumes=[SCRATCH]),
            used(rootfs=MI, scratch=MI, own=1),
            "Pod ephemeral local storage usage exceeds the total limit of containers 2Mi. ",
        ),
        (make_pod("p", limits={"ephemeral-storage": "2Mi"}, volumes=[SCRATCH]), used(rootfs=MI, scratch=MI), ""),
    ],
)
def test_who_uses_more_disk_than_it_may_is_told_of_what(pod, usage, words):
    assert has_storage_limits(pod)
    assert excess(pod, usage) == words


def test_one_container_may_not_use_what_another_leaves():
    pod = make_pod("p", limits={"ephemeral-storage": "1Mi"})
    pod["spec"]["containers"].append({"name": "db", "resources": {"limits": {"ephemeral-storage": "9Mi"}}})
    words = 'Container web exceeded its local ephemeral storage limit "1Mi". '
    assert excess(pod, used(rootfs=2 * MI)) == words
    assert excess(pod, used(rootfs=2 * MI), own_imagefs=True) == ""
    assert excess(pod, used(logs=2 * MI), own_imagefs=True) == words


def test_who_has_no_limit_is_not_looked_at():
    assert not has_storage_limits(make_pod("p", {"ephemeral-storage": "1Mi"}, volumes=[SCRATCH]))
