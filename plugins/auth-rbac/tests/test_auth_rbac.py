"""RBAC's rules and index as tables; the server's tests show them at work."""

from typing import Any

import pytest

from kubrick_api.storage import UserInfo
from kubrick_apiserver.auth import Access
from kubrick_auth_rbac.authorizer import RBAC
from kubrick_auth_rbac.index import Index
from kubrick_auth_rbac.policy import default_policy
from kubrick_auth_rbac.reconcile import reconcile_binding, reconcile_role
from kubrick_auth_rbac.rules import Grant, describe, uncovered
from kubrick_kernel import Composition, ConfigurationError, Kernel

GROUP = "rbac.authorization.k8s.io"


def rule(verbs: str, resources: str = "", groups: str = "", names: str = "", urls: str = "") -> dict[str, Any]:
    made: dict[str, Any] = {"verbs": verbs.split()}
    if resources:
        made |= {"apiGroups": groups.split() or [""], "resources": resources.split()}
    if names:
        made["resourceNames"] = names.split()
    if urls:
        made["nonResourceURLs"] = urls.split()
    return made


def grant(*rules: dict[str, Any]) -> Grant:
    made = Grant()
    made.add(rules, "somebody")
    return made


@pytest.mark.parametrize(
    ("given", "verb", "group", "resource", "subresource", "name", "allowed"),
    [
        (rule("get list", "pods"), "get", "", "pods", "", "x", True),
        (rule("get list", "pods"), "watch", "", "pods", "", "", False),
        (rule("get", "pods"), "get", "apps", "pods", "", "x", False),
        (rule("get", "pods"), "get", "", "pods", "log", "x", False),
        (rule("get", "pods/log"), "get", "", "pods", "log", "x", True),
        (rule("get", "pods/log"), "get", "", "pods", "", "x", False),
        (rule("get", "*/log"), "get", "", "pods", "log", "x", True),
        (rule("get", "*/log"), "get", "", "pods", "", "x", False),
        (rule("get", "pods/*"), "get", "", "pods", "log", "x", False),
        (rule("get", "*"), "get", "", "pods", "log", "x", True),
        (rule("*", "pods"), "delete", "", "pods", "", "x", True),
        (rule("get", "deployments", "*"), "get", "apps", "deployments", "", "x", True),
        (rule("get", "pods", names="a b"), "get", "", "pods", "", "a", True),
        (rule("get", "pods", names="a b"), "get", "", "pods", "", "c", False),
        (rule("list", "pods", names="a"), "list", "", "pods", "", "", False),
        (rule("get", urls="/version"), "get", "", "pods", "", "", False),
    ],
)
def test_a_rule_allows_a_resource_request(
    given: dict[str, Any], verb: str, group: str, resource: str, subresource: str, name: str, allowed: bool
) -> None:
    assert (grant(given).resource(verb, group, resource, subresource, name) == "somebody") == allowed


@pytest.mark.parametrize(
    ("url", "path", "allowed"),
    [
        ("/healthz", "/healthz", True),
        ("/healthz", "/healthz/ping", False),
        ("/healthz/*", "/healthz/ping", True),
        ("/healthz/*", "/healthz", False),
        ("*", "/anything", True),
        ("/api*", "/apis", True),
    ],
)
def test_a_rule_allows_a_path(url: str, path: str, allowed: bool) -> None:
    assert (grant(rule("get", urls=url)).path("get", path) is not None) == allowed
    assert grant(rule("get", urls=url)).path("post", path) is None


@pytest.mark.parametrize(
    ("owned", "wanted", "missing"),
    [
        ([rule("*", "*", "*")], [rule("get delete", "pods pods/log", "a b")], []),
        ([rule("get", "pods"), rule("list", "pods")], [rule("get list", "pods")], []),
        ([rule("get", "pods")], [rule("get list", "pods")], ['{APIGroups:[""], Resources:["pods"], Verbs:["list"]}']),
        ([rule("get", "pods")], [rule("get", "pods", names="a")], []),
        (
            [rule("get", "pods", names="a")],
            [rule("get", "pods")],
            ['{APIGroups:[""], Resources:["pods"], Verbs:["get"]}'],
        ),
        ([rule("get", "*/scale", "apps")], [rule("get", "deployments/scale", "apps")], []),
        ([rule("get", "pods")], [rule("*", "pods")], ['{APIGroups:[""], Resources:["pods"], Verbs:["*"]}']),
        ([rule("get", urls="/a/*")], [rule("get", urls="/a/b")], []),
        ([rule("get", urls="/a")], [rule("get post", urls="/a")], ['{NonResourceURLs:["/a"], Verbs:["post"]}']),
        ([], [rule("get", "x", names="n")], ['{APIGroups:[""], Resources:["x"], ResourceNames:["n"], Verbs:["get"]}']),
    ],
)
def test_what_rules_do_not_cover(owned: list[Any], wanted: list[Any], missing: list[str]) -> None:
    assert describe(uncovered(owned, wanted)) == missing


