"""What controllers call an object in their queues, and find objects by in informers."""

from typing import Any

Object = dict[str, Any]
NODE_INDEX = "node"


def key_of(obj: Object) -> str:
    """The queue's key of an object in a namespace: "namespace/name"."""
    metadata = obj["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}"


def by_node(pod: Object) -> list[str]:
    """Index function: the node a pod is on; none for one that has no node yet."""
    node = pod["spec"].get("nodeName")
    return [node] if node else []
