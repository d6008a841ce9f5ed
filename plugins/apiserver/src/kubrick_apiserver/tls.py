"""The server's TLS settings: TLS 1.2 or later, HTTP/1.1, and client certificates of our own authority."""

import ssl

from kubrick_apiserver.pki import PKI
from kubrick_kernel import ConfigurationError


def server_context(pki: PKI) -> ssl.SSLContext:
    """A client may show a certificate; one that the cluster's authority did not sign is refused. Raises
    ConfigurationError when certificate and key don't fit."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    certificate, key = pki.serving
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
