"""What others need to check our tokens by themselves: OpenID discovery and the public keys (KEP-1393)."""

from typing import TYPE_CHECKING

import orjson

from kubrick_api.errors import method_not_allowed
from kubrick_apiserver.web import Request, Response

if TYPE_CHECKING:
    from kubrick_auth_service_account.tokens import ServiceAccountTokens
    from kubrick_kernel import Kernel

CONFIGURATION = "/.well-known/openid-configuration"
KEYS = "/openid/v1/jwks"
CACHED = ("Cache-Control", "public, max-age=3600")


class Discovery:
    """Answers the two paths."""

    def __init__(self, kernel: "Kernel", tokens: "ServiceAccountTokens", jwks_uri: str) -> None:
        self._kernel = kernel
        self._tokens = tokens
        self._jwks_uri = jwks_uri

    async def __call__(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            raise method_not_allowed()
        verifiers = self._tokens.keys.verifiers.values()
        if request.path == KEYS:
            body = orjson.dumps({"keys": [verifier.jwk() for verifier in verifiers]})
            return Response(200, "application/jwk-set+json", body, [CACHED])
        server = self._kernel.announcements.get("server", self._tokens.issuer)
        document = {
            "issuer": self._tokens.issuer,
            "jwks_uri": self._jwks_uri or server + KEYS,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": sorted({verifier.algorithm for verifier in verifiers}),
        }
        return Response(200, "application/json", orjson.dumps(document), [CACHED])
