"""How Kubernetes shows its own structs inside error messages.

Validation upstream runs on internal types, which have no JSON names: when an error quotes a whole struct, it
shows Go's field names, absent ones included. The few structs that errors quote are listed here.
"""

from typing import Any

Shape = dict[str, tuple[str, Any]]
"""Go's field name → its JSON name and what is shown when it is absent; in Go's order."""

WINDOWS: Shape = {
    "GMSACredentialSpecName": ("gmsaCredentialSpecName", None),
    "GMSACredentialSpec": ("gmsaCredentialSpec", None),
    "RunAsUserName": ("runAsUserName", None),
    "HostProcess": ("hostProcess", None),
}
SELINUX: Shape = {"User": ("user", ""), "Role": ("role", ""), "Type": ("type", ""), "Level": ("level", "")}
CAPABILITIES: Shape = {"Add": ("add", None), "Drop": ("drop", None)}
PROFILE: Shape = {"Type": ("type", ""), "LocalhostProfile": ("localhostProfile", None)}
SECURITY_CONTEXT: Shape = {
    "Capabilities": ("capabilities", None),
    "Privileged": ("privileged", None),
    "SELinuxOptions": ("seLinuxOptions", None),
    "WindowsOptions": ("windowsOptions", None),
    "RunAsUser": ("runAsUser", None),
    "RunAsGroup": ("runAsGroup", None),
    "RunAsNonRoot": ("runAsNonRoot", None),
    "ReadOnlyRootFilesystem": ("readOnlyRootFilesystem", None),
    "AllowPrivilegeEscalation": ("allowPrivilegeEscalation", None),
    "ProcMount": ("procMount", None),
    "SeccompProfile": ("seccompProfile", None),
    "AppArmorProfile": ("appArmorProfile", None),
}
SERVICE_PORT: Shape = {
    "Name": ("name", ""),
    "Protocol": ("protocol", ""),
    "AppProtocol": ("appProtocol", None),
    "Port": ("port", 0),
    "TargetPort": ("targetPort", 0),
    "NodePort": ("nodePort", 0),
}
TAINT: Shape = {"Key": ("key", ""), "Value": ("value", ""), "Effect": ("effect", ""), "TimeAdded": ("timeAdded", None)}
TOLERATION: Shape = {
    "Key": ("key", ""),
    "Operator": ("operator", ""),
    "Value": ("value", ""),
    "Effect": ("effect", ""),
    "TolerationSeconds": ("tolerationSeconds", None),
}
RESOURCE_CLAIM: Shape = {
    "Name": ("name", ""),
    "ResourceClaimName": ("resourceClaimName", None),
    "ResourceClaimTemplateName": ("resourceClaimTemplateName", None),
}
BUNDLE: Shape = {
    "Name": ("name", None),
    "SignerName": ("signerName", None),
    "LabelSelector": ("labelSelector", None),
    "Optional": ("optional", None),
    "Path": ("path", ""),
}
REQUIREMENT: Shape = {"Key": ("key", ""), "Operator": ("operator", ""), "Values": ("values", None)}
NODE_TERM: Shape = {"MatchExpressions": ("matchExpressions", None), "MatchFields": ("matchFields", None)}
NODE_SELECTOR: Shape = {"NodeSelectorTerms": ("nodeSelectorTerms", None)}
VOLUME_AFFINITY: Shape = {"Required": ("required", None)}
ADDRESS: Shape = {"Type": ("type", ""), "Address": ("address", "")}
IP: Shape = {"IP": ("ip", "")}
SCOPE_SELECTOR: Shape = {"MatchExpressions": ("matchExpressions", None)}
SCOPE_REQUIREMENT: Shape = {"ScopeName": ("scopeName", ""), "Operator": ("operator", ""), "Values": ("values", None)}
CONFIG_SOURCE: Shape = {"ConfigMap": ("configMap", None)}
CONFIG_MAP_SOURCE: Shape = {
    "Namespace": ("namespace", ""),
    "Name": ("name", ""),
    "UID": ("uid", ""),
    "ResourceVersion": ("resourceVersion", ""),
    "KubeletConfigKey": ("kubeletConfigKey", ""),
}
WITHIN: dict[int, dict[str, Shape]] = {
    id(SECURITY_CONTEXT): {
        "capabilities": CAPABILITIES,
        "seLinuxOptions": SELINUX,
        "windowsOptions": WINDOWS,
        "seccompProfile": PROFILE,
        "appArmorProfile": PROFILE,
    },
    id(NODE_TERM): {"matchExpressions": REQUIREMENT, "matchFields": REQUIREMENT},
    id(NODE_SELECTOR): {"nodeSelectorTerms": NODE_TERM},
    id(VOLUME_AFFINITY): {"required": NODE_SELECTOR},
    id(SCOPE_SELECTOR): {"matchExpressions": SCOPE_REQUIREMENT},
    id(CONFIG_SOURCE): {"configMap": CONFIG_MAP_SOURCE},
}
"""Structs within structs, by the outer shape and the JSON name."""


def internal(value: Any, shape: Shape) -> Any:
    """`value` (an object, a list of them, or None) with Go's names, in Go's order."""
    if isinstance(value, list):
        return [internal(entry, shape) for entry in value]
    if not isinstance(value, dict):
        return value
    inner = WITHIN.get(id(shape), {})
    shown = {}
    for go, (name, absent) in shape.items():
        entry = value.get(name)
        if entry is None:
            entry = absent
        elif name in inner:
            entry = internal(entry, inner[name])
        shown[go] = entry
    return shown