def role(*rules: dict[str, Any], labels: dict[str, str] | None = None, aggregate: str = "") -> dict[str, Any]:
    made: dict[str, Any] = {"metadata": {"labels": labels or {}}, "rules": list(rules)}
    if aggregate:
        made["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {aggregate: "true"}}]}
    return made


def binding(kind: str, name: str, *subjects: dict[str, str]) -> dict[str, Any]:
    return {"metadata": {}, "roleRef": {"kind": kind, "name": name}, "subjects": list(subjects)}


def test_subjects_are_users_groups_and_service_accounts() -> None:
    index = Index()
    index.role(("", "reader"), role(rule("get", "pods")))
    subjects = (
        {"kind": "User", "name": "u"},
        {"kind": "Group", "name": "g"},
        {"kind": "ServiceAccount", "name": "s", "namespace": "ns"},
    )
    index.binding(("", "all"), binding("ClusterRole", "reader", *subjects))
    for user in (UserInfo("u"), UserInfo("x", groups=("g",)), UserInfo("system:serviceaccount:ns:s")):
        assert index.grants(user).cluster.resource("get", "", "pods", "", "a"), user
    assert not index.grants(UserInfo("g")).cluster.rules
    index.binding(("", "all"), None)
    assert not index.grants(UserInfo("u")).cluster.rules


def test_a_role_binding_counts_in_its_namespace_only() -> None:
    index = Index()
    index.role(("ns", "reader"), role(rule("get", "pods")))
    index.binding(("ns", "b"), binding("Role", "reader", {"kind": "User", "name": "u"}))
    grants = index.grants(UserInfo("u"))
    assert not grants.cluster.rules
    assert list(grants.namespaces) == ["ns"]


def test_aggregation_follows_labels_through_aggregated_roles_and_stops_at_circles() -> None:
    index = Index()
    index.role(("", "admin"), role(aggregate="to-admin"))
    index.role(("", "edit"), role(aggregate="to-edit", labels={"to-admin": "true"}))
    index.role(("", "leaf"), role(rule("get", "pods"), labels={"to-edit": "true"}))
    index.role(("", "circle"), role(aggregate="to-admin", labels={"to-admin": "true"}))
    assert index.rules_of("ClusterRole", ("", "admin")) == [rule("get", "pods")]


def test_a_missing_role_is_named() -> None:
    index = Index()
    index.binding(("", "b"), binding("ClusterRole", "gone", {"kind": "User", "name": "u"}))
    assert index.grants(UserInfo("u")).cluster_errors == [f'clusterrole.{GROUP} "gone" not found']


async def test_the_default_policy_is_in_force_and_says_why() -> None:
    kernel = Kernel(Composition(profile="api", store="memory", plugins={"apiserver": {"listen": ""}}))
    import trio

    async with trio.open_nursery() as nursery:
        await nursery.start(kernel.run)
        rbac = kernel.find(RBAC)
        scheduler = UserInfo("system:kube-scheduler", groups=("system:authenticated",))
        assert rbac.authorize(Access(scheduler, "create", resource="pods", subresource="binding", namespace="x")) == (
            True,
            'RBAC: allowed by ClusterRoleBinding "system:kube-scheduler" of ClusterRole "system:kube-scheduler" '
            'to User "system:kube-scheduler"',
        )
        assert rbac.authorize(Access(scheduler, "delete", resource="nodes", name="n"))[0] is None
        anybody = UserInfo("x", groups=("system:authenticated",))
        assert rbac.authorize(Access(anybody, "get", False, path="/openapi/v3"))[0]
        rules = rbac.rules(anybody, "default")
        assert {"verbs": ["create"], "apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"]} in (
            rules.resource_rules
        )
        assert any("/healthz" in entry["nonResourceURLs"] for entry in rules.non_resource_rules)
        kernel.shutdown()


def test_the_default_policy_is_complete() -> None:
    policy = default_policy()
    names = {(obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]) for obj in policy}
    assert len(names) == len(policy)
    for obj in policy:
        if "roleRef" in obj:
            kind = obj["roleRef"]["kind"]
            namespace = obj["metadata"].get("namespace", "") if kind == "Role" else ""
            assert (kind, namespace, obj["roleRef"]["name"]) in names


def stored(rules: list[Any], **annotations: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "name": "r",
        "resourceVersion": "7",
        "labels": {"mine": "1"},
        "annotations": annotations,
    }
    return {"kind": "ClusterRole", "metadata": metadata, "rules": rules}


WANTED = {"kind": "ClusterRole", "metadata": {"name": "r", "labels": {"theirs": "1"}}, "rules": [rule("get", "pods")]}


def test_reconciling_adds_what_is_missing_and_keeps_what_was_added() -> None:
    changed = reconcile_role(stored([rule("list", "nodes")]), WANTED)
    assert changed is not None
    assert changed["rules"] == [rule("list", "nodes"), rule("get", "pods")]
    assert changed["metadata"]["labels"] == {"theirs": "1", "mine": "1"}
    assert reconcile_role(changed, WANTED) is None


def test_a_protected_role_is_left_alone() -> None:
    assert (
        reconcile_role(stored([], **{f"{GROUP}".replace("k8s.io", "kubernetes.io") + "/autoupdate": "false"}), WANTED)
        is None
    )


def test_a_binding_gets_its_subjects_back_and_its_role() -> None:
    wanted = {"metadata": {}, **binding("ClusterRole", "a", {"kind": "User", "name": "u"})}
    found = {"metadata": {}, **binding("ClusterRole", "a", {"kind": "User", "name": "mine"})}
    changed = reconcile_binding(found, wanted)
    assert changed is not None
    assert [subject["name"] for subject in changed["subjects"]] == ["mine", "u"]
    other = {"metadata": {}, **binding("ClusterRole", "b", {"kind": "User", "name": "mine"})}
    changed = reconcile_binding(other, wanted)
    assert changed is not None
    assert changed["roleRef"]["name"] == "a"
    assert reconcile_binding(wanted, wanted) is None


def test_without_its_objects_it_says_so_rather_than_refuse_everybody() -> None:
    with pytest.raises(ConfigurationError, match="without plugin 'api-rbac'; disable both or none"):
        Kernel(Composition(profile="api", store="memory", disable=("api-rbac",)))
