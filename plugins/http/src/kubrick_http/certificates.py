"""Certificates for servers beside the API server."""

import ssl
from collections.abc import Iterable
from typing import Protocol


class Certificates(Protocol):
    """The cluster's authority, for those on its own machine. Offered by an API server that listens, before it is
    ready: ``kernel.find(Certificates)``."""

    def serving(self, file: str, user: str, group: str, names: Iterable[str]) -> ssl.SSLContext:
        """TLS settings for a server called `user` of `group` (a node: system:node:NAME of system:nodes), reached by
        `names` (DNS names and addresses); its certificate is kept as `file`. Clients may show a certificate of
        the cluster's authority; one of another is refused."""
        ...
