"""PrioritySort: pods of higher priority are tried first; among equals, the one that has waited longer."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubrick_kernel import hookimpl
from kubrick_scheduler import Plugin, PodInfo

if TYPE_CHECKING:
    from kubrick_kernel import Kernel


class PrioritySort:
    name = "PrioritySort"

    def sort_key(self, pod: PodInfo, queued_at: float) -> tuple[int, float]:
        return (-pod.priority, queued_at)


@hookimpl
def kubrick_register_scheduler_plugins(kernel: "Kernel") -> Sequence[Plugin]:
    return (PrioritySort(),)
