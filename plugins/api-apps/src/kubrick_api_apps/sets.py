"""StatefulSets and DaemonSets: defaults, validation and rows (pkg/apis/apps)."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from kubrick_api.cells import age, containers_and_images, format_label_selector, format_labels
from kubrick_api.equality import same
from kubrick_api.errors import FieldError, forbidden_value, invalid_value, not_supported, required
from kubrick_api.resource import Object, Strategy
from kubrick_api.storage import WriteContext
from kubrick_api.validation import name_is_dns_label
from kubrick_api_apps.workloads import (
    at_most_whole,
    default_template,
    immutable_selector,
    int_or_percent,
    is_zero,
    validate_counts,
    validate_selector_and_template,
)

UPDATABLE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
STATEFUL_FIXED = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


class StatefulSetStrategy(Strategy):
    has_status = True
    tracks_generation = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if not spec.get("podManagementPolicy"):
            spec["podManagementPolicy"] = "OrderedReady"
        strategy = spec.setdefault("updateStrategy", {})
        if not strategy.get("type"):
            strategy["type"] = "RollingUpdate"
        if strategy["type"] == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            if rolling.get("partition") is None:
                rolling["partition"] = 0
        policy = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
        for name in ("whenDeleted", "whenScaled"):
            if not policy.get(name):
                policy[name] = "Retain"
        if spec.get("replicas") is None:
            spec["replicas"] = 1
        if spec.get("revisionHistoryLimit") is None:
            spec["revisionHistoryLimit"] = 10
        default_template(spec)
        for claim in spec.get("volumeClaimTemplates") or ():
            claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
            claim.setdefault("status", {}).setdefault("phase", "Pending")
        obj.setdefault("status", {}).setdefault("replicas", 0)
        obj["status"].setdefault("availableReplicas", 0)

    def prepare_for_create(self, obj: Object, context: WriteContext) -> None:
        super().prepare_for_create(obj, context)
        obj["status"] = {"replicas": 0, "availableReplicas": 0}

    def validate_name(self, name: str, prefix: bool) -> list[str]:
        return name_is_dns_label(name, prefix)

    def validate(self, obj: Object) -> list[FieldError]:
        return list(_stateful(obj.get("spec") or {}))

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        spec, before = obj.get("spec") or {}, old.get("spec") or {}
        changed = any(not same(spec.get(name), before.get(name)) for name in {*spec, *before} - {*UPDATABLE})
        return [forbidden_value("spec", STATEFUL_FIXED)] if changed else []

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        return [
            obj["metadata"]["name"],
            f"{status.get('readyReplicas') or 0}/{spec.get('replicas') or 0}",
            age(obj, now),
            *containers_and_images((spec.get("template") or {}).get("spec")),
        ]


def _stateful(spec: Object) -> Iterator[FieldError]:
    if spec.get("podManagementPolicy") not in ("OrderedReady", "Parallel"):
        policy = spec.get("podManagementPolicy")
        yield invalid_value("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'")
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        if strategy.get("rollingUpdate") is not None:
            yield invalid_value(
                "spec.updateStrategy.rollingUpdate",
                strategy["rollingUpdate"],
                "only allowed for updateStrategy 'RollingUpdate'",
            )
    elif strategy.get("type") == "RollingUpdate":
        partition = (strategy.get("rollingUpdate") or {}).get("partition") or 0
        if partition < 0:
            path = "spec.updateStrategy.rollingUpdate.partition"
            yield invalid_value(path, partition, "must be greater than or equal to 0")
    else:
        yield invalid_value("spec.updateStrategy", strategy, "must be 'RollingUpdate' or 'OnDelete'")
    yield from validate_counts(spec, "replicas", "minReadySeconds", "revisionHistoryLimit")
    yield from validate_selector_and_template(spec, "statefulset")


class DaemonSetStrategy(Strategy):
    has_status = True
    tracks_generation = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        strategy = spec.setdefault("updateStrategy", {})
        if not strategy.get("type"):
            strategy["type"] = "RollingUpdate"
        if strategy["type"] == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            if rolling.get("maxUnavailable") is None:
                rolling["maxUnavailable"] = 1
            if rolling.get("maxSurge") is None:
                rolling["maxSurge"] = 0
        if spec.get("revisionHistoryLimit") is None:
            spec["revisionHistoryLimit"] = 10
        default_template(spec)
        _zero(obj.setdefault("status", {}))

    def prepare_for_create(self, obj: Object, context: WriteContext) -> None:
        super().prepare_for_create(obj, context)
        obj["status"] = _zero({})

    def validate(self, obj: Object) -> list[FieldError]:
        return list(_daemon(obj.get("spec") or {}))

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return list(immutable_selector(obj, old))

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        template = (spec.get("template") or {}).get("spec") or {}
        return [
            obj["metadata"]["name"],
            status.get("desiredNumberScheduled") or 0,
            status.get("currentNumberScheduled") or 0,
            status.get("numberReady") or 0,
            status.get("updatedNumberScheduled") or 0,
            status.get("numberAvailable") or 0,
            format_labels(template.get("nodeSelector")),
            age(obj, now),
            *containers_and_images(template),
            format_label_selector(spec.get("selector")),
        ]


def _zero(status: Object) -> Object:
    """The counts that are always there."""
    for name in ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady"):
        status.setdefault(name, 0)
    return status


def _daemon(spec: Object) -> Iterator[FieldError]:
    yield from validate_selector_and_template(spec, "daemonset")
    yield from validate_counts(spec, "minReadySeconds", "revisionHistoryLimit")
    strategy, at = spec.get("updateStrategy") or {}, "spec.updateStrategy"
    if strategy.get("type") == "OnDelete":
        return
    if strategy.get("type") != "RollingUpdate":
        yield not_supported(f"{at}.type", strategy.get("type"), ("RollingUpdate", "OnDelete"))
        return
    rolling = strategy.get("rollingUpdate")
    if rolling is None:
        yield required(f"{at}.rollingUpdate")
        return
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    for name, value in (("maxUnavailable", unavailable), ("maxSurge", surge)):
        yield from int_or_percent(value, f"{at}.rollingUpdate.{name}")
        yield from at_most_whole(value, f"{at}.rollingUpdate.{name}")
    if is_zero(unavailable) and is_zero(surge):
        yield required(f"{at}.rollingUpdate.maxUnavailable", "cannot be 0 when maxSurge is 0")
    elif not is_zero(unavailable) and not is_zero(surge):
        yield invalid_value(f"{at}.rollingUpdate.maxSurge", surge, "may not be set when maxUnavailable is non-zero")
