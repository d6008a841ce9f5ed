"""Pods: how the API treats them, and their views (status, ephemeralcontainers, resize, binding).

Sources: pkg/registry/core/pod/strategy.go. A pod's deletion is graceful: the node agent finishes it.
"""

from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import Any

from kubrick_api.equality import same
from kubrick_api.errors import FieldError
from kubrick_api.resource import Object, Strategy, keep_all_but_status
from kubrick_api.storage import WriteContext
from kubrick_api_core.pod_memory import Memory, shape
from kubrick_kernel import rfc3339

TERMINAL = ("Succeeded", "Failed")
SCHEDULING_GATED = "SchedulingGated"


class PodStrategy(Strategy):
    borrows = True
    has_status = True
    tracks_generation = True

    def __init__(self) -> None:
        self._fine = Memory()
        self._warned = Memory()
        self._last: tuple[Object | None, bytes | None] = (None, None)
        """What was validated just now, and its shape: warnings are asked for next."""

    # Imported when first needed, and found without looking for the module for every pod.

    @cached_property
    def _default(self) -> Callable[[Object], None]:
        from kubrick_api_core.pod_defaults import default_pod

        return default_pod

    @cached_property
    def _quality(self) -> Callable[[Object], str]:
        from kubrick_api_core.pod_quality import quality_of_service

        return quality_of_service

    @cached_property
    def _sync_app_armor(self) -> Callable[[Object], list[str]]:
        from kubrick_api_core.pod_annotations import sync_app_armor

        return sync_app_armor

    @cached_property
    def _validate_metadata_update(self) -> Callable[[Object, Object], list[FieldError]]:
        from kubrick_api_core.pod_update import validate_pod_metadata_update

        return validate_pod_metadata_update

    @cached_property
    def _name_warnings(self) -> Callable[[Object], list[str]]:
        from kubrick_api_core.pod_warnings import name_warnings

        return name_warnings

    def default(self, obj: Object) -> None:
        self._default(obj)

    def prepare_for_create(self, obj: Object, context: WriteContext) -> None:
        metadata = obj["metadata"]
        metadata["generation"] = 1
        spec = obj.get("spec") or {}
        obj["status"] = {"phase": "Pending", "qosClass": self._quality(obj)}
        if spec.get("schedulingGates"):
            obj["status"]["conditions"] = [
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": SCHEDULING_GATED,
                    "message": "Scheduling is blocked due to non-empty scheduling gates",
                    "lastTransitionTime": rfc3339(context.now),
                }
            ]
        if "affinity" in spec or "topologySpreadConstraints" in spec:
            from kubrick_api_core.pod_labels import merge_label_keys

            merge_label_keys(spec, metadata.get("labels") or {})
        if metadata.get("annotations"):
            context.warnings += self._sync_app_armor(obj)

    def prepare_for_update(self, obj: Object, old: Object, context: WriteContext) -> None:
        if context.subresource != "status":
            super().prepare_for_update(obj, old, context)
            generation = old["metadata"].get("generation", 1)
            if obj["metadata"]["generation"] != generation and same(obj.get("spec"), old.get("spec")):
                obj["metadata"]["generation"] = generation
            return
        # A status update may not unset what the server decides: the class, and the node's word on it.
        from kubrick_api_core.pod_status import keep_generations

        metadata = obj["metadata"]
        keep_all_but_status(obj, old)
        for name in ("labels", "annotations", "finalizers"):
            if name in metadata:
                obj["metadata"][name] = metadata[name]
            else:
                obj["metadata"].pop(name, None)
        status, before = obj.setdefault("status", {}), old.get("status") or {}
        if before.get("qosClass") and not status.get("qosClass"):
            status["qosClass"] = before["qosClass"]
        if before.get("observedGeneration") or status.get("conditions"):
            keep_generations(status, before)

    def validate(self, obj: Object) -> list[FieldError]:
        key = shape(obj)
        self._last = obj, key
        if self._fine.get(key):
            return []
        from kubrick_api_core.pod_validation import validate_pod

        errors = validate_pod(obj)
        if not errors:
            self._fine.put(key, True)
        return errors

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        from kubrick_api_core.pod_update import validate_pod_update

        return validate_pod_update(obj, old)

    def validate_metadata_update(self, obj: Object, old: Object) -> list[FieldError]:
        return self._validate_metadata_update(obj, old)

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        from kubrick_api_core.pod_status import validate_pod_status_update

        return validate_pod_status_update(obj, old)

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        """New pods only: updates are frequent, and seldom made by people."""
        if old is not None:
            return []
        last, key = self._last
        if last is not obj:
            key = shape(obj)
        self._last = None, None
        known: list[str] | None = self._warned.get(key)
        if known is None:
            from kubrick_api_core.pod_warnings import spec_warnings

            known = spec_warnings(obj)
            self._warned.put(key, known)
        return self._name_warnings(obj) + known

    def grace_period(self, obj: Object, asked: int | None) -> int | None:
        """What was asked, else the pod's own; none for a pod that is nowhere or over."""
        spec = obj.get("spec") or {}
        period = asked if asked is not None else spec.get("terminationGracePeriodSeconds")
        period = 0 if period is None else period
        if not spec.get("nodeName") or (obj.get("status") or {}).get("phase") in TERMINAL:
            return 0
        return 1 if period < 0 else int(period)

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        ips = [entry.get("ip") or "" for entry in status.get("podIPs") or ()]
        return {
            "spec.nodeName": spec.get("nodeName") or "",
            "spec.restartPolicy": spec.get("restartPolicy") or "",
            "spec.schedulerName": spec.get("schedulerName") or "",
            "spec.serviceAccountName": spec.get("serviceAccountName") or "",
            "spec.hostNetwork": "true" if spec.get("hostNetwork") else "false",
            "spec.host": spec.get("nodeName") or "",
            "status.phase": status.get("phase") or "",
            "status.podIP": ips[0] if ips else status.get("podIP") or "",
            "status.podIPs": ",".join(ips),
            "status.nominatedNodeName": status.get("nominatedNodeName") or "",
        }

    def row(self, obj: Object, now: datetime) -> list[Any]:
        from kubrick_api_core.pod_rows import pod_row

        return pod_row(obj, now)


