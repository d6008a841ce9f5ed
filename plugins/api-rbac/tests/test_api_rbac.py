"""Roles and bindings: defaults and refusals."""

from typing import Any

import pytest

from kubrick_api_rbac.roles import BindingStrategy, RoleStrategy

Object = dict[str, Any]
GROUP = "rbac.authorization.k8s.io"


def binding(**fields: Any) -> Object:
    made = {
        "metadata": {"name": "b"},
        "roleRef": {"kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "User", "name": "ann"}, {"kind": "ServiceAccount", "name": "sa", "namespace": "ns"}],
        **fields,
    }
    BindingStrategy(namespaced=False).default(made)
    return made


def test_groups_are_filled_in() -> None:
    made = binding()
    assert made["roleRef"]["apiGroup"] == GROUP
    assert made["subjects"][0]["apiGroup"] == GROUP
    assert "apiGroup" not in made["subjects"][1]
    assert BindingStrategy(namespaced=False).validate(made) == []


def test_a_role_reference_does_not_change() -> None:
    (error,) = BindingStrategy(namespaced=True).validate_update(
        binding(roleRef={"kind": "Role", "name": "x"}), binding()
    )
    assert error.message.endswith("field is immutable")


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        (
            {"apiGroups": [""], "resources": ["pods"]},
            "rules[0].verbs: Required value: verbs must contain at least one value",
        ),
        (
            {"verbs": ["get"], "resources": ["pods"]},
            "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
        ),
        ({"verbs": ["get"], "nonResourceURLs": ["/x"]}, "namespaced rules cannot apply to non-resource URLs"),
    ],
)
def test_a_rule_must_say_what_it_is_about(rule: Object, wanted: str) -> None:
    strategy = RoleStrategy(namespaced=True)
    assert any(wanted in str(error) for error in strategy.validate({"metadata": {"name": "r"}, "rules": [rule]}))


def test_names_with_colons_are_fine_and_slashes_are_not() -> None:
    strategy = RoleStrategy(namespaced=False)
    assert strategy.validate_name("system:node", False) == []
    assert strategy.validate_name("a/b", False) == ["may not contain '/'"]
