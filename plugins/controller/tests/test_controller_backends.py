"""Which pods stand behind a service."""

from kubrick_controller.backends import Selectors, find_port, hostname_in, matters_to_endpoints, pod_ips


def make_pod(**spec):
    ports = [{"name": "http", "containerPort": 8080}, {"name": "dns", "containerPort": 53, "protocol": "UDP"}]
    metadata = {"name": "p", "namespace": "default", "labels": {"app": "web"}}
    return {"metadata": metadata, "spec": {"containers": [{"name": "c", "ports": ports}], **spec}, "status": {}}


def test_ports_are_found_by_number_and_by_name_and_protocol():
    assert find_port(make_pod(), {"port": 80}) == 80
    assert find_port(make_pod(), {"port": 80, "targetPort": 8081}) == 8081
    assert find_port(make_pod(), {"port": 80, "targetPort": "http"}) == 8080
    assert find_port(make_pod(), {"port": 53, "targetPort": "dns"}) is None
    assert find_port(make_pod(), {"port": 53, "targetPort": "dns", "protocol": "UDP"}) == 53


def test_sidecars_have_ports_too_and_init_containers_have_not():
    named = {"name": "s", "ports": [{"name": "metrics", "containerPort": 9}]}
    assert find_port(make_pod(initContainers=[named]), {"port": 1, "targetPort": "metrics"}) is None
    sidecar = {**named, "restartPolicy": "Always"}
    assert find_port(make_pod(initContainers=[sidecar]), {"port": 1, "targetPort": "metrics"}) == 9


def test_services_are_found_by_the_pods_they_choose():
    selectors = Selectors()
    for name, selector in (("a", {"app": "web"}), ("b", {"app": "db"}), ("c", {})):
        selectors.put({"metadata": {"name": name, "namespace": "default"}, "spec": {"selector": selector}})
    assert selectors.of(make_pod()) == ["default/a"]
    selectors.drop({"metadata": {"name": "a", "namespace": "default"}})
    assert selectors.of(make_pod()) == []


def test_a_hostname_counts_only_under_the_subdomain_of_the_service():
    service = {"metadata": {"name": "db", "namespace": "default"}}
    assert hostname_in(service, make_pod(hostname="db-0", subdomain="db")) == "db-0"
    assert hostname_in(service, make_pod(hostname="db-0", subdomain="other")) == ""


def test_only_changes_that_can_matter_matter():
    old, new = make_pod(), make_pod()
    new["status"] = {"podIP": "10.0.0.1"}
    assert matters_to_endpoints(old, new)
    assert pod_ips(new) == ["10.0.0.1"]
    same = make_pod()
    same["status"] = {"podIP": "10.0.0.1", "startTime": "later"}
    assert not matters_to_endpoints(new, same)
