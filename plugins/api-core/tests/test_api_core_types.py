"""The generated classes: light to have, and nothing lost on the way there and back."""

import subprocess
import sys
from typing import Any

from kubrick_api.typed import structure, unstructure


def test_a_pod_goes_to_its_class_and_back() -> None:
    from kubrick_api_core.types import Pod

    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "labels": {"app": "web"}, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {
            "containers": [
                {
                    "name": "web",
                    "image": "nginx",
                    "resources": {"limits": {"cpu": "1"}},
                    "ports": [{"containerPort": 80}],
                }
            ],
            "nodeName": "n1",
            "somethingNew": {"a": 1},
        },
        "status": {"phase": "Running", "podIP": "10.0.0.1"},
    }
    typed = structure(Pod, pod)
    assert typed.spec is not None
    assert typed.spec.node_name == "n1"
    assert typed.spec.containers[0].ports[0].container_port == 80
    assert unstructure(typed) == pod


def test_importing_a_brick_imports_neither_its_types_nor_its_strategies() -> None:
    code = (
        "import sys, kubrick_api_core, kubrick_api_apps;"
        "print(sorted(name for name in sys.modules if name.startswith(('kubrick_api_core', 'kubrick_api_apps'))))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert loaded == "['kubrick_api_apps', 'kubrick_api_apps.names', 'kubrick_api_core', 'kubrick_api_core.names']"
