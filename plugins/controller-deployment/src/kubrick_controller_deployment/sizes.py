"""A rolling update's arithmetic: how many pods there may be too many and too few, and who gets how many.

Pure numbers, as pkg/controller/deployment/util has them.
"""

from typing import Any

Object = dict[str, Any]
MAX_INT32 = 2**31 - 1


def scaled(value: int | str, total: int, up: bool) -> int:
    """An IntOrString: a number, or a percentage of `total`, rounded up or down."""
    if isinstance(value, int):
        return value
    product = int(value.removesuffix("%")) * total
    return -(-product // 100) if up else product // 100


def is_rolling(deployment: Object) -> bool:
    kind: str = (deployment["spec"].get("strategy") or {}).get("type", "RollingUpdate")
    return kind == "RollingUpdate"


def replicas_of(deployment: Object) -> int:
    count: int = deployment["spec"].get("replicas", 1)
    return count


def fenceposts(deployment: Object) -> tuple[int, int]:
    """maxSurge and maxUnavailable in pods. At least one of them is not 0, else nothing could move."""
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    replicas = replicas_of(deployment)
    surge = scaled(rolling.get("maxSurge", "25%"), replicas, up=True)
    unavailable = scaled(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, unavailable


def max_surge(deployment: Object) -> int:
    return fenceposts(deployment)[0] if is_rolling(deployment) else 0


def max_unavailable(deployment: Object) -> int:
    replicas = replicas_of(deployment)
    if not is_rolling(deployment) or replicas == 0:
        return 0
    return min(fenceposts(deployment)[1], replicas)


def new_size(deployment: Object, current: int, everywhere: int) -> int:
    """The size the new ReplicaSet (of `current` pods) may have when all together have `everywhere`."""
    replicas = replicas_of(deployment)
    if not is_rolling(deployment):
        return replicas
    room = replicas + max_surge(deployment) - everywhere
    if room <= 0:
        return current
    return current + min(room, replicas - current)


def share(deployment: Object, size: int, limit_before: int, to_add: int, added: int) -> int:
    """How many of `to_add` pods (below zero: to remove) a ReplicaSet of `size` gets in a proportional
    scaling, when `added` are given out and the Deployment could have `limit_before` pods before it."""
    if size == 0 or to_add in (0, added):
        return 0
    replicas = replicas_of(deployment)
    if replicas == 0:
        fraction = -size
    else:
        limit = replicas + max_surge(deployment)
        before = limit_before or deployment.get("status", {}).get("replicas", 0)
        if before == 0:
            return 0
        fraction = rounded(size * limit, before) - size
    allowed = to_add - added
    return min(fraction, allowed) if to_add > 0 else max(fraction, allowed)


def rounded(numerator: int, denominator: int) -> int:
    """The quotient of two positive numbers, halves rounded up."""
    return (2 * numerator + denominator) // (2 * denominator)
