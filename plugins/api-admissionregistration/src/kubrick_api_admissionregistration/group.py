"""What this brick serves."""

from typing import TYPE_CHECKING

from kubrick_api.groups import Parts, load_groups
from kubrick_api.resource import APIGroup
from kubrick_api_admissionregistration.policies import PolicyBindingStrategy, PolicyStrategy
from kubrick_api_admissionregistration.webhooks import WebhookConfigurationStrategy

if TYPE_CHECKING:
    from kubrick_kernel import Kernel


def groups(kernel: "Kernel") -> tuple[APIGroup, ...]:
    return load_groups(
        "kubrick_api_admissionregistration",
        Parts(
            strategies={
                "mutatingadmissionpolicies": PolicyStrategy("mutations"),
                "mutatingadmissionpolicybindings": PolicyBindingStrategy(mutating=True),
                "mutatingwebhookconfigurations": WebhookConfigurationStrategy(mutating=True),
                "validatingadmissionpolicies": PolicyStrategy("validations"),
                "validatingadmissionpolicybindings": PolicyBindingStrategy(),
                "validatingwebhookconfigurations": WebhookConfigurationStrategy(mutating=False),
            }
        ),
    )
