"""Nodes: how the API treats them, and their table rows."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from kubrick_api.cells import NONE, UNKNOWN, age
from kubrick_api.equality import same
from kubrick_api.errors import FieldError, duplicate, forbidden_value, invalid_value, not_supported, required
from kubrick_api.quantity import ZERO, Quantity
from kubrick_api.resource import Object, Strategy
from kubrick_api.storage import WriteContext
from kubrick_api.validation import label_value, qualified_name
from kubrick_api_core.placement_validation import EFFECTS

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
        return [*_taints((obj.get("spec") or {}).get("taints") or (), "spec.taints"), *_amounts(obj)]

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return list(_update(obj.get("spec") or {}, old.get("spec") or {}))

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return list(_amounts(obj))

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        return {"spec.unschedulable": "true" if (obj.get("spec") or {}).get("unschedulable") else "false"}

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return node_row(obj, now)


def _taints(taints: Any, path: str) -> Iterator[FieldError]:
    seen: set[tuple[str, str]] = set()
    for i, taint in enumerate(taints):
        at = f"{path}[{i}]"
        key, effect = taint.get("key") or "", taint.get("effect") or ""
        for message in qualified_name(key):
            yield invalid_value(f"{at}.key", key, message)
        if messages := label_value(taint.get("value") or ""):
            yield invalid_value(f"{at}.value", taint["value"], ";".join(messages))
        if not effect:
            yield required(f"{at}.effect")
        elif effect not in EFFECTS:
            yield not_supported(f"{at}.effect", effect, EFFECTS)
        if (key, effect) in seen:
            yield duplicate(at, taint)
        seen.add((key, effect))


def _amounts(node: Object) -> Iterator[FieldError]:
    for kind in ("capacity", "allocatable"):
        for name, amount in ((node.get("status") or {}).get(kind) or {}).items():
            if Quantity(amount) < ZERO:
                yield invalid_value(f"status.{kind}[{name}]", str(amount), "must be greater than or equal to 0")


def _update(spec: Object, old: Object) -> Iterator[FieldError]:
    for name in ("podCIDRs", "providerID"):
        if old.get(name) and not same(spec.get(name), old[name]):
            yield forbidden_value(f"spec.{name}", f'node updates may not change {name} except from "" to valid')


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
