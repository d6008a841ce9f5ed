"""CertificateSigningRequests: who asks is written down by the server; approval is a view of its own."""

from datetime import datetime
from typing import Any

from kubrick_api.cells import NONE, age
from kubrick_api.errors import FieldError
from kubrick_api.resource import Object, Strategy, keep_all_but_status
from kubrick_api.storage import WriteContext
from kubrick_api.table import human_duration
from kubrick_api_certificates.request_validation import (
    DECISIONS,
    Lenience,
    lenience,
    validate_change,
    validate_request,
)
from kubrick_kernel import rfc3339


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
        if context.subresource == "status":
            stamp(obj, old, context)
        super().prepare_for_update(obj, old, context)
        if context.subresource == "status":
            kept = [c for c in (old.get("status") or {}).get("conditions") or () if c.get("type") in DECISIONS]
            new = [c for c in (obj.get("status") or {}).get("conditions") or () if c.get("type") not in DECISIONS]
            set_conditions(obj, kept + new)
        else:
            obj["spec"] = old["spec"]

    def validate_name(self, name: str, prefix: bool) -> list[str]:
        """Any name will do."""
        return []

    def validate(self, obj: Object) -> list[FieldError]:
        return list(validate_request(obj, Lenience()))

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        return self._changed(obj, old, lenience(obj, old))

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return self._changed(obj, old, lenience(obj, old, issues=True))

    def _changed(self, obj: Object, old: Object, allow: Lenience) -> list[FieldError]:
        return [*validate_request(obj, allow), *validate_change(obj, old, allow)]

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


class ApprovalStrategy(SigningRequestStrategy):
    """The view through which requests are approved or denied: only conditions change here."""

    def prepare_for_update(self, obj: Object, old: Object, context: WriteContext) -> None:
        stamp(obj, old, context)
        conditions = (obj.get("status") or {}).get("conditions") or []
        keep_all_but_status(obj, old)
        obj["status"] = dict(old.get("status") or {})
        set_conditions(obj, conditions)

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        return self._changed(obj, old, lenience(obj, old, approves=True))


def set_conditions(obj: Object, conditions: list[Object]) -> None:
    """No condition at all is no field."""
    status = obj.get("status") or {}
    obj["status"] = {name: value for name, value in status.items() if name != "conditions"}
    if conditions:
        obj["status"]["conditions"] = conditions


def stamp(obj: Object, old: Object, context: WriteContext) -> None:
    """When conditions came and when they changed, if whoever set them didn't say."""
    now = rfc3339(context.now)
    before = {c.get("type"): c for c in (old.get("status") or {}).get("conditions") or ()}
    for condition in (obj.get("status") or {}).get("conditions") or ():
        was = before.get(condition.get("type")) or {}
        if not condition.get("lastTransitionTime"):
            kept = was.get("lastTransitionTime") if was.get("status") == condition.get("status") else None
            condition["lastTransitionTime"] = kept or now
        if not condition.get("lastUpdateTime"):
            unchanged = all(was.get(n) == condition.get(n) for n in ("status", "reason", "message"))
            condition["lastUpdateTime"] = (was.get("lastUpdateTime") if unchanged else None) or now
