"""What a user can say about the DNS server."""

from attrs import frozen


@frozen
class Settings:
    """``[plugins.dns]``.

    `listen` are the HOST:PORT addresses to serve, comma separated, UDP and TCP on each. `upstream` are
    servers for names outside the cluster (HOST or HOST:PORT, comma separated), the path of a resolv.conf
    to take them from, or "" to refuse such names. `ttl` is in seconds, for every record of the cluster.
    `service_ip` gives the server a Service, kube-system/kube-dns, with that address; it leads to the first
    address of `listen`, which must be one that pods can reach.
    """

    domain: str = "cluster.local"
    listen: str = "127.0.0.1:10053"
    upstream: str = "/etc/resolv.conf"
    ttl: int = 30
    service_ip: str = ""
