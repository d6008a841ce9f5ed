"""LimitRanges and ResourceQuotas: their defaults and rows (what they do is admission's)."""

from datetime import datetime
from typing import Any

from kubrick_api.cells import age
from kubrick_api.errors import FieldError, invalid_value, required
from kubrick_api.quantity import ZERO, Quantity
from kubrick_api.resource import Object, Strategy


class LimitRangeStrategy(Strategy):
    def default(self, obj: Object) -> None:
        """For containers: default ← max, defaultRequest ← default, then min."""
        for item in (obj.get("spec") or {}).get("limits") or ():
            if item.get("type") == "Container":
                limits = {**(item.get("max") or {}), **(item.get("default") or {})}
                requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
                for name, values in (("default", limits), ("defaultRequest", requests)):
                    if values:
                        item[name] = values

    def validate(self, obj: Object) -> list[FieldError]:
        errors = []
        for i, item in enumerate((obj.get("spec") or {}).get("limits") or ()):
            at = f"spec.limits[{i}]"
            if not item.get("type"):
                errors.append(required(f"{at}.type"))
            low, high = item.get("min") or {}, item.get("max") or {}
            for name in low.keys() & high.keys():
                if Quantity(low[name]) > Quantity(high[name]):
                    why = f"min value {low[name]} is greater than max value {high[name]}"
                    errors.append(invalid_value(f"{at}.min[{name}]", str(low[name]), why))
        return errors

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"]["name"], obj["metadata"].get("creationTimestamp")]


class ResourceQuotaStrategy(Strategy):
    has_status = True

    def validate(self, obj: Object) -> list[FieldError]:
        hard = (obj.get("spec") or {}).get("hard") or {}
        return [
            invalid_value(f"spec.hard[{name}]", str(amount), "must be greater than or equal to 0")
            for name, amount in hard.items()
            if Quantity(amount) < ZERO
        ]

    def row(self, obj: Object, now: datetime) -> list[Any]:
        status = obj.get("status") or {}
        hard, used = status.get("hard") or {}, status.get("used") or {}
        requests: list[str] = []
        limits: list[str] = []
        for name in sorted(hard):
            text = f"{name}: {used.get(name, '0')}/{hard[name]}"
            (limits if name.startswith("limits.") else requests).append(text)
        return [obj["metadata"]["name"], ", ".join(requests), ", ".join(limits), age(obj, now)]
