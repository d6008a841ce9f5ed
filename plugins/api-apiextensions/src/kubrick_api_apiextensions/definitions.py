"""CustomResourceDefinitions as objects: defaults, the main rules, rows. Serving them is another brick's."""

from datetime import datetime
from typing import Any

from kubrick_api.errors import FieldError, invalid_value, required
from kubrick_api.resource import Object, Strategy


class CustomResourceDefinitionStrategy(Strategy):
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

    def validate(self, obj: Object) -> list[FieldError]:
        spec = obj.get("spec") or {}
        names = spec.get("names") or {}
        errors = [required(f"spec.{name}") for name in ("group", "scope") if not spec.get(name)]
        errors += [required(f"spec.names.{name}") for name in ("plural", "kind") if not names.get(name)]
        wanted = f"{names.get('plural', '')}.{spec.get('group', '')}"
        if not errors and obj["metadata"].get("name") != wanted:
            why = 'must be spec.names.plural+"."+spec.group'
            errors.append(invalid_value("metadata.name", obj["metadata"].get("name"), why))
        versions = spec.get("versions") or ()
        stored = [version for version in versions if version.get("storage")]
        if len(stored) != 1:
            why = "must have exactly one version marked as storage version"
            errors.append(invalid_value("spec.versions", versions, why))
        errors += [
            required(f"spec.versions[{i}].schema.openAPIV3Schema", "schemas are required")
            for i, version in enumerate(versions)
            if not (version.get("schema") or {}).get("openAPIV3Schema")
        ]
        return errors

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"]["name"], obj["metadata"].get("creationTimestamp")]
