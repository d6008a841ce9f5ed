"""Whether a node takes a pod, and what its cgroup allows."""

from datetime import UTC, datetime

import pytest

from kubrick_node.admission import admit
from kubrick_node.qos import cgroup_parent, cgroup_parts, cpu_shares, pod_cgroup_limits, pod_requests, qos_class
from kubrick_node.register import Condition, Machine, node_status
from kubrick_node.runtime import RuntimeInfo

NODE = {"metadata": {"name": "node-1", "labels": {"kubernetes.io/os": "linux", "disk": "ssd"}}, "spec": {}}
ROOM = {"cpu": "2", "memory": "1Gi", "pods": "3"}


def make_pod(requests=None, limits=None, name="p", ports=(), **spec):
    resources = {key: value for key, value in (("requests", requests), ("limits", limits)) if value}
    container = {"name": "web", "resources": resources, "ports": list(ports)}
    return {"metadata": {"name": name, "uid": f"u-{name}"}, "spec": {"containers": [container], **spec}}


def why(pod, node=NODE, others=(), **more):
    rejection = admit(pod, node, others, ROOM, **more)
    return rejection and (rejection.reason, rejection.message)


def test_a_pod_that_fits_is_taken():
    assert why(make_pod({"cpu": "2"})) is None


def test_what_does_not_fit_is_refused_in_numbers():
    others = [make_pod({"cpu": "1500m"}, name="o")]
    message = "Node didn't have enough resource: cpu, requested: 1000, used: 1500, capacity: 2000"
    assert why(make_pod({"cpu": "1"}), others=others) == ("OutOfcpu", message)
    assert why(make_pod({"memory": "2Gi"}))[0] == "OutOfmemory"
    assert why(make_pod({"example.com/gpu": "1"}))[0] == "OutOfexample.com/gpu"
    crowd = [make_pod(name=f"o{n}") for n in range(3)]
    message = "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3"
    assert why(make_pod(), others=crowd) == ("OutOfpods", message)


def test_placement_is_checked_once_more():
    message = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
    assert why(make_pod(nodeSelector={"disk": "hdd"})) == ("NodeAffinity", message)
    term = {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    assert why(make_pod(affinity={"nodeAffinity": required})) is None
    term["matchExpressions"][0]["operator"] = "NotIn"
    assert why(make_pod(affinity={"nodeAffinity": required}))[0] == "NodeAffinity"
    assert why(make_pod(nodeSelector={"kubernetes.io/os": "windows"}))[0] == "PodOSSelectorNodeLabelDoesNotMatch"


def test_host_ports_are_taken_once():
    taken = make_pod(ports=[{"hostPort": 80, "hostIP": "127.0.0.1"}], name="o")
    assert why(make_pod(ports=[{"hostPort": 80}]), others=[taken])[0] == "NodePorts"
    assert why(make_pod(ports=[{"hostPort": 80, "hostIP": "127.0.0.2"}]), others=[taken]) is None
    assert why(make_pod(ports=[{"hostPort": 80, "protocol": "UDP"}]), others=[taken]) is None


def test_only_taints_that_evict_count():
    tainted = {**NODE, "spec": {"taints": [{"key": "a", "effect": "NoSchedule"}, {"key": "b", "effect": "NoExecute"}]}}
    assert why(make_pod(), node=tainted)[0] == "TaintToleration"
    assert why(make_pod(tolerations=[{"key": "b", "operator": "Exists"}]), node=tainted) is None
    assert why(make_pod(tolerations=[{"operator": "Exists"}]), node=tainted) is None


def test_app_armor_is_not_promised_where_there_is_none():
    profile = {"appArmorProfile": {"type": "RuntimeDefault"}}
    message = "Cannot enforce AppArmor: AppArmor is not enabled on the host"
    assert why(make_pod(securityContext=profile), app_armor=False) == ("AppArmor", message)
    assert why(make_pod(securityContext=profile)) is None
    assert why(make_pod(), app_armor=False) is None
    unconfined = make_pod(securityContext=profile)
    unconfined["spec"]["containers"][0]["securityContext"] = {"appArmorProfile": {"type": "Unconfined"}}
    assert why(unconfined, app_armor=False) is None


def test_groups_are_strict_only_where_the_runtime_can_have_it():
    strict = make_pod(securityContext={"supplementalGroupsPolicy": "Strict"})
    message = "SupplementalGroupsPolicy=Strict is not supported in this node"
    assert why(strict) == ("SupplementalGroupsPolicyNotSupported", message)
    able = {**NODE, "status": {"features": {"supplementalGroupsPolicy": True}}}
    assert why(strict, node=able) is None
    assert why(make_pod(securityContext={"supplementalGroupsPolicy": "Merge"})) is None


def test_a_node_tells_what_its_runtime_can_do():
    machine = Machine("n", "10.0.0.1", {}, {}, RuntimeInfo("r", "1"), "v1")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    told = node_status(machine, {}, now, Condition(handlers=("", "runc"), deep=("runc",), strict_groups=True))
    assert told["features"] == {"supplementalGroupsPolicy": True}
    assert told["runtimeHandlers"] == [
        {"features": {"recursiveReadOnlyMounts": False, "userNamespaces": False}},
        {"name": "runc", "features": {"recursiveReadOnlyMounts": True, "userNamespaces": False}},
    ]
    assert not {"features", "runtimeHandlers"} & set(node_status(machine, {}, now))


def test_a_node_short_of_something_takes_no_more():
    assert why(make_pod(), pressures=("DiskPressure",)) == ("Evicted", "The node had condition: [DiskPressure]. ")
    assert why(make_pod({"cpu": "1"}), pressures=("MemoryPressure",)) is None
    assert why(make_pod(), pressures=("MemoryPressure",))[0] == "Evicted"
    assert why(make_pod(priority=2_000_000_000), pressures=("DiskPressure",)) is None


def test_sysctls_outside_the_safe_set_have_to_be_allowed():
    pod = make_pod(securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "1"}]})
    assert why(pod) == ("SysctlForbidden", 'forbidden sysctl: "kernel.msgmax" not allowlisted')
    assert why(pod, allowed_sysctls=["kernel.msg*"]) is None


