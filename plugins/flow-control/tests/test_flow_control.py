"""Flow control by its parts: matching, limits, sharding, work, fair queues. Time is a number here."""

import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubrick_api.storage import UserInfo
from kubrick_apiserver.request_info import parse_target
from kubrick_apiserver.web import RequestInfo
from kubrick_flow_control import matching, seats
from kubrick_flow_control.flows import Counts, Flow, Kind
from kubrick_flow_control.limits import Claim, Demand, Limits, adjust, allocate, limits
from kubrick_flow_control.matching import compile_schema, in_order
from kubrick_flow_control.queues import ENDED, QUEUE_FULL, RUNNING, WAITING, Level, Queuing, Ticket
from kubrick_flow_control.seats import ONE, Work
from kubrick_flow_control.sharding import deal, flow_hash
from kubrick_flow_control.suggested import mandatory, suggested
from kubrick_flow_control.upkeep import condition, corrected

EVERYTHING = [*mandatory(), *suggested()]
SCHEMAS = in_order(compile_schema(obj) for obj in EVERYTHING if obj["kind"] == "FlowSchema")
LEVELS = {obj["metadata"]["name"]: obj["spec"] for obj in EVERYTHING if obj["kind"] != "FlowSchema"}
AUTHENTICATED = "system:authenticated"


def info_of(method: str, target: str) -> RequestInfo:
    return parse_target(method, target)[3]


def user(name: str, *groups: str) -> UserInfo:
    return UserInfo(name, groups=(*groups, AUTHENTICATED))


NODE = user("system:node:a", "system:nodes")
SYSTEM_ACCOUNT = user(
    "system:serviceaccount:kube-system:endpoint-controller",
    "system:serviceaccounts",
    "system:serviceaccounts:kube-system",
)
OWN_ACCOUNT = user("system:serviceaccount:shop:default", "system:serviceaccounts", "system:serviceaccounts:shop")
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/x"


@pytest.mark.parametrize(
    ("who", "method", "target", "schema"),
    [
        (user("root", "system:masters"), "GET", "/api/v1/pods", "exempt"),
        (user("eve"), "GET", "/readyz", "probes"),
        (user("eve"), "GET", "/readyz/ping", "global-default"),
        (user("eve"), "GET", "/api/v1/pods", "global-default"),
        (NODE, "GET", "/api/v1/pods", "system-nodes"),
        (NODE, "PATCH", "/api/v1/nodes/a/status", "system-node-high"),
        (NODE, "PUT", LEASE.replace("kube-system", "kube-node-lease"), "system-node-high"),
        (user("system:kube-scheduler"), "PUT", LEASE, "system-leader-election"),
        (user("system:kube-scheduler"), "DELETE", LEASE, "kube-scheduler"),
        (user("system:kube-controller-manager"), "GET", "/api/v1/namespaces/x/endpoints/y", "endpoint-controller"),
        (user("system:kube-controller-manager"), "GET", "/api/v1/pods", "kube-controller-manager"),
        (SYSTEM_ACCOUNT, "PUT", "/api/v1/namespaces/x/endpoints/y", "endpoint-controller"),
        (SYSTEM_ACCOUNT, "GET", "/api/v1/pods", "kube-system-service-accounts"),
        (OWN_ACCOUNT, "PUT", LEASE, "service-accounts"),
        (OWN_ACCOUNT, "GET", "/api/v1/namespaces/x/endpoints/y", "service-accounts"),
        (UserInfo("system:anonymous", groups=("system:unauthenticated",)), "GET", "/version", "global-default"),
    ],
)
def test_a_request_belongs_to_the_first_schema_that_matches(
    who: UserInfo, method: str, target: str, schema: str
) -> None:
    found = matching.find(SCHEMAS, info_of(method, target), who)
    assert found is not None
    assert found.name == schema


def test_schemas_of_one_precedence_go_by_name() -> None:
    names = [schema.name for schema in SCHEMAS]
    assert names[:2] == ["exempt", "probes"]
    assert names.index("kube-controller-manager") + 1 == names.index("kube-scheduler")
    assert names[-1] == "catch-all"


