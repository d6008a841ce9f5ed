"""Deployments: defaults, validation and rows (pkg/apis/apps)."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from kubrick_api.cells import age, containers_and_images, format_label_selector
from kubrick_api.equality import same
from kubrick_api.errors import FieldError, forbidden_value, invalid_value, not_supported, required
from kubrick_api.formats import at_most_whole, counts_nothing, int_or_percent
from kubrick_api.resource import Object, Strategy
from kubrick_api.storage import WriteContext
from kubrick_api_apps.workloads import (
    available_above_ready,
    decremented,
    default_template,
    immutable_selector,
    not_above,
    shown_strategy,
    template_change_warnings,
    validate_counts,
    validate_selector_and_template,
    validate_status_counts,
)


class DeploymentStrategy(Strategy):
    has_status = True
    tracks_generation = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if spec.get("replicas") is None:
            spec["replicas"] = 1
        strategy = spec.setdefault("strategy", {})
        if not strategy.get("type"):
            strategy["type"] = "RollingUpdate"
        if strategy["type"] == "RollingUpdate":
            rolling = strategy.get("rollingUpdate")
            strategy["rollingUpdate"] = rolling = {} if rolling is None else rolling
            for name in ("maxUnavailable", "maxSurge"):
                if rolling.get(name) is None:
                    rolling[name] = "25%"
        if spec.get("revisionHistoryLimit") is None:
            spec["revisionHistoryLimit"] = 10
        if spec.get("progressDeadlineSeconds") is None:
            spec["progressDeadlineSeconds"] = 600
        default_template(spec)
        obj.setdefault("status", {})

    def prepare_for_create(self, obj: Object, context: WriteContext) -> None:
        super().prepare_for_create(obj, context)
        obj["status"] = {}

    def prepare_for_update(self, obj: Object, old: Object, context: WriteContext) -> None:
        """Annotations go to the ReplicaSet, so their change counts. All metadata but labels may come along with a
        status."""
        super().prepare_for_update(obj, old, context)
        metadata, before = obj["metadata"], old["metadata"]
        if context.subresource == "status":
            if "labels" in before:
                metadata["labels"] = before["labels"]
            else:
                metadata.pop("labels", None)
        elif not same(metadata.get("annotations"), before.get("annotations")):
            metadata["generation"] = before.get("generation", 1) + 1

    def validate(self, obj: Object) -> list[FieldError]:
        return list(_validate(obj.get("spec") or {}))

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        spec, before = obj.get("spec") or {}, old.get("spec") or {}
        return [*_validate(spec, before), *self.validate_update(obj, old)]

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return list(immutable_selector(obj, old))

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        return template_change_warnings(obj, old)

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return list(_status(obj.get("status") or {}, old.get("status") or {}))

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        return [
            obj["metadata"]["name"],
            f"{status.get('readyReplicas') or 0}/{spec.get('replicas') or 0}",
            str(status.get("updatedReplicas") or 0),
            str(status.get("availableReplicas") or 0),
            age(obj, now),
            *containers_and_images((spec.get("template") or {}).get("spec")),
            format_label_selector(spec.get("selector")),
        ]


def _validate(spec: Object, old: Object | None = None) -> Iterator[FieldError]:
    yield from validate_counts(spec, "replicas")
    yield from validate_selector_and_template(spec, old)
    yield from _strategy(spec.get("strategy") or {}, "spec.strategy")
    yield from validate_counts(spec, "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None and deadline <= (spec.get("minReadySeconds") or 0):
        yield invalid_value("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def _strategy(strategy: Object, path: str) -> Iterator[FieldError]:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is not None:
            yield forbidden_value(f"{path}.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")
    elif kind == "RollingUpdate":
        if rolling is None:
            yield required(f"{path}.rollingUpdate", "this should be defaulted and never be nil")
            return
        unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
        yield from int_or_percent(unavailable, f"{path}.rollingUpdate.maxUnavailable")
        yield from int_or_percent(surge, f"{path}.rollingUpdate.maxSurge")
        if counts_nothing(unavailable) and counts_nothing(surge):
            yield invalid_value(
                f"{path}.rollingUpdate.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0"
            )
        yield from at_most_whole(unavailable, f"{path}.rollingUpdate.maxUnavailable")
    else:
        yield not_supported(path, shown_strategy(strategy), ("Recreate", "RollingUpdate"))


def _status(status: Object, old: Object) -> Iterator[FieldError]:
    counts = ("updatedReplicas", "readyReplicas", "availableReplicas")
    yield from validate_status_counts(
        status,
        "observedGeneration",
        "replicas",
        *counts,
        "unavailableReplicas",
        "terminatingReplicas",
        "collisionCount",
    )
    yield from not_above(status, "replicas", *counts)
    yield from available_above_ready(status)
    yield from decremented(status, old)
