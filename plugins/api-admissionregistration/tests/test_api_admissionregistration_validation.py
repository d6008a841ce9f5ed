"""Each rule of webhook configurations and policies: a valid object, changed, and exactly what is said of it."""

from typing import Any

import pytest

from kubrick_api.merge import json_merge
from kubrick_api.validation import SUBDOMAIN_RULE
from kubrick_api_admissionregistration.policies import DENY_AND_WARN, PolicyBindingStrategy, PolicyStrategy
from kubrick_api_admissionregistration.webhooks import WebhookConfigurationStrategy

Object = dict[str, Any]
RULE = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
HOOK = {
    "name": "a.b.c",
    "rules": [RULE],
    "clientConfig": {"url": "https://a"},
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
}
W = "webhooks[0]"


def hooks(*patches: Object) -> Object:
    made = {"metadata": {"name": "w"}, "webhooks": [json_merge(HOOK, patch) for patch in patches]}
    WebhookConfigurationStrategy(mutating=True).default(made)
    return made


def rule(**changes: Any) -> Object:
    return {"rules": [{**RULE, **changes}]}


@pytest.mark.parametrize(
    ("patch", "wrong"),
    [
        ({}, []),
        (
            {"sideEffects": None, "timeoutSeconds": 31, "admissionReviewVersions": ["v2", "v2"]},
            [
                f"{W}.sideEffects: Required value: must specify one of None, NoneOnDryRun",
                f"{W}.timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds",
                f'{W}.admissionReviewVersions[1]: Invalid value: "v2": duplicate version',
                f'{W}.admissionReviewVersions: Invalid value: ["v2","v2"]: must include at least one of v1, v1beta1',
            ],
        ),
        (
            {"failurePolicy": "x", "matchPolicy": "x", "sideEffects": "Some", "reinvocationPolicy": "x"},
            [
                f'{W}.failurePolicy: Unsupported value: "x": supported values: "Fail", "Ignore"',
                f'{W}.matchPolicy: Unsupported value: "x": supported values: "Equivalent", "Exact"',
                f'{W}.sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"',
                f'{W}.reinvocationPolicy: Unsupported value: "x": supported values: "IfNeeded", "Never"',
            ],
        ),
        (
            rule(operations=["*", "x"], apiGroups=[], apiVersions=["*", ""], scope="x"),
            [
                f'{W}.rules[0].operations: Invalid value: ["*","x"]: if \'*\' is present, must not specify other '
                "operations",
                f'{W}.rules[0].operations[1]: Unsupported value: "x": supported values: "*", "CONNECT", "CREATE", '
                '"DELETE", "UPDATE"',
                f"{W}.rules[0].apiGroups: Required value",
                f'{W}.rules[0].apiVersions: Invalid value: ["*",""]: if \'*\' is present, must not specify other API '
                "versions",
                f"{W}.rules[0].apiVersions[1]: Required value",
                f'{W}.rules[0].scope: Unsupported value: "x": supported values: "*", "Cluster", "Namespaced"',
            ],
        ),
        (rule(resources=[]), [f"{W}.rules[0].resources: Required value"]),
        (
            rule(resources=["a/*", "a/b", "*/c", "d/c", "*", "e", "*/*", ""]),
            [
                f"{W}.rules[0].resources[1]: Invalid value: \"a/b\": if 'a/*' is present, must not specify a/b",
                f"{W}.rules[0].resources[3]: Invalid value: \"d/c\": if '*/c' is present, must not specify d/c",
                f"{W}.rules[0].resources[6]: Invalid value: \"*/*\": if '*/*' is present, must not specify */*",
                f"{W}.rules[0].resources[7]: Required value",
            ],
        ),
        (
            {
                "matchConditions": [
                    {"name": "a", "expression": "true"},
                    {"name": "a", "expression": " "},
                    {"expression": "false"},
                ]
            },
            [
                f"{W}.matchConditions[1].expression: Required value",
                f'{W}.matchConditions[1].name: Duplicate value: "a"',
                f"{W}.matchConditions[2].name: Required value",
            ],
        ),
        (
            {"clientConfig": {"url": None}},
            [f"{W}.clientConfig: Required value: exactly one of url or service is required"],
        ),
    ],
)
def test_a_webhook(patch: Object, wrong: list[str]) -> None:
    errors = [str(error) for error in WebhookConfigurationStrategy(mutating=True).validate(hooks(patch))]
    if "rules" in patch and "*/*" in patch["rules"][0]["resources"]:
        wrong = [error for error in wrong if "[6]" not in error]
        assert [error for error in errors if "[6]" not in error][: len(wrong)] == wrong
        assert errors[-2].endswith("if '*/*' is present, must not specify other resources")
        assert errors[-1].endswith("if '*' is present, must not specify other resources without subresources")
    else:
        assert errors == wrong


