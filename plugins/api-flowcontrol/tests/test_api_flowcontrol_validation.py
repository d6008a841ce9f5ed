"""Each rule of FlowSchemas and priority levels: a valid object, changed, and exactly what is said of it."""

from typing import Any

import pytest

from kubrick_api.merge import json_merge
from kubrick_api.validation import LABEL_RULE
from kubrick_api_flowcontrol.flows import FlowSchemaStrategy, PriorityLevelStrategy
from kubrick_api_flowcontrol.level_validation import entropy_bits
from kubrick_api_flowcontrol.mandatory import FLOW_SCHEMAS, PRIORITY_LEVELS

Object = dict[str, Any]

SUBJECT = {"kind": "User", "user": {"name": "u"}}
RESOURCES = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["n"]}
RULE = {"subjects": [SUBJECT], "resourceRules": [RESOURCES]}
FLOW = {
    "metadata": {"name": "f"},
    "spec": {"priorityLevelConfiguration": {"name": "p"}, "matchingPrecedence": 10, "rules": [RULE]},
}
QUEUING = {"type": "Queue", "queuing": {"queues": 64, "handSize": 8, "queueLengthLimit": 50}}
LEVEL = {
    "metadata": {"name": "l"},
    "spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 1, "limitResponse": QUEUING}},
}


def said_of_flow(patch: Object) -> list[str]:
    obj = json_merge(FLOW, patch)
    FlowSchemaStrategy().default(obj)
    return [str(error) for error in FlowSchemaStrategy().validate(obj)]


def said_of_level(patch: Object) -> list[str]:
    obj = json_merge(LEVEL, patch)
    PriorityLevelStrategy().default(obj)
    return [str(error) for error in PriorityLevelStrategy().validate(obj)]


def rule(**changes: Any) -> Object:
    return {"spec": {"rules": [{**RULE, **changes}]}}


def resources(**changes: Any) -> Object:
    return rule(resourceRules=[{**RESOURCES, **changes}])


R, V = "spec.rules[0]", '"create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"'


@pytest.mark.parametrize(
    ("patch", "wrong"),
    [
        ({}, []),
        (
            {"spec": {"matchingPrecedence": -1}},
            ["spec.matchingPrecedence: Invalid value: -1: must be a positive value"],
        ),
        (
            {"spec": {"matchingPrecedence": 1}},
            ["spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1"],
        ),
        (
            {"spec": {"distinguisherMethod": {"type": "x"}, "priorityLevelConfiguration": {"name": None}}},
            [
                'spec.distinguisherMethod.type: Unsupported value: {"Type":"x"}: supported values: "ByNamespace", '
                '"ByUser"',
                "spec.priorityLevelConfiguration.name: Required value: must reference a priority level",
            ],
        ),
        (
            rule(subjects=[], resourceRules=[]),
            [
                f"{R}.subjects: Required value: subjects must contain at least one value",
                f"{R}: Required value: at least one of resourceRules and nonResourceRules has to be non-empty",
            ],
        ),
        (
            rule(subjects=[{"kind": "User", "group": {"name": "g"}}, {"kind": "x"}]),
            [
                f"{R}.subjects[0].user: Required value: user is required when subject kind is 'User'",
                f"{R}.subjects[0].group: Forbidden: group is forbidden when subject kind is not 'Group'",
                f'{R}.subjects[1].kind: Unsupported value: "x": supported values: "Group", "ServiceAccount", "User"',
            ],
        ),
        (
            rule(subjects=[{"kind": "ServiceAccount", "serviceAccount": {"name": "*"}}]),
            [f"{R}.subjects[0].serviceAccount.namespace: Required value: must specify namespace for service account"],
        ),
        (
            resources(verbs=["*", "get"], apiGroups=["*", "a"], namespaces=[]),
            [
                f'{R}.resourceRules[0].verbs: Invalid value: ["*","get"]: if \'*\' is present, must not specify other '
                "verbs",
                f'{R}.resourceRules[0].apiGroups: Invalid value: ["*","a"]: if \'*\' is present, must not specify '
                "other api groups",
                f"{R}.resourceRules[0].namespaces: Required value: resource rules that are not cluster scoped must "
                "supply at least one namespace",
            ],
        ),
        (
            resources(verbs=["eat"], resources=[], namespaces=["N"]),
            [
                f'{R}.resourceRules[0].verbs: Unsupported value: ["eat"]: supported values: {V}',
                f"{R}.resourceRules[0].resources: Required value: resource rules must supply at least one resource",
                f"{R}.resourceRules[0].namespaces[0]: Invalid value: \"N\": each member of this list must be '*' or a "
                f"DNS-1123 label; {LABEL_RULE}",
            ],
        ),
        (
            rule(
                nonResourceRules=[{"verbs": ["get"], "nonResourceURLs": ["", "/", "a", "/a b", "//", "/*/a", "/a/*"]}]
            ),
            [
                f'{R}.nonResourceRules[0].nonResourceURLs[0]: Invalid value: "": must not be empty',
                f'{R}.nonResourceRules[0].nonResourceURLs[2]: Invalid value: "a": must start with slash',
                f'{R}.nonResourceRules[0].nonResourceURLs[3]: Invalid value: "/a b": must not contain white-space',
                f'{R}.nonResourceRules[0].nonResourceURLs[4]: Invalid value: "//": must not contain double slash',
                f'{R}.nonResourceRules[0].nonResourceURLs[5]: Invalid value: "/*/a": wildcard can only do suffix '
                "matching",
            ],
        ),
        (
            {"status": {"conditions": [{"type": "Dangling"}, {"type": "Dangling"}, {}]}},
            [
                'status.conditions[1].type: Duplicate value: "Dangling"',
                "status.conditions[2].type: Required value",
            ],
        ),
    ],
)
def test_a_flow_schema(patch: Object, wrong: list[str]) -> None:
    assert said_of_flow(patch) == wrong