class PodView(PodStrategy):
    """A subresource through which one part of the spec changes; all else stays, labels and annotations apart."""

    def changed(self, obj: Object, old: Object) -> Object:
        """The new spec, from what was sent."""
        raise NotImplementedError

    def prepare_for_update(self, obj: Object, old: Object, context: WriteContext) -> None:
        spec = self.changed(obj, old)
        sent = obj["metadata"]
        metadata = dict(old["metadata"])
        for name in ("resourceVersion", "labels", "annotations", "finalizers", "managedFields"):
            if name in sent:
                metadata[name] = sent[name]
            else:
                metadata.pop(name, None)
        obj.clear()
        obj.update({**old, "metadata": metadata, "spec": spec})
        if not same(spec, old.get("spec")):
            metadata["generation"] = old["metadata"].get("generation", 1) + 1

    def validate_metadata_update(self, obj: Object, old: Object) -> list[FieldError]:
        return self.validate_replacement(obj, old)

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        return []


class EphemeralContainersView(PodView):
    def changed(self, obj: Object, old: Object) -> Object:
        return {**old["spec"], "ephemeralContainers": (obj.get("spec") or {}).get("ephemeralContainers") or []}

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        from kubrick_api_core.pod_update import validate_ephemeral_update

        return validate_ephemeral_update(obj, old)


class ResizeView(PodView):
    def changed(self, obj: Object, old: Object) -> Object:
        from kubrick_api_core.pod_resize import resized

        return resized(obj.get("spec") or {}, old["spec"])

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        from kubrick_api_core.pod_resize import validate_resize

        return validate_resize(obj, old)


class BindingView(PodStrategy):
    """Binding writes the node's name into the spec, which an ordinary update may not."""

    def default(self, obj: Object) -> None:
        """Nothing: the stored pod has its defaults."""

    def validate(self, obj: Object) -> list[FieldError]:
        return []

    def prepare_for_update(self, obj: Object, old: Object, context: WriteContext) -> None:
        """Where a pod runs is no change of what it shall be: its generation stays."""

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        return []


class PodTemplateStrategy(Strategy):
    tracks_generation = True

    def default(self, obj: Object) -> None:
        from kubrick_api_core.pod_defaults import default_pod_template

        default_pod_template(obj.setdefault("template", {}))

    def prepare_for_update(self, obj: Object, old: Object, context: WriteContext) -> None:
        """What counts as its spec is the template."""
        generation = old["metadata"].get("generation", 1)
        changed = not same(obj.get("template"), old.get("template"))
        obj["metadata"]["generation"] = generation + 1 if changed else generation

    def validate(self, obj: Object) -> list[FieldError]:
        from kubrick_api_core.pod_validation import validate_pod_template

        return validate_pod_template(obj.get("template") or {}, "template")

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        from kubrick_api_core.pod_validation import validate_pod_template

        return validate_pod_template(obj.get("template") or {}, "template", old.get("template") or {})

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        from kubrick_api_core.pod_warnings import template_warnings

        template, before = obj.get("template") or {}, (old or {}).get("template")
        return [] if template == before else template_warnings(template, "template")

    def row(self, obj: Object, now: datetime) -> list[Any]:
        from kubrick_api.cells import containers_and_images, format_labels

        template = obj.get("template") or {}
        labels = format_labels((template.get("metadata") or {}).get("labels"))
        return [obj["metadata"]["name"], *containers_and_images(template.get("spec")), labels]
