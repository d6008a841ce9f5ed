"""Kubernetes' default roles and bindings, from policy.json (without what they all have in common)."""

from functools import cache
from importlib.resources import files
from typing import Any

import orjson

from kubrick_auth_rbac.reconcile import AUTOUPDATE

API_VERSION = "rbac.authorization.k8s.io/v1"


@cache
def default_policy() -> tuple[dict[str, Any], ...]:
    """Complete objects but for uid and creationTimestamp. Shared: never change them."""
    return tuple(_expanded(entry) for entry in orjson.loads(files(__package__).joinpath("policy.json").read_bytes()))


def _expanded(entry: dict[str, Any]) -> dict[str, Any]:
    metadata = {
        "name": entry.pop("name"),
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults", **entry.pop("labels", {})},
        "annotations": {AUTOUPDATE: "true"},
    }
    if "namespace" in entry:
        metadata["namespace"] = entry.pop("namespace")
    return {"kind": entry.pop("kind"), "apiVersion": API_VERSION, "metadata": metadata, **entry}
