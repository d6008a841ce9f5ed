"""The FlowSchemas and priority levels every cluster comes with: mandatory ones, whose specs are fixed, and
suggested ones, which their owners may change. Names and numbers are those of apis/flowcontrol/bootstrap.
"""

from typing import Any

from kubrick_api_flowcontrol.mandatory import ALL_RULES, FLOW_SCHEMAS, PRIORITY_LEVELS

Object = dict[str, Any]

API_VERSION = "flowcontrol.apiserver.k8s.io/v1"
AUTO_UPDATE = "apf.kubernetes.io/autoupdate-spec"
ELECTION = ("get", "create", "update")

# name: nominal shares, lendable percent, queues, hand size, queue length limit
LEVELS = {
    "system": (30, 33, 64, 6, 50),
    "node-high": (40, 25, 64, 6, 50),
    "leader-election": (10, 0, 16, 4, 50),
    "workload-high": (40, 50, 128, 6, 50),
    "workload-low": (100, 90, 128, 6, 50),
    "global-default": (20, 50, 128, 6, 50),
}


def groups(*names: str) -> list[Object]:
    return [{"kind": "Group", "group": {"name": name}} for name in names]


def users(*names: str) -> list[Object]:
    return [{"kind": "User", "user": {"name": name}} for name in names]


def accounts(*names: str) -> list[Object]:
    """Service accounts of kube-system."""
    return [{"kind": "ServiceAccount", "serviceAccount": {"namespace": "kube-system", "name": name}} for name in names]


def resources(verbs: tuple[str, ...], group: str, names: tuple[str, ...], *, cluster: bool = False) -> Object:
    rule: Object = {"verbs": [*verbs], "apiGroups": [group], "resources": [*names]}
    if cluster:
        rule["clusterScope"] = True
    return {**rule, "namespaces": ["*"]}


def schema(
    name: str, level: str, precedence: int, method: str, subjects: list[Object], *resource_rules: Object
) -> Object:
    """A FlowSchema; without rules, of everything its subjects do."""
    rules = {"resourceRules": [*resource_rules]} if resource_rules else ALL_RULES
    spec: Object = {"priorityLevelConfiguration": {"name": level}, "matchingPrecedence": precedence}
    if method:
        spec["distinguisherMethod"] = {"type": method}
    return _object("FlowSchema", name, {**spec, "rules": [{"subjects": subjects, **rules}]})


def _object(kind: str, name: str, spec: Object) -> Object:
    metadata = {"name": name, "annotations": {AUTO_UPDATE: "true"}}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec, "status": {}}


def _level(name: str, shares: int, lendable: int, queues: int, hand: int, length: int) -> Object:
    queuing = {"queues": queues, "handSize": hand, "queueLengthLimit": length}
    limited = {
        "nominalConcurrencyShares": shares,
        "limitResponse": {"type": "Queue", "queuing": queuing},
        "lendablePercent": lendable,
    }
    return _object("PriorityLevelConfiguration", name, {"type": "Limited", "limited": limited})


def _probes() -> Object:
    paths = {"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}
    subjects = groups("system:unauthenticated", "system:authenticated")
    return _object(
        "FlowSchema",
        "probes",
        {
            "priorityLevelConfiguration": {"name": "exempt"},
            "matchingPrecedence": 2,
            "rules": [{"subjects": subjects, "nonResourceRules": [paths]}],
        },
    )


def mandatory() -> list[Object]:
    """Levels first."""
    return [
        *(_object("PriorityLevelConfiguration", name, spec) for name, spec in PRIORITY_LEVELS.items()),
        *(_object("FlowSchema", name, spec) for name, spec in FLOW_SCHEMAS.items()),
    ]


def suggested() -> list[Object]:
    """Levels first."""
    manager, scheduler = "system:kube-controller-manager", "system:kube-scheduler"
    everybody = groups("system:unauthenticated", "system:authenticated")
    electing = users(manager, scheduler) + accounts("*")
    leases = resources(ELECTION, "coordination.k8s.io", ("leases",))
    endpoints = accounts("endpoint-controller", "endpointslicemirroring-controller")
    return [
        *(_level(name, *numbers) for name, numbers in LEVELS.items()),
        _probes(),
        schema("system-leader-election", "leader-election", 100, "ByUser", electing, leases),
        schema(
            "endpoint-controller",
            "workload-high",
            150,
            "ByUser",
            users(manager) + endpoints,
            resources(ELECTION, "", ("endpoints",)),
        ),
        schema("workload-leader-election", "leader-election", 200, "ByUser", accounts("*"), leases),
        schema(
            "system-node-high",
            "node-high",
            400,
            "ByUser",
            groups("system:nodes"),
            resources(("*",), "", ("nodes", "nodes/status"), cluster=True),
            resources(("*",), "coordination.k8s.io", ("leases",)),
        ),
        schema("system-nodes", "system", 500, "ByUser", groups("system:nodes")),
        schema("kube-controller-manager", "workload-high", 800, "ByNamespace", users(manager)),
        schema("kube-scheduler", "workload-high", 800, "ByNamespace", users(scheduler)),
        schema("kube-system-service-accounts", "workload-high", 900, "ByNamespace", accounts("*")),
        schema("service-accounts", "workload-low", 9000, "ByUser", groups("system:serviceaccounts")),
        schema("global-default", "global-default", 9900, "ByUser", everybody),
    ]
