"""A new node is tainted as not ready, so that nothing is scheduled onto it before it says it is ready.

Source: plugin/pkg/admission/nodetaint.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubrick_kernel.hookspecs import hookimpl

if TYPE_CHECKING:
    from kubrick_apiserver.admission import AdmissionPlugin, Attributes
    from kubrick_kernel import Kernel

NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


class TaintNodesByCondition:
    name = "TaintNodesByCondition"
    order = 40
    exact = True

    def handles(self, attributes: "Attributes") -> bool:
        resource = attributes.resource
        return (
            attributes.operation == "CREATE"
            and resource.resource == "nodes"
            and not resource.group
            and not attributes.subresource
        )

    async def admit(self, attributes: "Attributes") -> None:
        assert attributes.object is not None
        spec = attributes.object.setdefault("spec", {})
        taints = spec.get("taints") or []
        if all(any(taint.get(key) != value for key, value in NOT_READY.items()) for taint in taints):
            spec["taints"] = [*taints, dict(NOT_READY)]


@hookimpl
def kubrick_register_admission(kernel: "Kernel") -> "Sequence[AdmissionPlugin]":
    return (TaintNodesByCondition(),)
