"""The scheduling framework: node table, queue, cycle.

Third parties write plugins against `kubrick_scheduler.contract`, whose names are re-exported here, and
try them with `kubrick_scheduler.testing`. Importing this package is cheap: numpy comes when the
scheduler starts.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pluggy

from kubrick_kernel import Component, hookimpl
from kubrick_scheduler.contract import (
    MAX_NODE_SCORE,
    SKIP,
    Action,
    Bind,
    ClusterEvent,
    EnqueueExtensions,
    EventWithHint,
    Filter,
    Handle,
    Hint,
    NormalizeScore,
    Permit,
    Plugin,
    PostBind,
    PostFilter,
    PostFilterResult,
    PreBind,
    PreEnqueue,
    PreFilter,
    PreScore,
    QueueSort,
    Refusal,
    Reserve,
    Score,
    Setup,
    Skip,
    Wait,
)
from kubrick_scheduler.decision import Decision, Decisions, PluginScore, Refused, RefusedNode
from kubrick_scheduler.metrics import Metrics
from kubrick_scheduler.pod import PodInfo
from kubrick_scheduler.settings import SchedulerProfile, Settings

if TYPE_CHECKING:
    from kubrick_kernel import Kernel
    from kubrick_scheduler.table import NodeTable

__all__ = [
    "MAX_NODE_SCORE",
    "SKIP",
    "Action",
    "Bind",
    "ClusterEvent",
    "Decision",
    "Decisions",
    "EnqueueExtensions",
    "EventWithHint",
    "Filter",
    "Handle",
    "Hint",
    "NodeTable",
    "NormalizeScore",
    "Permit",
    "Plugin",
    "PluginScore",
    "PodInfo",
    "PostBind",
    "PostFilter",
    "PostFilterResult",
    "PreBind",
    "PreEnqueue",
    "PreFilter",
    "PreScore",
    "QueueSort",
    "Refusal",
    "Refused",
    "RefusedNode",
    "Reserve",
    "SchedulerProfile",
    "Score",
    "Settings",
    "Setup",
    "Skip",
    "Wait",
]


def __getattr__(name: str) -> object:
    if name == "NodeTable":
        from kubrick_scheduler.table import NodeTable

        return NodeTable
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@hookimpl
def kubrick_add_hookspecs(manager: pluggy.PluginManager) -> None:
    from kubrick_scheduler import hookspecs

    manager.add_hookspecs(hookspecs)


@hookimpl
def kubrick_register_settings() -> type:
    return Settings


@hookimpl
def kubrick_register_components(kernel: "Kernel") -> Sequence[Component]:
    from kubrick_scheduler.component import SchedulerComponent

    decisions = Decisions(kernel.settings("scheduler").remembered_decisions)
    metrics = Metrics()
    kernel.offer(Decisions, decisions)
    kernel.offer(Metrics, metrics)
    return (SchedulerComponent(kernel, decisions, metrics),)


@hookimpl(optionalhook=True)
def kubrick_register_collectors(kernel: "Kernel") -> Sequence[Any]:
    """The API server of this process, if there is one, shows the scheduler's metrics with its own."""
    return (kernel.find(Metrics),)


@hookimpl
def kubrick_register_scheduler_plugins(kernel: "Kernel") -> Sequence[Plugin]:
    from kubrick_scheduler.gates import SchedulingGates

    return (SchedulingGates(),)
