"""What Go says of requests and certificates that are none."""

import base64
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from kubrick_api_certificates import pem
from kubrick_api_certificates.der import PARAMETERS
from kubrick_api_certificates.flaws import NOT_PEM, certificate_flaw, request_flaw

NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ann")])
KEY = ec.generate_private_key(ec.SECP256R1())
FAILURES = {
    "ec": "x509: ECDSA verification failure",
    "ed25519": "x509: Ed25519 verification failure",
    "rsa": "crypto/rsa: verification error",
}


def request(kind: str = "ec") -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(NAME)
    if kind == "ed25519":
        return builder.sign(ed25519.Ed25519PrivateKey.generate(), None).public_bytes(Encoding.DER)
    key = KEY if kind == "ec" else rsa.generate_private_key(65537, 2048)
    return builder.sign(key, SHA256()).public_bytes(Encoding.DER)


def certificate() -> bytes:
    builder = x509.CertificateBuilder(NAME, NAME, KEY.public_key(), 7)
    dates = builder.not_valid_before(datetime(2026, 1, 1, tzinfo=UTC)).not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
    return dates.sign(KEY, SHA256()).public_bytes(Encoding.DER)


def wrapped(der: bytes, kind: str = "CERTIFICATE REQUEST", head: str = "") -> bytes:
    body = base64.encodebytes(der).decode()
    return f"-----BEGIN {kind}-----\n{head}{body}-----END {kind}-----\n".encode()


def encoded(text: bytes) -> str:
    return base64.b64encode(text).decode()


def tlv(first: int, content: bytes) -> bytes:
    length = len(content)
    long = bytes([length]) if length < 0x80 else b"\x82" + length.to_bytes(2, "big")
    return bytes([first]) + long + content


GOOD = request()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (wrapped(GOOD), ""),
        (b"what comes before is skipped\n" + wrapped(GOOD) + b"and after", ""),
        (b"", NOT_PEM),
        (b"not at the start of a line " + wrapped(GOOD), NOT_PEM),
        (wrapped(GOOD, "NEW CERTIFICATE REQUEST"), NOT_PEM),
        (wrapped(GOOD).replace(b"-----END", b"=\n-----END"), NOT_PEM),
        (wrapped(GOOD).replace(b"END CERTIFICATE REQUEST", b"END CERTIFICATE"), NOT_PEM),
        (wrapped(GOOD, head="Key: value\n\n"), ""),
        (wrapped(b""), "asn1: syntax error: sequence truncated"),
        (wrapped(b"0"), "asn1: syntax error: truncated tag or length"),
        (wrapped(b"\x30\x80"), "asn1: syntax error: indefinite length found (not DER)"),
        (wrapped(b"\x30\x81\x01\x00"), "asn1: structure error: non-minimal length"),
        (wrapped(b"\x30\x82\x00\x01\x00"), "asn1: structure error: superfluous leading zeros in length"),
        (wrapped(b"\x30\x84\x80\x00\x00\x00"), "asn1: structure error: length too large"),
        (wrapped(GOOD[:-1]), "asn1: syntax error: data truncated"),
        (wrapped(GOOD + b"\x00"), "asn1: syntax error: trailing data"),
        (
            wrapped(b"invalid key body"),
            "asn1: structure error: tags don't match (16 vs {class:1 tag:9 length:110 isCompound:true}) "
            f"{PARAMETERS} certificateRequest @2",
        ),
        (
            wrapped(tlv(0x30, b"\x02\x01\x00")),
            "asn1: structure error: tags don't match (16 vs {class:0 tag:2 length:1 isCompound:false}) "
            f"{PARAMETERS} tbsCertificateRequest @2",
        ),
        (wrapped(tlv(0x30, b"")), "asn1: syntax error: sequence truncated"),
        (wrapped(certificate()), "asn1: structure error: malformed certificate request"),
    ],
)
def test_a_request(text: bytes, why: str) -> None:
    assert request_flaw(encoded(text)) == why


