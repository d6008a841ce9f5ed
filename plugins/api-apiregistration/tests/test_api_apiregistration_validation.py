"""Each rule of APIServices."""

from typing import Any

import pytest

from kubrick_api.formats import DNS1035_RULE
from kubrick_api.merge import json_merge
from kubrick_api_apiregistration.services import APIServiceStrategy

VALID = {
    "metadata": {"name": "v1.a.io"},
    "spec": {
        "group": "a.io",
        "version": "v1",
        "groupPriorityMinimum": 1,
        "versionPriority": 1,
        "service": {"name": "s", "namespace": "n"},
    },
}


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ({}, []),
        (
            {"version": "1", "groupPriorityMinimum": 20001, "versionPriority": 0},
            [
                'metadata.name: Invalid value: "v1.a.io": must be `spec.version+"."+spec.group`: "1.a.io"',
                f'spec.version: Invalid value: "1": {DNS1035_RULE}',
                "spec.groupPriorityMinimum: Invalid value: 20001: must be positive and less than 20000",
                "spec.versionPriority: Invalid value: 0: must be positive and less than 1000",
            ],
        ),
        (
            {"service": {"name": None, "port": 70000}, "caBundle": "eA==", "insecureSkipTLSVerify": True},
            [
                "spec.service.name: Required value",
                "spec.service.port: Invalid value: 70000: port is not valid: must be between 1 and 65535, inclusive",
                "spec.insecureSkipTLSVerify: Invalid value: true: may not be true if caBundle is present",
            ],
        ),
        (
            {"service": None, "caBundle": "eA==", "insecureSkipTLSVerify": True},
            [
                'spec.caBundle: Invalid value: "1 bytes": local APIServices may not have a caBundle',
                "spec.insecureSkipTLSVerify: Invalid value: true: local APIServices may not have insecureSkipTLSVerify",
            ],
        ),
    ],
)
def test_an_api_service(spec: dict[str, Any], wrong: list[str]) -> None:
    obj = json_merge(VALID, {"spec": spec})
    APIServiceStrategy().default(obj)
    assert [str(error) for error in APIServiceStrategy().validate(obj)] == wrong


def test_a_group_without_a_name_is_the_old_one() -> None:
    obj = json_merge(VALID, {"metadata": {"name": "v2."}, "spec": {"group": None, "version": "v2"}})
    APIServiceStrategy().default(obj)
    (error,) = APIServiceStrategy().validate(obj)
    assert str(error) == (
        "spec.group: Required value: only v1 may have an empty group and it's better to be legacy kube"
    )


def test_a_condition_holds_or_not_or_nobody_knows() -> None:
    (error,) = APIServiceStrategy().validate_status_update({"status": {"conditions": [{"status": "x"}]}}, {})
    assert str(error) == (
        'status.conditions[0].status: Unsupported value: "x": supported values: "True", "False", "Unknown"'
    )
