"""What a user can say about the DNS server."""

from attrs import frozen


@frozen
class Settings:
    """``[plugins.dns]``.

    `listen` are the HOST:PORT addresses to serve, comma separated, UDP and TCP on each. `upstream` are
    servers for names outside the cluster (HOST or HOST:PORT, comma separated), the path of a resolv.conf
    to take them from, or "" to refuse such names. `ttl` is in seconds, for every record of the cluster.
    """

    domain: str = "cluster.local"
    listen: str = "127.0.0.1:10053"
    upstream: str = "/etc/resolv.conf"
    ttl: int = 30