def rule(**parts: Any) -> matching.Schema:
    spec = {"rules": [{"subjects": [{"kind": "User", "user": {"name": "*"}}], **parts}]}
    return compile_schema({"metadata": {"name": "x"}, "spec": spec})


@pytest.mark.parametrize(
    ("target", "namespaces", "cluster", "matches"),
    [
        ("/api/v1/namespaces/a/pods", ["a"], False, True),
        ("/api/v1/namespaces/b/pods", ["a"], False, False),
        ("/api/v1/pods", ["*"], False, False),
        ("/api/v1/pods", [], True, True),
        ("/api/v1/namespaces/a/pods", [], True, False),
        ("/api/v1/namespaces/a/pods/x/log", ["*"], False, False),
    ],
)
def test_a_rule_says_whether_it_is_about_namespaces_or_the_whole_cluster(
    target: str, namespaces: list[str], cluster: bool, matches: bool
) -> None:
    resources = {"verbs": ["*"], "apiGroups": [""], "resources": ["pods"], "namespaces": namespaces}
    schema = rule(resourceRules=[{**resources, "clusterScope": cluster}])
    assert schema.matches(info_of("GET", target), user("eve")) is matches


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [("/a/*", "/a/b/c", True), ("/a/*", "/ab", False), ("/a", "/a/b", False), ("*", "/x", True), ("/a", "/a", True)],
)
def test_a_path_rule_may_end_in_a_star(pattern: str, path: str, matches: bool) -> None:
    schema = rule(nonResourceRules=[{"verbs": ["get"], "nonResourceURLs": [pattern]}])
    assert schema.matches(info_of("GET", path), user("eve")) is matches
    assert not schema.matches(info_of("POST", path), user("eve"))


def test_flows_are_told_apart_as_the_schema_says() -> None:
    info = info_of("GET", "/api/v1/namespaces/shop/pods")
    by = {schema.name: schema.distinguisher(info, OWN_ACCOUNT) for schema in SCHEMAS}
    assert by["service-accounts"] == OWN_ACCOUNT.name
    assert by["kube-scheduler"] == "shop"
    assert by["exempt"] == ""


def test_six_hundred_seats_are_dealt_as_by_kube_apiserver() -> None:
    found = limits(600, LEVELS)
    assert {name: each.nominal for name, each in found.items()} == {
        "exempt": 0,
        "catch-all": 13,
        "system": 74,
        "node-high": 98,
        "leader-election": 25,
        "workload-high": 98,
        "workload-low": 245,
        "global-default": 49,
    }
    assert found["workload-low"] == Limits(245, 245 - 221, 245 + 600)
    assert found["system"].minimum == 74 - 24
    assert found["global-default"].widest_request == 8


def test_a_borrowing_limit_bounds_what_a_level_may_have() -> None:
    spec = {"limited": {"nominalConcurrencyShares": 10, "lendablePercent": 50, "borrowingLimitPercent": 20}}
    assert limits(100, {"a": spec, "b": {"limited": {"nominalConcurrencyShares": 10}}})["a"] == Limits(50, 25, 60)


def test_an_idle_level_lends_and_gets_back_what_it_needs() -> None:
    idle, busy = Claim(Limits(50, 10, 650)), Claim(Limits(50, 25, 650))
    for _ in range(5):
        idle.take(0.0, 0.0, 0)
        busy.take(90.0, 0.0, 90)
    lent = adjust({"idle": idle, "busy": busy})
    assert lent == {"idle": 10, "busy": 90}
    idle.take(50.0, 0.0, 50)
    busy.take(90.0, 0.0, 90)
    assert adjust({"idle": idle, "busy": busy}) == {"idle": 50, "busy": 50}


def test_what_exempt_requests_use_is_taken_off_the_rest() -> None:
    exempt, other = Claim(Limits(0, 0, 600), exempt=True), Claim(Limits(50, 10, 650))
    exempt.take(20.0, 0.0, 20)
    other.take(100.0, 0.0, 100)
    assert adjust({"exempt": exempt, "other": other}) == {"exempt": 20, "other": 30}


def test_demand_falls_slowly_and_rises_at_once() -> None:
    claim = Claim(Limits(50, 10, 650))
    claim.take(100.0, 0.0, 100)
    assert claim.smoothed == 100.0
    claim.take(0.0, 0.0, 0)
    assert claim.smoothed == pytest.approx(97.7)
    claim.take(99.0, 2.0, 101)
    assert claim.smoothed == 101.0


