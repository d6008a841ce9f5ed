"""A pod's quality of service class: Guaranteed, Burstable or BestEffort.

From pkg/apis/core/v1/helper/qos: only cpu and memory count, quantities of zero don't; requests and
limits given for the whole pod take the place of the containers'.
"""

from kubrick_api import codec
from kubrick_api.quantity import ZERO, Quantity
from kubrick_api.resource import Object

COUNTED = ("cpu", "memory")
REMEMBERED = 512

_known: dict[bytes, str] = {}
"""Classes by the text of the resources: a cluster makes few kinds of pods, many times over."""


def quality_of_service(pod: Object) -> str:
    spec = pod.get("spec") or {}
    whole = spec.get("resources") or {}
    if whole.get("requests") or whole.get("limits"):
        return _class([whole])
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    resources = [container.get("resources") or {} for container in containers]
    text = codec.text(resources)
    found = _known.get(text)
    if found is None:
        found = _class(resources)
        if len(_known) >= REMEMBERED:
            _known.clear()
        _known[text] = found
    return found


def _amounts(resources: Object, kind: str) -> dict[str, Quantity]:
    given = resources.get(kind) or {}
    return {name: amount for name in COUNTED if name in given and (amount := Quantity(given[name])) > ZERO}


def _class(all_resources: list[Object]) -> str:
    requests = [_amounts(resources, "requests") for resources in all_resources]
    limits = [_amounts(resources, "limits") for resources in all_resources]
    if not any(requests) and not any(limits):
        return "BestEffort"
    everywhere = all(len(limit) == len(COUNTED) for limit in limits)
    equal = all(
        name not in request or request[name] == limit.get(name)
        for request, limit in zip(requests, limits, strict=True)
        for name in COUNTED
    )
    complete = all(len(request) == len(COUNTED) for request in requests)
    return "Guaranteed" if everywhere and equal and complete else "Burstable"
