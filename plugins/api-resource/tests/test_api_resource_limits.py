"""How many and how long the parts of dynamic resources may be: one more than allowed, and what is said of it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from kubrick_api.errors import StatusError
from kubrick_api.resource import Strategy
from kubrick_api.storage import UserInfo, WriteContext
from kubrick_api_resource.claims import (
    DeviceClassStrategy,
    ResourceClaimStrategy,
    ResourceClaimTemplateStrategy,
    ResourceSliceStrategy,
)

Object = dict[str, Any]
MANY, LONG = "FieldValueTooMany", "FieldValueTooLong"
RESULT = {"request": "r", "driver": "d.io", "pool": "p", "device": "gpu-0"}
LABELLED = {"metadata": {"labels": {"resource.kubernetes.io/admin-access": "true"}}}


def request(name: str = "r", **more: Any) -> Object:
    return {"name": name, "exactly": {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 1, **more}}


def claim(**devices: Any) -> Object:
    return {"metadata": {"name": "c"}, "spec": {"devices": {"requests": [request()], **devices}}}


def slice_(devices: list[Object] | None = None, **more: Any) -> Object:
    spec = {"driver": "d.io", "pool": {"name": "p", "resourceSliceCount": 1}, "nodeName": "n", **more}
    return {"metadata": {"name": "s"}, "spec": spec | ({} if devices is None else {"devices": devices})}


def device(name: str = "g", **fields: Any) -> Object:
    return {"name": name, **fields}


def named(count: int, value: Any = None) -> Object:
    return {f"n{i}": {"value": "1"} if value is None else value for i in range(count)}


def said(strategy: Strategy, obj: Object) -> list[tuple[str, str, str]]:
    return [(error.field, error.type, error.message) for error in strategy.validate(obj)]


def too_many(count: int, limit: int) -> str:
    return f"Too many: {count}: must have at most {limit} items"


def too_long(limit: int) -> str:
    return f"Too long: may not be more than {limit} bytes"


CEL = {"cel": {"expression": "true"}}
OPAQUE = {"opaque": {"driver": "d.io", "parameters": {}}}
ALTERNATIVE = {"deviceClassName": "g", "allocationMode": "All"}
SETS = [{"name": f"s{i}", "counters": named(1)} for i in range(9)]
USED = [{"counterSet": f"s{i}", "counters": named(1)} for i in range(3)]
D, G = "spec.devices", "spec.devices[0]"


@pytest.mark.parametrize(
    ("obj", "field", "reason", "message"),
    [
        (claim(requests=[request(f"r{i}") for i in range(33)]), f"{D}.requests", MANY, too_many(33, 32)),
        (claim(requests=[request(selectors=[CEL] * 33)]), f"{D}.requests[0].exactly.selectors", MANY, too_many(33, 32)),
        (
            claim(requests=[{"name": "r", "firstAvailable": [{"name": f"a{i}", **ALTERNATIVE} for i in range(9)]}]),
            f"{D}.requests[0].firstAvailable",
            MANY,
            too_many(9, 8),
        ),
        (claim(constraints=[{"matchAttribute": "d.io/a"}] * 33), f"{D}.constraints", MANY, too_many(33, 32)),
        (
            claim(constraints=[{"matchAttribute": "d.io/a", "requests": ["r"] * 33}]),
            f"{D}.constraints[0].requests",
            MANY,
            too_many(33, 32),
        ),
        (claim(config=[OPAQUE] * 33), f"{D}.config", MANY, too_many(33, 32)),
        (claim(config=[{**OPAQUE, "requests": ["r"] * 33}]), f"{D}.config[0].requests", MANY, too_many(33, 32)),
        (
            claim(config=[{"opaque": {"driver": "d.io", "parameters": {"a": "x" * 10233}}}]),
            f"{D}.config[0].opaque.parameters",
            LONG,
            too_long(10240),
        ),
        (
            claim(config=[{"opaque": {"driver": f"{'d' * 62}.io", "parameters": {}}}]),
            f"{D}.config[0].opaque.driver",
            LONG,
            too_long(63),
        ),
        (
            claim(requests=[request(selectors=[{"cel": {"expression": f"true{' ' * 10237}"}}])]),
            f"{D}.requests[0].exactly.selectors[0].cel.expression",
            LONG,
            too_long(10240),
        ),
        (
            claim(constraints=[{"matchAttribute": f"d.io/{'a' * 33}"}]),
            f"{D}.constraints[0].matchAttribute",
            LONG,
            too_long(32),
        ),
    ],
)
def test_limits_of_a_claim(obj: Object, field: str, reason: str, message: str) -> None:
    assert said(ResourceClaimStrategy(), obj) == [(field, reason, message)]


def test_tolerations_are_as_many_as_one_likes() -> None:
    tolerations = [{"key": f"k{i}", "operator": "Exists"} for i in range(17)]
    assert said(ResourceClaimStrategy(), claim(requests=[request(tolerations=tolerations)])) == []


@pytest.mark.parametrize(
    ("obj", "field", "reason", "message"),
    [
        (slice_([device(f"g{i}") for i in range(129)]), D, MANY, too_many(129, 128)),
        (
            slice_([device(f"g{i}", taints=[{"key": "k", "effect": "None"}]) for i in range(65)]),
            D,
            MANY,
            too_many(65, 64),
        ),
        (
            slice_([*(device(f"g{i}") for i in range(64)), device(consumesCounters=USED[:1])]),
            D,
            MANY,
            too_many(65, 64),
        ),
        (
            slice_([device(taints=[{"key": f"k{i}", "effect": "None"} for i in range(17)])]),
            f"{G}.taints",
            MANY,
            too_many(17, 16),
        ),
        (slice_([device(consumesCounters=USED)]), f"{G}.consumesCounters", MANY, too_many(3, 2)),
        (
            slice_([device(consumesCounters=[{"counterSet": "s", "counters": named(33)}])]),
            f"{G}.consumesCounters[0].counters",
            MANY,
            too_many(33, 32),
        ),
        (slice_(sharedCounters=SETS), "spec.sharedCounters", MANY, too_many(9, 8)),
        (
            slice_(sharedCounters=[{"name": "s", "counters": named(33)}]),
            "spec.sharedCounters[0].counters",
            MANY,
            too_many(33, 32),
        ),
        (
            slice_([device(attributes=named(17, {"int": 1}), capacity=named(16))]),
            G,
            "FieldValueInvalid",
            "Invalid value: 33: the total number of attributes and capacities must not exceed 32",
        ),
        (slice_([device(attributes={"a": {"string": "é" * 33}})]), f"{G}.attributes[a].string", LONG, too_long(64)),
        (
            slice_([device(attributes={"a": {"version": f"1.2.3-{'a' * 59}"}})]),
            f"{G}.attributes[a].version",
            LONG,
            too_long(64),
        ),
        (slice_([device(attributes={"a" * 33: {"int": 1}})]), f"{G}.attributes", LONG, too_long(32)),
        (slice_([device(capacity={f"{'d' * 64}/a": {"value": "1"}})]), f"{G}.capacity", LONG, too_long(63)),
        (
            slice_([], pool={"name": "/".join(["p" * 126] * 2) + "/p", "resourceSliceCount": 1}),
            "spec.pool.name",
            LONG,
            too_long(253),
        ),
        (
            slice_(
                [
                    device(
                        bindingConditions=[f"a{i}" for i in range(5)],
                        bindingFailureConditions=[f"b{i}" for i in range(4)],
                    )
                ]
            ),
            f"{G}.bindingConditions",
            MANY,
            too_many(5, 4),
        ),
    ],
)
def test_limits_of_a_slice(obj: Object, field: str, reason: str, message: str) -> None:
    assert (field, reason, message) in said(ResourceSliceStrategy(), obj)
    assert {found for found, _, _ in said(ResourceSliceStrategy(), obj)} == {field}


@pytest.mark.parametrize(
    ("status", "field", "message"),
    [
        (
            {
                "allocation": {"devices": {"results": [RESULT]}},
                "reservedFor": [{"resource": "pods", "name": "p", "uid": f"u{i}"} for i in range(257)],
            },
            "status.reservedFor",
            too_many(257, 256),
        ),
        (
            {"allocation": {"devices": {"results": [RESULT] * 33}}},
            "status.allocation.devices.results",
            too_many(33, 32),
        ),
        (
            {"allocation": {"devices": {"config": [{**OPAQUE, "source": "FromClaim"}] * 65}}},
            "status.allocation.devices.config",
            too_many(65, 64),
        ),
        (
            {
                "allocation": {"devices": {"results": [RESULT]}},
                "devices": [{**{k: v for k, v in RESULT.items() if k != "request"}, "data": {"a": "x" * 10240}}],
            },
            "status.devices[0].data",
            too_long(10240),
        ),
        (
            {
                "allocation": {"devices": {"results": [RESULT]}},
                "devices": [
                    {
                        **{k: v for k, v in RESULT.items() if k != "request"},
                        "networkData": {"ips": [f"10.0.0.{i}/24" for i in range(17)]},
                    }
                ],
            },
            "status.devices[0].networkData.ips",
            too_many(17, 16),
        ),
    ],
)
def test_limits_of_a_claims_status(status: Object, field: str, message: str) -> None:
    errors = ResourceClaimStrategy().validate_status_update({**claim(), "status": status}, claim())
    assert [(error.field, error.message) for error in errors] == [(field, message)]


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ({"selectors": [CEL] * 33}, "spec.selectors", too_many(33, 32)),
        ({"config": [OPAQUE] * 33}, "spec.config", too_many(33, 32)),
    ],
)
def test_limits_of_a_class(spec: Object, field: str, message: str) -> None:
    assert said(DeviceClassStrategy(), {"metadata": {"name": "c"}, "spec": spec}) == [(field, MANY, message)]


def test_what_stays_of_a_class_or_device_is_not_looked_at_again() -> None:
    old: Object = {"metadata": {"name": "c"}, "spec": {"selectors": [{"cel": {"expression": "no such thing"}}]}}
    assert DeviceClassStrategy().validate_replacement({**old, "spec": {**old["spec"], "config": []}}, old) == []
    tainted = slice_([device(taints=[{"key": "k", "effect": "Someday"}])])
    more = slice_([device(taints=[{"key": "k", "effect": "Someday"}]), device("h")])
    assert ResourceSliceStrategy().validate_replacement(more, tainted) == []
    assert said(ResourceSliceStrategy(), tainted) != []


EMPTY_EXACT = '"AllocationMode":"ExactCount","Count":1,"AdminAccess":null,"Tolerations":null,"Capacity":null'


def test_a_spec_that_may_not_change_is_shown_as_kubernetes_has_it_inside() -> None:
    new, shown = claim(), '{"Devices":{"Requests":[{"Name":"r","Exactly":{"DeviceClassName":"gpu","Selectors":null,'
    shown += EMPTY_EXACT + '},"FirstAvailable":null}],"Constraints":null,"Config":null}}'
    (error,) = ResourceClaimStrategy().validate_replacement(new, claim(requests=[]))
    assert str(error) == f"spec: Invalid value: {shown}: field is immutable"
    template = {"metadata": {"name": "t"}, "spec": {"metadata": {"labels": {"a": "b"}}, "spec": new["spec"]}}
    (error,) = ResourceClaimTemplateStrategy().validate_replacement(template, {"metadata": {}, "spec": {}})
    assert error.message == f'Invalid value: {{"labels":{{"a":"b"}},"Spec":{shown}}}: field is immutable'


class Namespaces:
    """A reader of one namespace."""

    def __init__(self, namespace: Object) -> None:
        self.namespace = namespace

    def get(self, resource: Any, namespace: str, name: str) -> Object | None:
        return self.namespace

    def list(self, resource: Any, namespace: str = "") -> list[Object]:
        return [self.namespace]


def context(namespace: Object, subresource: str = "") -> WriteContext:
    storage: Any = None
    return WriteContext(UserInfo("me"), datetime(2026, 1, 1, tzinfo=UTC), Namespaces(namespace), storage, subresource)


ADMIN = claim(requests=[request(), request("s", adminAccess=True)])
ADMIN_TEMPLATE = {"metadata": {"name": "t"}, "spec": {"spec": ADMIN["spec"]}}
ADMIN_STATUS = {**claim(), "status": {"allocation": {"devices": {"results": [{**RESULT, "adminAccess": True}]}}}}
NEEDS_LABEL = (
    "admin access to devices requires the `resource.kubernetes.io/admin-access: true` label on the containing namespace"
)


@pytest.mark.parametrize(
    ("strategy", "obj", "old", "field"),
    [
        (ResourceClaimStrategy(), ADMIN, None, "spec.devices.requests[1].adminAccess"),
        (ResourceClaimTemplateStrategy(), ADMIN_TEMPLATE, None, "spec.devices.requests[1].adminAccess"),
        (ResourceClaimStrategy(), ADMIN_STATUS, claim(), "status.allocation.devices.results[0].adminAccess"),
    ],
)
async def test_admin_access_wants_a_labelled_namespace(
    strategy: Strategy, obj: Object, old: Object | None, field: str
) -> None:
    await strategy.allocate(obj, old, context(LABELLED, "status" if old else ""))
    with pytest.raises(StatusError) as refused:
        await strategy.allocate(obj, old, context({"metadata": {}}, "status" if old else ""))
    assert (refused.value.details or {})["causes"] == [
        {"reason": "FieldValueForbidden", "message": f"Forbidden: {NEEDS_LABEL}", "field": field}
    ]
    await strategy.allocate(obj, obj, context({"metadata": {}}, "status" if old else ""))


def test_what_was_said_of_a_deallocated_device_goes() -> None:
    place = {"driver": "d.io", "pool": "p", "device": "gpu-0"}
    old = {**claim(), "status": {"allocation": {"devices": {"results": [RESULT]}}, "devices": [place]}}
    new: Object = {**claim(), "status": {"devices": [place]}}
    ResourceClaimStrategy().prepare_for_update(new, old, context(LABELLED, "status"))
    assert new["status"] == {}


def test_fields_behind_closed_gates_go_unless_they_are_used() -> None:
    strategy, mapped = ResourceSliceStrategy(), {"cpu": {"allocationMultiplier": "1"}}
    used: Object = {"attributes": {"a": {"ints": [1]}}, "nodeAllocatableResourceMappings": mapped}
    new = slice_([device(attributes={"a": {"ints": [1], "int": 1}}, nodeAllocatableResourceMappings=mapped)])
    strategy.prepare_for_create(new, context(LABELLED))
    assert new["spec"]["devices"] == [device(attributes={"a": {"int": 1}})]
    kept, old = slice_([device(**used)]), slice_([device(**used)])
    strategy.prepare_for_update(kept, old, context(LABELLED))
    assert kept["spec"] == old["spec"]


def test_an_upper_case_driver_is_warned_of() -> None:
    assert ResourceSliceStrategy().warnings(slice_([], driver="D.io"), None) == [
        'spec.driver: driver names should be lowercase; "D.io" contains uppercase characters'
    ]
    assert ResourceSliceStrategy().warnings(slice_([]), None) == []
