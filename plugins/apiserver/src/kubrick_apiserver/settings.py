"""What a cluster file may say about the API server, in the table ``[plugins.apiserver]``."""

import re
from ipaddress import ip_address
from typing import Any, Literal

from attrs import field, frozen
from attrs.validators import ge, gt

DNS_NAME = re.compile(r"(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9])?").fullmatch


def _address(_settings: Any, about: Any, value: str) -> None:
    """Raises ValueError."""
    if value and not _is_address(value):
        raise ValueError(f"{about.name}: {value!r} is not an IP address")


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _names(_settings: Any, about: Any, values: tuple[str, ...]) -> None:
    """Raises ValueError."""
    for value in values:
        if not DNS_NAME(value) and not _is_address(value):
            raise ValueError(f"{about.name}: {value!r} is neither a DNS name nor an address")


@frozen
class Settings:
    """`listen` is HOST:PORT; an empty string means no listener at all: the server is then reached in
    process only, and makes no certificates."""

    listen: str = "127.0.0.1:6443"
    advertise_address: str = field(default="", validator=_address)
    """The address other machines reach this server by; empty: the listen address, or the machine's own."""
    further_hosts: tuple[str, ...] = ()
    """Further addresses of this machine on which the same port is served."""
    service_cluster_ip_range: str = "10.96.0.0/16"
    service_node_port_range: str = "30000-32767"
    token_file: str = ""
    """For plugin auth-token-file: lines of token,user,uid,"group1,group2"."""
    certificate_names: tuple[str, ...] = field(default=(), validator=_names)
    """Further DNS names and addresses for the serving certificate."""
    max_requests_inflight: int = field(default=400, validator=ge(0))
    max_mutating_requests_inflight: int = field(default=200, validator=ge(0))
    max_request_bytes: int = field(default=3 * 1024 * 1024, validator=gt(0))
    request_timeout: float = field(default=60.0, validator=gt(0))
    """Seconds a request that is not long-running may take."""
    request_log: Literal["debug", "info", "none"] = "debug"
    """At which level each request leaves a line in the log, if at all."""
    drain_timeout: float = field(default=10.0, validator=ge(0))
    """Seconds requests in flight get to finish at shutdown."""
