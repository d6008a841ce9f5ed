"""ReplicationControllers: the oldest way to keep a number of pods."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from kubrick_api.cells import age, containers_and_images, format_labels
from kubrick_api.errors import FieldError, invalid_value, not_supported, required
from kubrick_api.resource import Object, Strategy
from kubrick_api.validation import non_negative
from kubrick_api_core.pod_defaults import default_pod_template
from kubrick_api_core.pod_validation import validate_pod_template


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

    def validate(self, obj: Object) -> list[FieldError]:
        return list(_validate(obj.get("spec") or {}))

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


def _validate(spec: Object) -> Iterator[FieldError]:
    yield from non_negative(spec.get("minReadySeconds") or 0, "spec.minReadySeconds")
    yield from non_negative(spec.get("replicas") or 0, "spec.replicas")
    selector, template = spec.get("selector") or {}, spec.get("template")
    if not selector:
        yield required("spec.selector")
    if template is None:
        yield required("spec.template")
        return
    labels = (template.get("metadata") or {}).get("labels") or {}
    if selector and any(labels.get(key) != value for key, value in selector.items()):
        yield invalid_value("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    yield from validate_pod_template(template, "spec.template")
    policy = (template.get("spec") or {}).get("restartPolicy")
    if policy != "Always":
        yield not_supported("spec.template.spec.restartPolicy", policy, ("Always",))
