"""The resources of admissionregistration.k8s.io, by name. Written by tools/generate_api_resources.py."""

from kubrick_api.names import GVR

MUTATING_ADMISSION_POLICIES = GVR("admissionregistration.k8s.io", "v1", "mutatingadmissionpolicies")
MUTATING_ADMISSION_POLICY_BINDINGS = GVR("admissionregistration.k8s.io", "v1", "mutatingadmissionpolicybindings")
MUTATING_WEBHOOK_CONFIGURATIONS = GVR("admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations")
VALIDATING_ADMISSION_POLICIES = GVR("admissionregistration.k8s.io", "v1", "validatingadmissionpolicies")
VALIDATING_ADMISSION_POLICY_BINDINGS = GVR("admissionregistration.k8s.io", "v1", "validatingadmissionpolicybindings")
VALIDATING_WEBHOOK_CONFIGURATIONS = GVR("admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations")
