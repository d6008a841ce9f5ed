"""Each rule of EndpointSlices: a valid one, changed, and exactly what is said of it."""

from typing import Any

import pytest

from kubrick_api.merge import json_merge
from kubrick_api.validation import LABEL_RULE, SUBDOMAIN_RULE
from kubrick_api_discovery.endpointslices import EndpointSliceStrategy

Object = dict[str, Any]
SLICE = {
    "metadata": {"name": "s"},
    "addressType": "IPv4",
    "endpoints": [{"addresses": ["10.0.0.1"]}],
    "ports": [{"name": "http", "port": 80}],
}
E = "endpoints[0]"


def made(patch: Object) -> Object:
    obj: Object = json_merge(SLICE, patch)
    EndpointSliceStrategy().default(obj)
    return obj


def endpoint(**fields: Any) -> Object:
    return {"endpoints": [{"addresses": ["10.0.0.1"], **fields}]}


@pytest.mark.parametrize(
    ("patch", "wrong"),
    [
        ({}, []),
        ({"addressType": None}, ["addressType: Required value"]),
        ({"addressType": "x"}, ['addressType: Unsupported value: "x": supported values: "FQDN", "IPv4", "IPv6"']),
        (endpoint(addresses=[]), [f"{E}.addresses: Required value: must contain at least 1 address"]),
        (
            endpoint(addresses=["10.0.0.1"] * 101),
            [f"{E}.addresses: Too many: 101: must have at most 100 items"],
        ),
        (
            endpoint(addresses=["fd00::1", "127.0.0.1", "010.0.0.1", "x"]),
            [
                f'{E}.addresses: Invalid value: "fd00::1": must be an IPv4 address',
                f'{E}.addresses[1]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, '
                "::1/128)",
                f'{E}.addresses[2]: Invalid value: "010.0.0.1": must not have leading 0s',
                f'{E}.addresses[3]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
            ],
        ),
        (
            {"addressType": "IPv6", **endpoint(addresses=["FD00::1"])},
            [f'{E}.addresses[0]: Invalid value: "FD00::1": must be in canonical form ("fd00::1")'],
        ),
        (
            {"addressType": "FQDN", **endpoint(addresses=["a"])},
            [f'{E}.addresses[0]: Invalid value: "a": should be a domain with at least two segments separated by dots'],
        ),
        (
            endpoint(nodeName="N", hostname="H", hints={"forZones": [{"name": "a"}, {"name": "a"}]}),
            [
                f'{E}.nodeName: Invalid value: "N": {SUBDOMAIN_RULE}',
                f'{E}.hostname: Invalid value: "H": {LABEL_RULE}',
                f'{E}.hints.forZones[1].name: Duplicate value: "a"',
            ],
        ),
        (
            endpoint(hints={"forNodes": [{"name": str(i)} for i in range(9)]}),
            [f"{E}.hints.forNodes: Too many: 9: must have at most 8 items"],
        ),
        (
            {"ports": [{"name": "A", "protocol": "x"}, {"appProtocol": "a/b/c"}, {}]},
            [
                f'ports[0].name: Invalid value: "A": {LABEL_RULE}',
                'ports[0].protocol: Unsupported value: "x": supported values: "SCTP", "TCP", "UDP"',
            ],
        ),
    ],
)
def test_an_endpoint_slice(patch: Object, wrong: list[str]) -> None:
    errors = [str(error) for error in EndpointSliceStrategy().validate(made(patch))]
    assert errors[: len(wrong)] == wrong
    if "ports" not in patch:
        assert len(errors) == len(wrong)


def test_endpoints_that_were_there_may_stay() -> None:
    old = made(endpoint(addresses=["127.0.0.1"]))
    new = json_merge(old, {"ports": []})
    assert EndpointSliceStrategy().validate_replacement(new, old) == []
    assert len(EndpointSliceStrategy().validate(new)) == 1


def test_the_kind_of_address_is_fixed() -> None:
    old = made({})
    errors = EndpointSliceStrategy().validate_replacement(json_merge(old, {"addressType": "FQDN"}), old)
    assert [str(error) for error in errors] == ['addressType: Invalid value: "FQDN": field is immutable']
