"""The cluster's DNS server: Kubernetes' DNS schema 1.1 on a cluster IP, everything else forwarded."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kubrick_kernel.hookspecs import hookimpl

if TYPE_CHECKING:
    from kubrick_kernel import Component, Kernel


@hookimpl
def kubrick_register_settings() -> type | None:
    from kubrick_dns.settings import Settings

    return Settings


@hookimpl
def kubrick_register_components(kernel: "Kernel") -> "Sequence[Component]":
    from kubrick_dns.component import ClusterDNS

    server = ClusterDNS(kernel)
    kernel.offer(ClusterDNS, server)
    return [server]


@hookimpl(optionalhook=True)
def kubrick_register_bootstrap_objects(kernel: "Kernel") -> "Sequence[dict[str, Any]]":
    """The role that lets the server look, as cluster DNS add-ons have it, and its Service if it has one."""
    from kubrick_dns.service import service_objects

    looks = [
        {"apiGroups": [""], "resources": ["namespaces", "services"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"}
    subject = {"kind": "ServiceAccount", "name": "coredns", "namespace": "kube-system"}
    head = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "system:coredns"}}
    return [
        {**head, "kind": "ClusterRole", "rules": looks},
        {**head, "kind": "ClusterRoleBinding", "roleRef": role, "subjects": [subject]},
        *service_objects(kernel.settings("dns")),
    ]
