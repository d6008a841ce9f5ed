"""Certificates of authorities that a client is to trust, as Go's transport reads them (client-go's transport)."""

import base64
import binascii
import re

NO_PEM = "unable to parse bytes as PEM block"
NONE_VALID = "no valid certificate authority data seen"
_BLOCK = re.compile(rb"-----BEGIN ([^-\n]+)-----[ \t]*\r?\n(.*?)-----END \1-----[ \t]*(?:\r?\n|\Z)", re.DOTALL)


def authorities_flaw(bundle: str) -> str:
    """Why no certificate can be read from a caBundle (PEM in base64); "" if one can."""
    from cryptography import x509

    blocks = [(found[1], found[2]) for found in _BLOCK.finditer(_decoded(bundle.encode()))]
    flaw = NONE_VALID if blocks else NO_PEM
    for kind, body in blocks:
        if kind != b"CERTIFICATE" or b":" in body:
            continue
        try:
            x509.load_der_x509_certificate(_decoded(b"".join(body.split())))
        except ValueError:
            flaw = "failed to parse certificate: x509: malformed certificate" if flaw == NONE_VALID else flaw
        else:
            return ""
    return flaw


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return b""
