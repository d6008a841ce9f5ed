"""The node table: kept up to date event by event, and always equal to one built from scratch."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kubrick_scheduler.memo import RowMemo
from kubrick_scheduler.pod import PodInfo
from kubrick_scheduler.table import INITIAL_CAPACITY, LOG_LIMIT, NodeTable
from kubrick_scheduler.testing import make_table, node, pod
from kubrick_scheduler.testing.strategies import GPU, IMAGES, KEYS, NODE_NAMES, nodes, pods

RESOURCES = ("cpu", "memory", "ephemeral-storage", "pods", GPU)


def described(table):
    """Everything a table says, by node name."""
    return {
        name: (
            [int(table.allocatable(r)[row]) for r in RESOURCES],
            [int(table.requested(r)[row]) for r in RESOURCES],
            [int(table.scoring_requested(r)[row]) for r in ("cpu", "memory")],
            bool(table.unschedulable[row]),
            table.taints.at(row),
            [table.label(key).at(row) for key in KEYS],
            sorted(table.pods(row)),
            {image: table.image_sizes(image).get(row) for image in IMAGES},
            {
                (protocol, port): table.port_users(protocol, port).get(row)
                for protocol in ("TCP", "UDP")
                for port in (80, 443)
            },
        )
        for name in sorted(table)
        for row in [table.row(name)]
    } | {"": (table.any_tainted, table.any_unschedulable, len(table), int(table.valid.sum()))}


def test_a_node_has_its_row_in_every_column():
    table = make_table(
        [node("a", cpu="2", memory="1Gi"), node("b", labels={"disk": "ssd"})], [pod("p", on="a", cpu="500m")]
    )
    row = table.row("a")
    assert table.allocatable("cpu")[row] == 2000
    assert table.requested("cpu")[row] == 500
    assert table.requested("pods")[row] == 1
    assert table.scoring_requested("memory")[row] == 200 * 1024 * 1024
    assert table.has_label("disk", "ssd").tolist() == [False, True]
    assert table.has_label("disk", "tape").tolist() == [False, False]
    assert table.allocatable("example.com/none").tolist() == [0, 0]


def test_rows_of_deleted_nodes_are_reused_and_keep_nothing_of_the_old_node():
    table = make_table([node("a", labels={"disk": "ssd"}, taints=[{"key": "k", "effect": "NoSchedule"}])])
    assert table.label("disk").at(0) == "ssd"
    table.remove_node("a")
    assert not table.valid.any()
    assert not table.any_tainted
    table.put_node(node("b"))
    assert (table.row("b"), table.size) == (0, 1)
    assert table.label("disk").at(0) is None
    assert table.taints.at(0) == ()


def test_columns_grow_with_the_nodes():
    many = 3 * INITIAL_CAPACITY
    table = make_table([node(f"n{i}", labels={"n": str(i)}) for i in range(many)])
    assert table.size == many
    assert table.valid.all()
    assert len(set(table.label_numbers("n").tolist())) == many


def test_an_assumed_pod_counts_until_it_is_forgotten():
    table = make_table([node("a")])
    table.assume(PodInfo(pod("p", cpu="1")), "a")
    assert table.requested("cpu")[0] == 1000
    assert table.home("default/p") == "a"
    table.forget("default/p")
    assert table.requested("cpu")[0] == 0
    assert table.home("default/p") == ""


def test_a_confirmed_pod_counts_once_and_can_no_longer_be_forgotten():
    table = make_table([node("a")])
    table.assume(PodInfo(pod("p", cpu="1")), "a")
    table.put_pod(PodInfo(pod("p", on="a", cpu="1")))
    table.forget("default/p")
    assert table.requested("cpu")[0] == 1000
    assert table.requested("pods")[0] == 1


def test_a_pod_the_api_put_elsewhere_than_assumed_moves():
    table = make_table([node("a"), node("b")])
    table.assume(PodInfo(pod("p", cpu="1")), "a")
    table.put_pod(PodInfo(pod("p", on="b", cpu="1")))
    assert table.requested("cpu").tolist() == [0, 1000]


def test_pods_of_an_unknown_node_count_once_it_appears_and_survive_its_going_and_coming():
    table = make_table([], [pod("p", on="a", cpu="1")])
    table.put_node(node("a"))
    assert table.requested("cpu")[0] == 1000
    table.remove_node("a")
    table.put_node(node("a"))
    assert table.requested("cpu")[0] == 1000
    table.remove_node("a")
    table.remove_pod("default/p")
    table.put_node(node("a"))
    assert table.requested("cpu")[0] == 0


def test_changed_since_names_the_rows_and_gives_up_when_it_is_too_long_ago():
    table = make_table([node("a"), node("b")])
    before = table.generation
    table.put_pod(PodInfo(pod("p", on="b")))
    assert table.changed_since(before) == [1]
    assert table.changed_since(table.generation) == []
    for _ in range(LOG_LIMIT + 1):
        table.put_node(node("a"))
    assert table.changed_since(before) is None


steps = st.lists(
    st.one_of(
        st.tuples(st.just("node"), nodes()),
        st.tuples(st.just("no node"), st.sampled_from(NODE_NAMES)),
        st.sampled_from(["p", "q", "r"]).flatmap(
            lambda name: st.sampled_from(NODE_NAMES).flatmap(lambda on: st.tuples(st.just("pod"), pods(name, on)))
        ),
        st.sampled_from(["p", "q", "r"]).flatmap(
            lambda name: st.tuples(st.just("assume"), pods(name), st.sampled_from(NODE_NAMES))
        ),
        st.tuples(st.just("forget"), st.sampled_from(["p", "q", "r"])),
        st.tuples(st.just("no pod"), st.sampled_from(["p", "q", "r"])),
    ),
    max_size=25,
)


@settings(deadline=None)
@given(steps)
def test_after_any_events_the_table_equals_one_built_from_scratch(events):
    table = NodeTable()
    for key in KEYS[:2]:
        table.label(key)
    live, bound, assumed = {}, {}, {}
    for what, *rest in events:
        if what == "node":
            table.put_node(rest[0])
            live[rest[0]["metadata"]["name"]] = rest[0]
        elif what == "no node":
            table.remove_node(rest[0])
            live.pop(rest[0], None)
        elif what == "pod":
            info = PodInfo(rest[0])
            table.put_pod(info)
            assumed.pop(info.key, None)
            bound[info.key] = rest[0]
        elif what == "assume":
            info = PodInfo(rest[0])
            if info.key not in bound:
                table.assume(info, rest[1])
                assumed[info.key] = (rest[0], rest[1])
        elif what == "forget":
            table.forget(f"default/{rest[0]}")
            assumed.pop(f"default/{rest[0]}", None)
        else:
            table.remove_pod(f"default/{rest[0]}")
            assumed.pop(f"default/{rest[0]}", None)
            bound.pop(f"default/{rest[0]}", None)
    fresh = make_table(live.values(), bound.values())
    for made, on in assumed.values():
        fresh.assume(PodInfo(made), on)
    assert described(table) == described(fresh)
    assert table.pod_count() == len(bound) + len(assumed)


@settings(deadline=None)
@given(steps)
def test_a_memo_equals_computing_anew_after_every_event(events):
    table = NodeTable()
    memo = RowMemo()

    def free(rows):
        return table.allocatable("cpu")[rows] - table.requested("cpu")[rows]

    for what, *rest in events:
        if what == "node":
            table.put_node(rest[0])
        elif what == "no node":
            table.remove_node(rest[0])
        elif what == "pod":
            table.put_pod(PodInfo(rest[0]))
        elif what == "no pod":
            table.remove_pod(f"default/{rest[0]}")
        assert np.array_equal(memo.get(table, "cpu", free), free(slice(None)))
