"""A pod as the scheduler sees it: what plugins ask of it again and again, worked out once."""

from functools import cached_property
from typing import Any

from attrs import frozen

from kubrick_scheduler.requests import CPU, MEMORY, Amounts, pod_requests, scoring_requests

Object = dict[str, Any]
ANY_ADDRESS = "0.0.0.0"  # noqa: S104 -- Kubernetes' word for all addresses


@frozen
class HostPort:
    """A port of the node that a pod wants for itself."""

    ip: str
    protocol: str
    port: int


def host_ports(spec: Object) -> tuple[HostPort, ...]:
    """The host ports of a pod's containers and sidecars. No address means all of them."""
    sidecars = (c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always")
    return tuple(
        HostPort(port.get("hostIP") or ANY_ADDRESS, port.get("protocol") or "TCP", port["hostPort"])
        for container in (*(spec.get("containers") or ()), *sidecars)
        for port in container.get("ports") or ()
        if port.get("hostPort")
    )


def pod_key(pod: Object) -> str:
    """namespace/name"""
    metadata = pod["metadata"]
    return f"{metadata.get('namespace', '')}/{metadata['name']}"


class PodInfo:
    """One version of one pod. `object` is shared and must not be changed; `state` is the plugins' scratch
    pad for one scheduling attempt."""

    def __init__(self, pod: Object) -> None:
        metadata = pod["metadata"]
        self.object = pod
        self.name: str = metadata["name"]
        self.namespace: str = metadata.get("namespace", "")
        self.key = f"{self.namespace}/{self.name}"
        self.uid: str = metadata.get("uid", "")
        self.spec: Object = pod["spec"]
        self.state: dict[str, Any] = {}

    @property
    def labels(self) -> dict[str, str]:
        return self.object["metadata"].get("labels") or {}

    @property
    def node_name(self) -> str:
        """The node it is bound to, or ""."""
        return self.spec.get("nodeName") or ""

    @property
    def priority(self) -> int:
        return self.spec.get("priority") or 0

    @property
    def scheduler_name(self) -> str:
        return self.spec.get("schedulerName") or "default-scheduler"

    @property
    def deleting(self) -> bool:
        return bool(self.object["metadata"].get("deletionTimestamp"))

    @cached_property
    def requests(self) -> Amounts:
        """What it asks of its node, per resource (`kubrick_scheduler.requests`)."""
        return pod_requests(self.object, assigned=bool(self.node_name))

    @cached_property
    def scoring_requests(self) -> tuple[int, int]:
        """(millicores, bytes) it counts for when nodes are scored."""
        requests, spec = self.requests, self.spec
        asking = all(
            (c.get("resources") or {}).get("requests", {}).keys() >= {CPU, MEMORY} for c in spec.get("containers") or ()
        )
        if asking and not spec.get("initContainers"):
            return requests.get(CPU, 0), requests.get(MEMORY, 0)
        return scoring_requests(self.object, requests, assigned=bool(self.node_name))

    @cached_property
    def ports(self) -> tuple[HostPort, ...]:
        return host_ports(self.spec)

    @cached_property
    def images(self) -> tuple[str, ...]:
        """The images of its containers, init containers and image volumes."""
        containers = (*(self.spec.get("initContainers") or ()), *(self.spec.get("containers") or ()))
        volumes = (v["image"].get("reference", "") for v in self.spec.get("volumes") or () if v.get("image"))
        return (*(c.get("image", "") for c in containers), *volumes)

    @cached_property
    def tolerations(self) -> tuple["Toleration", ...]:
        return tuple(Toleration.of(t) for t in self.spec.get("tolerations") or ())


@frozen
class Taint:
    key: str
    value: str
    effect: str

    @classmethod
    def of(cls, obj: Object) -> "Taint":
        return cls(obj.get("key", ""), obj.get("value", ""), obj.get("effect", ""))


@frozen
class Toleration:
    """One toleration; an empty key with Exists tolerates everything, an empty effect every effect."""

    key: str
    operator: str
    value: str
    effect: str

    @classmethod
    def of(cls, obj: Object) -> "Toleration":
        return cls(obj.get("key", ""), obj.get("operator") or "Equal", obj.get("value", ""), obj.get("effect", ""))

    def tolerates(self, taint: Taint) -> bool:
        if self.effect and self.effect != taint.effect:
            return False
        if self.key and self.key != taint.key:
            return False
        if self.operator == "Exists":
            return True
        return self.operator == "Equal" and self.value == taint.value


def tolerated(taint: Taint, tolerations: tuple[Toleration, ...]) -> bool:
    return any(toleration.tolerates(taint) for toleration in tolerations)
