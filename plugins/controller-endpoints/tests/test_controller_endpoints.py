"""A service's Endpoints, planned without a cluster."""

from kubrick_controller_endpoints.plan import LIMIT, subsets, wanted


def make_service(**spec):
    metadata = {"name": "web", "namespace": "default", "labels": {"team": "a"}}
    return {"metadata": metadata, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}], **spec}}


def make_pod(index, ready=True, terminating=False):
    metadata = {"name": f"web-{index}", "namespace": "default", "uid": f"u{index:05d}"}
    if terminating:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {
        "metadata": metadata,
        "spec": {"nodeName": "node-1", "containers": [{"name": "web"}]},
        "status": {
            "phase": "Running",
            "podIP": f"10.{index // 60000}.{index // 250 % 250}.{index % 250 + 1}",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def test_ready_and_unready_addresses_stand_apart():
    (subset,), truncated = subsets(make_service(), [make_pod(2), make_pod(1), make_pod(3, ready=False)])
    assert [a["ip"] for a in subset["addresses"]] == ["10.0.0.2", "10.0.0.3"]
    assert [a["ip"] for a in subset["notReadyAddresses"]] == ["10.0.0.4"]
    assert subset["ports"] == [{"port": 80, "protocol": "TCP"}]
    assert not truncated


def test_terminating_pods_leave_unless_unready_addresses_are_published():
    assert subsets(make_service(), [make_pod(1, terminating=True)])[0] == []
    published, _ = subsets(make_service(publishNotReadyAddresses=True), [make_pod(1, ready=False, terminating=True)])
    assert len(published[0]["addresses"]) == 1


def test_a_headless_service_without_ports_has_addresses_without_ports():
    (subset,), _ = subsets(make_service(ports=[], clusterIP="None"), [make_pod(1)])
    assert "ports" not in subset


def test_no_more_than_a_thousand_addresses_and_the_annotation_says_so():
    made = wanted(make_service(), [make_pod(n, ready=n % 2 == 0) for n in range(LIMIT + 500)], None, "")
    (subset,) = made["subsets"]
    assert len(subset["addresses"]) == 750
    assert len(subset["notReadyAddresses"]) == 250
    assert made["metadata"]["annotations"] == {"endpoints.kubernetes.io/over-capacity": "truncated"}


def test_what_is_right_is_left_alone():
    pods = [make_pod(1)]
    made = wanted(make_service(), pods, None, "2026-01-01T00:00:00Z")
    assert made["metadata"]["annotations"]["endpoints.kubernetes.io/last-change-trigger-time"] == "2026-01-01T00:00:00Z"
    assert wanted(make_service(), pods, made, "2026-01-01T00:00:05Z") is None
    assert wanted(make_service(), [], made, "2026-01-01T00:00:05Z")["subsets"] == []
