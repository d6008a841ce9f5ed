"""Jobs' policies as errors quote them: Kubernetes' internal types, whose fields have their names in Go.

Absent fields are shown, too: a list that isn't there is null. From pkg/apis/batch/types.go.
"""

from typing import Any

from kubrick_api.resource import Object


def failure_policy(policy: Object | None) -> Any:
    """A podFailurePolicy; None stays None."""
    return policy if policy is None else {"Rules": _each(policy.get("rules"), _failure_rule)}


def _failure_rule(rule: Object) -> Object:
    codes = rule.get("onExitCodes")
    if codes is not None:
        codes = {
            "ContainerName": codes.get("containerName"),
            "Operator": codes.get("operator") or "",
            "Values": codes.get("values"),
        }
    return {
        "Action": rule.get("action") or "",
        "OnExitCodes": codes,
        "OnPodConditions": _each(rule.get("onPodConditions"), _pattern),
    }


def _pattern(pattern: Object) -> Object:
    return {"Type": pattern.get("type") or "", "Status": pattern.get("status") or ""}


def success_policy(policy: Object | None) -> Any:
    """A successPolicy; None stays None."""
    return policy if policy is None else {"Rules": _each(policy.get("rules"), _success_rule)}


def _success_rule(rule: Object) -> Object:
    return {"SucceededIndexes": rule.get("succeededIndexes"), "SucceededCount": rule.get("succeededCount")}


def uncounted(pods: Object) -> Object:
    """A status's uncountedTerminatedPods."""
    return {"Succeeded": pods.get("succeeded"), "Failed": pods.get("failed")}


def _each(entries: list[Object] | None, show: Any) -> list[Object] | None:
    return None if entries is None else [show(entry) for entry in entries]
