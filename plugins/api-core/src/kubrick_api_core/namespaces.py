"""Namespaces: they go in two steps.

Deletion only marks one Terminating (the API server's doing); it disappears when no finalizer is left,
neither in metadata nor in spec.finalizers, which the namespace controller clears through the finalize
subresource once the namespace is empty.
"""

from datetime import datetime
from typing import Any

from kubrick_api.cells import age
from kubrick_api.errors import FieldError, invalid_value
from kubrick_api.resource import Object, Strategy
from kubrick_api.storage import WriteContext
from kubrick_api.validation import name_is_dns_label, qualified_name

FINALIZER = "kubernetes"
LABEL = "kubernetes.io/metadata.name"


class NamespaceStrategy(Strategy):
    has_status = True

    def default(self, obj: Object) -> None:
        metadata = obj["metadata"]
        if metadata.get("name"):
            metadata.setdefault("labels", {})[LABEL] = metadata["name"]
        obj.setdefault("spec", {})
        if not obj.setdefault("status", {}).get("phase"):
            obj["status"]["phase"] = "Active"

    def prepare_for_create(self, obj: Object, context: WriteContext) -> None:
        finalizers = obj["spec"].setdefault("finalizers", [])
        if FINALIZER not in finalizers:
            finalizers.append(FINALIZER)
        obj["status"] = {"phase": "Active"}

    def prepare_for_update(self, obj: Object, old: Object, context: WriteContext) -> None:
        if context.subresource == "finalize":
            finalizers = (obj.get("spec") or {}).get("finalizers") or []
            version = obj["metadata"].get("resourceVersion")
            kept = obj["metadata"].get("finalizers")
            obj.clear()
            obj.update({**old, "metadata": dict(old["metadata"]), "spec": {**(old.get("spec") or {})}})
            obj["metadata"]["resourceVersion"] = version
            if kept is not None:
                obj["metadata"]["finalizers"] = kept
            obj["spec"]["finalizers"] = finalizers
            if not finalizers:
                del obj["spec"]["finalizers"]
            return
        super().prepare_for_update(obj, old, context)
        if not context.subresource:
            before = (old.get("spec") or {}).get("finalizers")
            obj["spec"] = {"finalizers": before} if before else {}

    def validate(self, obj: Object) -> list[FieldError]:
        errors = []
        for i, name in enumerate((obj.get("spec") or {}).get("finalizers") or ()):
            errors += [invalid_value(f"spec.finalizers[{i}]", name, message) for message in qualified_name(name)]
        return errors

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        phase, going = obj["status"].get("phase"), bool(obj["metadata"].get("deletionTimestamp"))
        if going and phase != "Terminating":
            return [
                invalid_value("status.Phase", phase, "may only be 'Terminating' if `deletionTimestamp` is not empty")
            ]
        if not going and phase == "Terminating":
            return [invalid_value("status.Phase", phase, "may not be 'Terminating' if `deletionTimestamp` is empty")]
        return []

    def validate_name(self, name: str, prefix: bool) -> list[str]:
        return name_is_dns_label(name, prefix)

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        return {
            "status.phase": (obj.get("status") or {}).get("phase") or "",
            "name": (obj.get("metadata") or {}).get("name") or "",
        }

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"]["name"], (obj.get("status") or {}).get("phase") or "", age(obj, now)]
