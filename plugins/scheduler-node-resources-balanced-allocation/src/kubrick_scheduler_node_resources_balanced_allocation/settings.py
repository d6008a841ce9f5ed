"""``[plugins.scheduler-node-resources-balanced-allocation]``: NodeResourcesBalancedAllocationArgs."""

from attrs import frozen


@frozen
class ResourceSpec:
    """A resource to balance. Kubernetes allows no weight but 1 here."""

    name: str


@frozen
class Settings:
    resources: tuple[ResourceSpec, ...] = (ResourceSpec("cpu"), ResourceSpec("memory"))
