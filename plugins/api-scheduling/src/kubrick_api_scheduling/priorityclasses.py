"""PriorityClasses: defaults, validation and rows. From pkg/apis/scheduling."""

from datetime import datetime
from typing import Any

from kubrick_api.cells import age
from kubrick_api.errors import FieldError, forbidden_value, invalid_value, not_supported
from kubrick_api.resource import Object, Strategy

HIGHEST_USER_PRIORITY = 1_000_000_000
SYSTEM_PREFIX = "system-"
# What the system's own classes are; nothing else may be called system-anything.
SYSTEM_CLASSES = {
    "system-node-critical": 2 * HIGHEST_USER_PRIORITY + 1000,
    "system-cluster-critical": 2 * HIGHEST_USER_PRIORITY,
}
POLICIES = ("Never", "PreemptLowerPriority")


class PriorityClassStrategy(Strategy):
    def default(self, obj: Object) -> None:
        if not obj.get("preemptionPolicy"):
            obj["preemptionPolicy"] = "PreemptLowerPriority"
        obj.setdefault("value", 0)

    def validate(self, obj: Object) -> list[FieldError]:
        errors = []
        name, value = obj["metadata"].get("name") or "", obj.get("value") or 0
        if name.startswith(SYSTEM_PREFIX):
            if SYSTEM_CLASSES.get(name) != value or obj.get("globalDefault"):
                why = (
                    "priority class names with 'system-' prefix are reserved for system use only. "
                    f"error: {name} is not a known system priority class"
                )
                errors.append(forbidden_value("metadata.name", why))
        elif value > HIGHEST_USER_PRIORITY:
            why = f"maximum allowed value of a user defined priority is {HIGHEST_USER_PRIORITY}"
            errors.append(forbidden_value("value", why))
        if obj.get("preemptionPolicy") not in POLICIES:
            errors.append(not_supported("preemptionPolicy", obj.get("preemptionPolicy"), POLICIES))
        return errors

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        errors = []
        if obj.get("value") != old.get("value"):
            errors.append(forbidden_value("value", "may not be changed in an update."))
        if obj.get("preemptionPolicy") != old.get("preemptionPolicy"):
            errors.append(invalid_value("preemptionPolicy", obj.get("preemptionPolicy"), "field is immutable"))
        return errors

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [
            obj["metadata"]["name"],
            obj.get("value") or 0,
            bool(obj.get("globalDefault")),
            age(obj, now),
            obj.get("preemptionPolicy") or "",
        ]
