"""``[plugins.scheduler-node-affinity]``: Kubernetes' NodeAffinityArgs."""

from typing import Any

from attrs import field, frozen


@frozen
class Settings:
    added_affinity: dict[str, Any] = field(factory=dict)
    """A NodeAffinity (requiredDuringSchedulingIgnoredDuringExecution, preferred...) that holds for every pod
    on top of its own."""
