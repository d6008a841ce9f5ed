"""PriorityClasses: defaults, validation and rows. From pkg/apis/scheduling."""

from datetime import datetime
from typing import Any

from kubrick_api.cells import age
from kubrick_api.errors import FieldError, forbidden_value, invalid_value, not_supported, required
from kubrick_api.resource import Object, Strategy
from kubrick_api.storage import WriteContext
from kubrick_api.validation import IMMUTABLE

HIGHEST_USER_PRIORITY = 1_000_000_000
SYSTEM_PREFIX = "system-"
# What the system's own classes are; nothing else may be called system-anything.
SYSTEM_CLASSES = {
    "system-node-critical": 2 * HIGHEST_USER_PRIORITY + 1000,
    "system-cluster-critical": 2 * HIGHEST_USER_PRIORITY,
}
POLICIES = ("PreemptLowerPriority", "Never")
RESERVED = "priority class names with 'system-' prefix are reserved for system use only"


class PriorityClassStrategy(Strategy):
    def default(self, obj: Object) -> None:
        if not obj.get("preemptionPolicy"):
            obj["preemptionPolicy"] = "PreemptLowerPriority"
        obj.setdefault("value", 0)

    def prepare_for_create(self, obj: Object, context: WriteContext) -> None:
        obj["metadata"]["generation"] = 1

    def validate(self, obj: Object) -> list[FieldError]:
        errors = []
        name, value = obj["metadata"].get("name") or "", obj.get("value") or 0
        if name.startswith(SYSTEM_PREFIX):
            if why := _unknown(name, value, bool(obj.get("globalDefault"))):
                errors.append(forbidden_value("metadata.name", f"{RESERVED}. error: {why}"))
        elif value > HIGHEST_USER_PRIORITY:
            why = f"maximum allowed value of a user defined priority is {HIGHEST_USER_PRIORITY}"
            errors.append(forbidden_value("value", why))
        policy = obj.get("preemptionPolicy")
        if not policy:
            errors.append(required("preemptionPolicy"))
        elif policy not in POLICIES:
            errors.append(not_supported("preemptionPolicy", policy, POLICIES))
        return errors

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        """Only what may not change is looked at."""
        return self.validate_update(obj, old)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        errors = []
        if obj.get("value") != old.get("value"):
            errors.append(invalid_value("value", obj.get("value"), IMMUTABLE))
        if obj.get("preemptionPolicy") != old.get("preemptionPolicy"):
            errors.append(invalid_value("preemptionPolicy", obj.get("preemptionPolicy"), IMMUTABLE))
        return errors

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [
            obj["metadata"]["name"],
            obj.get("value") or 0,
            bool(obj.get("globalDefault")),
            age(obj, now),
            obj.get("preemptionPolicy") or "",
        ]


def _unknown(name: str, value: int, default: bool) -> str:
    """Why this isn't one of the system's own classes; "" if it is."""
    if name not in SYSTEM_CLASSES:
        return f"{name} is not a known system priority class"
    if value != SYSTEM_CLASSES[name]:
        return f"value of {name} PriorityClass must be {SYSTEM_CLASSES[name]}"
    return f"globalDefault of {name} PriorityClass must be false" if default else ""
