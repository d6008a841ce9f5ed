"""The settings of the node agent on a real machine."""

from attrs import field, frozen


@frozen
class Settings:
    """`name` defaults to the host's, `address` to that of its default route. The agent serves
    at `port` of it (0: any that is free). `static_pods` is a folder of manifests.
    `image_pulls` at a time (0: no limit). `cgroups` is the folder under the cgroup mounts that pods' cgroups stand
    in ("" leaves them to the runtime). `keep_pods` leaves pods running when the program ends."""

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
    allowed_sysctls: list[str] = field(factory=list)
    labels: dict[str, str] = field(factory=dict)
