"""Why a text is no signed request or no chain of certificates, in the words of Go's crypto/x509.

What Go's parsers say deep inside an element isn't all known here: what cryptography refuses and Go's outer layers
don't is called malformed.
"""

import base64
import binascii
from typing import TYPE_CHECKING

from kubrick_api_certificates import pem
from kubrick_api_certificates.der import (
    BIT_STRING,
    INTEGER,
    SEQUENCE,
    VERSION,
    MalformedError,
    read,
    sequence,
    syntax,
)

if TYPE_CHECKING:
    from cryptography.x509 import CertificateSigningRequest

NOT_PEM = "PEM block type must be CERTIFICATE REQUEST"
MALFORMED_REQUEST = "asn1: structure error: malformed certificate request"
MALFORMED = "x509: malformed certificate"
UNIMPLEMENTED = "x509: cannot verify signature: algorithm unimplemented"
MD5 = "1.2.840.113549.1.1.4"


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return b""


def request_flaw(request: str) -> str:
    """Why this isn't a signed PKCS#10 request in PEM in base64; "" if it is."""
    found = pem.decode(_decoded(request))
    if found is None or found[0].type != "CERTIFICATE REQUEST":
        return NOT_PEM
    try:
        return _signature_flaw(_parsed(found[0].data))
    except MalformedError as error:
        return str(error)


def _parsed(der: bytes) -> "CertificateSigningRequest":
    """Raises MalformedError."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    whole = sequence(der, "certificateRequest")
    sequence(der[whole.start : whole.end], "tbsCertificateRequest")
    try:
        found = x509.load_der_x509_csr(der[: whole.end])
    except (ValueError, UnsupportedAlgorithm):
        raise MalformedError(MALFORMED_REQUEST) from None
    if len(der) > whole.end:
        raise syntax("trailing data")
    return found


def _signature_flaw(request: "CertificateSigningRequest") -> str:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    failures = (
        (rsa.RSAPublicKey, "crypto/rsa: verification error"),
        (ec.EllipticCurvePublicKey, "x509: ECDSA verification failure"),
        (ed25519.Ed25519PublicKey, "x509: Ed25519 verification failure"),
    )
    if request.signature_algorithm_oid.dotted_string == MD5:
        return "x509: cannot verify signature: insecure algorithm MD5-RSA"
    try:
        key = request.public_key()
        why = next((why for kind, why in failures if isinstance(key, kind)), UNIMPLEMENTED)
        return "" if why != UNIMPLEMENTED and request.is_signature_valid else why
    except (ValueError, UnsupportedAlgorithm):
        return UNIMPLEMENTED


def certificate_flaw(certificate: str | None) -> str:
    """Why this isn't a chain of certificates in PEM in base64; "" if it is, or isn't there."""
    if not certificate:
        return ""
    text, blocks = _decoded(certificate), 0
    while (found := pem.decode(text)) is not None:
        block, text = found
        blocks += 1
        if block.type != "CERTIFICATE":
            return f'only CERTIFICATE PEM blocks are allowed, found "{block.type}"'
        if block.headers:
            return "no PEM block headers are permitted"
        if not block.data:
            return "found CERTIFICATE PEM block containing 0 certificates"
        try:
            _certificates(block.data)
        except MalformedError as error:
            return str(error)
    return "" if blocks else "must contain at least one CERTIFICATE PEM block"


def _certificates(der: bytes) -> None:
    """One or more, one after another. Raises MalformedError."""
    from cryptography import x509

    while der:
        element = read(der, SEQUENCE, MALFORMED)
        _layers(element.content)
        try:
            x509.load_der_x509_certificate(element.whole)
        except ValueError:
            raise MalformedError(MALFORMED) from None
        der = element.rest


def _layers(content: bytes) -> None:
    """The parts of a certificate, in the order in which Go looks at them. Raises MalformedError."""
    signed = read(content, SEQUENCE, "x509: malformed tbs certificate")
    inner = signed.content
    if inner[:1] == bytes([VERSION]):
        version = read(inner, VERSION, "x509: malformed version")
        number = read(version.content, INTEGER, "x509: malformed version")
        if number.rest or number.content[:1] > b"\x7f":
            raise MalformedError("x509: malformed version")
        if number.content > b"\x02":
            raise MalformedError("x509: invalid version")
        inner = version.rest
    serial = read(inner, INTEGER, "x509: malformed serial number")
    if serial.content[:1] > b"\x7f":
        raise MalformedError("x509: negative serial number")
    algorithm = read(serial.rest, SEQUENCE, "x509: malformed signature algorithm identifier")
    outer = read(signed.rest, SEQUENCE, "x509: malformed algorithm identifier")
    if outer.content != algorithm.content:
        raise MalformedError("x509: inner and outer signature algorithm identifiers don't match")
    inner = algorithm.rest
    for what in ("issuer", "validity", "issuer", "spki"):  # Go calls the subject "issuer", too
        inner = read(inner, SEQUENCE, f"x509: malformed {what}").rest
    read(outer.rest, BIT_STRING, "x509: malformed signature")
