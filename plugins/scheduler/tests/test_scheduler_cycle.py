"""One attempt: who is asked, in which order, and what the decision says."""

import numpy as np
import pytest

from kubrick_kernel.clock import generator
from kubrick_scheduler import SKIP, PostFilterResult, Refusal
from kubrick_scheduler.cycle import BadPlugin, Framework, decide, ordered
from kubrick_scheduler.pod import PodInfo
from kubrick_scheduler.scoring import normalize
from kubrick_scheduler.testing import make_table, node, pod


class Only:
    """A filter that lets through the nodes it is made with."""

    def __init__(self, name, *nodes, reason="no"):
        self.name, self.nodes, self.reason = name, nodes, reason

    def filter(self, pod, nodes):
        mask = np.zeros(nodes.size, np.bool_)
        mask[[nodes.row(n) for n in self.nodes]] = True
        return mask

    def explain(self, pod, nodes, rows):
        return [Refusal(self.reason, rows, detail=lambda row: f"not {row}", change="be it")]


class Rate:
    def __init__(self, name, weight=1, **scores):
        self.name, self.weight, self.scores = name, weight, scores

    def score(self, pod, nodes):
        made = np.zeros(nodes.size, np.int64)
        for name, score in self.scores.items():
            made[nodes.row(name)] = score
        return made


class Before:
    def __init__(self, name, answer):
        self.name, self.answer = name, answer

    def pre_filter(self, pod, nodes):
        return self.answer


def attempt(plugins, names=("a", "b", "c"), seed=0, **spec):
    framework = Framework.of("default-scheduler", plugins)
    return decide(framework, PodInfo(pod(**spec)), make_table([node(n) for n in names]), generator(seed))


def test_without_nodes_it_says_so_in_kubernetes_words():
    decision = attempt([], names=())
    assert decision.message == "no nodes available to schedule pods"
    assert decision.rejectors == {"Framework"}


def test_a_node_must_pass_every_filter():
    decision = attempt([Only("One", "a", "b"), Only("Two", "b", "c")])
    assert (decision.node, decision.feasible) == ("b", 1)


def test_refusals_are_counted_by_the_first_filter_that_refuses_a_node_and_sorted_as_text():
    plugins = [Only("One", "a", "b", reason="zebra(s)"), Only("Two", "c", reason="Insufficient cpu")]
    decision = attempt(plugins)
    assert decision.node == ""
    assert decision.message == "0/3 nodes are available: 1 zebra(s), 2 Insufficient cpu."
    assert decision.rejectors == {"One", "Two"}
    assert decision.refused_by == {"One": 1, "Two": 2}


def test_a_decision_keeps_which_node_was_refused_why_and_what_would_help():
    decision = attempt([Only("One", "a"), Only("Two", "b", reason="two")])
    one, two = decision.refusals
    assert (one.plugin, one.count, [n.node for n in one.nodes]) == ("One", 2, ["b", "c"])
    assert (two.plugin, [(n.node, n.detail) for n in two.nodes]) == ("Two", [("a", "not 0")])
    assert "Two: 1 two; be it" in decision.explain()


def test_a_single_feasible_node_is_not_scored():
    assert attempt([Only("One", "a"), Rate("Score", a=1000)]).scores == ()


def test_scores_are_weighted_and_the_best_node_wins():
    decision = attempt([Rate("One", a=60, b=50), Rate("Two", 3, b=10)])
    assert decision.node == "b"
    assert [(s.plugin, s.score, s.weight) for s in decision.scores] == [("One", 50, 1), ("Two", 10, 3)]
    assert decision.total == 80


def test_the_composer_can_set_weights_and_zero_turns_a_scorer_off():
    framework = Framework.of("x", [Rate("One", a=60), Rate("Two", b=10)], {"One": 0, "Two": 5})
    decision = decide(framework, PodInfo(pod()), make_table([node("a"), node("b")]), generator(0))
    assert [(s.plugin, s.weight) for s in decision.scores] == [("Two", 5)]
    assert decision.node == "b"


def test_among_equals_the_seed_decides():
    drawn = [attempt([Rate("One", a=5, b=5)], seed=seed).node for seed in range(20)]
    assert set(drawn) == {"a", "b"}
    assert drawn == [attempt([Rate("One", a=5, b=5)], seed=seed).node for seed in range(20)]
    assert attempt([Rate("One", a=5, b=5)]).ties == 2


