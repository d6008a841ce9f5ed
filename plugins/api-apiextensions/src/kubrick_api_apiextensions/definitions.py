"""CustomResourceDefinitions as objects: defaults, the main rules, rows. Serving them is another brick's."""

from datetime import datetime
from typing import Any

from kubrick_api.errors import FieldError, invalid_value
from kubrick_api.resource import Object, Strategy
from kubrick_api.storage import WriteContext
from kubrick_api_apiextensions.definition_validation import (
    validate_definition,
    validate_definition_update,
    validate_names,
)

NAMED = 'must be spec.names.plural+"."+spec.group'


class CustomResourceDefinitionStrategy(Strategy):
    status_keeps_metadata = True
    has_status = True
    tracks_generation = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        names = spec.setdefault("names", {})
        if not spec.get("conversion"):
            spec["conversion"] = {"strategy": "None"}
        kind = names.get("kind") or ""
        if not names.get("singular") and kind:
            names["singular"] = kind.lower()
        if not names.get("listKind") and kind:
            names["listKind"] = f"{kind}List"

    def prepare_for_create(self, obj: Object, context: WriteContext) -> None:
        super().prepare_for_create(obj, context)
        stored = [version["name"] for version in obj["spec"].get("versions") or () if version.get("storage")]
        obj["status"] = {"storedVersions": stored}

    def prepare_for_update(self, obj: Object, old: Object, context: WriteContext) -> None:
        """Objects may be stored in whatever has been the storage version."""
        super().prepare_for_update(obj, old, context)
        if context.subresource:
            return
        status = obj.get("status") or {}
        stored = status.get("storedVersions") or []
        for version in obj["spec"].get("versions") or ():
            if version.get("storage") and version["name"] not in stored:
                obj["status"] = {**status, "storedVersions": [*stored, version["name"]]}
                break

    def validate(self, obj: Object) -> list[FieldError]:
        spec, name = obj.get("spec") or {}, obj["metadata"].get("name") or ""
        wanted = f"{(spec.get('names') or {}).get('plural') or ''}.{spec.get('group') or ''}"
        prefix = obj["metadata"].get("generateName")
        errors = [invalid_value("metadata.generateName", prefix, NAMED)] if prefix else []
        if name != wanted:
            errors.append(invalid_value("metadata.name", name, NAMED))
        return [*errors, *validate_definition(obj)]

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        return [*validate_definition(obj, old), *validate_definition_update(obj, old)]

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        names = (obj.get("status") or {}).get("acceptedNames") or {}
        return list(validate_names(names, "status.acceptedNames"))

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"]["name"], obj["metadata"].get("creationTimestamp")]
