"""Fields that a strategy puts back whatever the client wrote, so that writing them owns nothing.

Where there is a status subresource, the object's own endpoint resets status, and the subresource resets
spec; some subresources reset more or keep but a little (Kubernetes: each strategy's GetResetFields).
"""

from kubrick_api.fields.sets import EMPTY, LEAF, Set, of_paths

CERTIFICATES = "certificates.k8s.io"
STATUS = of_paths(("f:status",))
SPEC = of_paths(("f:spec",))
ALL_METADATA = of_paths(("f:spec",), ("f:metadata",))

OF_STATUS: dict[tuple[str, str], Set] = {
    ("", "pods"): of_paths(("f:spec",), ("f:metadata", "f:deletionTimestamp"), ("f:metadata", "f:ownerReferences")),
    ("apps", "deployments"): of_paths(("f:spec",), ("f:metadata", "f:labels")),
    ("apiextensions.k8s.io", "customresourcedefinitions"): ALL_METADATA,
    ("apiregistration.k8s.io", "apiservices"): ALL_METADATA,
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"): ALL_METADATA,
    ("flowcontrol.apiserver.k8s.io", "flowschemas"): ALL_METADATA,
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"): ALL_METADATA,
    (CERTIFICATES, "certificatesigningrequests"): of_paths(("f:spec",), ("f:status", "f:conditions")),
    ("resource.k8s.io", "resourceclaims"): ALL_METADATA,
    ("storage.k8s.io", "volumeattachments"): ALL_METADATA,
}
"""What the status subresource of a resource resets, where it isn't just the spec."""

OTHERWISE: dict[tuple[str, str, str], Set] = {
    (CERTIFICATES, "certificatesigningrequests", ""): of_paths(("f:spec",), ("f:status",)),
    (CERTIFICATES, "certificatesigningrequests", "approval"): of_paths(("f:spec",), ("f:status", "f:certificate")),
}
"""What other endpoints reset, where it isn't just the status."""

ONLY: dict[tuple[str, str, str], Set] = {
    ("", "pods", "ephemeralcontainers"): {"f:spec": {"f:ephemeralContainers": LEAF}},
    ("", "pods", "resize"): {
        "f:spec": {
            "f:containers": {"*": {"f:resources": LEAF, "f:resizePolicy": LEAF}},
            "f:initContainers": {"*": {"f:resources": LEAF, "f:resizePolicy": LEAF}},
        }
    },
}
"""Subresources through which nothing else can be owned (see `sets.within`)."""


def reset_fields(group: str, resource: str, subresource: str, has_status: bool) -> Set:
    """The fields that a write to this endpoint can't come to own."""
    if subresource == "status":
        return OF_STATUS.get((group, resource), SPEC)
    return OTHERWISE.get((group, resource, subresource), STATUS if has_status else EMPTY)