def test_two_webhooks_have_two_names() -> None:
    (error,) = WebhookConfigurationStrategy(mutating=False).validate(hooks({}, {}))
    assert str(error) == 'webhooks[1].name: Duplicate value: "a.b.c"'


def test_an_old_lenient_configuration_may_stay_lenient() -> None:
    strategy = WebhookConfigurationStrategy(mutating=False)
    old = hooks({"sideEffects": "Some", "admissionReviewVersions": ["v9"], "matchConditions": [{}]}, {})
    assert len(strategy.validate(old)) == 5
    assert strategy.validate_replacement(hooks({"sideEffects": "Unknown", "matchConditions": [{}]}, {}), old) == []
    (error,) = strategy.validate_replacement(hooks({"sideEffects": "x", "matchConditions": [{}]}, {}), old)
    assert error.message.endswith('supported values: "None", "NoneOnDryRun", "Some", "Unknown"')


MATCH = {"resourceRules": [RULE]}


def policy(patch: Object, work: str) -> list[str]:
    good = (
        {"validations": [{"expression": "true"}]}
        if work == "validations"
        else {
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'test'}]"}}],
            "reinvocationPolicy": "Never",
        }
    )
    obj = json_merge({"metadata": {"name": "p"}, "spec": {"matchConstraints": MATCH, **good}}, {"spec": patch})
    PolicyStrategy(work).default(obj)
    return [str(error) for error in PolicyStrategy(work).validate(obj)]


ONE = "validations or auditAnnotations must contain at least one item"


@pytest.mark.parametrize(
    ("work", "patch", "wrong"),
    [
        ("validations", {}, []),
        ("mutations", {}, []),
        (
            "validations",
            {"matchConstraints": None, "validations": None, "failurePolicy": "x"},
            [
                'spec.failurePolicy: Unsupported value: "x": supported values: "Fail", "Ignore"',
                "spec.matchConstraints: Required value",
                f"spec.validations: Required value: {ONE}",
                f"spec.auditAnnotations: Required value: {ONE}",
            ],
        ),
        (
            "validations",
            {"matchConstraints": {"resourceRules": [{**RULE, "resourceNames": ["a/b", "c", "c"]}]}},
            [
                "spec.matchConstraints.resourceRules[0].resourceNames[0]: Invalid value: \"a/b\": may not contain '/'",
                'spec.matchConstraints.resourceRules[0].resourceNames[2]: Duplicate value: "c"',
            ],
        ),
        (
            "validations",
            {
                "paramKind": {"apiVersion": "a/b/c"},
                "variables": [{"name": "for"}],
                "matchConstraints": {"resourceRules": []},
            },
            [
                'spec.paramKind.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c',
                "spec.paramKind.kind: Required value",
                "spec.matchConstraints.resourceRules: Required value",
                'spec.variables[0].name: Invalid value: "for": name is not a valid CEL identifier',
                "spec.variables[0].expression: Required value: expression is not specified",
            ],
        ),
        (
            "validations",
            {
                "validations": [
                    {"message": " ", "messageExpression": " ", "reason": "x"},
                    {"expression": "true", "message": "a\nb"},
                ]
            },
            [
                "spec.validations[0].expression: Required value: expression is not specified",
                'spec.validations[0].messageExpression: Invalid value: " ": must be non-empty if specified',
                'spec.validations[0].message: Invalid value: " ": message must be non-empty if specified',
                'spec.validations[0].reason: Unsupported value: "x": supported values: "Forbidden", "Invalid", '
                '"RequestEntityTooLarge"',
                'spec.validations[1].message: Invalid value: "a\\nb": message must not contain line breaks',
            ],
        ),
        (
            "validations",
            {"auditAnnotations": [{"key": "k", "valueExpression": "'x'"}, {"key": "k"}]},
            [
                "spec.auditAnnotations[1].valueExpression: Required value: valueExpression is not specified",
                'spec.auditAnnotations[1].key: Duplicate value: "k"',
            ],
        ),
        (
            "mutations",
            {"reinvocationPolicy": None, "matchConstraints": {"resourceRules": [{**RULE, "operations": ["DELETE"]}]}},
            [
                'spec.matchConstraints.resourceRules.operations: Unsupported value: "DELETE": supported values: "*", '
                '"CONNECT", "CREATE", "UPDATE"',
                "spec.reinvocationPolicy: Required value",
            ],
        ),
        (
            "mutations",
            {"mutations": [{"patchType": "JSONPatch", "applyConfiguration": {}}, {"patchType": "x"}, {}]},
            [
                "spec.mutations[0].jsonPatch: Required value: must be specified when patchType is JSONPatch",
                'spec.mutations[0].applyConfiguration: Invalid value: "{applyConfiguration}": must not be specified '
                "when patchType is JSONPatch",
                'spec.mutations[1].patchType: Unsupported value: "x": supported values: "ApplyConfiguration", '
                '"JSONPatch"',
                "spec.mutations[2].patchType: Required value",
            ],
        ),
    ],
)
def test_a_policy(work: str, patch: Object, wrong: list[str]) -> None:
    assert policy(patch, work) == wrong


