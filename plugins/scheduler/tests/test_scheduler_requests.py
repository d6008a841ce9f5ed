"""What a pod asks of a node, against Kubernetes' rules."""

import pytest

from kubrick_scheduler.pod import PodInfo
from kubrick_scheduler.requests import is_extended, is_scalar, pod_requests
from kubrick_scheduler.testing import pod

MI = 1024 * 1024


def container(name="c", restart="", **requests):
    made = {"name": name, "resources": {"requests": requests}}
    if restart:
        made["restartPolicy"] = restart
    return made


def test_containers_are_added_up():
    made = pod(containers=[container("a", cpu="100m", memory="1Mi"), container("b", cpu="1")])
    assert pod_requests(made) == {"cpu": 1100, "memory": MI}


def test_an_init_container_counts_when_it_needs_more_than_all_containers_together():
    made = pod(containers=[container(cpu="1", memory="1Gi")], initContainers=[container("i", cpu="2", memory="1Mi")])
    assert pod_requests(made) == {"cpu": 2000, "memory": 1024 * MI}


def test_a_sidecar_counts_beside_containers_and_later_init_containers():
    made = pod(
        containers=[container(cpu="1")],
        initContainers=[
            container("first", cpu="4"),
            container("sidecar", restart="Always", cpu="2"),
            container("second", cpu="3"),
        ],
    )
    # Containers with sidecar: 3; first alone: 4; second beside the sidecar: 5.
    assert pod_requests(made) == {"cpu": 5000}


def test_overhead_comes_on_top():
    made = pod(containers=[container(cpu="1")], overhead={"cpu": "250m", "memory": "1Mi"})
    assert pod_requests(made) == {"cpu": 1250, "memory": MI}


def test_pod_level_requests_replace_those_of_containers_for_cpu_memory_and_huge_pages_only():
    made = pod(
        containers=[container(cpu="1", memory="1Mi", **{"example.com/gpu": "1"})],
        resources={"requests": {"cpu": "3", "example.com/gpu": "7"}},
    )
    assert pod_requests(made) == {"cpu": 3000, "memory": MI, "example.com/gpu": 1}


def test_an_assigned_pod_counts_the_most_of_asked_allotted_and_actual():
    made = pod(containers=[container(cpu="1")], on="n")
    made["status"] = {
        "containerStatuses": [
            {"name": "c", "resources": {"requests": {"cpu": "3"}}, "allocatedResources": {"cpu": "2"}}
        ]
    }
    assert PodInfo(made).requests == {"cpu": 3000}


def test_an_infeasible_resize_counts_what_the_pod_has_not_what_it_asks():
    made = pod(containers=[container(cpu="8")], on="n")
    made["status"] = {
        "containerStatuses": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}],
        "conditions": [{"type": "PodResizePending", "status": "True", "reason": "Infeasible"}],
    }
    assert PodInfo(made).requests == {"cpu": 1000}


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (pod(), (100, 200 * MI)),
        (pod(cpu="1"), (1000, 200 * MI)),
        (pod(cpu="0", memory="1Mi"), (0, MI)),
        (pod(containers=[container("a"), container("b", cpu="1")]), (1100, 400 * MI)),
        (pod(containers=[container()], resources={"requests": {"cpu": "2"}}), (2000, 200 * MI)),
        (pod(containers=[container()], initContainers=[container("i", cpu="2")]), (2000, 200 * MI)),
    ],
)
def test_a_container_without_requests_counts_100m_and_200mi_when_nodes_are_scored(made, expected):
    assert PodInfo(made).scoring_requests == expected


def test_fractions_of_bytes_are_rounded_up():
    assert pod_requests(pod(memory="1500m")) == {"memory": 2}


def test_extended_resources_are_those_of_a_domain_that_is_not_kubernetes_own():
    assert is_extended("example.com/gpu")
    assert not is_extended("cpu")
    assert not is_extended("hugepages-2Mi")
    assert not is_extended("kubernetes.io/batch")
    assert is_scalar("hugepages-2Mi")
    assert is_scalar("example.com/gpu")
    assert not is_scalar("memory")


def test_host_ports_of_containers_and_sidecars_count_and_those_of_init_containers_dont():
    ports = [{"containerPort": 1, "hostPort": 80}, {"containerPort": 2}]
    made = pod(ports=ports, initContainers=[{"name": "i", "ports": [{"hostPort": 81}]}])
    made["spec"]["initContainers"].append(
        {"name": "s", "restartPolicy": "Always", "ports": [{"hostPort": 82, "protocol": "UDP", "hostIP": "10.0.0.1"}]}
    )
    found = [(p.ip, p.protocol, p.port) for p in PodInfo(made).ports]
    assert found == [("0.0.0.0", "TCP", 80), ("10.0.0.1", "UDP", 82)]
