"""What this brick serves."""

from typing import TYPE_CHECKING

from kubrick_api.groups import Parts, load_groups
from kubrick_api.resource import APIGroup
from kubrick_api_networking.ingresses import IngressClassStrategy, IngressStrategy
from kubrick_api_networking.networks import IPAddressStrategy, ServiceCIDRStrategy
from kubrick_api_networking.policies import NetworkPolicyStrategy

if TYPE_CHECKING:
    from kubrick_kernel import Kernel


def groups(kernel: "Kernel") -> tuple[APIGroup, ...]:
    return load_groups(
        "kubrick_api_networking",
        Parts(
            strategies={
                "ingressclasses": IngressClassStrategy(),
                "ingresses": IngressStrategy(),
                "ipaddresses": IPAddressStrategy(),
                "networkpolicies": NetworkPolicyStrategy(),
                "servicecidrs": ServiceCIDRStrategy(),
            }
        ),
    )