def test_a_policys_status_says_what_and_where() -> None:
    status = {"typeChecking": {"expressionWarnings": [{}]}, "conditions": [{}]}
    errors = PolicyStrategy("validations").validate_status_update({"status": status}, {})
    assert [error.field for error in errors][:3] == [
        "status.typeChecking.expressionWarnings[0].warning",
        "status.typeChecking.expressionWarnings[0].fieldRef",
        "status.conditions[0].type",
    ]


@pytest.mark.parametrize(
    ("mutating", "spec", "wrong"),
    [
        (False, {"policyName": "p", "validationActions": ["Deny"]}, []),
        (True, {"policyName": "p"}, []),
        (
            False,
            {"policyName": "P", "validationActions": ["Deny", "Warn", "Warn", "x"]},
            [
                f'spec.policyName: Invalid value: "P": {SUBDOMAIN_RULE}',
                'spec.validationActions[2]: Duplicate value: "Warn"',
                'spec.validationActions[3]: Unsupported value: "x": supported values: "Audit", "Deny", "Warn"',
                f'spec.validationActions: Invalid value: ["Deny","Warn","Warn","x"]: {DENY_AND_WARN}',
            ],
        ),
        (
            False,
            {"policyName": "p", "paramRef": {"name": "a", "selector": {}}},
            [
                "spec.paramRef.name: Forbidden: name and selector are mutually exclusive",
                "spec.paramRef.selector: Forbidden: name and selector are mutually exclusive",
                "spec.paramRef.parameterNotFoundAction: Required value",
                "spec.validationActions: Required value: at least one validation action is required",
            ],
        ),
        (
            True,
            {"policyName": "p", "paramRef": {"parameterNotFoundAction": "x"}},
            [
                "spec.paramRef: Required value: one of name or selector must be specified",
                'spec.paramRef.parameterNotFoundAction: Unsupported value: "x": supported values: "Deny", "Allow"',
            ],
        ),
    ],
)
def test_a_binding(mutating: bool, spec: Object, wrong: list[str]) -> None:
    obj = {"metadata": {"name": "b"}, "spec": spec}
    strategy = PolicyBindingStrategy(mutating)
    strategy.default(obj)
    assert [str(error) for error in strategy.validate(obj)] == wrong


def short(error: str) -> str:
    return error.replace("compilation failed: ERROR: <input>", "..").partition("\n")[0]


