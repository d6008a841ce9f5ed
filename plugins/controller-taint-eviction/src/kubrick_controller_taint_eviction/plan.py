"""When a pod has to leave a node with NoExecute taints. Pure.

Source: the taint-eviction controller: a pod that does not tolerate every NoExecute taint goes at once; one
that does stays as long as the shortest of the tolerations it uses allows.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

Object = dict[str, Any]


def no_execute(node: Object) -> list[Object]:
    return [taint for taint in node["spec"].get("taints") or () if taint.get("effect") == "NoExecute"]


def tolerates(toleration: Object, taint: Object) -> bool:
    """Kubernetes' ToleratesTaint: empty effect and empty key (with Exists) match all."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    operator = toleration.get("operator") or "Equal"
    if operator == "Exists":
        return True
    return operator == "Equal" and bool(toleration.get("key")) and toleration.get("value", "") == taint.get("value", "")


def leaves_at(taints: Sequence[Object], tolerations: Sequence[Object], seen: Mapping[str, float]) -> float:
    """When the pod must be deleted, as a time (seconds since the epoch); infinite for never, and minus
    infinity for at once. `seen` says since when each taint (by `taint_key`) has been there."""
    deadline = math.inf
    for taint in taints:
        using = [toleration for toleration in tolerations if tolerates(toleration, taint)]
        if not using:
            return -math.inf
        limits = [max(0.0, float(t["tolerationSeconds"])) for t in using if t.get("tolerationSeconds") is not None]
        if limits:
            deadline = min(deadline, seen[taint_key(taint)] + min(limits))
    return deadline


def taint_key(taint: Object) -> str:
    return f"{taint['key']}={taint.get('value', '')}:{taint['effect']}"


def added_at(taint: Object) -> float | None:
    """When the taint says it was added, in seconds since the epoch."""
    text = taint.get("timeAdded")
    return datetime.fromisoformat(text).timestamp() if text else None
