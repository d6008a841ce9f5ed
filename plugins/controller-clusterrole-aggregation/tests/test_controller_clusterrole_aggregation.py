"""Aggregated ClusterRoles: which rules they get, and that they get them."""

from typing import Any

import trio

from kubrick_api_rbac import CLUSTER_ROLES
from kubrick_controller_clusterrole_aggregation import aggregated_rules
from kubrick_testing import run_cluster

Object = dict[str, Any]
READ = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
WRITE = {"apiGroups": [""], "resources": ["pods"], "verbs": ["update"]}


def role(name: str, *rules: Object, to: str = "", aggregates: str = "") -> Object:
    made: Object = {"metadata": {"name": name}, "rules": list(rules)}
    if to:
        made["metadata"]["labels"] = {to: "true"}
    if aggregates:
        made["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {aggregates: "true"}}]}
    return made


def test_rules_come_by_name_and_each_once() -> None:
    whole = role("whole", aggregates="part")
    roles = [role("b", WRITE, READ, to="part"), role("a", READ, to="part"), role("c", WRITE), whole]
    assert aggregated_rules(whole, roles) == [READ, WRITE]


def test_a_role_is_not_part_of_itself() -> None:
    whole = role("whole", WRITE, to="part", aggregates="part")
    assert aggregated_rules(whole, [whole, role("a", READ, to="part")]) == [READ]


def test_what_is_right_stays() -> None:
    whole = role("whole", READ, aggregates="part")
    assert aggregated_rules(whole, [whole, role("a", READ, to="part")]) is None
    assert aggregated_rules(role("plain", WRITE), [role("a", READ, to="part")]) is None


def test_a_selector_that_cannot_be_read_changes_nothing() -> None:
    whole = role("whole", WRITE, aggregates="part")
    whole["aggregationRule"]["clusterRoleSelectors"][0]["matchExpressions"] = [{"key": "a", "operator": "x"}]
    assert aggregated_rules(whole, [role("a", READ, to="part")]) is None


async def test_a_role_that_comes_later_is_aggregated(autojump_clock: trio.testing.MockClock) -> None:
    async with run_cluster("api", enable=["controller", "controller-clusterrole-aggregation"]) as cluster:
        await cluster.client.create(CLUSTER_ROLES, role("whole", aggregates="part"))
        await cluster.client.create(CLUSTER_ROLES, role("a", READ, to="part"))
        await cluster.until(CLUSTER_ROLES, "whole", lambda whole: (whole or {}).get("rules") == [READ], "")
        await cluster.client.delete(CLUSTER_ROLES, "a")
        await cluster.until(CLUSTER_ROLES, "whole", lambda whole: not (whole or {}).get("rules"), "")