def test_demand_is_weighed_by_time() -> None:
    demand = Demand(0.0)
    demand.set(10, 5.0)
    assert demand.reset(10.0) == (5.0, 5.0, 10)
    assert demand.reset(20.0) == (10.0, 0.0, 10)


bounds = st.tuples(st.integers(0, 100), st.integers(0, 100), st.floats(0, 200)).map(
    lambda each: (min(each[:2]), max(each[:2]), each[2])
)


@given(st.integers(0, 500), st.lists(bounds, min_size=1, max_size=8))
def test_what_is_dealt_is_all_there_is_and_within_bounds(total: int, wants: list[tuple[float, float, float]]) -> None:
    dealt = allocate(total, wants)
    for seats_dealt, (low, high, _) in zip(dealt, wants, strict=True):
        assert low <= seats_dealt <= high
    least, most = sum(low for low, _, _ in wants), sum(high for _, high, _ in wants)
    assert sum(dealt) == pytest.approx(min(max(total, least), most), abs=0.01)


@given(st.integers(0, 2**64 - 1), st.integers(1, 128), st.data())
def test_a_hand_has_different_queues(entropy: int, deck: int, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, min(deck, 8)))
    hand = deal(entropy, deck, size)
    assert len(set(hand)) == size
    assert all(0 <= card < deck for card in hand)
    assert deal(entropy, deck, size) == hand


def test_every_queue_is_dealt_about_as_often() -> None:
    dealt = Counter(card for name in range(4000) for card in deal(flow_hash("s", str(name)), 16, 4))
    assert len(dealt) == 16
    assert max(dealt.values()) < 1.2 * min(dealt.values())


@pytest.mark.parametrize(
    ("query", "stored", "most", "wanted"),
    [
        ({}, 0, 10, 1),
        ({}, 250, 10, 3),
        ({}, 14_000, 10, 10),
        ({}, 14_000, 8, 8),
        ({"limit": "100"}, 14_000, 10, 2),
        ({"limit": "500", "resourceVersion": "0"}, 350, 10, 4),
        ({"limit": "100", "labelSelector": "a=b"}, 350, 10, 5),
        ({"limit": "rubbish"}, 100, 10, 2),
    ],
)
def test_a_list_has_a_seat_for_every_hundred_objects(
    query: dict[str, str], stored: int, most: int, wanted: int
) -> None:
    assert seats.of_list(query, stored, "", most).seats == wanted
    assert seats.of_list(query, stored, "one", most) is ONE


def test_a_watch_costs_what_it_sends_first() -> None:
    assert seats.of_watch({"resourceVersion": "17"}, 14_000, "", 10) is ONE
    assert seats.of_watch({"resourceVersion": "0"}, 450, "", 10).seats == 5
    assert seats.of_watch({"resourceVersion": "17", "sendInitialEvents": "true"}, 450, "", 10).seats == 5


def test_a_write_is_not_over_before_its_watchers_know() -> None:
    assert seats.of_write(9, 10) is ONE
    assert seats.of_write(25, 10) == Work(1, 3, seats.EVENT_SECONDS)
    wide = seats.of_write(1000, 10)
    assert wide.widest == 10
    assert wide.final_seats * wide.latency == pytest.approx(100 * seats.EVENT_SECONDS)


class Queues:
    """A level, and requests of named flows through it, at moments that a test chooses."""

    def __init__(self, limit: int, queuing: Queuing) -> None:
        self.level = Level("l", "", Limits(limit, limit, limit), queuing, limit, 0.0)
        self.now = 0.0
        self.flows: dict[str, Flow] = {}

    def flow(self, name: str) -> Flow:
        if name not in self.flows:
            schema = compile_schema({"metadata": {"name": "s"}, "spec": {}})
            self.flows[name] = Flow(schema, self.level, name, Counts("s", "l"), Kind.SINGLE)
        return self.flows[name]

    def enter(self, name: str, work: Work = ONE) -> Ticket:
        ticket = Ticket(self.flow(name), self.level, work, self.now, None)
        self.level.enter(ticket, self.now)
        return ticket

    def leave(self, ticket: Ticket) -> list[Ticket]:
        self.level.leave(ticket, self.now)
        return list(self.level.dispatch(self.now))


