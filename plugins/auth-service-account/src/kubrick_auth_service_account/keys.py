"""The keys that sign tokens and those that recognise them.

The signing key is the cluster's (`<data-dir>/pki/sa.key`) unless the settings name another; a server
without a data directory makes one that ends with it. EC keys sign with ES256, ES384 or ES512, RSA keys
with RS256. Importing PyJWT and cryptography takes 80 ms, so nothing is loaded before the first token.
"""

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from kubrick_kernel import ConfigurationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

    PrivateKey = EllipticCurvePrivateKey | RSAPrivateKey
    PublicKey = EllipticCurvePublicKey | RSAPublicKey

Object = dict[str, Any]
CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


@frozen
class Verifier:
    """A public key, the algorithm it is for, and its id: the base64url SHA-256 of its DER, as Kubernetes has it."""

    id: str
    algorithm: str
    key: "PublicKey"

    def jwk(self) -> Object:
        """As a JSON Web Key (RFC 7517)."""
        import jwt

        shown: Object = jwt.get_algorithm_by_name(self.algorithm).to_jwk(self.key, as_dict=True)
        return {"use": "sig", "kty": shown["kty"], "kid": self.id, "alg": self.algorithm} | {
            name: value for name, value in shown.items() if name not in ("key_ops", "kty", "kid")
        }


class Keys:
    """`private` is the file of the signing key (None: one of our own, gone with us), `others` files with further
    keys whose tokens are recognised. Raises ConfigurationError at the first use of one that can't be read."""

    def __init__(self, private: Path | None, others: Sequence[Path] = ()) -> None:
        self._private = private
        self._others = tuple(others)

    @cached_property
    def _signer(self) -> "tuple[PrivateKey, Verifier]":
        from cryptography.hazmat.primitives.asymmetric import ec

        if self._private is None:
            made = ec.generate_private_key(ec.SECP256R1())
            return made, _verifier(made.public_key(), "the key made at start")
        key = _load(self._private)
        if not hasattr(key, "sign"):
            raise ConfigurationError(
                f"auth-service-account: {self._private} is a public key; tokens need a private one"
            )
        return key, _verifier(key.public_key(), str(self._private))

    @cached_property
    def verifiers(self) -> dict[str, Verifier]:
        """Every key whose tokens are recognised, by id."""
        found = [self._signer[1]]
        for path in self._others:
            key = _load(path)
            found.append(_verifier(key.public_key() if hasattr(key, "public_key") else key, str(path)))
        return {verifier.id: verifier for verifier in found}

    def sign(self, claims: Object) -> str:
        import jwt

        key, verifier = self._signer
        return jwt.encode(claims, key, algorithm=verifier.algorithm, headers={"kid": verifier.id, "typ": None})

    def verify(self, token: str) -> Object | None:
        """The claims of a token that one of these keys signed, whatever they say; None for any other."""
        import jwt

        try:
            verifier = self.verifiers.get(jwt.get_unverified_header(token).get("kid", ""))
            if verifier is None:
                return None
            # Times and audiences are checked against the server's clock and settings, elsewhere.
            unchecked: Any = {f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")}
            claims: Object = jwt.decode(token, verifier.key, algorithms=[verifier.algorithm], options=unchecked)
        except jwt.InvalidTokenError:
            return None
        return claims


def _load(path: Path) -> Any:
    from cryptography.hazmat.primitives import serialization

    try:
        data = path.read_bytes()
        if b"PRIVATE KEY" in data:
            return serialization.load_pem_private_key(data, None)
        return serialization.load_pem_public_key(data)
    except (OSError, ValueError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"it is no key in PEM: {error}"
        raise ConfigurationError(f"auth-service-account: cannot read the key {path}: {reason}") from error


def _verifier(key: Any, source: str) -> Verifier:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in CURVES:
        algorithm = CURVES[key.curve.name]
    elif isinstance(key, rsa.RSAPublicKey):
        algorithm = "RS256"
    else:
        raise ConfigurationError(f"auth-service-account: {source} must be an RSA key or one on a NIST curve")
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    digest = sha256(key.public_bytes(serialization.Encoding.DER, form)).digest()
    return Verifier(urlsafe_b64encode(digest).rstrip(b"=").decode(), algorithm, key)
