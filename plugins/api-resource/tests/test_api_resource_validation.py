"""Each rule of dynamic resources: a valid object, changed, and exactly what is said of it."""

from typing import Any

import pytest

from kubrick_api.merge import json_merge
from kubrick_api.resource import Strategy
from kubrick_api.validation import LABEL_RULE, SUBDOMAIN_RULE
from kubrick_api_resource.claim_validation import NO_REQUEST, ONE_ATTRIBUTE, ONE_KIND
from kubrick_api_resource.claims import (
    DeviceClassStrategy,
    ResourceClaimStrategy,
    ResourceClaimTemplateStrategy,
    ResourceSliceStrategy,
)
from kubrick_api_resource.rules import selector
from kubrick_api_resource.slice_validation import NOT_BOTH, NOT_PER_DEVICE, ONE_VALUE, WHERE

Object = dict[str, Any]
FULL_NAME = "a fully qualified name must be a domain and a name separated by a slash"
REQUEST = {"name": "r", "exactly": {"deviceClassName": "gpu"}}
CLAIM = {"metadata": {"name": "c"}, "spec": {"devices": {"requests": [REQUEST]}}}
SLICE = {
    "metadata": {"name": "s"},
    "spec": {
        "driver": "d.io",
        "pool": {"name": "p", "resourceSliceCount": 1},
        "nodeName": "n",
        "devices": [{"name": "gpu-0"}],
    },
}
CLASS = {"metadata": {"name": "c"}, "spec": {}}


def said(strategy: Strategy, obj: Object) -> list[str]:
    strategy.default(obj)
    return [str(error) for error in strategy.validate(obj)]


def devices(**fields: Any) -> Object:
    return {"spec": {"devices": {"requests": [REQUEST], **fields}}}


def exactly(**fields: Any) -> Object:
    return devices(requests=[{"name": "r", "exactly": {"deviceClassName": "gpu", **fields}}])


D = "spec.devices"
X = f"{D}.requests[0].exactly"


@pytest.mark.parametrize(
    ("patch", "wrong"),
    [
        ({}, []),
        (
            devices(
                requests=[
                    {"name": "R"},
                    {**REQUEST, "firstAvailable": [{"name": "a", "deviceClassName": "g"}]},
                    REQUEST,
                ]
            ),
            [
                f'{D}.requests[0].name: Invalid value: "R": {LABEL_RULE}',
                f"{D}.requests[0]: Required value: {ONE_KIND}",
                f"{D}.requests[1]: Invalid value: null: {ONE_KIND}, but multiple fields are set",
                f'{D}.requests[2]: Duplicate value: "r"',
            ],
        ),
        (
            exactly(deviceClassName="", allocationMode="All", count=1, selectors=[{}]),
            [
                f"{X}.deviceClassName: Required value",
                f"{X}.selectors[0].cel: Required value",
                f"{X}.count: Invalid value: 1: must not be specified when allocationMode is 'All'",
            ],
        ),
        (
            exactly(
                allocationMode="x",
                deviceClassName="G",
                tolerations=[{}, {"operator": "Exists", "value": "v", "effect": "x"}],
            ),
            [
                f'{X}.deviceClassName: Invalid value: "G": {SUBDOMAIN_RULE}',
                f'{X}.allocationMode: Unsupported value: "x": supported values: "All", "ExactCount"',
                f"{X}.tolerations[0].operator: Required value",
                f'{X}.tolerations[1].value: Invalid value: "v": must be empty for operator `Exists`',
                f'{X}.tolerations[1].effect: Unsupported value: "x": supported values: "NoExecute", "NoSchedule", '
                '"None"',
            ],
        ),
        (exactly(count=-1), [f"{X}.count: Invalid value: -1: must be greater than zero"]),
        (
            devices(
                constraints=[{"requests": ["x", "r/s/t", "r"]}, {"matchAttribute": "a"}, {"distinctAttribute": "/b"}]
            ),
            [
                f'{D}.constraints[0].requests[0]: Invalid value: "x": {NO_REQUEST}',
                f'{D}.constraints[0].requests[1]: Invalid value: "r/s/t": {NO_REQUEST}',
                f"{D}.constraints[0]: Required value: {ONE_ATTRIBUTE}",
                f'{D}.constraints[1].matchAttribute: Invalid value: "a": {FULL_NAME}',
                f'{D}.constraints[2].distinctAttribute: Invalid value: "": the domain must not be empty',
            ],
        ),
        (
            devices(config=[{}, {"opaque": {"parameters": []}}]),
            [
                f"{D}.config[0].opaque: Required value",
                f"{D}.config[1].opaque.driver: Required value",
                f'{D}.config[1].opaque.parameters: Invalid value: "<value omitted>": must be a valid JSON object',
            ],
        ),
    ],
)
def test_a_claim(patch: Object, wrong: list[str]) -> None:
    assert said(ResourceClaimStrategy(), json_merge(CLAIM, patch)) == wrong


