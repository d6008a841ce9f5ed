"""``[plugins.scheduler]`` in the cluster file."""

from attrs import field, frozen
from attrs.validators import ge, gt

DEFAULT_SCHEDULER = "default-scheduler"


@frozen
class SchedulerProfile:
    """One scheduler name: pods whose ``spec.schedulerName`` it is are scheduled with these plugins."""

    scheduler_name: str
    disable: tuple[str, ...] = ()
    """Names of scheduler plugins to leave out (NodeAffinity, ...)."""
    weights: dict[str, int] = field(factory=dict)
    """Plugin name → how much its score counts; 0: not at all."""


@frozen
class Settings:
    """`weights` and `disable` are for the default profile; `profiles` adds others. What concerns one plugin
    (the scoring strategy of NodeResourcesFit) is a setting of that plugin's brick."""

    weights: dict[str, int] = field(factory=dict)
    disable: tuple[str, ...] = ()
    profiles: tuple[SchedulerProfile, ...] = ()
    pod_initial_backoff_seconds: float = field(default=1.0, validator=ge(0))
    pod_max_backoff_seconds: float = field(default=10.0, validator=ge(0))
    concurrent_bindings: int = field(default=256, validator=gt(0))
    """So many pods may be on their way to the API at once."""
    leader_elect: bool = False
    """Whether to schedule only while holding the Lease kube-system/kube-scheduler."""
    remembered_decisions: int = field(default=1000, validator=ge(0))

    def all_profiles(self) -> tuple[SchedulerProfile, ...]:
        default = SchedulerProfile(DEFAULT_SCHEDULER, self.disable, self.weights)
        names = {profile.scheduler_name for profile in self.profiles}
        return self.profiles if DEFAULT_SCHEDULER in names else (default, *self.profiles)
