"""EndpointSlices: refusals, defaults, rows."""

from datetime import UTC, datetime
from typing import Any

import pytest

from kubrick_api.resource import Strategy
from kubrick_api_discovery.endpointslices import EndpointSliceStrategy

Object = dict[str, Any]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def obj(**fields: Any) -> Object:
    return {"metadata": {"name": "x"}, **fields}


@pytest.mark.parametrize(
    ("strategy", "made", "wanted"),
    [
        (EndpointSliceStrategy(), obj(), "addressType: Required value"),
        (
            EndpointSliceStrategy(),
            obj(addressType="IPv4", endpoints=[{"addresses": []}]),
            "endpoints[0].addresses: Required value: must contain at least 1 address",
        ),
        (
            EndpointSliceStrategy(),
            obj(addressType="IPv4", endpoints=[{"addresses": ["::1"]}]),
            'endpoints[0].addresses: Invalid value: "::1": must be an IPv4 address',
        ),
    ],
)
def test_mistakes(strategy: Strategy, made: Object, wanted: str) -> None:
    assert wanted in [str(error) for error in strategy.validate(made)]


def test_an_endpoint_slices_row_and_defaults() -> None:
    made = obj(addressType="IPv4", ports=[{"port": 80}], endpoints=[{"addresses": ["10.0.0.1"]}])
    EndpointSliceStrategy().default(made)
    assert made["ports"] == [{"port": 80, "name": "", "protocol": "TCP"}]
    assert EndpointSliceStrategy().row(made, NOW) == ["x", "IPv4", "80", "10.0.0.1", "<unknown>"]
