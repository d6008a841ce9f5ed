"""ReplicaSets and ControllerRevisions: defaults, validation and rows (pkg/apis/apps)."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from kubrick_api.cells import NONE, age, containers_and_images, format_label_selector
from kubrick_api.equality import identical
from kubrick_api.errors import FieldError, invalid_value, required
from kubrick_api.resource import Object, Strategy
from kubrick_api.storage import WriteContext
from kubrick_api.validation import IMMUTABLE, non_negative
from kubrick_api_apps.workloads import (
    available_above_ready,
    default_template,
    immutable_selector,
    not_above,
    template_change_warnings,
    validate_counts,
    validate_selector_and_template,
    validate_status_counts,
)


class ReplicaSetStrategy(Strategy):
    has_status = True
    tracks_generation = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if spec.get("replicas") is None:
            spec["replicas"] = 1
        default_template(spec)
        obj.setdefault("status", {}).setdefault("replicas", 0)

    def prepare_for_create(self, obj: Object, context: WriteContext) -> None:
        super().prepare_for_create(obj, context)
        obj["status"] = {"replicas": 0}

    def validate(self, obj: Object) -> list[FieldError]:
        return list(_replica_set(obj.get("spec") or {}))

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        spec, before = obj.get("spec") or {}, old.get("spec") or {}
        return [*_replica_set(spec, before), *self.validate_update(obj, old)]

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return list(immutable_selector(obj, old))

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        return template_change_warnings(obj, old)

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        status = obj.get("status") or {}
        counts = ("fullyLabeledReplicas", "readyReplicas", "availableReplicas")
        errors = [*validate_status_counts(status, "replicas", *counts, "observedGeneration", "terminatingReplicas")]
        errors += not_above(status, "replicas", *counts)
        errors += available_above_ready(status)
        return errors

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        return [
            obj["metadata"]["name"],
            spec.get("replicas") or 0,
            status.get("replicas") or 0,
            status.get("readyReplicas") or 0,
            age(obj, now),
            *containers_and_images((spec.get("template") or {}).get("spec")),
            format_label_selector(spec.get("selector")),
        ]


def _replica_set(spec: Object, old: Object | None = None) -> Iterator[FieldError]:
    yield from validate_counts(spec, "replicas", "minReadySeconds")
    yield from validate_selector_and_template(spec, old)


class ControllerRevisionStrategy(Strategy):
    def validate(self, obj: Object) -> list[FieldError]:
        missing = [] if obj.get("data") is not None else [required("data", "data is mandatory")]
        return missing + non_negative(obj.get("revision") or 0, "revision")

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        changed = not identical(obj.get("data"), old.get("data"))
        return [invalid_value("data", obj.get("data"), IMMUTABLE)] if changed else []

    def row(self, obj: Object, now: datetime) -> list[Any]:
        owner = next((o for o in obj["metadata"].get("ownerReferences") or () if o.get("controller")), None)
        name = NONE
        if owner is not None:
            group = owner["apiVersion"].rpartition("/")[0]
            kind = owner["kind"].lower()
            name = f"{kind}.{group}/{owner['name']}" if group else f"{kind}/{owner['name']}"
        return [obj["metadata"]["name"], name, str(obj.get("revision") or 0), age(obj, now)]
