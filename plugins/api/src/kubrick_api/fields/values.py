"""Which fields hold their struct by value in Go: these are never absent, only empty.

A new Deployment, in Go, has a ``spec.strategy`` before anybody writes to it; a new container has
``resources``. So nobody comes to own the struct itself by giving it a first field, and an empty one that
comes with a new list item is owned as a whole. ``metadata``, ``spec`` and ``status`` are by value almost
everywhere; the rest is listed by type.
"""

EVERYWHERE = ("metadata", "spec", "status")

BY_VALUE: dict[str, tuple[str, ...]] = {
    "AllocationResult": ("devices",),
    "Binding": ("target",),
    "ClusterRoleBinding": ("roleRef",),
    "Container": ("resources",),
    "ContainerResourceMetricSource": ("target",),
    "ContainerResourceMetricStatus": ("current",),
    "ContainerStatus": ("state", "lastState"),
    "CronJobSpec": ("jobTemplate",),
    "CustomResourceDefinitionSpec": ("names",),
    "CustomResourceDefinitionStatus": ("acceptedNames",),
    "DaemonSetSpec": ("template", "updateStrategy"),
    "DeploymentSpec": ("strategy", "template"),
    "EphemeralContainer": ("resources",),
    "Event": ("deprecatedSource", "involvedObject", "regarding", "source"),
    "ExternalMetricSource": ("metric", "target"),
    "ExternalMetricStatus": ("current", "metric"),
    "FlowSchemaSpec": ("priorityLevelConfiguration",),
    "HTTPIngressPath": ("backend",),
    "HorizontalPodAutoscalerSpec": ("scaleTargetRef",),
    "IngressServiceBackend": ("port",),
    "IngressStatus": ("loadBalancer",),
    "JobSpec": ("template",),
    "LimitedPriorityLevelConfiguration": ("limitResponse",),
    "MutatingWebhook": ("clientConfig",),
    "NetworkPolicySpec": ("podSelector",),
    "NodeDaemonEndpoints": ("kubeletEndpoint",),
    "NodeStatus": ("daemonEndpoints", "nodeInfo"),
    "ObjectMetricSource": ("describedObject", "metric", "target"),
    "ObjectMetricStatus": ("current", "describedObject", "metric"),
    "PersistentVolumeClaimSpec": ("resources",),
    "PodTemplate": ("template",),
    "PodsMetricSource": ("metric", "target"),
    "PodsMetricStatus": ("current", "metric"),
    "PreferredSchedulingTerm": ("preference",),
    "ReplicaSetSpec": ("template",),
    "ResourceClaimSpec": ("devices",),
    "ResourceMetricSource": ("target",),
    "ResourceMetricStatus": ("current",),
    "ResourceSliceSpec": ("pool",),
    "RoleBinding": ("roleRef",),
    "ServiceStatus": ("loadBalancer",),
    "StatefulSetSpec": ("template", "updateStrategy"),
    "ValidatingWebhook": ("clientConfig",),
    "VolumeAttachmentSpec": ("source",),
    "WeightedPodAffinityTerm": ("podAffinityTerm",),
}


def by_value(owner: str, field: str) -> bool:
    """Whether the type `owner` (its short name) holds the struct in `field` by value."""
    return field in EVERYWHERE or field in BY_VALUE.get(owner, ())
