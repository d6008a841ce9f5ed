"""What this brick serves."""

from typing import TYPE_CHECKING

from kubrick_api.groups import Parts, load_groups
from kubrick_api.resource import APIGroup
from kubrick_api_core.binding import bind
from kubrick_api_core.componentstatuses import ComponentStatuses, ComponentStatusStrategy
from kubrick_api_core.configuration import ConfigMapStrategy, SecretStrategy, ServiceAccountStrategy
from kubrick_api_core.endpoints import EndpointsStrategy
from kubrick_api_core.events import EventStrategy
from kubrick_api_core.eviction import evict
from kubrick_api_core.namespaces import NamespaceStrategy
from kubrick_api_core.nodes import NodeStrategy
from kubrick_api_core.pods import BindingView, EphemeralContainersView, PodStrategy, PodTemplateStrategy, ResizeView
from kubrick_api_core.quotas import LimitRangeStrategy, ResourceQuotaStrategy
from kubrick_api_core.replicationcontrollers import ReplicationControllerStrategy
from kubrick_api_core.scale import ScaleHandler
from kubrick_api_core.service_allocation import ClusterIPs, NodePorts
from kubrick_api_core.services import ServiceStrategy
from kubrick_api_core.tokens import TokenHandler
from kubrick_api_core.volumes import PersistentVolumeClaimStrategy, PersistentVolumeStrategy
from kubrick_kernel import ConfigurationError

if TYPE_CHECKING:
    from kubrick_kernel import Kernel

# When the composition has no API server of its own (a node agent, a test), nothing is allocated from these.
CLUSTER_IP_RANGE = "10.96.0.0/16"
NODE_PORT_RANGE = "30000-32767"


def groups(kernel: "Kernel") -> tuple[APIGroup, ...]:
    return load_groups("kubrick_api_core", parts(kernel))


def service_ranges(kernel: "Kernel") -> tuple[ClusterIPs, NodePorts]:
    """The ranges that plugin "apiserver" is set to. Raises ConfigurationError for what is no range."""
    try:
        settings: object = kernel.settings("apiserver")
    except LookupError:
        settings = None
    network = getattr(settings, "service_cluster_ip_range", CLUSTER_IP_RANGE)
    ports = getattr(settings, "service_node_port_range", NODE_PORT_RANGE)
    try:
        return ClusterIPs.parse(network, kernel.random), NodePorts.parse(ports, kernel.random)
    except ValueError as error:
        raise ConfigurationError(
            f"[plugins.apiserver]: service_cluster_ip_range must be like {CLUSTER_IP_RANGE!r} and "
            f"service_node_port_range like {NODE_PORT_RANGE!r}: {error}"
        ) from None


def parts(kernel: "Kernel") -> Parts:
    addresses, ports = service_ranges(kernel)
    return Parts(
        strategies={
            "componentstatuses": ComponentStatusStrategy(),
            "configmaps": ConfigMapStrategy(),
            "endpoints": EndpointsStrategy(),
            "events": EventStrategy(),
            "limitranges": LimitRangeStrategy(),
            "namespaces": NamespaceStrategy(),
            "nodes": NodeStrategy(),
            "persistentvolumeclaims": PersistentVolumeClaimStrategy(),
            "persistentvolumes": PersistentVolumeStrategy(),
            "pods": PodStrategy(),
            "podtemplates": PodTemplateStrategy(),
            "replicationcontrollers": ReplicationControllerStrategy(),
            "resourcequotas": ResourceQuotaStrategy(),
            "secrets": SecretStrategy(),
            "serviceaccounts": ServiceAccountStrategy(),
            "services": ServiceStrategy(addresses, ports),
        },
        handlers={
            "bindings": bind,
            "componentstatuses": ComponentStatuses(kernel),
            "pods/binding": bind,
            "pods/eviction": evict,
            "replicationcontrollers/scale": ScaleHandler(),
            "serviceaccounts/token": TokenHandler(kernel),
        },
        deprecations={
            "componentstatuses": "v1 ComponentStatus is deprecated in v1.19+",
            "endpoints": "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
        },
        accepts={"pods/eviction": ("policy/v1beta1",)},
        views={
            "pods/binding": BindingView(),
            "pods/ephemeralcontainers": EphemeralContainersView(),
            "pods/resize": ResizeView(),
        },
    )
