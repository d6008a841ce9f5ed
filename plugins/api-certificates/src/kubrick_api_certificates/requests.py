"""CertificateSigningRequests: who asks is written down by the server; approval is a view of its own."""

from datetime import datetime
from typing import Any

from kubrick_api.cells import NONE, age
from kubrick_api.errors import FieldError, invalid_value, required
from kubrick_api.resource import Object, Strategy, keep_all_but_status
from kubrick_api.storage import WriteContext
from kubrick_api.table import human_duration
from kubrick_api.validation import IMMUTABLE

DECISIONS = ("Approved", "Denied")


class SigningRequestStrategy(Strategy):
    has_status = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if not spec.get("usages"):
            spec["usages"] = ["digital signature", "key encipherment"]

    def prepare_for_create(self, obj: Object, context: WriteContext) -> None:
        obj["status"] = {}
        spec, user = obj["spec"], context.user
        for name in ("username", "uid", "groups", "extra"):
            spec.pop(name, None)
        spec["username"] = user.name
        if user.uid:
            spec["uid"] = user.uid
        if user.groups:
            spec["groups"] = list(user.groups)
        if user.extra:
            spec["extra"] = {key: list(values) for key, values in user.extra.items()}

    def prepare_for_update(self, obj: Object, old: Object, context: WriteContext) -> None:
        if context.subresource == "approval":
            conditions = (obj.get("status") or {}).get("conditions") or []
            keep_all_but_status(obj, old)
            obj["status"] = {**(old.get("status") or {}), "conditions": conditions}
            return
        super().prepare_for_update(obj, old, context)
        if context.subresource == "status":
            kept = [c for c in (old.get("status") or {}).get("conditions") or () if c.get("type") in DECISIONS]
            new = [c for c in (obj.get("status") or {}).get("conditions") or () if c.get("type") not in DECISIONS]
            obj.setdefault("status", {})["conditions"] = kept + new
        else:
            obj["spec"] = old["spec"]

    def validate(self, obj: Object) -> list[FieldError]:
        spec = obj.get("spec") or {}
        errors = [required(f"spec.{name}") for name in ("request", "signerName") if not spec.get(name)]
        seconds = spec.get("expirationSeconds")
        if seconds is not None and seconds < 600:
            why = "may not specify a duration less than 600 seconds (10 minutes)"
            errors.append(invalid_value("spec.expirationSeconds", seconds, why))
        return errors

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        new, was = ((each.get("status") or {}).get("certificate") for each in (obj, old))
        return [invalid_value("status.certificate", new, IMMUTABLE)] if was and new != was else []

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        return {"spec.signerName": (obj.get("spec") or {}).get("signerName") or ""}

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        kinds = {condition.get("type") for condition in status.get("conditions") or ()}
        text = "Denied" if "Denied" in kinds else "Approved" if "Approved" in kinds else "Pending"
        if "Failed" in kinds:
            text += ",Failed"
        if status.get("certificate"):
            text += ",Issued"
        seconds = spec.get("expirationSeconds")
        duration = NONE if seconds is None else human_duration(seconds)
        return [
            obj["metadata"]["name"],
            age(obj, now),
            spec.get("signerName") or NONE,
            spec.get("username") or "",
            duration,
            text,
        ]
