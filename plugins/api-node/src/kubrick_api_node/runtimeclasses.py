"""RuntimeClasses: validation and rows. From pkg/apis/node."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from kubrick_api.cells import age
from kubrick_api.equality import same
from kubrick_api.errors import FieldError, duplicate, invalid_value
from kubrick_api.formats import invalids
from kubrick_api.resource import Object, Strategy
from kubrick_api.validation import IMMUTABLE, labels, name_is_dns_label
from kubrick_api_core.placement_validation import validate_tolerations
from kubrick_api_core.resource_validation import validate_resources


class RuntimeClassStrategy(Strategy):
    def validate(self, obj: Object) -> list[FieldError]:
        handler = obj.get("handler") or ""
        errors = invalids("handler", handler, name_is_dns_label(handler))
        if (overhead := obj.get("overhead")) is not None:
            validate_resources({"limits": overhead.get("podFixed") or {}}, "overhead", errors)
        if (scheduling := obj.get("scheduling")) is not None:
            errors += labels(scheduling.get("nodeSelector"), "scheduling.nodeSelector")
            _tolerations(scheduling.get("tolerations") or [], errors)
        return errors

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        """Only what may not change is looked at."""
        new, was = obj.get("handler"), old.get("handler")
        return [] if new == was else [invalid_value("handler", new, IMMUTABLE)]

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"]["name"], obj.get("handler") or "", age(obj, now)]


def _tolerations(tolerations: Sequence[Object], errors: list[FieldError]) -> None:
    """Each is right, and none is there twice."""
    validate_tolerations(tolerations, "scheduling.tolerations", errors)
    for i, toleration in enumerate(tolerations):
        if any(same(toleration, other) for other in tolerations[:i]):
            errors.append(duplicate(f"scheduling.tolerations[{i}]", toleration))