WIDE = Queuing(128, 6, 50)


def test_a_flood_of_one_leaves_the_others_their_turn() -> None:
    queues = Queues(2, WIDE)
    flood = [queues.enter("flood") for _ in range(200)]
    victims: list[Ticket] = []
    running = [ticket for ticket in flood if ticket.state is RUNNING]
    order: list[str] = []
    while running:
        if len(order) == 20:
            victims = [queues.enter("victim") for _ in range(3)]
        queues.now += 0.01
        started = queues.leave(running.pop(0))
        order += [ticket.flow.distinguisher for ticket in started]
        running += started
    assert [ticket.state for ticket in victims] == [ENDED] * 3
    assert len(order) == 201
    assert [place for place, name in enumerate(order) if name == "victim"][-1] < 40, order[:60]


def test_a_full_queue_refuses() -> None:
    queues = Queues(1, Queuing(1, 1, 2))
    states = [queues.enter("a").state for _ in range(4)]
    assert states == [RUNNING, WAITING, WAITING, ENDED]
    assert queues.level.rejected == {QUEUE_FULL: 1}


def test_a_request_wider_than_its_level_goes_alone() -> None:
    queues = Queues(2, WIDE)
    small, wide = queues.enter("a"), queues.enter("b", Work(5))
    assert (small.state, wide.state) == (RUNNING, WAITING)
    assert queues.leave(small) == [wide]
    assert queues.enter("a").state is WAITING


def test_a_level_without_seats_runs_nothing() -> None:
    assert Queues(0, WIDE).enter("a").state is WAITING


def test_a_wide_request_is_not_passed_by_for_ever() -> None:
    queues = Queues(4, WIDE)
    running = [queues.enter("narrow") for _ in range(4)]
    wide = queues.enter("wide", Work(4))
    for _ in range(100):
        queues.enter("narrow")
    for _ in range(40):
        queues.now += 0.003
        running += queues.leave(running.pop(0))
        if wide.state is RUNNING:
            break
    assert wide.state is RUNNING


def test_seats_of_a_write_are_held_until_its_watchers_know() -> None:
    queues = Queues(3, WIDE)
    write = queues.enter("a", Work(1, 3, 0.005))
    other = queues.enter("b")
    assert queues.level.used == 3
    assert queues.level.answered(write, 0.0) == 3
    assert other.state is WAITING
    queues.now = 0.005
    assert queues.leave(write) == [other]
    assert queues.level.used == 1


steps = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), st.sampled_from("abcdef"), st.integers(1, 4)),
        st.tuples(st.just("leave"), st.integers(0, 50), st.just(0)),
        st.tuples(st.just("cancel"), st.integers(0, 50), st.just(0)),
        st.tuples(st.just("limit"), st.integers(1, 8), st.just(0)),
    ),
    max_size=80,
)


@given(st.integers(1, 8), st.integers(1, 6), steps)
def test_seats_are_never_exceeded_and_nobody_is_forgotten(
    limit: int, count: int, walk: list[tuple[str, Any, int]]
) -> None:
    queues = Queues(limit, Queuing(count, 1, 4))
    level = queues.level
    there: list[Ticket] = []
    for what, argument, width in walk:
        queues.now += 0.001
        if what == "enter":
            there.append(queues.enter(argument, Work(width)))
        elif what == "limit":
            level.limit = argument
            list(level.dispatch(queues.now))
        elif there:
            ticket = there[argument % len(there)]
            if what == "cancel":
                level.give_up(ticket, "cancelled", queues.now)
                list(level.dispatch(queues.now))
            else:
                queues.leave(ticket)
        check(level, there)
    while level.running:
        queues.now += 0.001
        queues.leave(next(iter(level.running)))
        check(level, there)
    assert level.waiting == level.used == level.wanted == 0
    assert not level.queues
    assert all(ticket.state is ENDED for ticket in there)


