"""The other core kinds: a mistake on creation, in a change or in a status, and all that is said about it.

The cases are in kind_errors.json. They are read after the defaults are set, as the server does.
"""

import json
from copy import deepcopy
from pathlib import Path
from random import Random  # noqa: TID251  (a seeded one, of the test)
from typing import Any

import pytest

from kubrick_api.resource import Strategy
from kubrick_api_core.configuration import ConfigMapStrategy, SecretStrategy
from kubrick_api_core.endpoints import EndpointsStrategy
from kubrick_api_core.events import EventStrategy
from kubrick_api_core.namespaces import NamespaceStrategy
from kubrick_api_core.nodes import NodeStrategy
from kubrick_api_core.pod_resize import validate_resize
from kubrick_api_core.pods import PodStrategy, PodTemplateStrategy
from kubrick_api_core.quotas import LimitRangeStrategy, ResourceQuotaStrategy
from kubrick_api_core.replicationcontrollers import ReplicationControllerStrategy
from kubrick_api_core.service_allocation import ClusterIPs, NodePorts
from kubrick_api_core.services import ServiceStrategy
from kubrick_api_core.volumes import PersistentVolumeClaimStrategy, PersistentVolumeStrategy

CASES = json.loads(Path(__file__).with_name("kind_errors.json").read_text("utf-8"))
STRATEGIES: dict[str, Strategy] = {
    "ConfigMap": ConfigMapStrategy(),
    "Endpoints": EndpointsStrategy(),
    "Event": EventStrategy(),
    "LimitRange": LimitRangeStrategy(),
    "Namespace": NamespaceStrategy(),
    "Node": NodeStrategy(),
    "PersistentVolume": PersistentVolumeStrategy(),
    "PersistentVolumeClaim": PersistentVolumeClaimStrategy(),
    "Pod": PodStrategy(),
    "PodTemplate": PodTemplateStrategy(),
    "ReplicationController": ReplicationControllerStrategy(),
    "ResourceQuota": ResourceQuotaStrategy(),
    "Secret": SecretStrategy(),
    "Service": ServiceStrategy(ClusterIPs.parse("10.0.0.0/24", Random(1)), NodePorts.parse("30000-32767", Random(1))),
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['kind']}-{case['how']}")
def test_a_mistake_is_told_as_kubernetes_tells_it(case: dict[str, Any]) -> None:
    strategy = STRATEGIES[case["kind"]]
    obj, old = deepcopy(case["given"]), deepcopy(case.get("old") or {})
    strategy.default(obj)
    if old:
        strategy.default(old)
    if case["how"] == "create":
        errors = strategy.validate(obj)
    elif case["how"] == "update":
        errors = strategy.validate_replacement(obj, old)
    elif case["how"] == "resize":
        errors = validate_resize(obj, old)
    else:
        errors = strategy.validate_status_update(obj, old)
    assert [str(error) for error in errors] == case["errors"]
