import pytest
from hypothesis import given, settings

from kubrick_scheduler import PodInfo, Refusal
from kubrick_scheduler.testing import check_plugin, feasible, make_table, node, pod, reasons, scores
from kubrick_scheduler.testing.strategies import clusters, pods
from kubrick_scheduler_node_affinity.plugin import NodeAffinity
from kubrick_scheduler_node_affinity.settings import Settings

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
NODES = [node("a", labels={"zone": "east", "size": "5"}), node("b", labels={"zone": "west"}), node("c")]
TABLE = make_table(NODES)


def affinity(**added):
    return NodeAffinity(Settings(added))


def matching(*terms):
    return pod(affinity={"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [*terms]}}})


def expressions(*entries):
    return {"matchExpressions": [dict(zip(("key", "operator", "values"), e, strict=False)) for e in entries]}


def named(*names, operator="In"):
    return {"matchFields": [{"key": "metadata.name", "operator": operator, "values": [*names]}]}


def fits(new, plugin=None):
    return {name for name, fit in feasible(plugin or affinity(), new, TABLE).items() if fit}


def test_a_node_selector_wants_every_label():
    assert fits(pod(nodeSelector={"zone": "east"})) == {"a"}
    assert fits(pod(nodeSelector={"zone": "east", "size": "6"})) == set()
    assert fits(pod(nodeSelector={"unheard-of": "x"})) == set()
    assert fits(pod()) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (("zone", "In", ["east", "north"]), {"a"}),
        (("zone", "NotIn", ["east"]), {"b", "c"}),
        (("zone", "Exists"), {"a", "b"}),
        (("zone", "DoesNotExist"), {"c"}),
        (("size", "Gt", ["4"]), {"a"}),
        (("size", "Gt", ["5"]), set()),
        (("size", "Lt", ["6"]), {"a"}),
        (("zone", "Gt", ["1"]), set()),
    ],
)
def test_each_operator_means_what_kubernetes_says(expression, expected):
    assert fits(matching(expressions(expression))) == expected


def test_terms_are_alternatives_and_expressions_of_a_term_are_not():
    both = expressions(("zone", "In", ["east"]), ("size", "Exists"))
    assert fits(matching(both)) == {"a"}
    assert fits(matching(both, expressions(("zone", "In", ["west"])))) == {"a", "b"}


def test_an_empty_term_matches_no_node():
    assert fits(matching({})) == set()


def test_fields_match_by_name():
    assert fits(matching(named("b"))) == {"b"}
    assert fits(matching(named("b", operator="NotIn"))) == {"a", "c"}
    assert fits(matching({**named("a", "b"), **expressions(("zone", "In", ["west"]))})) == {"b"}


def test_names_limit_what_is_looked_at_only_when_every_term_has_some():
    def limit(*terms):
        return affinity().pre_filter(PodInfo(matching(*terms)), TABLE)

    assert limit(named("a"), named("b", "gone")) == {"a", "b", "gone"}
    assert limit(named("a"), expressions(("zone", "Exists"))) is None
    conflict = {"matchFields": [*named("a")["matchFields"], *named("b")["matchFields"]]}
    answer = limit(conflict)
    assert isinstance(answer, Refusal)
    assert answer.reason == "pod affinity terms conflict"


def test_selector_and_affinity_must_both_hold():
    new = matching(expressions(("zone", "Exists")))
    new["spec"]["nodeSelector"] = {"zone": "west"}
    assert fits(new) == {"b"}


def test_users_read_kubernetes_reasons():
    new = pod(nodeSelector={"zone": "west"})
    assert reasons(affinity(), new, TABLE)["a"] == ["node(s) didn't match Pod's node affinity/selector"]
    plugin = affinity(**{REQUIRED: {"nodeSelectorTerms": [expressions(("zone", "Exists"))]}})
    found = reasons(plugin, new, TABLE)
    assert found["c"] == ["node(s) didn't match scheduler-enforced node affinity"]
    assert found["a"] == ["node(s) didn't match Pod's node affinity/selector"]


