"""ReplicationControllers: the oldest way to keep a number of pods."""

from datetime import datetime
from typing import Any

from kubrick_api.cells import age, containers_and_images, format_labels
from kubrick_api.errors import FieldError, forbidden_value, invalid_value, not_supported, required
from kubrick_api.resource import Object, Strategy
from kubrick_api.storage import WriteContext
from kubrick_api.validation import non_negative
from kubrick_api_core.pod_defaults import default_pod_template
from kubrick_api_core.pod_validation import validate_pod_template

COUNTS = ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration")


class ReplicationControllerStrategy(Strategy):
    has_status = True
    tracks_generation = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if spec.get("replicas") is None:
            spec["replicas"] = 1
        if spec.get("template") is not None:
            default_pod_template(spec["template"])
            labels = spec["template"]["metadata"].get("labels")
            if labels:
                if not spec.get("selector"):
                    spec["selector"] = dict(labels)
                if not obj["metadata"].get("labels"):
                    obj["metadata"]["labels"] = dict(labels)
        obj.setdefault("status", {}).setdefault("replicas", 0)

    def prepare_for_create(self, obj: Object, context: WriteContext) -> None:
        super().prepare_for_create(obj, context)
        obj["status"] = {"replicas": 0}

    def validate(self, obj: Object) -> list[FieldError]:
        return _validate(obj.get("spec") or {}, None)

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        return _validate(obj.get("spec") or {}, (old.get("spec") or {}).get("template"))

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return _status(obj.get("status") or {})

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        from kubrick_api_core.pod_warnings import template_warnings

        template = (obj.get("spec") or {}).get("template")
        before = ((old or {}).get("spec") or {}).get("template")
        return [] if template is None or template == before else template_warnings(template, "spec.template")

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        return {"status.replicas": str((obj.get("status") or {}).get("replicas") or 0)}

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        return [
            obj["metadata"]["name"],
            spec.get("replicas") or 0,
            status.get("replicas") or 0,
            status.get("readyReplicas") or 0,
            age(obj, now),
            *containers_and_images((spec.get("template") or {}).get("spec")),
            format_labels(spec.get("selector")),
        ]


def _validate(spec: Object, old: Object | None) -> list[FieldError]:
    errors = non_negative(spec.get("minReadySeconds") or 0, "spec.minReadySeconds")
    selector, template = spec.get("selector") or {}, spec.get("template")
    if not selector:
        errors.append(required("spec.selector"))
    errors += non_negative(spec.get("replicas") or 0, "spec.replicas")
    if template is None:
        errors.append(required("spec.template"))
        return errors
    labels = (template.get("metadata") or {}).get("labels")
    if selector and any((labels or {}).get(key) != value for key, value in selector.items()):
        why = "`selector` does not match template `labels`"
        shown = labels and dict(sorted(labels.items()))
        errors.append(invalid_value("spec.template.metadata.labels", shown, why))
    errors += validate_pod_template(template, "spec.template", old)
    pod = template.get("spec") or {}
    if pod.get("restartPolicy") != "Always":
        errors.append(not_supported("spec.template.spec.restartPolicy", pod.get("restartPolicy") or "", ("Always",)))
    if pod.get("activeDeadlineSeconds") is not None:
        why = "activeDeadlineSeconds in ReplicationController is not Supported"
        errors.append(forbidden_value("spec.template.spec.activeDeadlineSeconds", why))
    return errors


def _status(status: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    count = {name: status.get(name) or 0 for name in COUNTS}
    for name, value in count.items():
        errors += non_negative(value, f"status.{name}")
    for name in COUNTS[1:4]:
        if count[name] > count["replicas"]:
            errors.append(invalid_value(f"status.{name}", count[name], "cannot be greater than status.replicas"))
    if count["availableReplicas"] > count["readyReplicas"]:
        why = "cannot be greater than readyReplicas"
        errors.append(invalid_value("status.availableReplicas", count["availableReplicas"], why))
    return errors
