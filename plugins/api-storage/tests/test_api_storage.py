"""Storage classes and what CSI drivers write: defaults, refusals, rows."""

from datetime import UTC, datetime
from typing import Any

import pytest

from kubrick_api.resource import Strategy
from kubrick_api_storage.classes import StorageClassStrategy
from kubrick_api_storage.drivers import CSIDriverStrategy, VolumeAttachmentStrategy

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def obj(**fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": "x", "creationTimestamp": "2025-12-31T23:55:00Z"}, **fields}


@pytest.mark.parametrize(
    ("strategy", "given", "wanted"),
    [
        (StorageClassStrategy(), obj(), {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"}),
        (
            CSIDriverStrategy(),
            obj(),
            {
                "spec": {
                    "attachRequired": True,
                    "podInfoOnMount": False,
                    "storageCapacity": False,
                    "fsGroupPolicy": "ReadWriteOnceWithFSType",
                    "requiresRepublish": False,
                    "seLinuxMount": False,
                    "volumeLifecycleModes": ["Persistent"],
                }
            },
        ),
    ],
)
def test_defaults(strategy: Strategy, given: dict[str, Any], wanted: dict[str, Any]) -> None:
    strategy.default(given)
    assert given == {"metadata": given["metadata"], **wanted}


@pytest.mark.parametrize(
    ("strategy", "given", "wanted"),
    [
        (StorageClassStrategy(), obj(), "provisioner: Required value"),
        (VolumeAttachmentStrategy(), obj(spec={}), "spec.attacher: Required value"),
    ],
)
def test_mistakes(strategy: Strategy, given: dict[str, Any], wanted: str) -> None:
    assert any(wanted in str(error) for error in strategy.validate(given))


@pytest.mark.parametrize(
    ("strategy", "given", "cells"),
    [
        (StorageClassStrategy(), obj(provisioner="p"), ["p", "Delete", "<unset>", "false", "5m"]),
        (CSIDriverStrategy(), obj(spec={"podInfoOnMount": True}), [True, True, False]),
    ],
)
def test_rows(strategy: Strategy, given: dict[str, Any], cells: list[Any]) -> None:
    assert strategy.row(given, NOW) == ["x", *cells]
