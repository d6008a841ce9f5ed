"""What a cluster file may say about the API server, in the table ``[plugins.apiserver]``."""

from attrs import frozen


@frozen
class Settings:
    """`listen` is HOST:PORT; an empty string means no listener at all: the server is then reached in
    process only, and makes no certificates."""

    listen: str = "127.0.0.1:6443"
    advertise_address: str = ""
    """The address other machines reach this server by; empty: the listen address, or the machine's own."""
    further_hosts: tuple[str, ...] = ()
    """Further addresses of this machine on which the same port is served."""
    service_cluster_ip_range: str = "10.96.0.0/16"
    service_node_port_range: str = "30000-32767"
    token_file: str = ""
    """For plugin auth-token-file: lines of token,user,uid,"group1,group2"."""
    certificate_names: tuple[str, ...] = ()
    """Further DNS names and addresses for the serving certificate."""
    max_requests_inflight: int = 400
    max_mutating_requests_inflight: int = 200
    max_request_bytes: int = 3 * 1024 * 1024
    request_timeout: float = 60.0
    """Seconds a request that is not long-running may take."""
    drain_timeout: float = 10.0
    """Seconds requests in flight get to finish at shutdown."""
