"""The API server's extension points."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from kubrick_api.names import GVK
    from kubrick_apiserver.admission import AdmissionPlugin
    from kubrick_apiserver.auth import Authenticator, Authorizer
    from kubrick_apiserver.bootstrap import Reconcile
    from kubrick_apiserver.flow import FlowControl
    from kubrick_apiserver.web import Handler
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


@hookspec
def kubrick_register_bootstrap_reconcilers(kernel: "Kernel") -> "Mapping[GVK, Reconcile]":
    """For kinds of bootstrap objects that are kept up to date: a function that is given what is stored
    and what is wanted (neither to be changed), and returns the object to store instead, or None to leave
    what is stored. Kinds without one are left alone once they exist."""
    return {}


@hookspec
def kubrick_register_collectors(kernel: "Kernel") -> Sequence[Any]:
    """Metrics for /metrics: objects with prometheus-client's ``collect()``. Asked when /metrics is first
    read, so that importing prometheus-client costs the start nothing."""
    return ()


@hookspec
def kubrick_register_paths(kernel: "Kernel") -> "Mapping[str, Handler]":
    """Paths outside /api, /apis and /openapi, whole, and who answers them. Asked when the server is built;
    whether a user may ask is decided before, by the rules for non-resource URLs."""
    return {}


@hookspec(firstresult=True)
def kubrick_register_flow_control(kernel: "Kernel") -> "FlowControl | None":
    """Who decides which requests are served now, which wait and which are turned away. Asked when the server
    is built; the first answer is taken. Without one the server refuses what is beyond its limits."""
    return None