def check(level: Level, there: list[Ticket]) -> None:
    """The books are right, and nobody waits while there is room for whoever is next."""
    running = [ticket for ticket in there if ticket.state is RUNNING]
    waiting = [ticket for ticket in there if ticket.state is WAITING]
    assert level.used == sum(ticket.seats for ticket in running)
    assert level.wanted == sum(ticket.seats for ticket in waiting)
    assert (level.running, level.waiting) == (set(running), len(waiting))
    assert sum(queue.seats for queue in level.queues.values()) <= level.used
    if waiting:
        assert level.used > 0
    if level.limit is not None and len(running) > 1:
        peak = max(ticket.seats for ticket in running)
        assert level.used <= max(8, peak)


@given(st.integers(1, 4), st.lists(st.integers(1, 40), min_size=2, max_size=5), st.integers(0, 1000))
def test_busy_flows_get_equal_shares_however_many_requests_they_have(limit: int, sizes: list[int], seed: int) -> None:
    queues = Queues(limit, Queuing(4096, 6, 100))
    blocker = [queues.enter("blocker") for _ in range(limit)]
    for number, size in enumerate(sizes):
        for _ in range(size):
            queues.enter(f"{seed}-{number}")
    least = min(sizes)
    served: Counter[str] = Counter()
    running = blocker
    while running:
        queues.now += 0.003
        for ticket in queues.leave(running.pop(0)):
            running.append(ticket)
            served[ticket.flow.distinguisher] += 1
            if max(served.values()) <= least and len(served) == len(sizes):
                # A flow spreads over the six queues of its hand, but those of equal length serve in turn.
                assert max(served.values()) <= 6 * min(served.values()) + 6
    assert sorted(served.values()) == sorted(sizes)


def test_what_an_owner_changed_stays_changed() -> None:
    wanted = next(obj for obj in suggested() if obj["metadata"]["name"] == "workload-low")
    changed = {**wanted, "spec": {**wanted["spec"], "limited": {"nominalConcurrencyShares": 7}}}

    def noted(value: str | None, generation: int = 2) -> dict[str, Any]:
        annotations = {} if value is None else {"apf.kubernetes.io/autoupdate-spec": value}
        return {**changed, "metadata": {"name": "workload-low", "generation": generation, "annotations": annotations}}

    assert corrected(noted("false"), wanted) is None
    updated = corrected(noted("true"), wanted)
    assert updated is not None
    assert updated["spec"] == wanted["spec"]
    told = corrected(noted(None), wanted)
    assert told is not None
    assert told["spec"] == changed["spec"]
    assert told["metadata"]["annotations"] == {"apf.kubernetes.io/autoupdate-spec": "false"}
    fresh = corrected(noted(None, 1), wanted)
    assert fresh is not None
    assert fresh["spec"] == wanted["spec"]


def test_of_the_exempt_level_its_shares_may_be_changed() -> None:
    wanted = next(obj for obj in mandatory() if obj["kind"] != "FlowSchema" and obj["metadata"]["name"] == "exempt")
    exempt = {"nominalConcurrencyShares": 5, "lendablePercent": 10}
    annotations = {"apf.kubernetes.io/autoupdate-spec": "false"}
    stored = {
        **wanted,
        "metadata": {"name": "exempt", "annotations": annotations},
        "spec": {"type": "Exempt", "exempt": exempt},
    }
    assert corrected(stored, wanted) is None
    wrong = {**stored, "spec": {"type": "Limited", "exempt": exempt}}
    better = corrected(wrong, wanted)
    assert better is not None
    assert better["spec"] == {"type": "Exempt", "exempt": exempt}


def test_a_condition_changes_its_time_only_with_its_status() -> None:
    schema: dict[str, Any] = {"spec": {"priorityLevelConfiguration": {"name": "x"}}}
    first = condition(schema, False, "t1")
    assert first is not None
    assert (first["status"], first["reason"], first["lastTransitionTime"]) == ("True", "NotFound", "t1")
    schema["status"] = {"conditions": [first]}
    assert condition(schema, False, "t2") is None
    second = condition(schema, True, "t3")
    assert second is not None
    assert (second["status"], second["lastTransitionTime"]) == ("False", "t3")


def test_limits_are_whole_seats() -> None:
    assert all(isinstance(each.nominal, int) and not math.isnan(each.nominal) for each in limits(7, LEVELS).values())
