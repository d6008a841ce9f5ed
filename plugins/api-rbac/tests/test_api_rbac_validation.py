"""Each rule of roles and bindings: a valid object, changed, and exactly what is said of it."""

from typing import Any

import pytest

from kubrick_api.merge import json_merge
from kubrick_api.validation import SUBDOMAIN_RULE
from kubrick_api_rbac.roles import GROUP, BindingStrategy, RoleStrategy

Object = dict[str, Any]
RULE = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
BOTH = "rules cannot apply to both regular resources and non-resource URLs"


@pytest.mark.parametrize(
    ("namespaced", "patch", "wrong"),
    [
        (True, {}, []),
        (
            True,
            {"rules": [{}]},
            [
                "rules[0].verbs: Required value: verbs must contain at least one value",
                "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
                "rules[0].resources: Required value: resource rules must supply at least one resource",
            ],
        ),
        (
            True,
            {"rules": [{**RULE, "nonResourceURLs": ["/a"]}]},
            [
                'rules[0].nonResourceURLs: Invalid value: ["/a"]: namespaced rules cannot apply to non-resource URLs',
                f'rules[0].nonResourceURLs: Invalid value: ["/a"]: {BOTH}',
            ],
        ),
        (False, {"rules": [{"verbs": ["get"], "nonResourceURLs": ["/a"]}]}, []),
        (
            False,
            {"aggregationRule": {}},
            [
                "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if "
                "aggregationRule is non-nil"
            ],
        ),
        (
            False,
            {"aggregationRule": {"clusterRoleSelectors": [{"matchExpressions": [{"key": "a", "operator": "x"}]}]}},
            [
                'aggregationRule.clusterRoleSelectors[0].matchExpressions[0].operator: Invalid value: "x": not a valid '
                "selector operator",
                "aggregationRule.clusterRoleSelectors[0]: Invalid value: null: invalid label selector.",
            ],
        ),
    ],
)
def test_a_role(namespaced: bool, patch: Object, wrong: list[str]) -> None:
    obj = json_merge({"metadata": {"name": "r"}, "rules": [RULE]}, patch)
    assert [str(error) for error in RoleStrategy(namespaced).validate(obj)] == wrong


BINDING = {"metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": "r"}}


@pytest.mark.parametrize(
    ("namespaced", "patch", "wrong"),
    [
        (True, {}, []),
        (
            False,
            {"roleRef": {"kind": "Role", "name": "a/b", "apiGroup": "x"}},
            [
                f'roleRef.apiGroup: Unsupported value: "x": supported values: "{GROUP}"',
                'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
                "roleRef.name: Invalid value: \"a/b\": may not contain '/'",
            ],
        ),
        (
            False,
            {"subjects": [{"kind": "ServiceAccount", "name": "A", "apiGroup": "x"}, {"kind": "User"}]},
            [
                f'subjects[0].name: Invalid value: "A": {SUBDOMAIN_RULE}',
                'subjects[0].apiGroup: Unsupported value: "x": supported values: ""',
                "subjects[0].namespace: Required value",
                "subjects[1].name: Required value",
            ],
        ),
        (
            True,
            {"subjects": [{"kind": "x", "name": "a"}, {"kind": "Group", "name": "g", "apiGroup": "x"}]},
            [
                'subjects[0].kind: Unsupported value: "x": supported values: "ServiceAccount", "User", "Group"',
                f'subjects[1].apiGroup: Unsupported value: "x": supported values: "{GROUP}"',
            ],
        ),
    ],
)
def test_a_binding(namespaced: bool, patch: Object, wrong: list[str]) -> None:
    obj = json_merge(BINDING, patch)
    strategy = BindingStrategy(namespaced)
    strategy.default(obj)
    assert [str(error) for error in strategy.validate(obj)] == wrong


def test_what_a_binding_grants_does_not_change() -> None:
    strategy = BindingStrategy(namespaced=True)
    old = json_merge(BINDING, {"roleRef": {"apiGroup": GROUP}})
    (error,) = strategy.validate_replacement(json_merge(old, {"roleRef": {"name": "s"}}), old)
    shown = f'{{"APIGroup":"{GROUP}","Kind":"ClusterRole","Name":"s"}}'
    assert str(error) == f"roleRef: Invalid value: {shown}: field is immutable"


def test_a_selector_that_was_wrong_is_not_told_value_by_value_again() -> None:
    selector = {"matchExpressions": [{"key": "a", "operator": "In", "values": ["-"]}]}
    role = {"metadata": {"name": "r"}, "rules": [], "aggregationRule": {"clusterRoleSelectors": [selector]}}
    at = "aggregationRule.clusterRoleSelectors[0]"
    fields = [error.field for error in RoleStrategy(namespaced=False).validate(role)]
    assert fields == [f"{at}.matchExpressions[0].values[0]", at]
    assert [error.field for error in RoleStrategy(namespaced=False).validate_replacement(role, role)] == [at]
