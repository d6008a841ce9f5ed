"""CertificateSigningRequests: who asks is written down by the server; approval is a view of its own."""

from datetime import datetime
from typing import Any

from kubrick_api.cells import NONE, age
from kubrick_api.errors import FieldError
from kubrick_api.resource import Object, Strategy
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
        """Usages have none: v1 wants them said."""
        obj.setdefault("spec", {})

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
        """Labels and annotations may come along with a status."""
        obj["spec"] = old["spec"]
        if context.subresource == "status":
            keep_decisions(obj, old)
            stamp(obj, old, context)
        else:
            obj["status"] = old.get("status") or {}

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
        conditions = conditions_of(obj)
        obj["spec"], obj["status"] = old["spec"], dict(old.get("status") or {})
        set_conditions(obj, conditions)

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        return self._changed(obj, old, lenience(obj, old, approves=True))


def set_conditions(obj: Object, conditions: list[Object]) -> None:
    """No condition at all is no field."""
    status = obj.get("status") or {}
    obj["status"] = {name: value for name, value in status.items() if name != "conditions"}
    if conditions:
        obj["status"]["conditions"] = conditions


def conditions_of(obj: Object) -> list[Object]:
    return list((obj.get("status") or {}).get("conditions") or ())


def keep_decisions(obj: Object, old: Object) -> None:
    """Approvals and denials are left as they were. Where some came or went they are let through, to be refused."""
    new, was = conditions_of(obj), conditions_of(old)
    for kind in DECISIONS:
        places = [i for i, condition in enumerate(new) if condition.get("type") == kind]
        kept = [condition for condition in was if condition.get("type") == kind]
        if len(places) == len(kept):
            for i, condition in zip(places, kept, strict=True):
                new[i] = dict(condition)
    set_conditions(obj, new)


def stamp(obj: Object, old: Object, context: WriteContext) -> None:
    """When conditions came and when they changed, if whoever set them didn't say."""
    now = rfc3339(context.now)
    seen: dict[tuple[Any, Any], str] = {}
    for was in conditions_of(old):
        if was.get("lastTransitionTime"):
            seen.setdefault((was.get("type"), was.get("status")), was["lastTransitionTime"])
    for condition in conditions_of(obj):
        if not condition.get("lastUpdateTime"):
            condition["lastUpdateTime"] = now
        if not condition.get("lastTransitionTime"):
            condition["lastTransitionTime"] = seen.get((condition.get("type"), condition.get("status")), now)