@pytest.mark.parametrize("kind", FAILURES)
def test_a_request_is_signed_by_its_key(kind: str) -> None:
    der = request(kind)
    assert request_flaw(encoded(wrapped(der))) == ""
    forged = der.replace(b"ann", b"eve", 1)
    assert request_flaw(encoded(wrapped(forged))) == FAILURES[kind]


SIGNED = certificate()
ALGORITHM = bytes.fromhex("300a06082a8648ce3d040302")


def parts(*inner: bytes, outer: bytes = ALGORITHM, last: bytes = b"\x03\x02\x00\x01") -> bytes:
    return tlv(0x30, tlv(0x30, b"".join(inner)) + outer + last)


EMPTY, ONE = b"\x30\x00", b"\x02\x01\x01"


@pytest.mark.parametrize(
    ("der", "why"),
    [
        (SIGNED, ""),
        (SIGNED + SIGNED, ""),
        (b"", "found CERTIFICATE PEM block containing 0 certificates"),
        (b"asdf:", "x509: malformed certificate"),
        (SIGNED + b"\x00", "x509: malformed certificate"),
        (SIGNED[:-1], "x509: malformed certificate"),
        (b"0" * 50, "x509: malformed tbs certificate"),
        (parts(tlv(0xA0, b"\x04\x01\x00")), "x509: malformed version"),
        (parts(tlv(0xA0, b"\x02\x01\x03")), "x509: invalid version"),
        (parts(EMPTY), "x509: malformed serial number"),
        (parts(b"\x02\x01\xff"), "x509: negative serial number"),
        (parts(ONE, ONE), "x509: malformed signature algorithm identifier"),
        (parts(ONE, ALGORITHM, outer=ONE), "x509: malformed algorithm identifier"),
        (parts(ONE, ALGORITHM, outer=EMPTY), "x509: inner and outer signature algorithm identifiers don't match"),
        (parts(ONE, ALGORITHM, ONE), "x509: malformed issuer"),
        (parts(ONE, ALGORITHM, EMPTY, ONE), "x509: malformed validity"),
        (parts(ONE, ALGORITHM, EMPTY, EMPTY, ONE), "x509: malformed issuer"),
        (parts(ONE, ALGORITHM, EMPTY, EMPTY, EMPTY, ONE), "x509: malformed spki"),
        (parts(ONE, ALGORITHM, EMPTY, EMPTY, EMPTY, EMPTY, last=ONE), "x509: malformed signature"),
    ],
)
def test_a_certificate(der: bytes, why: str) -> None:
    assert certificate_flaw(encoded(wrapped(der, "CERTIFICATE"))) == why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"x", "must contain at least one CERTIFICATE PEM block"),
        (wrapped(SIGNED, "CERTIFICATE") * 2 + b"trailing", ""),
        (wrapped(SIGNED, "CERTIFICATE", "Key: value\n\n"), "no PEM block headers are permitted"),
        (
            wrapped(SIGNED, "CERTIFICATE") + wrapped(SIGNED, "TRUSTED CERTIFICATE"),
            'only CERTIFICATE PEM blocks are allowed, found "TRUSTED CERTIFICATE"',
        ),
    ],
)
def test_a_chain(text: bytes, why: str) -> None:
    assert certificate_flaw(encoded(text)) == why


@pytest.mark.parametrize("body", ["QUJD=", "QUI", "QUI==", "QQ=", "QQ===", "QQ==QQ==", "Q", "QU-D", "Q\xc3\xa4=="])
def test_what_is_no_base64_is_no_block(body: str) -> None:
    assert pem.decode(f"-----BEGIN A-----\n{body}\n-----END A-----\n".encode()) is None


@given(st.binary(max_size=40), st.sampled_from(["CERTIFICATE", "A B"]))
def test_what_is_wrapped_comes_out(data: bytes, kind: str) -> None:
    found = pem.decode(b"junk\n" + wrapped(data, kind) + b"rest")
    assert found is not None
    assert (found[0].type, found[0].data, found[1]) == (kind, data, b"rest")


@given(st.binary(max_size=40))
def test_any_bytes_are_flawed_in_some_words(data: bytes) -> None:
    assert request_flaw(encoded(wrapped(data)))
    assert certificate_flaw(encoded(wrapped(data, "CERTIFICATE")))
