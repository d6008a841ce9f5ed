"""A service's slices, planned without a cluster."""

from hypothesis import given
from hypothesis import strategies as st

from kubrick_controller_endpointslice.plan import LIMIT, MANAGED_BY, SERVICE_NAME, Plan, plan


def make_service(**spec):
    metadata = {"name": "web", "namespace": "default", "uid": "s", "labels": {"team": "a"}}
    return {"metadata": metadata, "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}], **spec}}


def make_pod(index, ready=True, terminating=False, port=None, **spec):
    metadata = {"name": f"web-{index}", "namespace": "default", "uid": f"u{index:04d}", "labels": {"app": "web"}}
    if terminating:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    container = {"name": "web", "ports": [{"name": "web", "containerPort": port}]} if port else {"name": "web"}
    return {
        "metadata": metadata,
        "spec": {"nodeName": "node-1", "containers": [container], **spec},
        "status": {
            "phase": "Running",
            "podIP": f"10.0.{index // 250}.{index % 250 + 1}",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


class Api:
    """Applies plans as the API would."""

    def __init__(self):
        self.slices, self.writes, self._count = {}, 0, 0

    def apply(self, todo: Plan):
        for made in todo.create:
            self._count += 1
            name = f"web-{self._count:05d}"
            self.slices[name] = {**made, "metadata": {**made["metadata"], "name": name}}
        for changed in todo.update:
            self.slices[changed["metadata"]["name"]] = changed
        for gone in todo.delete:
            del self.slices[gone["metadata"]["name"]]
        self.writes = len(todo.create) + len(todo.update) + len(todo.delete)

    def sync(self, service, pods, zones=None):
        self.apply(plan(service, pods, [self.slices[n] for n in sorted(self.slices)], zones or {}, ""))

    @property
    def endpoints(self):
        return [e for s in self.slices.values() for e in s["endpoints"]]


def test_a_slice_says_what_kubernetes_says():
    api = Api()
    api.sync(make_service(), [make_pod(1), make_pod(2, ready=False)], {"node-1": "z1"})
    (only,) = api.slices.values()
    assert only["metadata"]["labels"] == {
        "team": "a",
        SERVICE_NAME: "web",
        MANAGED_BY: "endpointslice-controller.k8s.io",
    }
    assert only["metadata"]["ownerReferences"][0]["kind"] == "Service"
    assert only["ports"] == [{"name": "http", "port": 80, "protocol": "TCP"}]
    first, second = only["endpoints"]
    assert first["conditions"] == {"ready": True, "serving": True, "terminating": False}
    assert second["conditions"] == {"ready": False, "serving": False, "terminating": False}
    assert (first["zone"], first["nodeName"], first["targetRef"]["name"]) == ("z1", "node-1", "web-1")


def test_a_terminating_pod_serves_but_is_not_ready():
    api = Api()
    api.sync(make_service(), [make_pod(1, terminating=True)])
    assert api.endpoints[0]["conditions"] == {"ready": False, "serving": True, "terminating": True}


def test_a_service_without_pods_keeps_one_empty_slice_and_reuses_it():
    api = Api()
    api.sync(make_service(), [])
    assert [s["endpoints"] for s in api.slices.values()] == [[]]
    name = next(iter(api.slices))
    api.sync(make_service(), [make_pod(1)])
    assert list(api.slices) == [name]
    assert len(api.endpoints) == 1


def test_nothing_is_written_when_nothing_changed():
    api, pods = Api(), [make_pod(n) for n in range(5)]
    api.sync(make_service(), pods)
    api.sync(make_service(), pods)
    assert api.writes == 0


def test_named_ports_that_differ_make_slices_that_differ():
    api = Api()
    service = make_service(ports=[{"name": "http", "port": 80, "targetPort": "web"}])
    api.sync(service, [make_pod(1, port=8080), make_pod(2, port=9090)])
    assert sorted(s["ports"][0]["port"] for s in api.slices.values()) == [8080, 9090]


def test_one_pod_more_changes_one_slice_only():
    api, pods = Api(), [make_pod(n) for n in range(250)]
    api.sync(make_service(), pods)
    assert sorted(len(s["endpoints"]) for s in api.slices.values()) == [50, 100, 100]
    api.sync(make_service(), [*pods, make_pod(250)])
    assert api.writes == 1


def test_dual_stack_services_have_slices_of_both_families():
    api, pod = Api(), make_pod(1)
    pod["status"]["podIPs"] = [{"ip": "10.0.0.2"}, {"ip": "fd00::2"}]
    api.sync(make_service(ipFamilies=["IPv4", "IPv6"]), [pod])
    assert {s["addressType"]: s["endpoints"][0]["addresses"] for s in api.slices.values()} == {
        "IPv4": ["10.0.0.2"],
        "IPv6": ["fd00::2"],
    }
    api.sync(make_service(ipFamilies=["IPv4"]), [pod])
    assert {s["addressType"] for s in api.slices.values()} == {"IPv4"}


@given(st.lists(st.sets(st.integers(0, 240)), min_size=1, max_size=6))
def test_whatever_pods_come_and_go_slices_hold_each_exactly_once(rounds):
    api, service = Api(), make_service()
    for indexes in rounds:
        api.sync(service, [make_pod(n) for n in sorted(indexes)])
        assert sorted(e["targetRef"]["uid"] for e in api.endpoints) == [f"u{n:04d}" for n in sorted(indexes)]
        assert all(len(s["endpoints"]) <= LIMIT for s in api.slices.values())
        assert api.slices
        api.sync(service, [make_pod(n) for n in sorted(indexes)])
        assert api.writes == 0
