"""Services come, change and go in any order, writes overlap and fail, the server restarts: what is taken is what
is stored, nothing is given out twice, and what is let go can be had again."""

from collections.abc import Coroutine
from datetime import UTC, datetime
from random import Random  # noqa: TID251  (the kernel's generator, seeded)
from typing import Any

import pytest
from attrs import define, field
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kubrick_api.errors import StatusError
from kubrick_api.names import GVR
from kubrick_api.storage import Object, UserInfo, WriteContext
from kubrick_api_core import SERVICES
from kubrick_api_core.service_allocation import (
    IP_ADDRESSES,
    SERVICE_CIDRS,
    AllocationError,
    ClusterIPs,
    NodePorts,
    Range,
    node_ports,
    parse_range,
    split_offset,
)
from kubrick_api_core.services import ServiceStrategy

FOUR, SIX = "10.0.0.0/28", "fd00::/124"


def settle(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run what never waits."""
    with pytest.raises(StopIteration):
        coroutine.send(None)


@define
class Store:
    """Objects by resource and name: a reader, and where writes end up."""

    objects: dict[GVR, dict[str, Object]] = field(factory=dict)

    def get(self, resource: GVR, namespace: str, name: str) -> Object | None:
        return self.objects.get(resource, {}).get(name)

    def list(self, resource: GVR, namespace: str = "") -> list[Object]:
        return list(self.objects.get(resource, {}).values())

    def apply(self, context: WriteContext) -> None:
        """The companions of a write. A new one must not be there: so says the store."""
        for also in context.also:
            table = self.objects.setdefault(also.resource, {})
            if also.obj is None:
                del table[also.name]
            else:
                assert also.name not in table, f"{also.name} was given out twice"
                table[also.name] = also.obj


def strategy(seed: int, ranges: str = f"{FOUR},{SIX}", ports: str = "30000-30004") -> ServiceStrategy:
    return ServiceStrategy(ClusterIPs.parse(ranges, Random(seed)), NodePorts.parse(ports, Random(seed)))


class Services(RuleBasedStateMachine):
    """A cluster of two small ranges and five node ports."""

    @initialize(seed=st.integers(0, 9))
    def start(self, seed: int) -> None:
        self.seed = seed
        self.store = Store()
        self.store.objects[SERVICE_CIDRS] = {
            "kubernetes": {"metadata": {"name": "kubernetes"}, "spec": {"cidrs": [FOUR, SIX]}}
        }
        self.server = strategy(seed)
        self.under_way: list[tuple[Object, Object | None, WriteContext]] = []
        self.made = 0

    def context(self) -> WriteContext:
        return WriteContext(UserInfo("u"), datetime(2026, 1, 1, tzinfo=UTC), self.store, None)  # type: ignore[arg-type]

    @property
    def services(self) -> dict[str, Object]:
        return self.store.objects.setdefault(SERVICES, {})

    def begin(self, obj: Object, old: Object | None) -> None:
        """Everything up to the commit; refusals give back what was promised."""
        context = self.context()
        self.server.default(obj)
        try:
            if old is None:
                self.server.prepare_for_create(obj, context)
            else:
                self.server.prepare_for_update(obj, old, context)
            settle(self.server.allocate(obj, old, context))
            errors = self.server.validate(obj) if old is None else self.server.validate_replacement(obj, old)
        except StatusError:
            errors = [None]  # type: ignore[list-item]
        if errors:
            self.abort(context)
        else:
            self.under_way.append((obj, old, context))

    def abort(self, context: WriteContext) -> None:
        for forget in context.on_failure:
            forget()

    kinds = st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer", "Headless", "ExternalName"])

    def spec(self, kind: str, policy: str | None, port: int | None) -> Object:
        spec: Object = {"type": kind, "selector": {"a": "b"}, "ports": [{"port": 80}]}
        if kind == "Headless":
            spec |= {"type": "ClusterIP", "clusterIP": "None"}
        if kind == "ExternalName":
            return {"type": kind, "externalName": "example.com"}
        if kind == "LoadBalancer":
            spec["externalTrafficPolicy"] = "Local"
        if port is not None and kind in ("NodePort", "LoadBalancer"):
            spec["ports"][0]["nodePort"] = port
        return spec | ({"ipFamilyPolicy": policy} if policy else {})

    policies = st.sampled_from([None, "SingleStack", "PreferDualStack", "RequireDualStack"])
    numbers = st.sampled_from([None, 30000, 30001, 31000])

    @rule(
        kind=kinds, policy=policies, port=numbers, ip=st.sampled_from([None, None, "10.0.0.2", "10.0.0.9", "10.1.0.1"])
    )
    def create(self, kind: str, policy: str | None, port: int | None, ip: str | None) -> None:
        self.made += 1
        name = f"s{self.made}"
        spec = self.spec(kind, policy, port)
        if ip and kind not in ("Headless", "ExternalName"):
            spec["clusterIP"] = ip
        metadata = {"name": name, "namespace": "default", "uid": name}
        self.begin({"metadata": metadata, "spec": spec}, None)

    @precondition(lambda self: self.services)
    @rule(data=st.data(), kind=kinds, policy=policies, port=numbers)
    def update(self, data: st.DataObject, kind: str, policy: str | None, port: int | None) -> None:
        old = self.services[data.draw(st.sampled_from(sorted(self.services)))]
        self.begin({"metadata": dict(old["metadata"]), "spec": self.spec(kind, policy, port)}, old)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), succeeds=st.booleans())
    def end(self, data: st.DataObject, succeeds: bool) -> None:
        """A write is committed, or its caller goes away. One that lost a race fails."""
        obj, old, context = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        name = obj["metadata"]["name"]
        if not succeeds or self.services.get(name) is not old:
            self.abort(context)
            return
        self.store.apply(context)
        self.services[name] = obj
        for forget in context.on_success:
            forget()

    @precondition(lambda self: self.services)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.services)))
        context = self.context()
        settle(self.server.release(self.services[name], context))
        self.store.apply(context)
        del self.services[name]

    @rule()
    def restart(self) -> None:
        """Whatever was under way is lost."""
        self.under_way.clear()
        self.seed += 1
        self.server = strategy(self.seed)

    @invariant()
    def addresses_are_those_of_stored_services(self) -> None:
        if not hasattr(self, "store"):
            return
        owned = {
            name: obj["spec"]["parentRef"]["name"] for name, obj in self.store.objects.get(IP_ADDRESSES, {}).items()
        }
        used = [
            (ip, name)
            for name, service in self.services.items()
            for ip in service["spec"].get("clusterIPs") or ()
            if ip != "None"
        ]
        assert dict(used) == owned
        assert len(used) == len(owned)
        assert all(any(each.holds(ip) for each in (parse_range(FOUR), parse_range(SIX)) if each) for ip in owned)

    @invariant()
    def no_two_services_share_a_node_port(self) -> None:
        if not hasattr(self, "store"):
            return
        ports = [port for service in self.services.values() for port in sorted(node_ports(service["spec"]))]
        assert len(ports) == len(set(ports))
        assert all(30000 <= port <= 30004 for port in ports)

    @invariant()
    def nothing_is_promised_when_nothing_is_under_way(self) -> None:
        if hasattr(self, "store") and not self.under_way:
            assert not self.server.addresses._promised
            assert not self.server.ports._promised


TestServices = Services.TestCase
TestServices.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_range_is_given_out_whole_but_for_its_ends_and_its_first_address() -> None:
    store, addresses = Store(), ClusterIPs.parse(FOUR, Random(1))
    held = {addresses.next("IPv4", store) for _ in range(13)}
    assert held == {f"10.0.0.{i}" for i in range(2, 15)}
    with pytest.raises(AllocationError, match="range is full"):
        addresses.next("IPv4", store)
    addresses.forget("10.0.0.7")
    assert addresses.next("IPv4", store) == "10.0.0.7"


def test_the_first_address_may_be_had_by_number_and_the_networks_own_may_not() -> None:
    store, addresses = Store(), ClusterIPs.parse(FOUR, Random(1))
    addresses.reserve("10.0.0.1", store)
    for outside in ("10.0.0.0", "10.0.0.15", "10.0.1.1", "fd00::1"):
        with pytest.raises(AllocationError, match="does not match the current range"):
            addresses.reserve(outside, store)
    with pytest.raises(AllocationError, match="already allocated"):
        addresses.reserve("10.0.0.1", store)


def test_addresses_nobody_asked_for_leave_the_lower_part_free_while_they_can() -> None:
    store, addresses = Store(), ClusterIPs.parse("10.0.0.0/24", Random(1))
    upper = {int(addresses.next("IPv4", store).rpartition(".")[2]) for _ in range(238)}
    assert upper == set(range(17, 255))
    assert int(addresses.next("IPv4", store).rpartition(".")[2]) < 17


@pytest.mark.parametrize(("size", "offset"), [(16, 0), (17, 16), (254, 16), (1022, 63), (65534, 256)])
def test_how_much_of_a_range_is_left_for_those_who_ask(size: int, offset: int) -> None:
    assert split_offset(size, 16, 256) == offset


def test_a_not_ready_range_and_one_that_goes_give_nothing_out() -> None:
    def cidr(text: str, **more: Any) -> Object:
        return {"metadata": {"name": text, **more.pop("metadata", {})}, "spec": {"cidrs": [text]}, **more}

    closed = {"conditions": [{"type": "Ready", "status": "False"}]}
    objects = [
        cidr("10.1.0.0/28"),
        cidr("10.2.0.0/28", status=closed),
        cidr("10.3.0.0/28", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}),
    ]
    store = Store({SERVICE_CIDRS: {each["metadata"]["name"]: each for each in objects}})
    addresses = ClusterIPs.parse(FOUR, Random(1))
    found = parse_range("10.1.0.0/28")
    assert addresses.ranges(store, "IPv4") == [found]
    assert isinstance(found, Range)


def test_node_ports_run_out_only_when_all_are_taken() -> None:
    store, ports = Store(), NodePorts.parse("30000-30009", Random(3))
    assert {ports.next(store) for _ in range(10)} == set(range(30000, 30010))
    with pytest.raises(AllocationError, match="range is full"):
        ports.next(store)


@pytest.mark.parametrize(
    "text", ["10.0.0.0/8,10.1.0.0/16", "nonsense", "10.0.0.1/8", "10.0.0.0/8,fd00::/108,fd01::/108"]
)
def test_ranges_that_make_no_cluster_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        ClusterIPs.parse(text, Random(1))


@pytest.mark.parametrize(
    ("parent", "goes"),
    [
        ({"resource": "services", "namespace": "default", "name": "web"}, True),
        ({"resource": "services", "namespace": "default", "name": "other"}, False),
        ({"resource": "services", "namespace": "elsewhere", "name": "web"}, False),
        ({"group": "gateway.networking.k8s.io", "resource": "gateways", "namespace": "default", "name": "web"}, False),
    ],
)
def test_an_address_whose_object_belongs_to_another_survives_the_service(parent: Object, goes: bool) -> None:
    store = Store({IP_ADDRESSES: {"10.0.0.9": {"metadata": {"name": "10.0.0.9"}, "spec": {"parentRef": parent}}}})
    context = WriteContext(UserInfo("u"), datetime(2026, 1, 1, tzinfo=UTC), store, None)  # type: ignore[arg-type]
    service = {"metadata": {"name": "web", "namespace": "default"}, "spec": {"clusterIPs": ["10.0.0.9"]}}
    settle(strategy(1).release(service, context))
    store.apply(context)
    assert ("10.0.0.9" not in store.objects[IP_ADDRESSES]) == goes
