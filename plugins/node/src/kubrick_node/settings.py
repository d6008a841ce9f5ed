"""The settings of the node agent on a real machine."""

from attrs import field, frozen

EVICTION_HARD = {
    "memory.available": "100Mi",
    "nodefs.available": "10%",
    "nodefs.inodesFree": "5%",
    "imagefs.available": "15%",
    "imagefs.inodesFree": "5%",
}


@frozen
class Settings:
    """`name` defaults to the host's, `address` to that of its default route. The agent serves
    at `port` of it (0: any that is free). `static_pods` is a folder of manifests.
    `image_pulls` at a time (0: no limit). `cgroups` is the folder under the cgroup mounts that pods' cgroups stand
    in ("" leaves them to the runtime). `keep_pods` leaves pods running when the program ends.

    What is named as in the kubelet's configuration means the same: eviction thresholds by signal (a quantity or a
    percentage), the percentages between which unused images are removed, and times, which are in seconds here."""

    name: str = ""
    address: str = ""
    port: int = 10250
    pods: int = 110
    pod_cidr: str = ""
    cluster_dns: list[str] = field(factory=list)
    cluster_domain: str = "cluster.local"
    resolv_conf: str = "/etc/resolv.conf"
    static_pods: str = ""
    image_pulls: int = 1
    cgroups: str = "kubrick"
    keep_pods: bool = False
    max_container_restart_period: float = 300.0
    eviction_hard: dict[str, str] = field(factory=EVICTION_HARD.copy)
    eviction_soft: dict[str, str] = field(factory=dict)
    eviction_soft_grace_period: dict[str, float] = field(factory=dict)
    eviction_minimum_reclaim: dict[str, str] = field(factory=dict)
    eviction_max_pod_grace_period: float = 0.0
    eviction_pressure_transition_period: float = 300.0
    eviction_monitoring_period: float = 10.0
    volume_stats_agg_period: float = 60.0
    image_gc_high_threshold_percent: int = 85
    image_gc_low_threshold_percent: int = 80
    image_minimum_gc_age: float = 120.0
    image_maximum_gc_age: float = 0.0
    image_gc_period: float = 300.0
    allowed_sysctls: list[str] = field(factory=list)
    labels: dict[str, str] = field(factory=dict)
