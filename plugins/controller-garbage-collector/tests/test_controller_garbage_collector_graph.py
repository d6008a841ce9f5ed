"""The owner graph and what is decided about one object: the pure part."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubrick_api.names import GVR
from kubrick_controller_garbage_collector.graph import Graph, Node, Owner
from kubrick_controller_garbage_collector.plan import Decision, OwnerState, decide, wait

Object = dict[str, Any]
PODS = GVR("", "v1", "pods")


def node(uid: str, *owners: str, namespace: str = "default", deletion: str = "", blocks: bool = True) -> Node:
    return Node(
        uid,
        PODS,
        "v1",
        "Pod",
        namespace,
        uid,
        tuple(Owner(owner, "v1", "Pod", owner, blocks) for owner in owners),
        bool(deletion),
        deletion == "orphan",
        deletion == "foreground",
    )


def obj(*owners: str, finalizers: tuple[str, ...] = ()) -> Object:
    references = [{"uid": owner, "blockOwnerDeletion": True} for owner in owners]
    return {"metadata": {"ownerReferences": references, "finalizers": list(finalizers)}}


def test_an_object_whose_owner_was_never_seen_is_looked_at_and_one_without_owners_is_not() -> None:
    graph = Graph()
    assert graph.observe(node("a")).look == []
    assert graph.observe(node("b", "a")).look == []
    assert graph.observe(node("c", "unknown")).look == ["c"]
    assert graph.observe(node("c", "unknown")).look == []


def test_when_an_owner_goes_its_dependents_are_looked_at() -> None:
    graph = Graph()
    for each in (node("a"), node("b", "a"), node("c", "a")):
        graph.observe(each)
    assert graph.remove("a").look == ["b", "c"]
    assert graph.remove("a").look == []


def test_a_foreground_deletion_wakes_owner_and_dependents_and_the_owner_again_as_they_go() -> None:
    graph = Graph()
    for each in (node("a"), node("b", "a"), node("c", "a")):
        graph.observe(each)
    assert graph.observe(node("a", deletion="foreground")).look == ["a", "b", "c"]
    assert graph.remove("b").look == ["a"]
    assert graph.observe(node("c")).look == ["a"]


def test_an_orphaning_deletion_is_noticed_once() -> None:
    graph = Graph()
    graph.observe(node("a"))
    assert graph.observe(node("a", deletion="orphan")).orphan == ["a"]
    assert graph.observe(node("a", deletion="orphan")).orphan == []


def test_a_reference_into_another_namespace_is_complained_about_whoever_is_seen_first() -> None:
    for order in (("far", "child"), ("child", "far")):
        nodes = {"far": node("far", namespace="other"), "child": node("child", "far")}
        graph = Graph()
        complaints = [graph.observe(nodes[name]).out_of_reach for name in order]
        assert [(child.uid, owner.uid) for child, owner in complaints[1]] == [("child", "far")]


@pytest.mark.parametrize(
    ("thing", "owners", "dependents", "expected"),
    [
        (obj(), {}, [], Decision()),
        (obj("a"), {"a": OwnerState.SOLID}, [], Decision()),
        (obj("a"), {"a": OwnerState.ABSENT}, [], Decision(delete="Background")),
        (obj("a", "b"), {"a": OwnerState.ABSENT, "b": OwnerState.INVALID}, [], Decision()),
        (obj("a", finalizers=("orphan",)), {"a": OwnerState.ABSENT}, [], Decision(delete="Orphan")),
        (obj("a", finalizers=("foregroundDeletion",)), {"a": OwnerState.ABSENT}, [], Decision(delete="Foreground")),
        (obj("a"), {"a": OwnerState.WAITING}, [], Decision(delete="Background")),
        (obj("a"), {"a": OwnerState.WAITING}, [node("x", "me")], Decision(delete="Foreground")),
        (
            obj("a", "b"),
            {"a": OwnerState.SOLID, "b": OwnerState.WAITING},
            [],
            Decision(owners=[{"uid": "a", "blockOwnerDeletion": True}]),
        ),
        (
            obj("a"),
            {"a": OwnerState.WAITING},
            [node("x", "me", deletion="foreground")],
            Decision(unblock=[{"uid": "a", "blockOwnerDeletion": False}], delete="Foreground"),
        ),
    ],
)
def test_what_is_decided(
    thing: Object, owners: dict[str, OwnerState], dependents: list[Node], expected: Decision
) -> None:
    assert decide(thing, owners, dependents) == expected


def test_only_blocking_dependents_hold_up_a_foreground_deletion() -> None:
    owner = node("a", deletion="foreground")
    assert wait(owner, []).free
    assert wait(owner, [node("b", "a", blocks=False)]).free
    waiting = wait(owner, [node("b", "a"), node("c", "a", deletion="foreground")])
    assert not waiting.free
    assert waiting.blocked_by == ["b"]


NAMES = "abcde"
EVENTS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=2, unique=True), st.booleans()),
    max_size=40,
)


@given(EVENTS)
def test_dependents_are_always_exactly_those_that_refer(events: list[tuple[str, list[str], bool]]) -> None:
    graph = Graph()
    alive: dict[str, list[str]] = {}
    for name, owners, remove in events:
        if remove:
            alive.pop(name, None)
            graph.remove(name)
        else:
            alive[name] = owners
            graph.observe(node(name, *owners))
        for owner in NAMES:
            expected = {child for child, refs in alive.items() if owner in refs}
            assert {child.uid for child in graph.dependents(owner)} == expected
