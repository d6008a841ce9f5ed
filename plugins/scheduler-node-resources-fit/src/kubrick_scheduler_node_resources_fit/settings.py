"""``[plugins.scheduler-node-resources-fit]``: Kubernetes' NodeResourcesFitArgs."""

from itertools import pairwise
from typing import Literal

from attrs import frozen


@frozen
class ResourceSpec:
    """A resource that scoring looks at, and how much it counts (1..100)."""

    name: str
    weight: int = 1


@frozen
class ShapePoint:
    """A point of the RequestedToCapacityRatio function: utilization in percent → score 0..10."""

    utilization: int
    score: int


@frozen
class Settings:
    scoring_strategy: Literal["LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"] = "LeastAllocated"
    resources: tuple[ResourceSpec, ...] = (ResourceSpec("cpu"), ResourceSpec("memory"))
    shape: tuple[ShapePoint, ...] = ()
    """For RequestedToCapacityRatio: points in ascending order of utilization."""
    ignored_resources: tuple[str, ...] = ()
    """Extended resources the filter leaves alone."""
    ignored_resource_groups: tuple[str, ...] = ()
    """The same by group: "example.com" for all of example.com/..."""

    def wrong(self) -> str:
        """What is wrong with these settings; "" when nothing is."""
        if not self.resources:
            return "resources: name at least one resource"
        for resource in self.resources:
            if not 1 <= resource.weight <= 100:
                return f"resources: the weight of {resource.name} must be 1 to 100, not {resource.weight}"
        if self.scoring_strategy != "RequestedToCapacityRatio":
            return ""
        if not self.shape:
            return "shape: RequestedToCapacityRatio needs at least one point"
        steps = [point.utilization for point in self.shape]
        if any(not 0 <= step <= 100 for step in steps) or any(a >= b for a, b in pairwise(steps)):
            return "shape: utilizations must ascend from 0 to 100"
        if any(not 0 <= point.score <= 10 for point in self.shape):
            return "shape: scores must be 0 to 10"
        return ""