def test_every_expression_of_a_policy_is_compiled_where_it_stands() -> None:
    patch = {
        "matchConditions": [{"name": "a", "expression": " variables.x"}, {"name": "b", "expression": "params.y == 1"}],
        "variables": [
            {"name": "x", "expression": "1"},
            {"name": "y", "expression": "variables.x + 'a'"},
            {"name": "z", "expression": "variables.later"},
            {"name": "later", "expression": "object"},
        ],
        "validations": [
            {"expression": "variables.x == variables.later", "messageExpression": "variables.x"},
            {"expression": " object.spec", "messageExpression": "authorizer.path('/').x"},
        ],
        "auditAnnotations": [{"key": "k", "valueExpression": " 1"}],
    }
    assert [short(error) for error in policy(patch, "validations")] == [
        'spec.matchConditions[0].expression: Invalid value: "variables.x": ..:1:1: undeclared reference to '
        "'variables' (in container '')",
        'spec.matchConditions[1].expression: Invalid value: "params.y == 1": ..:1:1: undeclared reference to '
        "'params' (in container '')",
        "spec.variables[1].expression: Invalid value: \"variables.x + 'a'\": ..:1:13: found no matching overload for "
        "'_+_' applied to '(int, string)'",
        "spec.variables[2].expression: Invalid value: \"variables.later\": ..:1:10: undefined field 'later'",
        'spec.validations[0].messageExpression: Invalid value: "variables.x": must evaluate to string',
        'spec.validations[1].expression: Invalid value: " object.spec": must evaluate to bool',
        "spec.validations[1].messageExpression: Invalid value: \"authorizer.path('/').x\": ..:1:1: undeclared "
        "reference to 'authorizer' (in container '')",
        'spec.auditAnnotations[0].valueExpression: Invalid value: " 1": must evaluate to one of [string null_type]',
    ]
    with_params = {**patch, "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}
    assert not any("params" in error for error in policy(with_params, "validations"))


@pytest.mark.parametrize(
    ("kind", "expression", "wrong"),
    [
        ("applyConfiguration", "Object{spec: Object.spec{replicas: 1}}", ""),
        ("applyConfiguration", "object", "must evaluate to Object"),
        ("jsonPatch", "[JSONPatch{op: 'add', path: '/a/' + jsonpatch.escapeKey('b/c'), value: Object{a: 1}}]", ""),
        ("jsonPatch", "'x'", "must evaluate to list(JSONPatch)"),
    ],
)
def test_a_mutation_makes_what_its_kind_says(kind: str, expression: str, wrong: str) -> None:
    patch_type = {"jsonPatch": "JSONPatch", "applyConfiguration": "ApplyConfiguration"}[kind]
    mutation = {"patchType": patch_type, kind: {"expression": expression}}
    errors = policy({"mutations": [mutation]}, "mutations")
    at = f"spec.mutations[0].{kind}.expression"
    assert errors == ([f'{at}: Invalid value: "{expression}": {wrong}'] if wrong else [])


def test_a_webhooks_conditions_know_of_no_params() -> None:
    conditions = [{"name": "a", "expression": "request.userInfo.username != params.x"}]
    obj = hooks({"matchConditions": conditions}, {})
    errors = WebhookConfigurationStrategy(mutating=False).validate(obj)
    (error,) = [error for error in errors if "matchConditions" in error.field]
    assert error.field == "webhooks[0].matchConditions[0].expression"
    assert "1:30: undeclared reference to 'params' (in container '')" in error.message


def test_a_webhook_keeps_values_that_no_label_has() -> None:
    odd = {"matchExpressions": [{"key": "a", "operator": "In", "values": ["-"]}]}
    strategy, new = WebhookConfigurationStrategy(mutating=False), hooks({"namespaceSelector": odd})
    assert [e.field for e in strategy.validate(new)] == [f"{W}.namespaceSelector.matchExpressions[0].values[0]"]
    assert strategy.validate_replacement(new, hooks({"objectSelector": odd})) == []
    assert strategy.validate_replacement(new, hooks({})) != []
