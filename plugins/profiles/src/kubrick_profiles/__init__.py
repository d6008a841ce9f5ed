"""The profiles: which plugins make an API server, a control plane, a simulated cluster.

Each includes the one before it, so a set is written down once. Hosts come before their leaves only
for the reader: the order of plugins means nothing to the kernel.
"""

from collections.abc import Sequence

from kubrick_kernel import Profile, hookimpl

GROUPS = (
    "api-core",
    "api-apps",
    "api-events",
    "api-authentication",
    "api-authorization",
    "api-autoscaling",
    "api-batch",
    "api-certificates",
    "api-networking",
    "api-policy",
    "api-rbac",
    "api-storage",
    "api-admissionregistration",
    "api-apiextensions",
    "api-apiregistration",
    "api-scheduling",
    "api-coordination",
    "api-node",
    "api-discovery",
    "api-resource",
    "api-flowcontrol",
)

API = Profile(
    name="api",
    description="an API server and nothing else",
    plugins=(
        "api",
        *GROUPS,
        "apiserver",
        "auth-x509",
        "auth-service-account",
        "auth-token-file",
        "auth-rbac",
        "admission-namespace-lifecycle",
        "admission-service-account",
        "admission-default-toleration-seconds",
        "admission-taint-nodes-by-condition",
        "admission-priority",
    ),
)

CONTROL_PLANE = Profile(
    name="control-plane",
    description="API server, scheduler and controllers, without nodes",
    includes=("api",),
    plugins=(
        "scheduler",
        "scheduler-node-unschedulable",
        "scheduler-node-name",
        "scheduler-taint-toleration",
        "scheduler-node-affinity",
        "scheduler-node-ports",
        "scheduler-node-resources-fit",
        "scheduler-node-resources-balanced-allocation",
        "scheduler-image-locality",
        "scheduler-priority-sort",
        "scheduler-default-binder",
        "controller",
        "controller-deployment",
        "controller-replicaset",
        "controller-endpoints",
        "controller-endpointslice",
        "controller-namespace",
        "controller-service-account",
        "controller-root-ca-certificate-publisher",
        "controller-garbage-collector",
        "controller-node-lifecycle",
        "controller-taint-eviction",
        "controller-pod-garbage-collector",
    ),
)

HOLLOW = Profile(
    name="hollow",
    description="control plane and simulated nodes, whose pods run no processes",
    includes=("control-plane",),
    plugins=("node", "runtime-hollow"),
    preference=10,
    reason="needs neither root nor a container runtime",
)


@hookimpl
def kubrick_register_profiles() -> Sequence[Profile]:
    return (API, CONTROL_PLANE, HOLLOW)
