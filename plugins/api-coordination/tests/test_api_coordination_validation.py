"""Each rule of leases, and the fields of a gate that is off."""

from typing import Any

import pytest

from kubrick_api.validation import qualified_name
from kubrick_api_coordination import LEASES
from kubrick_api_coordination.leases import LeaseStrategy
from kubrick_testing import run_cluster

Object = dict[str, Any]
(UNQUALIFIED, *_) = qualified_name("a.io/-")


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ({}, []),
        ({"leaseDurationSeconds": 1, "leaseTransitions": 0, "holderIdentity": ""}, []),
        (
            {"leaseDurationSeconds": 0, "leaseTransitions": -1},
            [
                "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
                "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
            ],
        ),
        ({"strategy": "OldestEmulationVersion", "preferredHolder": "b"}, []),
        ({"strategy": "a.io/mine"}, []),
        (
            {"strategy": "Mine"},
            ['spec.strategy.strategy: Unsupported value: "Mine": supported values: "OldestEmulationVersion"'],
        ),
        ({"strategy": "a.io/-"}, [f'spec.strategy.strategy: Invalid value: "a.io/-": {UNQUALIFIED}']),
        (
            {"preferredHolder": "b"},
            ["spec.preferredHolder: Forbidden: may only be specified if `strategy` is defined"],
        ),
        ({"preferredHolder": ""}, []),
    ],
)
def test_a_lease(spec: Object, wrong: list[str]) -> None:
    assert [str(error) for error in LeaseStrategy().validate({"spec": spec})] == wrong
    assert [str(error) for error in LeaseStrategy().validate_replacement({"spec": spec}, {"spec": {}})] == wrong


async def test_leaders_are_not_chosen_by_the_server() -> None:
    """CoordinatedLeaderElection is off: its fields are dropped without a word."""
    async with run_cluster("api") as cluster:
        times = {"acquireTime": "2026-01-01T00:00:00.000001Z", "renewTime": "2026-01-01T00:00:01.000000Z"}
        spec = {"holderIdentity": "a", **times}
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}}
        chosen = {"strategy": "Mine", "preferredHolder": "b"}
        made = await cluster.client.create(LEASES, {**body, "spec": {**spec, **chosen}}, "default")
        assert made["spec"] == spec
        after = await cluster.client.patch(LEASES, "l", {"spec": chosen}, "default")
        assert after["spec"] == spec
