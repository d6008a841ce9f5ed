"""Role based access control, evaluated against the Role and binding objects of the cluster.

Settings: none. The default roles and bindings of Kubernetes are in policy.json.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kubrick_kernel import ConfigurationError
from kubrick_kernel.hookspecs import hookimpl

if TYPE_CHECKING:
    from kubrick_api.names import GVK
    from kubrick_apiserver.admission import AdmissionPlugin
    from kubrick_apiserver.auth import Authorizer
    from kubrick_apiserver.bootstrap import Reconcile
    from kubrick_auth_rbac.authorizer import RBAC
    from kubrick_kernel import Component, Kernel


def _rbac(kernel: "Kernel") -> "RBAC":
    """The one authorizer of this kernel, whichever hook is asked first."""
    from kubrick_auth_rbac.authorizer import RBAC

    if not kernel.has(RBAC):
        kernel.offer(RBAC, RBAC(kernel))
    return kernel.find(RBAC)


@hookimpl
def kubrick_register_components(kernel: "Kernel") -> "Sequence[Component]":
    return (_rbac(kernel),)


@hookimpl
def kubrick_register_authorizers(kernel: "Kernel") -> "Sequence[Authorizer]":
    from kubrick_api.catalog import Catalog
    from kubrick_api_rbac import CLUSTER_ROLES

    if kernel.find(Catalog).resource(CLUSTER_ROLES) is None:
        raise ConfigurationError("auth-rbac: nobody may do anything without plugin 'api-rbac'; disable both or none")
    return (_rbac(kernel),)


@hookimpl
def kubrick_register_admission(kernel: "Kernel") -> "Sequence[AdmissionPlugin]":
    from kubrick_auth_rbac.escalation import EscalationCheck

    return (EscalationCheck(_rbac(kernel)),)


@hookimpl
def kubrick_register_bootstrap_objects(kernel: "Kernel") -> Sequence[dict[str, Any]]:
    from kubrick_auth_rbac.policy import default_policy

    return default_policy()


@hookimpl
def kubrick_register_bootstrap_reconcilers(kernel: "Kernel") -> "Mapping[GVK, Reconcile]":
    from kubrick_api.names import GVK
    from kubrick_auth_rbac.reconcile import reconcile_binding, reconcile_role

    group = "rbac.authorization.k8s.io"
    return {
        GVK(group, "v1", "Role"): reconcile_role,
        GVK(group, "v1", "ClusterRole"): reconcile_role,
        GVK(group, "v1", "RoleBinding"): reconcile_binding,
        GVK(group, "v1", "ClusterRoleBinding"): reconcile_binding,
    }


@hookimpl
def kubrick_register_health_checks(kernel: "Kernel") -> "Sequence[tuple[str, Callable[[], Awaitable[None]]]]":
    """Unwell until the default roles are in force, under kube-apiserver's name for it."""

    async def bootstrapped() -> None:
        rbac = _rbac(kernel)
        rbac.update()
        if rbac.index.rules_of("ClusterRole", ("", "cluster-admin")) is None:
            raise RuntimeError("there is no ClusterRole cluster-admin")

    return (("poststarthook/rbac/bootstrap-roles", bootstrapped),)
