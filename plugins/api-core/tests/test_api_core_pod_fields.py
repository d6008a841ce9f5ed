"""Every field of a pod: a mistake in it, and all that is said about it, in order and to the letter.

The cases are in pod_errors.json: `given` are fields of the spec (with "c." in front: of its container).
"""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from kubrick_api_core.pods import PodStrategy

CASES = json.loads(Path(__file__).with_name("pod_errors.json").read_text("utf-8"))


def made(given: dict[str, Any]) -> dict[str, Any]:
    """A pod with these fields, and its defaults."""
    container: dict[str, Any] = {"name": "c", "image": "i"}
    spec: dict[str, Any] = {"containers": [container]}
    for path, value in deepcopy(given).items():
        if path.startswith("c."):
            container[path[2:]] = value
        else:
            spec[path] = value
    pod = {"metadata": {"name": "web", "namespace": "default"}, "spec": spec}
    PodStrategy().default(pod)
    return pod


@pytest.mark.parametrize("case", CASES, ids=lambda case: ",".join(case["given"]))
def test_a_mistake_is_told_as_kubernetes_tells_it(case: dict[str, Any]) -> None:
    assert [str(error) for error in PodStrategy().validate(made(case["given"]))] == case["errors"]
