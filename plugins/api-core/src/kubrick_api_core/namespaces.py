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
from kubrick_api.validation import FOREGROUND, ORPHAN, name_is_dns_label, qualified_name

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
        names = (obj.get("spec") or {}).get("finalizers") or ()
        return [error for name in names for error in _finalizer(name, "spec.finalizers")]

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        """Only through the finalize subresource do finalizers change; by then they have an index."""
        names = (obj.get("spec") or {}).get("finalizers") or ()
        before = (old.get("spec") or {}).get("finalizers") or ()
        if list(names) == list(before):
            return []
        return [error for i, name in enumerate(names) for error in _finalizer(name, f"spec.finalizers[{i}]")]

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        phase = (obj.get("status") or {}).get("phase") or ""
        if obj["metadata"].get("deletionTimestamp"):
            wanted, why = "Terminating", "may only be 'Terminating' if `deletionTimestamp` is not empty"
        else:
            wanted, why = "Active", "may only be 'Active' if `deletionTimestamp` is empty"
        return [] if phase == wanted else [invalid_value("status.Phase", phase, why)]

    def validate_name(self, name: str, prefix: bool) -> list[str]:
        return name_is_dns_label(name, prefix)

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        return {
            "status.phase": (obj.get("status") or {}).get("phase") or "",
            "name": (obj.get("metadata") or {}).get("name") or "",
        }

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"]["name"], (obj.get("status") or {}).get("phase") or "", age(obj, now)]


def _finalizer(name: str, path: str) -> list[FieldError]:
    errors = [invalid_value(path, name, why) for why in qualified_name(name)]
    if "/" not in name and name not in (FINALIZER, ORPHAN, FOREGROUND):
        why = "name is neither a standard finalizer name nor is it fully qualified"
        errors.append(invalid_value(path, name, why))
    return errors
