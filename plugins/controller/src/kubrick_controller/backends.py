"""Which pods stand behind a service, and on which ports. Pure; shared by the endpoint controllers.

Source: kube-controller-manager's util/endpoint and endpointslice's FindPort and ShouldPodBeInEndpoints.
"""

from collections.abc import Mapping
from typing import Any

from kubrick_controller.pod import is_finished, is_ready

Object = dict[str, Any]


def selects(service: Object, pod: Object) -> bool:
    """Whether the service's selector (which must not be empty) chooses the pod."""
    selector: Mapping[str, str] = service["spec"].get("selector") or {}
    labels = pod["metadata"].get("labels") or {}
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def may_be_endpoint(pod: Object, terminating: bool) -> bool:
    """Whether the pod can be an endpoint at all: it has an address and has not ended; one that is being
    deleted counts only where `terminating` ones are wanted."""
    if is_finished(pod) or not pod_ips(pod):
        return False
    return terminating or "deletionTimestamp" not in pod["metadata"]


def pod_ips(pod: Object) -> list[str]:
    status = pod.get("status", {})
    ips = [entry["ip"] for entry in status.get("podIPs") or () if entry.get("ip")]
    return ips or ([status["podIP"]] if status.get("podIP") else [])


def find_port(pod: Object, port: Object) -> int | None:
    """The pod's port number that the service's port leads to; None when the pod has no port of that name."""
    target = port.get("targetPort", port["port"])
    if isinstance(target, int):
        return target or int(port["port"])
    spec = pod["spec"]
    restartable = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    for container in [*spec["containers"], *restartable]:
        for candidate in container.get("ports") or ():
            if candidate.get("name") == target and candidate.get("protocol", "TCP") == port.get("protocol", "TCP"):
                return int(candidate["containerPort"])
    return None


def hostname_in(service: Object, pod: Object) -> str:
    """The pod's DNS hostname under a (headless) service it names as its subdomain, or ""."""
    spec = pod["spec"]
    metadata = service["metadata"]
    if spec.get("subdomain") == metadata["name"] and pod["metadata"]["namespace"] == metadata["namespace"]:
        hostname: str = spec.get("hostname", "")
        return hostname
    return ""


def pod_reference(pod: Object) -> Object:
    """An endpoint's targetRef."""
    metadata = pod["metadata"]
    return {"kind": "Pod", "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}


def matters_to_endpoints(old: Object, new: Object) -> bool:
    """Whether a change of a pod can change any endpoint."""
    before, after = old["metadata"], new["metadata"]
    return (
        is_ready(old) != is_ready(new)
        or pod_ips(old) != pod_ips(new)
        or is_finished(old) != is_finished(new)
        or before.get("labels") != after.get("labels")
        or ("deletionTimestamp" in before) != ("deletionTimestamp" in after)
        or any(old["spec"].get(key) != new["spec"].get(key) for key in ("nodeName", "hostname", "subdomain"))
    )


class Selectors:
    """The services of each namespace that have a selector: to find which of them a pod belongs to."""

    def __init__(self) -> None:
        self._services: dict[str, dict[str, Object]] = {}

    def put(self, service: Object) -> None:
        metadata = service["metadata"]
        space = self._services.setdefault(metadata["namespace"], {})
        if service["spec"].get("selector"):
            space[metadata["name"]] = service
        else:
            space.pop(metadata["name"], None)

    def drop(self, service: Object) -> None:
        metadata = service["metadata"]
        self._services.get(metadata["namespace"], {}).pop(metadata["name"], None)

    def of(self, pod: Object) -> list[str]:
        """Keys ("namespace/name") of the services that choose the pod."""
        namespace = pod["metadata"]["namespace"]
        services = self._services.get(namespace, {})
        return [f"{namespace}/{name}" for name, service in services.items() if selects(service, pod)]
