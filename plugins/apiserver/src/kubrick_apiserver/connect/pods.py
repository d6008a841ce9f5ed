"""A pod that somebody wants to connect to: found, its node known, one of its containers chosen."""

from typing import Any

from kubrick_api.errors import bad_request, not_found
from kubrick_api.storage import Call
from kubrick_api_core import PODS
from kubrick_apiserver.registry import Registry

Object = dict[str, Any]
LISTS = ("containers", "initContainers", "ephemeralContainers")


def pod_of(registry: Registry, call: Call) -> Object:
    """Raises StatusError 404."""
    pod = registry.get(PODS, call.namespace, call.name)
    if pod is None:
        raise not_found(PODS, call.name)
    return pod


def container_of(pod: Object, asked: str) -> str:
    """The container asked for, or the only one. Raises StatusError 400, in kube-apiserver's words."""
    name = pod["metadata"]["name"]
    names = {key: [container["name"] for container in pod["spec"].get(key) or ()] for key in LISTS}
    if asked:
        if not any(asked in each for each in names.values()):
            raise bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    if len(names["containers"]) == 1:
        return str(names["containers"][0])
    message = f"a container name must be specified for pod {name}"
    if names["containers"]:
        message += f", choose one of: [{' '.join(names['containers'])}]"
    if names["initContainers"]:
        message += f" or one of the init containers: [{' '.join(names['initContainers'])}]"
    if names["ephemeralContainers"]:
        message += f" or one of the ephemeral containers: [{' '.join(names['ephemeralContainers'])}]"
    raise bad_request(message)


def node_of(pod: Object) -> str:
    """Raises StatusError 400 for a pod that no node runs yet."""
    node: str = pod["spec"].get("nodeName", "")
    if not node:
        raise bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")
    return node
