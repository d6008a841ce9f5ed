"""Client certificates, made with cryptography and read with our own reader."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kubrick_api.errors import StatusError
from kubrick_apiserver.auth import Credentials
from kubrick_auth_x509 import CREDENTIAL_ID, X509
from kubrick_kernel import TrioClock

START = datetime(2026, 1, 1, tzinfo=UTC)
UID = x509.ObjectIdentifier("1.3.6.1.4.1.57683.2")


def certificate(*attributes: tuple[x509.ObjectIdentifier, str], life: timedelta = timedelta(hours=1)) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(kind, value) for kind, value in attributes])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(START).not_valid_after(START + life)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


async def test_common_name_and_organizations_make_user_and_groups() -> None:
    shown = certificate(
        (NameOID.ORGANIZATION_NAME, "system:masters"),
        (NameOID.COMMON_NAME, "müller"),
        (NameOID.ORGANIZATION_NAME, "other"),
        (UID, "42"),
    )
    user = await X509(TrioClock(START)).authenticate(Credentials(certificate=shown))
    assert user is not None
    assert (user.name, user.uid, user.groups) == ("müller", "42", ("system:masters", "other"))
    assert user.extra[CREDENTIAL_ID][0].startswith("X509SHA256=")


async def test_without_a_certificate_or_a_name_there_is_no_user() -> None:
    authenticator = X509(TrioClock(START))
    assert await authenticator.authenticate(Credentials("Bearer x")) is None
    nameless = certificate((NameOID.ORGANIZATION_NAME, "x"))
    assert await authenticator.authenticate(Credentials(certificate=nameless)) is None


async def test_a_certificate_that_expired_since_the_handshake_is_refused() -> None:
    shown = certificate((NameOID.COMMON_NAME, "x"))
    later = X509(TrioClock(START + timedelta(hours=2)))
    with pytest.raises(StatusError, match="Unauthorized"):
        await later.authenticate(Credentials(certificate=shown))
    assert await X509(TrioClock(START)).authenticate(Credentials(certificate=shown))
