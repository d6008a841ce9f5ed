"""Authentication by client certificate: the common name is the user, organizations are the groups.

TLS has verified the certificate against the cluster's authority; what is left is to read it. A
connection's requests share one certificate, so each is read once and remembered.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

from kubrick_kernel.hookspecs import hookimpl

if TYPE_CHECKING:
    from kubrick_api.storage import UserInfo
    from kubrick_apiserver.auth import Authenticator, Credentials
    from kubrick_kernel import Clock, Kernel

CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"
REMEMBERED = 1024


class X509:
    """Knows a user by a certificate that TLS verified. Raises StatusError 401 once it has expired: a
    connection may outlive it."""

    name = "x509"
    order = 10

    def __init__(self, clock: "Clock") -> None:
        self._clock = clock
        self._known: dict[bytes, tuple[UserInfo, float] | None] = {}

    async def authenticate(self, credentials: "Credentials") -> "UserInfo | None":
        certificate = credentials.certificate
        if certificate is None:
            return None
        try:
            known = self._known[certificate]
        except KeyError:
            known = self._read(certificate)
        if known is None:
            return None
        user, expires = known
        if self._clock.timestamp() > expires:
            from kubrick_api.errors import unauthorized

            raise unauthorized()
        return user

    def _read(self, certificate: bytes) -> "tuple[UserInfo, float] | None":
        from kubrick_api.storage import UserInfo
        from kubrick_http import der

        if len(self._known) >= REMEMBERED:
            self._known.clear()
        parsed = der.parse(certificate)
        names = parsed.attribute(der.COMMON_NAME)
        known = None
        if names:
            user = UserInfo(
                names[-1],
                "".join(parsed.attribute(der.USER_ID)[-1:]),
                tuple(parsed.attribute(der.ORGANIZATION)),
                {CREDENTIAL_ID: (f"X509SHA256={sha256(certificate).hexdigest()}",)},
            )
            known = user, parsed.not_after.timestamp()
        self._known[certificate] = known
        return known


@hookimpl
def kubrick_register_authenticators(kernel: "Kernel") -> "Sequence[Authenticator]":
    return (X509(kernel.clock),)
