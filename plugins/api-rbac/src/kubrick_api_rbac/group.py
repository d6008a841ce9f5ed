"""What this brick serves."""

from typing import TYPE_CHECKING

from kubrick_api.groups import Parts, load_groups
from kubrick_api.resource import APIGroup
from kubrick_api_rbac.roles import BindingStrategy, RoleStrategy

if TYPE_CHECKING:
    from kubrick_kernel import Kernel


def groups(kernel: "Kernel") -> tuple[APIGroup, ...]:
    return load_groups(
        "kubrick_api_rbac",
        Parts(
            strategies={
                "clusterrolebindings": BindingStrategy(namespaced=False),
                "clusterroles": RoleStrategy(namespaced=False),
                "rolebindings": BindingStrategy(namespaced=True),
                "roles": RoleStrategy(namespaced=True),
            }
        ),
    )