L, Q = "spec.limited", "spec.limited.limitResponse.queuing"


def queuing(**changes: Any) -> Object:
    return {"spec": {"limited": {"limitResponse": {"queuing": changes}}}}


@pytest.mark.parametrize(
    ("patch", "wrong"),
    [
        ({}, []),
        (
            {"spec": {"type": "Exempt", "exempt": {"nominalConcurrencyShares": -1, "lendablePercent": 101}}},
            [
                "spec.type: Invalid value: \"Exempt\": must be 'Exempt' if and only if `name` is 'exempt'",
                f"{L}: Forbidden: must be nil if the type is not Limited",
                "spec.exempt.nominalConcurrencyShares: Invalid value: -1: must be a non-negative integer",
                "spec.exempt.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive",
            ],
        ),
        (
            {"spec": {"exempt": {}, "limited": None}},
            [
                "spec.exempt: Forbidden: must be nil if the type is Limited",
                f"{L}: Required value: must not be empty when type is Limited",
            ],
        ),
        ({"spec": {"type": None}}, ["spec.type: Required value"]),
        ({"spec": {"type": "x"}}, ['spec.type: Unsupported value: "x": supported values: "Exempt", "Limited"']),
        (
            {"spec": {"limited": {"nominalConcurrencyShares": -1, "borrowingLimitPercent": -1, "lendablePercent": -1}}},
            [
                f"{L}.nominalConcurrencyShares: Invalid value: -1: must be a non-negative integer",
                f"{L}.lendablePercent: Invalid value: -1: must be between 0 and 100, inclusive",
                f"{L}.borrowingLimitPercent: Invalid value: -1: if specified, must be a non-negative integer",
            ],
        ),
        (
            {"spec": {"limited": {"limitResponse": {"type": "Reject"}}}},
            [f"{Q}: Forbidden: must be nil if limited.limitResponse.type is not Limited"],
        ),
        (
            {"spec": {"limited": {"limitResponse": {"queuing": None}}}},
            [f"{Q}: Required value: must not be empty if limited.limitResponse.type is Limited"],
        ),
        (
            queuing(queues=-1, handSize=-1, queueLengthLimit=-1),
            [
                f"{Q}.queueLengthLimit: Invalid value: -1: must be positive",
                f"{Q}.queues: Invalid value: -1: must be positive",
                f"{Q}.handSize: Invalid value: -1: must be positive",
            ],
        ),
        (
            queuing(queues=10_000_001, handSize=8),
            [
                f"{Q}.queues: Invalid value: 10000001: must not be greater than 10000000",
                f"{Q}.handSize: Invalid value: 8: required entropy bits of deckSize 10000001 and handSize 8 should not "
                "be greater than 60",
            ],
        ),
        (
            queuing(queues=4),
            [f"{Q}.handSize: Invalid value: 8: should not be greater than queues (4)"],
        ),
        (
            {"metadata": {"annotations": {"flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares": ""}}},
            [
                "metadata.annotations: Forbidden: annotation "
                "'flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares' is forbidden"
            ],
        ),
    ],
)
def test_a_priority_level(patch: Object, wrong: list[str]) -> None:
    assert said_of_level(patch) == wrong


def test_dealing_eight_out_of_sixty_four_takes_48_bits() -> None:
    assert entropy_bits(64, 8) == 48


@pytest.mark.parametrize("name", FLOW_SCHEMAS)
def test_mandatory_flow_schemas_are_as_they_are(name: str) -> None:
    obj = {"metadata": {"name": name}, "spec": FLOW_SCHEMAS[name]}
    assert FlowSchemaStrategy().validate(obj) == []
    changed = json_merge(obj, {"spec": {"priorityLevelConfiguration": {"name": "other"}}})
    (error,) = FlowSchemaStrategy().validate(changed)
    assert str(error).endswith(f"spec of '{name}' must equal the fixed value")


def test_of_the_exempt_level_only_shares_change() -> None:
    obj = {"metadata": {"name": "exempt"}, "spec": PRIORITY_LEVELS["exempt"]}
    assert PriorityLevelStrategy().validate(json_merge(obj, {"spec": {"exempt": {"lendablePercent": 5}}})) == []
    changed = json_merge(obj, {"spec": {"type": "Limited", "exempt": None, "limited": LEVEL["spec"]["limited"]}})
    errors = [str(error) for error in PriorityLevelStrategy().validate(changed)]
    assert errors[-1].endswith("spec of 'exempt' except the 'spec.exempt' field must equal the fixed value")


def test_the_catch_all_level_never_changes() -> None:
    obj = {"metadata": {"name": "catch-all"}, "spec": PRIORITY_LEVELS["catch-all"]}
    assert PriorityLevelStrategy().validate(obj) == []
    changed = json_merge(obj, {"spec": {"limited": {"nominalConcurrencyShares": 6}}})
    (error,) = PriorityLevelStrategy().validate(changed)
    assert str(error).endswith("spec of 'catch-all' must equal the fixed value")
