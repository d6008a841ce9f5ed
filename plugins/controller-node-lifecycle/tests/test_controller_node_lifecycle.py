"""Nodes judged without a cluster."""

import pytest

from kubrick_controller_node_lifecycle.health import is_silent, observe, unknown_conditions
from kubrick_controller_node_lifecycle.taints import (
    Bucket,
    no_execute_key,
    wanted_at_once,
    wanted_no_execute,
    wanted_taints,
    zone_rates,
)

NOW = "2026-01-01T00:10:00Z"


def make_node(ready="True", taints=(), unschedulable=False, **pressures):
    conditions = (
        [{"type": "Ready", "status": ready, "reason": "KubeletReady", "lastHeartbeatTime": "h"}] if ready else []
    )
    conditions += [{"type": kind, "status": status} for kind, status in pressures.items()]
    spec = {"taints": [dict(t) for t in taints]}
    if unschedulable:
        spec["unschedulable"] = True
    return {"metadata": {"name": "n"}, "spec": spec, "status": {"conditions": conditions}}


def lease(renewed):
    return {"spec": {"renewTime": renewed}}


def test_a_node_is_silent_only_after_fifty_seconds_without_a_sign():
    node = make_node()
    health = observe(None, node, lease("a"), 0.0)
    health = observe(health, node, lease("b"), 40.0)
    assert not is_silent(health, 90.0)
    assert is_silent(health, 90.1)
    health = observe(health, node, lease("c"), 95.0)
    assert not is_silent(health, 100.0)


def test_a_node_that_never_reported_has_a_minute():
    node = make_node(ready="")
    health = observe(None, node, None, 0.0)
    assert not is_silent(health, 60.0)
    assert is_silent(health, 60.1)
    assert {c["reason"] for c in unknown_conditions(node, NOW)} == {"NodeStatusNeverUpdated"}


def test_our_own_verdict_is_no_sign_of_life():
    node = make_node()
    health = observe(None, node, lease("a"), 0.0)
    node["status"]["conditions"] = unknown_conditions(node, NOW)
    assert [c["status"] for c in node["status"]["conditions"]] == ["Unknown"] * 4
    health = observe(health, node, lease("a"), 55.0)
    assert is_silent(health, 55.0)
    assert unknown_conditions(node, NOW) == []


@pytest.mark.parametrize(
    ("node", "keys"),
    [
        (make_node("False"), ["not-ready"]),
        (make_node("Unknown"), ["unreachable"]),
        (make_node(MemoryPressure="True", PIDPressure="True"), ["memory-pressure", "pid-pressure"]),
        (make_node(unschedulable=True), ["unschedulable"]),
    ],
)
def test_conditions_become_no_schedule_taints(node, keys):
    taints = wanted_taints(node, NOW)
    assert [(t["key"], t["effect"]) for t in taints] == [(f"node.kubernetes.io/{key}", "NoSchedule") for key in keys]


def test_taints_that_are_right_and_taints_of_others_are_left_alone():
    other = {"key": "gpu", "effect": "NoSchedule"}
    stale = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    assert wanted_taints(make_node(taints=[other]), NOW) is None
    assert wanted_taints(make_node(taints=[other, stale]), NOW) == [other]
    assert wanted_taints(make_node(ready="", taints=[stale]), NOW) is None


def test_unreachable_replaces_not_ready_among_the_no_execute_taints():
    had = {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute", "timeAdded": "x"}
    node = make_node("Unknown", taints=[had])
    assert no_execute_key(node) == "node.kubernetes.io/unreachable"
    assert [t["key"] for t in wanted_no_execute(node, no_execute_key(node), NOW)] == ["node.kubernetes.io/unreachable"]
    assert wanted_no_execute(make_node(taints=[had]), "", NOW) == []


def test_emptying_slows_with_the_share_of_a_zone_that_is_down():
    assert zone_rates({"a": (3, 1)}) == {"a": 0.1}
    assert zone_rates({"a": (5, 3), "b": (5, 0)}) == {"a": 0.0, "b": 0.1}
    assert zone_rates({"a": (100, 60), "b": (5, 0)}) == {"a": 0.01, "b": 0.1}
    assert zone_rates({"a": (5, 5), "b": (5, 0)}) == {"a": 0.1, "b": 0.1}
    assert zone_rates({"a": (5, 5), "b": (5, 5)}) == {"a": 0.0, "b": 0.0}


def test_a_bucket_gives_one_at_once_and_then_one_every_ten_seconds():
    bucket = Bucket(at=0.0)
    assert [bucket.take(0.1, at) for at in (0.0, 5.0, 10.5, 15.0, 20.5)] == [True, False, True, False, True]
    assert not bucket.take(0.0, 100.0)


def test_a_node_that_is_ready_again_loses_both_its_taints_by_one_write():
    taints = [{"key": "node.kubernetes.io/not-ready", "effect": effect} for effect in ("NoSchedule", "NoExecute")]
    assert wanted_at_once(make_node("True", taints), NOW) == []
    assert wanted_at_once(make_node("False", taints), NOW) is None
    assert wanted_at_once(make_node("True"), NOW) is None
