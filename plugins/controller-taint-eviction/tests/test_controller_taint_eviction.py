"""When pods have to leave, decided without a cluster."""

import math

import pytest

from kubrick_controller_taint_eviction.plan import added_at, leaves_at, taint_key, tolerates

TAINT = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}
OTHER = {"key": "maintenance", "value": "now", "effect": "NoExecute"}


@pytest.mark.parametrize(
    ("toleration", "answer"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "maintenance", "operator": "Exists"}, True),
        ({"key": "maintenance", "value": "now"}, True),
        ({"key": "maintenance", "value": "later"}, False),
        ({"key": "maintenance", "value": "now", "effect": "NoSchedule"}, False),
        ({"key": "else", "operator": "Exists"}, False),
    ],
)
def test_tolerations_match_as_kubernetes_says(toleration, answer):
    assert tolerates(toleration, OTHER) is answer


def test_a_pod_leaves_at_once_unless_it_tolerates_every_taint():
    seen = {taint_key(TAINT): 100.0, taint_key(OTHER): 100.0}
    forever = {"key": TAINT["key"], "operator": "Exists"}
    assert leaves_at([TAINT], [], seen) == -math.inf
    assert leaves_at([TAINT], [forever], seen) == math.inf
    assert leaves_at([TAINT, OTHER], [forever], seen) == -math.inf


def test_the_shortest_toleration_in_use_counts_from_when_its_taint_came():
    seen = {taint_key(TAINT): 100.0, taint_key(OTHER): 150.0}
    tolerations = [
        {"key": TAINT["key"], "operator": "Exists", "tolerationSeconds": 300},
        {"key": "maintenance", "operator": "Exists", "tolerationSeconds": 30},
    ]
    assert leaves_at([TAINT], tolerations, seen) == 400.0
    assert leaves_at([TAINT, OTHER], tolerations, seen) == 180.0
    negative = [{"operator": "Exists", "tolerationSeconds": -5}]
    assert leaves_at([TAINT], negative, seen) == 100.0


def test_a_taint_says_when_it_was_added():
    assert added_at(TAINT) is None
    assert added_at({**TAINT, "timeAdded": "1970-01-01T00:01:00Z"}) == 60.0
