"""The profiles: which plugins make an API server, a control plane, a simulated cluster, a machine with containers.

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
        "flow-control",
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
        "controller-clusterrole-aggregation",
        "controller-root-ca-certificate-publisher",
        "controller-service-cidr",
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

POD_CIDR, GATEWAY = "10.244.0.0/24", "10.244.0.1"
DNS_SERVICE = "10.96.0.10"

FULL = Profile(
    name="full",
    description="control plane and this machine as its node, with real containers behind real Services; needs root",
    includes=("control-plane",),
    plugins=(
        "machine",
        "network",
        "cni-bridge",
        "cni-host-local",
        "cni-loopback",
        "cni-portmap",
        "node",
        "runtime-cri",
        "proxy-nftables",
        "dns",
    ),
    # Pods reach the API server and the DNS at their bridge's own address, which is on this machine alone.
    settings={
        "network": {"pod_cidrs": [POD_CIDR]},
        "apiserver": {"advertise_address": GATEWAY, "further_hosts": [GATEWAY]},
        "node": {"pod_cidr": POD_CIDR, "cluster_dns": [DNS_SERVICE]},
        "runtime-cri": {"cni_bin_dir": "cni/bin", "cni_conf_dir": "cni/net.d", "log_directory": "logs"},
        "dns": {"listen": f"{GATEWAY}:53", "service_ip": DNS_SERVICE},
    },
    preference=20,
    reason="this is root, and has what real containers take",
)


@hookimpl
def kubrick_register_profiles() -> Sequence[Profile]:
    """`full` is preferred, and passed over where its plugins find an obstacle: no root, or no container runtime."""
    return (API, CONTROL_PLANE, HOLLOW, FULL)
