"""TLS settings: TLS 1.2 or later, HTTP/1.1, and certificates of our own authority on both sides."""

import ssl
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

from attrs import frozen

from kubrick_apiserver import pki as files
from kubrick_apiserver.pki import PKI
from kubrick_kernel import ConfigurationError


def server_context(pki: PKI) -> ssl.SSLContext:
    """A client may show a certificate; one that the cluster's authority did not sign is refused. Raises
    ConfigurationError when certificate and key don't fit."""
    return _server_context(pki, *pki.serving)


def agent_client_context(pki: PKI) -> ssl.SSLContext:
    """How the server calls the agents of nodes: it shows who it is, and wants a certificate of our authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(*pki.agent_client)
    context.load_verify_locations(pki.ca_file)
    return context


@frozen
class Authority:
    """`kubrick_http.certificates.Certificates`, from the cluster's own authority."""

    pki: PKI
    now: Callable[[], datetime]

    def serving(self, file: str, user: str, group: str, names: Iterable[str]) -> ssl.SSLContext:
        """A server's TLS settings, for something else of this cluster on this machine."""
        return _server_context(self.pki, *files.serving_pair(self.pki, file, user, group, names, self.now()))


def _server_context(pki: PKI, certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(pki.ca_file)
    except ssl.SSLError as error:
        raise ConfigurationError(
            f"apiserver: {certificate} and {key} cannot be used: {error.reason or error}; "
            "move them away to have new ones made"
        ) from error
    context.verify_mode = ssl.CERT_OPTIONAL
    return context
