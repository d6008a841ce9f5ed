"""What this brick serves."""

from typing import TYPE_CHECKING

from kubrick_api.groups import Parts, load_groups
from kubrick_api.resource import APIGroup
from kubrick_api_apps.deployments import DeploymentStrategy
from kubrick_api_apps.replicasets import ControllerRevisionStrategy, ReplicaSetStrategy
from kubrick_api_apps.sets import DaemonSetStrategy, StatefulSetStrategy
from kubrick_api_core.scale import ScaleHandler

if TYPE_CHECKING:
    from kubrick_kernel import Kernel


def groups(kernel: "Kernel") -> tuple[APIGroup, ...]:
    scale = ScaleHandler()
    parts = Parts(
        strategies={
            "controllerrevisions": ControllerRevisionStrategy(),
            "daemonsets": DaemonSetStrategy(),
            "deployments": DeploymentStrategy(),
            "replicasets": ReplicaSetStrategy(),
            "statefulsets": StatefulSetStrategy(),
        },
        handlers={f"{resource}/scale": scale for resource in ("deployments", "replicasets", "statefulsets")},
    )
    return load_groups("kubrick_api_apps", parts)