def test_explanations_name_the_node_that_misses_least_and_what():
    new = matching(expressions(("zone", "In", ["west"]), ("size", "Exists")))
    refusals = affinity().explain(PodInfo(new), TABLE, TABLE.valid.nonzero()[0])
    assert refusals[0].change == "a would do with zone In west"


def test_an_added_affinity_holds_for_every_pod():
    plugin = affinity(**{REQUIRED: {"nodeSelectorTerms": [expressions(("zone", "Exists"))]}})
    assert fits(pod(), plugin) == {"a", "b"}
    assert fits(pod(nodeSelector={"zone": "west"}), plugin) == {"b"}


def preferring(*terms):
    return pod(affinity={"nodeAffinity": {PREFERRED: [{"weight": w, "preference": t} for w, t in terms]}})


def test_weights_of_preferred_terms_are_added_and_scaled_to_the_best():
    new = preferring((10, expressions(("zone", "Exists"))), (30, expressions(("zone", "In", ["east"]))))
    assert scores(affinity(), new, TABLE) == {"a": 100, "b": 25, "c": 0}
    assert scores(affinity(), new, TABLE, among=["b", "c"]) == {"b": 100, "c": 0}


def test_without_preferences_it_does_not_score():
    assert scores(affinity(), pod(), TABLE) is None
    assert scores(affinity(), preferring((10, {})), TABLE) is None
    plugin = affinity(**{PREFERRED: [{"weight": 5, "preference": expressions(("zone", "In", ["west"]))}]})
    assert scores(plugin, pod(), TABLE) == {"a": 0, "b": 100, "c": 0}


def test_only_a_node_that_begins_to_match_wakes_a_pod():
    hint = affinity().events_to_register()[0].hint
    waiting = PodInfo(pod(nodeSelector={"zone": "west"}))
    assert hint(waiting, None, NODES[1])
    assert hint(waiting, NODES[0], NODES[1])
    assert not hint(waiting, NODES[1], NODES[1])
    assert not hint(waiting, None, NODES[0])


def plain_requirement(entry, value):
    values = entry.get("values", [])
    match entry["operator"]:
        case "In":
            return value is not None and value in values
        case "NotIn":
            return value is None or value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    if value is None or not value.isdigit():
        return False
    return int(value) > int(values[0]) if entry["operator"] == "Gt" else int(value) < int(values[0])


def plain_term(term, node):
    labels = node["metadata"]["labels"]
    if not term.get("matchExpressions") and not term.get("matchFields"):
        return False
    return all(plain_requirement(e, labels.get(e["key"])) for e in term.get("matchExpressions", ())) and all(
        plain_requirement(e, node["metadata"]["name"]) for e in term.get("matchFields", ())
    )


@settings(deadline=None)
@given(clusters(), pods())
def test_it_equals_looking_at_each_node(cluster, new):
    nodes, bound = cluster
    table, plugin = make_table(nodes, bound), affinity()
    spec = new["spec"]
    wishes = spec["affinity"]["nodeAffinity"]
    required = wishes.get(REQUIRED)

    def fit(n):
        labels = n["metadata"]["labels"]
        if any(labels.get(k) != v for k, v in spec["nodeSelector"].items()):
            return False
        return required is None or any(plain_term(t, n) for t in required["nodeSelectorTerms"])

    assert feasible(plugin, new, table) == {n["metadata"]["name"]: fit(n) for n in nodes}
    preferred = [p for p in wishes.get(PREFERRED, ()) if any(p["preference"].values())]
    expected = None
    if preferred:
        sums = {
            n["metadata"]["name"]: sum(p["weight"] for p in preferred if plain_term(p["preference"], n)) for n in nodes
        }
        best = max(sums.values())
        expected = {name: 100 * s // best if best else 0 for name, s in sums.items()}
    assert scores(plugin, new, table) == expected
    check_plugin(plugin, table, [new])
