"""Objects for tests: valid, small, and different only where the test says so.

Every builder returns a plain dict that the API accepts; keyword arguments go into the spec (or are
named below) in Kubernetes' own spelling.
"""

from typing import Any

Object = dict[str, Any]


def _metadata(name: str, namespace: str, labels: dict[str, str] | None, annotations: dict[str, str] | None) -> Object:
    metadata: Object = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = labels
    if annotations:
        metadata["annotations"] = annotations
    return metadata


def container(name: str = "web", image: str = "nginx", **fields: Any) -> Object:
    """A container; `requests` and `limits` may be given as ``cpu="100m"``-like dicts."""
    resources = {key: fields.pop(key) for key in ("requests", "limits") if key in fields}
    made: Object = {"name": name, "image": image, **fields}
    if resources:
        made["resources"] = resources
    return made


def pod(
    name: str = "web",
    namespace: str = "default",
    *,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    requests: dict[str, str] | None = None,
    **spec: Any,
) -> Object:
    """A pod of one container; `requests` are that container's."""
    one = container(requests=requests) if requests else container()
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _metadata(name, namespace, labels, annotations),
        "spec": {"containers": [one], **spec},
    }


def deployment(
    name: str = "web",
    namespace: str = "default",
    *,
    replicas: int = 3,
    image: str = "nginx",
    labels: dict[str, str] | None = None,
    pod_annotations: dict[str, str] | None = None,
    pod_spec: Object | None = None,
    **spec: Any,
) -> Object:
    """A deployment whose pods carry ``app=<name>``."""
    return _workload("Deployment", name, namespace, replicas, image, labels, pod_annotations, pod_spec, spec)


def replica_set(
    name: str = "web",
    namespace: str = "default",
    *,
    replicas: int = 3,
    image: str = "nginx",
    labels: dict[str, str] | None = None,
    pod_annotations: dict[str, str] | None = None,
    pod_spec: Object | None = None,
    **spec: Any,
) -> Object:
    """A replica set whose pods carry ``app=<name>``."""
    return _workload("ReplicaSet", name, namespace, replicas, image, labels, pod_annotations, pod_spec, spec)


def _workload(
    kind: str,
    name: str,
    namespace: str,
    replicas: int,
    image: str,
    labels: dict[str, str] | None,
    pod_annotations: dict[str, str] | None,
    pod_spec: Object | None,
    spec: Object,
) -> Object:
    app = {"app": name}
    template = {
        "metadata": {"labels": app, **({"annotations": pod_annotations} if pod_annotations else {})},
        "spec": {"containers": [container(image=image)], **(pod_spec or {})},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": _metadata(name, namespace, labels, None),
        "spec": {"replicas": replicas, "selector": {"matchLabels": app}, "template": template, **spec},
    }


def service(name: str = "web", namespace: str = "default", *, port: int = 80, **spec: Any) -> Object:
    """A service that selects ``app=<name>``."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(name, namespace, None, None),
        "spec": {"selector": {"app": name}, "ports": [{"port": port}], **spec},
    }


def config_map(name: str = "settings", namespace: str = "default", **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata(name, namespace, None, None), "data": data}


def namespace(name: str = "team", *, labels: dict[str, str] | None = None) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": _metadata(name, "", labels, None)}


def node(
    name: str = "node-1",
    *,
    labels: dict[str, str] | None = None,
    taints: list[Object] | None = None,
    cpu: str = "4",
    memory: str = "32Gi",
    pods: str = "110",
) -> Object:
    """A node that is ready and empty."""
    resources = {"cpu": cpu, "memory": memory, "pods": pods}
    made: Object = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": _metadata(name, "", {"kubernetes.io/hostname": name, **(labels or {})}, None),
        "spec": {},
        "status": {
            "capacity": resources,
            "allocatable": resources,
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
        },
    }
    if taints:
        made["spec"]["taints"] = taints
    return made
