"""APIServices: which server answers for a group-version. Defaults, rules and rows (kube-aggregator)."""

from datetime import datetime
from typing import Any

from kubrick_api.cells import age
from kubrick_api.errors import FieldError, invalid_value, required
from kubrick_api.resource import Object, Strategy

LOCAL = "Local"


class APIServiceStrategy(Strategy):
    has_status = True

    def default(self, obj: Object) -> None:
        service = obj.setdefault("spec", {}).get("service")
        if service is not None and service.get("port") is None:
            service["port"] = 443

    def validate(self, obj: Object) -> list[FieldError]:
        spec, name = obj.get("spec") or {}, obj["metadata"].get("name") or ""
        wanted = f"{spec.get('version', '')}.{spec.get('group', '')}"
        errors = []
        if name != wanted:
            why = 'must be `spec.version+"."+spec.group`'
            errors.append(invalid_value("metadata.name", name, f"{why}: {wanted!r}".replace("'", '"')))
        if not spec.get("version"):
            errors.append(required("spec.version"))
        for field in ("groupPriorityMinimum", "versionPriority"):
            if not spec.get(field):
                errors += [invalid_value(f"spec.{field}", spec.get(field) or 0, "must be positive")]
        service = spec.get("service")
        if service is not None:
            errors += [required(f"spec.service.{part}") for part in ("namespace", "name") if not service.get(part)]
        return errors

    def row(self, obj: Object, now: datetime) -> list[Any]:
        service = (obj.get("spec") or {}).get("service")
        where = f"{service.get('namespace')}/{service.get('name')}" if service else LOCAL
        conditions = (obj.get("status") or {}).get("conditions") or ()
        available = next((c for c in conditions if c.get("type") == "Available"), None)
        text = "Unknown"
        if available is not None:
            text = available.get("status") or "Unknown"
            if text != "True" and available.get("reason"):
                text = f"{text} ({available['reason']})"
        return [obj["metadata"]["name"], where, text, age(obj, now)]
