"""Each rule of RuntimeClasses."""

from typing import Any

import pytest

from kubrick_api.errors import StatusError
from kubrick_api.validation import LABEL_RULE, label_value
from kubrick_api_node import RUNTIME_CLASSES
from kubrick_api_node.runtimeclasses import RuntimeClassStrategy
from kubrick_testing import run_cluster

SAME = [{"key": "a", "operator": "Exists", "effect": "NoExecute"}] * 2
BRIEF = {"tolerationSeconds": 5}
(LABEL_VALUE,) = label_value("-")


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"handler": "runc"}, []),
        ({"handler": "Runc"}, [f'handler: Invalid value: "Runc": {LABEL_RULE}']),
        (
            {"handler": "runc", "scheduling": {"tolerations": [*SAME, {**SAME[0], **BRIEF}]}},
            [
                f'scheduling.tolerations[{i}]: Duplicate value: {{"Key":"a","Operator":"Exists","Value":"","Effect":'
                f'"NoExecute","TolerationSeconds":{seconds}}}'
                for i, seconds in ((1, "null"), (2, "5"))
            ],
        ),
        ({"handler": "runc", "scheduling": {"tolerations": [SAME[0], {**SAME[0], "effect": "NoSchedule"}]}}, []),
        (
            {"handler": "runc", "scheduling": {"tolerations": [{"value": "-"}]}},
            [
                'scheduling.tolerations[0].operator: Invalid value: "": operator must be Exists when `key` is empty, '
                'which means "match all values and all keys"',
                f'scheduling.tolerations[0].operator: Invalid value: "-": {LABEL_VALUE}',
            ],
        ),
        (
            {"handler": "runc", "scheduling": {"nodeSelector": {"a": "-"}}},
            [f'scheduling.nodeSelector: Invalid value: "-": {LABEL_VALUE}'],
        ),
        ({}, [f'handler: Invalid value: "": {LABEL_RULE}']),
        (
            {"handler": "runc", "overhead": {"podFixed": {"cpu": "-1"}}},
            ['overhead.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0'],
        ),
    ],
)
def test_a_runtime_class(fields: dict[str, Any], wrong: list[str]) -> None:
    assert [str(error) for error in RuntimeClassStrategy().validate({"metadata": {"name": "r"}, **fields})] == wrong


@pytest.mark.parametrize(
    ("new", "wrong"),
    [
        ({"handler": "b"}, ['handler: Invalid value: "b": field is immutable']),
        (
            {"handler": "B"},
            [f'handler: Invalid value: "B": {LABEL_RULE}', 'handler: Invalid value: "B": field is immutable'],
        ),
        (
            {"handler": "a", "overhead": {"podFixed": {"cpu": "-1"}}},
            ['overhead.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0'],
        ),
        ({"handler": "a", "overhead": {"podFixed": {"cpu": "1"}}, "scheduling": {"nodeSelector": {"a": "b"}}}, []),
    ],
)
def test_a_handler_stays_and_the_rest_stays_right(new: dict[str, Any], wrong: list[str]) -> None:
    errors = RuntimeClassStrategy().validate_replacement(new, {"handler": "a"})
    assert [str(error) for error in errors] == wrong


def test_old_names_of_nodes_labels_are_warned_of() -> None:
    selector = {"beta.kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64"}
    assert RuntimeClassStrategy().warnings({"scheduling": {"nodeSelector": selector}}, None) == [
        'scheduling.nodeSelector: deprecated since v1.14; use "kubernetes.io/os" instead'
    ]


async def test_a_runtime_class_may_be_put_but_not_blindly() -> None:
    async with run_cluster("api") as cluster:
        body = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "r"}, "handler": "runc"}
        made = await cluster.client.update(RUNTIME_CLASSES, body)
        assert made["handler"] == "runc"
        with pytest.raises(StatusError) as caught:
            await cluster.client.update(RUNTIME_CLASSES, body)
        assert "metadata.resourceVersion: Invalid value: 0: must be specified for an update" in caught.value.message