@pytest.mark.parametrize(
    ("requests", "limits", "expected"),
    [
        (None, None, "BestEffort"),
        ({"cpu": "1"}, None, "Burstable"),
        ({"cpu": "1", "memory": "1Gi"}, {"cpu": "1", "memory": "1Gi"}, "Guaranteed"),
        (None, {"cpu": "1", "memory": "1Gi"}, "Guaranteed"),
        ({"cpu": "1", "memory": "1Gi"}, {"cpu": "2", "memory": "1Gi"}, "Burstable"),
    ],
)
def test_the_class_of_a_pod_follows_its_resources(requests, limits, expected):
    assert qos_class(make_pod(requests, limits)) == expected


def test_init_containers_and_sidecars_count_as_kubernetes_counts_them():
    def one(name, cpu, **more):
        return {"name": name, "resources": {"requests": {"cpu": cpu}}, **more}

    pod = make_pod({"cpu": "1"}, overhead={"cpu": "100m"})
    pod["spec"]["initContainers"] = [one("side", "500m", restartPolicy="Always"), one("setup", "2")]
    assert pod_requests(pod)["cpu"].milli == 2600
    pod["spec"]["initContainers"][1] = one("setup", "200m")
    assert pod_requests(pod)["cpu"].milli == 1600


def test_cgroups_carry_the_pods_limits():
    limits = pod_cgroup_limits(make_pod({"cpu": "500m"}, {"cpu": "1", "memory": "64Mi"}))
    assert (limits.shares, limits.quota, limits.memory) == (512, 100_000, 64 << 20)
    assert pod_cgroup_limits(make_pod({"cpu": "500m"})).quota is None
    assert (cpu_shares(0), cpu_shares(1000)) == (2, 1024)


def test_cgroups_are_named_for_both_drivers():
    pod = make_pod({"cpu": "1"})
    pod["metadata"]["uid"] = "a-b"
    assert cgroup_parent(cgroup_parts(pod), "cgroupfs", "/kubrick") == "/kubrick/kubepods/burstable/poda-b"
    assert cgroup_parent(cgroup_parts(pod), "systemd") == "kubepods-burstable-poda_b.slice"