def test_a_claim_and_a_template_stay_as_they_are() -> None:
    new = json_merge(CLAIM, devices(requests=[]))
    (error,) = ResourceClaimStrategy().validate_replacement(new, CLAIM)
    assert error.field == "spec"
    template = {"metadata": {"name": "t"}, "spec": {"spec": CLAIM["spec"]}}
    assert said(ResourceClaimTemplateStrategy(), template) == []
    (error,) = ResourceClaimTemplateStrategy().validate_replacement({**template, "spec": {}}, template)
    assert error.field == "spec"


RESULT = {"request": "r", "driver": "d.io", "pool": "p", "device": "gpu-0"}
PLACED = {"driver": "d.io", "pool": "p", "device": "gpu-0"}
ALLOCATED = {"allocation": {"devices": {"results": [RESULT]}}}


@pytest.mark.parametrize(
    ("status", "wrong"),
    [
        (ALLOCATED, []),
        (
            {"reservedFor": [{"uid": "u"}, {"resource": "pods", "name": "p", "uid": "u"}]},
            [
                "status.reservedFor[0].resource: Required value",
                "status.reservedFor[0].name: Required value",
                'status.reservedFor[1]: Duplicate value: "u"',
                "status.reservedFor: Forbidden: may not be specified when `allocated` is not set",
            ],
        ),
        (
            {**ALLOCATED, "devices": [{**PLACED, "device": "other", "networkData": {"ips": ["1.2.3.4"]}}]},
            [
                'status.devices[0]: Invalid value: {"Driver":"d.io","Pool":"p","Device":"other","ShareID":""}: must be '
                "an allocated device in the claim",
                'status.devices[0].networkData.ips[0]: Invalid value: "1.2.3.4": must be a valid address in CIDR form, '
                "(e.g. 10.9.8.7/24 or 2001:db8::1/64)",
            ],
        ),
        (
            {
                "allocation": {
                    "devices": {"results": [{**RESULT, "request": "x", "pool": "", "shareID": "1"}], "config": [{}]}
                }
            },
            [
                f'status.allocation.devices.results[0].request: Invalid value: "x": {NO_REQUEST}',
                "status.allocation.devices.results[0].pool: Required value",
                'status.allocation.devices.results[0].shareID: Invalid value: "1": error validating uid: invalid UUID '
                "length: 1",
                "status.allocation.devices.config[0].source: Required value",
                "status.allocation.devices.config[0].opaque: Required value",
            ],
        ),
    ],
)
def test_a_claims_status(status: Object, wrong: list[str]) -> None:
    errors = ResourceClaimStrategy().validate_status_update({**CLAIM, "status": status}, CLAIM)
    assert [str(error) for error in errors] == wrong


def test_an_allocation_stays() -> None:
    old = {**CLAIM, "status": ALLOCATED}
    new = json_merge(old, {"status": {"allocation": {"devices": {"results": [{**RESULT, "device": "gpu-1"}]}}}})
    (error,) = ResourceClaimStrategy().validate_status_update(new, old)
    assert (error.field, error.message[-18:]) == ("status.allocation", "field is immutable")


def device(**fields: Any) -> Object:
    return {"spec": {"devices": [{"name": "gpu-0", **fields}]}}


G = "spec.devices[0]"