def test_a_score_out_of_range_is_the_plugins_fault():
    with pytest.raises(BadPlugin, match="plugin 'One' returns an invalid score 101"):
        attempt([Rate("One", a=101)])


def test_a_prefilter_refusal_ends_the_attempt_with_its_reason_alone():
    decision = attempt([Before("One", Refusal("pod affinity terms conflict")), Only("Two", "a")])
    assert decision.message == "0/3 nodes are available: pod affinity terms conflict."
    assert decision.rejectors == {"One"}


def test_prefilters_may_leave_only_some_nodes_and_the_others_are_counted():
    plugins = [Before("One", frozenset(("a", "gone"))), Only("Two", "b", reason="two")]
    expected = "0/3 nodes are available: 1 two, 2 node(s) didn't satisfy plugin(s) [One]."
    assert attempt(plugins).message == expected


def test_prefilters_that_contradict_each_other_say_so():
    decision = attempt([Before("One", frozenset("a")), Before("Two", frozenset("b"))])
    expected = "0/3 nodes are available: node(s) didn't satisfy plugin(s) [One Two] simultaneously."
    assert decision.message == expected
    assert decision.rejectors == {"One", "Two"}


def test_a_skipped_filter_is_not_asked():
    class Skipping(Only):
        def pre_filter(self, pod, nodes):
            return SKIP

    assert attempt([Skipping("One"), Only("Two", "c")]).node == "c"


def test_a_skipped_scorer_is_not_asked():
    class Skipping(Rate):
        def pre_score(self, pod, nodes, feasible):
            return SKIP

    assert attempt([Skipping("One", a=100), Rate("Two", b=1)]).node == "b"


def test_postfilter_messages_follow_the_reasons():
    class Preempt:
        name = "DefaultPreemption"

        def post_filter(self, pod, nodes, refusals):
            assert refusals[0][0] == "One"
            return PostFilterResult("preemption: 0/3 nodes are available: 3 No victims found.")

    class Claims:
        name = "DynamicResources"

        def post_filter(self, pod, nodes, refusals):
            return PostFilterResult("no new claims to deallocate")

    assert attempt([Preempt(), Claims(), Only("One", reason="Insufficient cpu")]).message == (
        "0/3 nodes are available: 3 Insufficient cpu. no new claims to deallocate, "
        "preemption: 0/3 nodes are available: 3 No victims found."
    )


def test_the_first_postfilter_that_nominates_a_node_ends_the_round():
    class Preempt:
        name = "DefaultPreemption"

        def post_filter(self, pod, nodes, refusals):
            return PostFilterResult("", nominated_node="b")

    class Never:
        name = "Zzz"

        def post_filter(self, pod, nodes, refusals):
            raise AssertionError

    assert attempt([Preempt(), Never(), Only("One")]).post_filter.nominated_node == "b"


def test_plugins_are_asked_in_kubernetes_order_and_strangers_after_them_but_before_the_binder():
    plugins = [Before(name, None) for name in ("DefaultBinder", "Acme", "NodeResourcesFit", "NodeName", "Aaa")]
    assert [p.name for p in ordered(plugins)] == ["NodeName", "NodeResourcesFit", "Aaa", "Acme", "DefaultBinder"]


def test_free_rows_never_win():
    table = make_table([node("a"), node("b"), node("c")])
    table.remove_node("b")

    class Everything:
        name = "One"

        def filter(self, pod, nodes):
            return np.ones(nodes.size, np.bool_)

    framework = Framework.of("x", [Everything(), Rate("Two", a=1)])
    decision = decide(framework, PodInfo(pod()), table, generator(0))
    assert (decision.nodes, decision.feasible, decision.node) == (2, 2, "a")


@pytest.mark.parametrize(
    ("scores", "reverse", "expected"),
    [([0, 0], False, [0, 0]), ([0, 0], True, [100, 100]), ([1, 3], False, [33, 100]), ([1, 3], True, [67, 0])],
)
def test_normalizing_is_kubernetes_default(scores, reverse, expected):
    rows = np.arange(2)
    assert normalize(np.array(scores), rows, reverse=reverse).tolist() == expected


def test_normalizing_looks_at_feasible_rows_only():
    assert normalize(np.array([50, 5]), np.array([1])).tolist()[1] == 100
