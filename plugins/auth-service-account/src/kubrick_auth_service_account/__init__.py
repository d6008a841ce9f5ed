"""Tokens of service accounts: issued on request (TokenRequest), recognised as bearer tokens, and, by OpenID
discovery, verifiable by others."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kubrick_kernel.hookspecs import hookimpl

if TYPE_CHECKING:
    from kubrick_apiserver.auth import Authenticator
    from kubrick_apiserver.web import Handler
    from kubrick_auth_service_account.tokens import ServiceAccountTokens
    from kubrick_kernel import Component, Kernel


def _tokens(kernel: "Kernel") -> "ServiceAccountTokens":
    """The one of this kernel, whichever hook is asked first."""
    from kubrick_api_core.tokens import TokenIssuer
    from kubrick_auth_service_account.tokens import ServiceAccountTokens

    if not kernel.has(ServiceAccountTokens):
        tokens = ServiceAccountTokens(kernel, kernel.settings("auth-service-account"))
        kernel.offer(ServiceAccountTokens, tokens)
        kernel.offer(TokenIssuer, tokens)
    return kernel.find(ServiceAccountTokens)


@hookimpl
def kubrick_register_settings() -> type:
    from kubrick_auth_service_account.tokens import Settings

    return Settings


@hookimpl
def kubrick_register_components(kernel: "Kernel") -> "Sequence[Component]":
    """None: this is where the issuer is offered."""
    _tokens(kernel)
    return ()


@hookimpl
def kubrick_register_authenticators(kernel: "Kernel") -> "Sequence[Authenticator]":
    return (_tokens(kernel),)


@hookimpl
def kubrick_register_paths(kernel: "Kernel") -> "Mapping[str, Handler]":
    from kubrick_auth_service_account.discovery import CONFIGURATION, KEYS, Discovery

    discovery = Discovery(kernel, _tokens(kernel), kernel.settings("auth-service-account").jwks_uri)
    return {CONFIGURATION: discovery, KEYS: discovery}
