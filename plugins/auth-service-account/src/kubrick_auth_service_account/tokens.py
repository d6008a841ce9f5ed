"""Issues tokens and recognises them: claims.py says what they hold, keys.py signs.

A token's signature is checked once and remembered by the token itself; what may change (the time, the
account, the pod it is bound to) is looked at for every request, in the server's cache.
"""

from base64 import urlsafe_b64decode
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from attrs import frozen

from kubrick_api.errors import StatusError, unauthorized
from kubrick_api.names import GVR
from kubrick_api.storage import Reader, UserInfo
from kubrick_api_core import NODES, PODS
from kubrick_auth_service_account import claims
from kubrick_auth_service_account.keys import Keys

if TYPE_CHECKING:
    from kubrick_apiserver.auth import Credentials
    from kubrick_kernel import Kernel

Object = dict[str, Any]
REMEMBERED = 4096


@frozen
class Settings:
    """`issuer` is the tokens' issuer, and where others look for the keys; `audiences` are what this server
    answers to (the issuer when empty)."""

    issuer: str = "https://kubernetes.default.svc.cluster.local"
    audiences: tuple[str, ...] = ()
    signing_key_file: str = ""
    """The key that signs; empty: the cluster's own, under the data directory."""
    key_files: tuple[str, ...] = ()
    """Further keys whose tokens are recognised: the one before, while it is being replaced."""
    jwks_uri: str = ""
    """Where others get the keys; empty: this server."""
    extend_expiration: bool = True
    """Whether pods' tokens of 3607 seconds are in truth good for a year."""
    max_expiration_seconds: int = 0
    """The longest a token may last; 0: what was asked for."""


class ServiceAccountTokens:
    """`kubrick_api_core.tokens.TokenIssuer`, and an authenticator that knows what tokens are for."""

    name = "service-account"
    order = 30

    def __init__(self, kernel: "Kernel", settings: Settings) -> None:
        self._kernel = kernel
        self._settings = settings
        self.issuer = settings.issuer
        self.audiences = settings.audiences or (settings.issuer,)
        self.keys = Keys(self._key_file(), [Path(name) for name in settings.key_files])
        self._known: dict[str, tuple[Object, UserInfo]] = {}

    def _key_file(self) -> Path | None:
        if self._settings.signing_key_file:
            return Path(self._settings.signing_key_file)
        listens = bool(getattr(self._kernel.settings("apiserver"), "listen", ""))
        directory = self._kernel.data_dir
        return directory / "pki" / "sa.key" if directory is not None and listens else None

    @property
    def _reader(self) -> Reader:
        return self._kernel.find(Reader)

    # Issuing

    def issue(
        self, account: Object, audiences: Sequence[str], seconds: int, bound: tuple[GVR, Object] | None
    ) -> tuple[str, datetime, list[str]]:
        """`TokenIssuer.issue`."""
        settings = self._settings
        wanted = list(audiences) or list(self.audiences)
        if settings.max_expiration_seconds:
            seconds = min(seconds, settings.max_expiration_seconds)
        own = set(wanted) <= set(self.audiences)
        lasts = claims.term(seconds, own, bound, settings.extend_expiration)
        now = self._kernel.clock.now()
        made = claims.make(
            account,
            wanted,
            self.issuer,
            self._kernel.uuid(),
            int(now.timestamp()),
            lasts,
            bound,
            self._node_of(bound),
        )
        return self.keys.sign(made), now + timedelta(seconds=lasts.told), wanted

    def _node_of(self, bound: tuple[GVR, Object] | None) -> Object | None:
        """The node of the pod a token is bound to, if that pod has one."""
        if bound is None or bound[0] != PODS:
            return None
        name = bound[1]["spec"].get("nodeName", "")
        return self._reader.get(NODES, "", name) if name else None

    # Recognising

    async def authenticate(self, credentials: "Credentials") -> UserInfo | None:
        """The account a bearer token of ours speaks for. Raises StatusError 401 when it doesn't hold."""
        scheme, _, token = credentials.authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            found = self._recognise(token.strip())
        except claims.Refused:
            raise unauthorized() from None
        if found is None:
            return None
        content, user = found
        if not set(content.get("aud") or ()) & set(self.audiences):
            raise unauthorized()
        return user

    async def review(self, token: str, audiences: Sequence[str]) -> tuple[UserInfo, Sequence[str]] | None:
        """`AudienceAuthenticator.review`."""
        try:
            found = self._recognise(token)
        except claims.Refused as refused:
            raise StatusError(401, "Unauthorized", f"[invalid bearer token, {refused}]") from None
        if found is None:
            return None
        content, user = found
        wanted = audiences or self.audiences
        held = [audience for audience in content.get("aud") or () if audience in wanted]
        if not held:
            shown = [list(content.get("aud") or ()), list(wanted)]
            why = f"token audiences {orjson.dumps(shown[0]).decode()} is invalid for the target audiences "
            raise StatusError(401, "Unauthorized", f"[invalid bearer token, {why}{orjson.dumps(shown[1]).decode()}]")
        return user, held

    def _recognise(self, token: str) -> tuple[Object, UserInfo] | None:
        """The claims and the user of a token that holds; None when it isn't ours. Raises `claims.Refused`."""
        found = self._known.get(token)
        if found is None:
            if not self._is_ours(token):
                return None
            content = self.keys.verify(token)
            if content is None:
                raise claims.Refused("the signature does not fit")
            found = content, claims.user(content)
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[token] = found
        claims.check(found[0], self._kernel.clock.timestamp(), self._reader)
        return found

    def _is_ours(self, token: str) -> bool:
        """Whether a token claims to be from our issuer: cheap, and before anything heavy is imported."""
        parts = token.split(".")
        if len(parts) != 3:
            return False
        try:
            payload = orjson.loads(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        except ValueError:
            return False
        return isinstance(payload, dict) and payload.get("iss") == self.issuer
