"""Plain functions per node as plugins, and the conformance check that ships for plugin authors."""

import numpy as np
import pytest

from kubrick_scheduler.events import WILDCARD
from kubrick_scheduler.per_node import per_node_filter, per_node_score
from kubrick_scheduler.testing import check_plugin, feasible, make_table, node, pod, reasons, scores


@per_node_filter("SolidDisk")
def solid_disk(pod, node):
    if node["metadata"]["labels"].get("disk") == "ssd":
        return None
    return "node(s) had no solid disk"


@per_node_score("Roomy", weight=4)
def roomy(pod, node):
    return 100 if node["status"]["allocatable"]["cpu"] == "8" else 10


TABLE = [node("a", labels={"disk": "ssd"}), node("b", cpu="8")]


def test_a_function_per_node_makes_a_filter():
    table = make_table(TABLE)
    assert feasible(solid_disk, pod(), table) == {"a": True, "b": False}
    assert reasons(solid_disk, pod(), table) == {"b": ["node(s) had no solid disk"]}
    assert solid_disk.events_to_register()[0].event == WILDCARD


def test_a_function_per_node_makes_a_scorer():
    assert scores(roomy, pod(), make_table(TABLE)) == {"a": 10, "b": 100}
    assert roomy.weight == 4


def test_both_keep_the_contract():
    for plugin in (solid_disk, roomy):
        check_plugin(plugin, make_table(TABLE), [pod(), pod("other", cpu="1")])


class Broken:
    name = "Broken"

    def __init__(self, mask):
        self.mask = mask

    def filter(self, pod, nodes):
        return self.mask

    def explain(self, pod, nodes, rows):
        return []


@pytest.mark.parametrize(
    ("plugin", "complaint"),
    [
        (Broken(np.array([1, 0])), "must answer bools"),
        (Broken(np.array([True])), "must answer for 2 rows"),
        (Broken(np.array([True, False])), "must give reasons"),
        (per_node_score("Wild")(lambda pod, node: 101), "not 0..100"),
        (per_node_score("Rude")(lambda pod, node: node["metadata"].update(x=1) or 1), "changed a shared object"),
    ],
)
def test_the_conformance_check_finds_what_is_wrong(plugin, complaint):
    with pytest.raises(AssertionError, match=complaint):
        check_plugin(plugin, make_table([node("a"), node("b")]), [pod()])