@pytest.mark.parametrize(
    ("patch", "wrong"),
    [
        ({}, []),
        (
            {
                "spec": {
                    "driver": None,
                    "pool": {"name": "P/q", "resourceSliceCount": None, "generation": -1},
                    "nodeName": None,
                }
            },
            [
                "spec.driver: Required value",
                f'spec.pool.name: Invalid value: "P": {SUBDOMAIN_RULE}',
                "spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero",
                "spec.pool.generation: Invalid value: -1: must be greater than or equal to zero",
                f"spec: Required value: {WHERE}",
            ],
        ),
        (
            {"spec": {"allNodes": True, "perDeviceNodeSelection": False}},
            [
                "spec.perDeviceNodeSelection: Invalid value: false: must be either unset or set to true",
                f'spec: Invalid value: "{{`nodeName`, `allNodes`}}": {WHERE}, but multiple fields are set',
            ],
        ),
        (
            device(attributes={"a-b": {"bool": True}, "x": {}, "v": {"version": "1.0"}, "w": {"int": 1, "bool": True}}),
            [
                f'{G}.attributes: Invalid value: "a-b": a valid C identifier must start with alphabetic character '
                "or '_', followed by a string of alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or "
                "'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')",
                f'{G}.attributes[x]: Invalid value: "": {ONE_VALUE}',
                f'{G}.attributes[v].version: Invalid value: "1.0": must be a string compatible with semver.org spec '
                "2.0.0",
                f'{G}.attributes[w]: Invalid value: {{"IntValue":1,"BoolValue":true,"StringValue":null,'
                f'"VersionValue":null,"IntValues":null,"BoolValues":null,"StringValues":null,"VersionValues":null}}: '
                f"{ONE_VALUE}",
            ],
        ),
        (
            device(capacity={"m": {"value": "1Gi", "requestPolicy": {}}}, nodeName="n"),
            [
                f"{G}.capacity[m].requestPolicy: Forbidden: allowMultipleAllocations must be true",
                f"{G}: Invalid value: null: {NOT_PER_DEVICE}",
            ],
        ),
        (
            device(
                allowMultipleAllocations=True,
                capacity={
                    "m": {"value": "4", "requestPolicy": {"default": "3", "validValues": ["2", "1", "5"]}},
                    "n": {
                        "value": "4",
                        "requestPolicy": {"default": "5", "validRange": {"min": "2", "max": "8", "step": "2"}},
                    },
                },
            ),
            [
                f'{G}.capacity[m].requestPolicy.validValues[1]: Invalid value: "1": values must be sorted in ascending '
                "order",
                f'{G}.capacity[m].requestPolicy.validValues[2]: Invalid value: "5": option is larger than capacity '
                "value: 4",
                f'{G}.capacity[m].requestPolicy.validValues: Invalid value: "3": default value is not valid according '
                "to the requestPolicy",
                f'{G}.capacity[n].requestPolicy.validRange.max: Invalid value: "8": max is larger than capacity value: '
                "4",
                f'{G}.capacity[n].requestPolicy.validRange.step: Invalid value: "5": value is not a multiple of a '
                "given step (2) from (2)",
            ],
        ),
        (
            device(
                consumesCounters=[{"counterSet": "x"}, {}],
                taints=[{"key": "k", "effect": "x"}],
                bindingConditions=["a"],
            ),
            [
                f'{G}.taints[0].effect: Unsupported value: "x": supported values: "NoExecute", "NoSchedule", "None"',
                f"{G}.consumesCounters[0].counters: Required value",
                f"{G}.consumesCounters[1].counterSet: Required value",
                f"{G}.consumesCounters[1].counters: Required value",
                f"{G}.bindingFailureConditions: Invalid value: null: bindingFailureConditions are required to use "
                "bindingConditions",
            ],
        ),
        (
            {"spec": {"devices": None, "sharedCounters": [{"name": "set", "counters": {"A": {"value": "1"}}}, {}]}},
            [
                f'spec.sharedCounters[0].counters: Invalid value: "A": {LABEL_RULE}',
                "spec.sharedCounters[1].name: Required value",
                "spec.sharedCounters[1].counters: Required value",
            ],
        ),
        ({"spec": {"sharedCounters": []}}, [f'spec: Invalid value: "": {NOT_BOTH}']),
    ],
)
def test_a_slice(patch: Object, wrong: list[str]) -> None:
    assert said(ResourceSliceStrategy(), json_merge(SLICE, patch)) == wrong


def test_a_slice_stays_where_it_is() -> None:
    new = json_merge(SLICE, {"spec": {"driver": "e.io", "pool": {"name": "q"}, "nodeName": "m"}})
    errors = ResourceSliceStrategy().validate_replacement(new, SLICE)
    assert [error.field for error in errors] == ["spec.pool.name", "spec.driver", "spec.nodeName"]


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ({"selectors": [{"cel": {"expression": "true"}}], "extendedResourceName": "acme.com/gpu"}, []),
        (
            {"extendedResourceName": "cpu", "config": [{}]},
            [
                "spec.config[0].opaque: Required value",
                'spec.extendedResourceName: Invalid value: "cpu": must be a valid extended resource name',
            ],
        ),
    ],
)
def test_a_device_class(spec: Object, wrong: list[str]) -> None:
    assert said(DeviceClassStrategy(), json_merge(CLASS, {"spec": spec})) == wrong


def test_long_parameters_that_were_there_may_stay() -> None:
    config = [{"opaque": {"driver": "d.io", "parameters": {"a": "x" * 11_000}}}]
    old = json_merge(CLASS, {"spec": {"config": config}})
    assert DeviceClassStrategy().validate_replacement(json_merge(old, {"spec": {"selectors": []}}), old) == []
    assert said(DeviceClassStrategy(), old) == [
        "spec.config[0].opaque.parameters: Too long: may not be more than 10240 bytes"
    ]


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ("device.driver == 'acme.com' && device.attributes['acme.com'].model == 'x'", ""),
        ("device.attributes['acme.com'].healthy", ""),
        ("device.capacity['acme.com'].memory.compareTo(quantity('1Gi')) >= 0", ""),
        ("device.driver", "must evaluate to bool or the unknown type, not string"),
        ("", "compilation failed: ERROR: <input>:1:1: Syntax error: mismatched input '<EOF>'"),
        ("object.x", "compilation failed: ERROR: <input>:1:1: undeclared reference to 'object' (in container '')"),
    ],
)
def test_a_selector_is_compiled(expression: str, wrong: str) -> None:
    errors = list(selector({"cel": {"expression": expression}}, "at"))
    assert [error.field for error in errors] == ["at.cel.expression"] * bool(wrong)
    assert all(f'Invalid value: "{expression}": {wrong}' in error.message for error in errors)
