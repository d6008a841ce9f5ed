"""Filter by host ports. Two pods clash when they want the same port and protocol on the same address, where
0.0.0.0 stands for every address."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kubrick_scheduler import SKIP, Action, ClusterEvent, EventWithHint, NodeTable, PodInfo, Refusal, Skip
from kubrick_scheduler.pod import ANY_ADDRESS, HostPort

REASON = "node(s) didn't have free ports for the requested pod ports"

Object = dict[str, Any]


def clash(ip: str, taken: Iterable[str]) -> bool:
    """Whether an address clashes with one of those taken, for the same port and protocol."""
    return any(ip in (other, ANY_ADDRESS) or other == ANY_ADDRESS for other in taken)


class NodePorts:
    name = "NodePorts"

    def pre_filter(self, pod: PodInfo, nodes: NodeTable) -> Skip | None:
        return None if pod.ports else SKIP

    def filter(self, pod: PodInfo, nodes: NodeTable) -> NDArray[np.bool_]:
        mask = np.ones(nodes.size, np.bool_)
        for port in pod.ports:
            for row, taken in nodes.port_users(port.protocol, port.port).items():
                if clash(port.ip, taken):
                    mask[row] = False
        return mask

    def explain(self, pod: PodInfo, nodes: NodeTable, rows: NDArray[np.intp]) -> Sequence[Refusal]:
        def taken(row: int) -> list[HostPort]:
            return [p for p in pod.ports if clash(p.ip, nodes.port_users(p.protocol, p.port).get(row, ()))]

        def detail(row: int) -> str:
            return "taken: " + ", ".join(f"{p.ip}:{p.port}/{p.protocol}" for p in taken(row))

        fewest = min(rows.tolist(), key=lambda row: len(taken(row)))
        ports = ", ".join(f"{p.port}/{p.protocol}" for p in taken(fewest))
        return (Refusal(REASON, rows, detail=detail, change=f"{nodes.name(fewest)} would do if {ports} were free"),)

    def events_to_register(self) -> Sequence[EventWithHint]:
        return (
            EventWithHint(ClusterEvent("Pod", Action.DELETE), _freed_a_port),
            EventWithHint(ClusterEvent("Node", Action.ADD)),
        )


def _freed_a_port(pod: PodInfo, old: Object | None, new: Object | None) -> bool:
    """Whether the pod that left held a port this one wants."""
    if old is None:
        return True
    gone = PodInfo(old)
    return any(
        wanted.port == held.port and wanted.protocol == held.protocol and clash(wanted.ip, (held.ip,))
        for wanted in pod.ports
        for held in gone.ports
    )
