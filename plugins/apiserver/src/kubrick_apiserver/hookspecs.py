"""The API server's extension points."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from kubrick_apiserver.admission import AdmissionPlugin
    from kubrick_apiserver.auth import Authenticator, Authorizer
    from kubrick_kernel import Kernel

hookspec = pluggy.HookspecMarker("kubrick")


@hookspec
def kubrick_register_admission(kernel: "Kernel") -> "Sequence[AdmissionPlugin]":
    """Admission plugins of this brick (mutating, validating or both)."""
    return ()


@hookspec
def kubrick_register_authenticators(kernel: "Kernel") -> "Sequence[Authenticator]":
    """Ways to know who is asking."""
    return ()


@hookspec
def kubrick_register_authorizers(kernel: "Kernel") -> "Sequence[Authorizer]":
    """Ways to decide whether they may. They find their data through
    ``kernel.find(kubrick_api.storage.Reader)`` when first asked."""
    return ()


@hookspec
def kubrick_register_bootstrap_objects(kernel: "Kernel") -> Sequence[dict[str, Any]]:
    """Objects that must exist before the server is ready (system namespaces, default roles, system
    priority classes): created when absent, reconciled as their kind's rules say."""
    return ()


@hookspec
def kubrick_register_health_checks(kernel: "Kernel") -> "Sequence[tuple[str, Callable[[], Awaitable[None]]]]":
    """Named checks for /readyz and /livez: an async function that raises when unwell."""
    return ()
