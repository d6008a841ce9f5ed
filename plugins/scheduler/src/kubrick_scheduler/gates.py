"""SchedulingGates: a pod with scheduling gates isn't tried until the last gate is taken off (KEP-3521)."""

from collections.abc import Sequence

from kubrick_scheduler.contract import Action, ClusterEvent, EventWithHint
from kubrick_scheduler.pod import PodInfo


class SchedulingGates:
    name = "SchedulingGates"

    def pre_enqueue(self, pod: PodInfo) -> str | None:
        gates = pod.spec.get("schedulingGates")
        if not gates:
            return None
        return f"waiting for scheduling gates: [{' '.join(gate['name'] for gate in gates)}]"

    def events_to_register(self) -> Sequence[EventWithHint]:
        return (EventWithHint(ClusterEvent("Pod", Action.UPDATE_POD_SCHEDULING_GATES_ELIMINATED)),)
