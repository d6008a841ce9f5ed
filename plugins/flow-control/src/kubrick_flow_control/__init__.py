"""API Priority and Fairness: who is served first when the API server has too much to do.

Requests are sorted by FlowSchema objects into priority levels, each with seats of its own; when a level is full its
requests wait in queues that are served fairly, and are turned away (429) when they have waited too long. Settings:
none; there are as many seats as the API server's max_requests_inflight and max_mutating_requests_inflight together.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kubrick_kernel.hookspecs import hookimpl

if TYPE_CHECKING:
    from kubrick_api.names import GVK
    from kubrick_apiserver.bootstrap import Reconcile
    from kubrick_apiserver.flow import FlowControl
    from kubrick_apiserver.web import Handler
    from kubrick_flow_control.control import Control
    from kubrick_kernel import Component, Kernel


def _control(kernel: "Kernel") -> "Control":
    """The one of this kernel, whichever hook is asked first. Until the bus is loaded the objects that every cluster
    has are in force."""
    from kubrick_api.catalog import Catalog
    from kubrick_api.names import GVR
    from kubrick_flow_control.control import Control
    from kubrick_flow_control.suggested import mandatory, suggested

    if not kernel.has(Control):
        settings = kernel.settings("apiserver")
        seats = settings.max_requests_inflight + settings.max_mutating_requests_inflight

        def count(group: str, version: str, resource: str) -> int:
            known = kernel.find(Catalog).resource(GVR(group, version, resource))
            return 0 if known is None else len(kernel.bus.topic(known.key_prefix))

        kernel.offer(Control, Control(seats, count, [*mandatory(), *suggested()]))
    return kernel.find(Control)


@hookimpl
def kubrick_register_flow_control(kernel: "Kernel") -> "FlowControl | None":
    return _control(kernel)


@hookimpl
def kubrick_register_components(kernel: "Kernel") -> "Sequence[Component]":
    from kubrick_flow_control.upkeep import Upkeep

    return (Upkeep(kernel, _control(kernel)),)


@hookimpl
def kubrick_register_bootstrap_objects(kernel: "Kernel") -> Sequence[dict[str, Any]]:
    from kubrick_flow_control.upkeep import established
    from kubrick_kernel import rfc3339

    return established(rfc3339(kernel.clock.now()))


@hookimpl
def kubrick_register_bootstrap_reconcilers(kernel: "Kernel") -> "Mapping[GVK, Reconcile]":
    from kubrick_api.names import GVK
    from kubrick_flow_control.upkeep import corrected

    group = "flowcontrol.apiserver.k8s.io"
    return {GVK(group, "v1", kind): corrected for kind in ("FlowSchema", "PriorityLevelConfiguration")}


@hookimpl
def kubrick_register_collectors(kernel: "Kernel") -> Sequence[Any]:
    from kubrick_flow_control.exposition import Metrics

    return (Metrics(_control(kernel)),)


@hookimpl
def kubrick_register_paths(kernel: "Kernel") -> "Mapping[str, Handler]":
    from kubrick_flow_control.dump import Dumps

    return Dumps(_control(kernel), kernel.clock).paths()
