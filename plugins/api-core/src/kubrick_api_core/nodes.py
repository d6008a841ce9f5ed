"""Nodes: how the API treats them, and their table rows."""

from datetime import datetime
from typing import Any

from kubrick_api.cells import NONE, UNKNOWN, age
from kubrick_api.errors import FieldError
from kubrick_api.resource import Object, Strategy
from kubrick_api.storage import WriteContext
from kubrick_api_core.node_validation import node_warnings, validate_node, validate_node_update

ROLE_PREFIX = "node-role.kubernetes.io/"
ROLE_LABEL = "kubernetes.io/role"


class NodeStrategy(Strategy):
    has_status = True

    def default(self, obj: Object) -> None:
        obj.setdefault("spec", {})
        status = obj.setdefault("status", {})
        if status.get("capacity") and not status.get("allocatable"):
            status["allocatable"] = dict(status["capacity"])

    def prepare_for_create(self, obj: Object, context: WriteContext) -> None:
        """A node agent registers its node with its status: it stays."""

    def validate(self, obj: Object) -> list[FieldError]:
        return validate_node(obj)

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        return validate_node_update(obj, old)

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return validate_node_update(obj, old)

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        return node_warnings(obj)

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        return {"spec.unschedulable": "true" if (obj.get("spec") or {}).get("unschedulable") else "false"}

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return node_row(obj, now)


def node_row(node: Object, now: datetime) -> list[Any]:
    """Name, Status, Roles, Age, Version, Internal-IP, External-IP, OS-Image, Kernel-Version, Container-Runtime."""
    spec, status = node.get("spec") or {}, node.get("status") or {}
    ready = next((c.get("status") for c in status.get("conditions") or () if c.get("type") == "Ready"), None)
    words = ["Unknown" if ready is None else "Ready" if ready == "True" else "NotReady"]
    if spec.get("unschedulable"):
        words.append("SchedulingDisabled")
    info = status.get("nodeInfo") or {}
    return [
        node["metadata"]["name"],
        ",".join(words),
        ",".join(roles(node)) or NONE,
        age(node, now),
        info.get("kubeletVersion") or "",
        _address(status, "InternalIP"),
        _address(status, "ExternalIP"),
        info.get("osImage") or UNKNOWN,
        info.get("kernelVersion") or UNKNOWN,
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


def roles(node: Object) -> list[str]:
    labels = node["metadata"].get("labels") or {}
    found = {key.removeprefix(ROLE_PREFIX) for key in labels if key.startswith(ROLE_PREFIX)}
    return sorted((found | {labels.get(ROLE_LABEL, "")}) - {""})


def _address(status: Object, kind: str) -> str:
    return next((a["address"] for a in status.get("addresses") or () if a.get("type") == kind), NONE)
