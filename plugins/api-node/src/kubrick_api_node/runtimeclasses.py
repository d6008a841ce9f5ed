"""RuntimeClasses: validation and rows. From pkg/apis/node."""

from datetime import datetime
from typing import Any

from kubrick_api.cells import age
from kubrick_api.errors import FieldError, invalid_value
from kubrick_api.resource import Object, Strategy
from kubrick_api.validation import IMMUTABLE, name_is_dns_label


class RuntimeClassStrategy(Strategy):
    def validate(self, obj: Object) -> list[FieldError]:
        handler = obj.get("handler") or ""
        return [invalid_value("handler", handler, message) for message in name_is_dns_label(handler)]

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        new, was = obj.get("handler"), old.get("handler")
        return [] if new == was else [invalid_value("handler", new, IMMUTABLE)]

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"]["name"], obj.get("handler") or "", age(obj, now)]
