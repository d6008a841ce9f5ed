"""Each rule of RuntimeClasses."""

from typing import Any

import pytest

from kubrick_api.validation import LABEL_RULE
from kubrick_api_node.runtimeclasses import RuntimeClassStrategy

SAME = [{"key": "a", "operator": "Exists"}] * 2


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"handler": "runc"}, []),
        ({"handler": "Runc"}, [f'handler: Invalid value: "Runc": {LABEL_RULE}']),
        (
            {"handler": "runc", "scheduling": {"tolerations": SAME}},
            ['scheduling.tolerations[1]: Duplicate value: {"key":"a","operator":"Exists"}'],
        ),
        (
            {"handler": "runc", "overhead": {"podFixed": {"cpu": "-1"}}},
            ['overhead.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0'],
        ),
    ],
)
def test_a_runtime_class(fields: dict[str, Any], wrong: list[str]) -> None:
    assert [str(error) for error in RuntimeClassStrategy().validate({"metadata": {"name": "r"}, **fields})] == wrong


def test_a_handler_stays() -> None:
    (error,) = RuntimeClassStrategy().validate_replacement({"handler": "b"}, {"handler": "a"})
    assert str(error) == 'handler: Invalid value: "b": field is immutable'
