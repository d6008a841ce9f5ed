"""APIServices: which server answers for a group-version. Defaults, rules and rows (kube-aggregator)."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from kubrick_api.cells import age
from kubrick_api.errors import FieldError, invalid_value, not_supported, required
from kubrick_api.formats import dns1035_label, invalids, port_number
from kubrick_api.resource import Object, Strategy
from kubrick_api.storage import WriteContext
from kubrick_api.validation import name_is_path_segment, subdomain
from kubrick_kernel import rfc3339

LOCAL = "Local"
LOCALLY_AVAILABLE = {
    "type": "Available",
    "status": "True",
    "reason": "Local",
    "message": "Local APIServices are always available",
}
STATUSES = ("True", "False", "Unknown")


class APIServiceStrategy(Strategy):
    status_keeps_metadata = True
    has_status = True

    def default(self, obj: Object) -> None:
        service = obj.setdefault("spec", {}).get("service")
        if service is not None and service.get("port") is None:
            service["port"] = 443

    def prepare_for_create(self, obj: Object, context: WriteContext) -> None:
        """What this server answers for is available at once."""
        super().prepare_for_create(obj, context)
        if (obj.get("spec") or {}).get("service") is None:
            obj["status"] = {"conditions": [{**LOCALLY_AVAILABLE, "lastTransitionTime": rfc3339(context.now)}]}

    def validate(self, obj: Object) -> list[FieldError]:
        name, spec = obj["metadata"].get("name") or "", obj.get("spec") or {}
        wanted = f"{spec.get('version') or ''}.{spec.get('group') or ''}"
        errors = []
        if name != wanted and not name_is_path_segment(name):
            errors.append(invalid_value("metadata.name", name, f'must be `spec.version+"."+spec.group`: "{wanted}"'))
        return [*errors, *_validate(spec)]

    def validate_name(self, name: str, prefix: bool) -> list[str]:
        return name_is_path_segment(name, prefix)

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        conditions = (obj.get("status") or {}).get("conditions") or ()
        return [
            not_supported(f"status.conditions[{i}].status", condition.get("status") or "", STATUSES)
            for i, condition in enumerate(conditions)
            if condition.get("status") not in STATUSES
        ]

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


def _validate(spec: Object) -> Iterator[FieldError]:
    group, version = spec.get("group") or "", spec.get("version") or ""
    if not group and version != "v1":
        yield required("spec.group", "only v1 may have an empty group and it's better to be legacy kube")
    yield from invalids("spec.group", group, subdomain(group) if group else ())
    yield from invalids("spec.version", version, dns1035_label(version))
    for name, limit in (("groupPriorityMinimum", 20000), ("versionPriority", 1000)):
        priority = spec.get(name) or 0
        if not 0 < priority <= limit:
            yield invalid_value(f"spec.{name}", priority, f"must be positive and less than {limit}")
    service, bundle, insecure = spec.get("service"), spec.get("caBundle") or "", spec.get("insecureSkipTLSVerify")
    if service is None:
        if bundle:
            size = len(bundle.rstrip("=")) * 3 // 4
            yield invalid_value("spec.caBundle", f"{size} bytes", "local APIServices may not have a caBundle")
        if insecure:
            why = "local APIServices may not have insecureSkipTLSVerify"
            yield invalid_value("spec.insecureSkipTLSVerify", True, why)
        return
    for part in ("namespace", "name"):
        if not service.get(part):
            yield required(f"spec.service.{part}")
    if errors := port_number(service.get("port") or 0):
        yield invalid_value("spec.service.port", service.get("port") or 0, f"port is not valid: {','.join(errors)}")
    if insecure and bundle:
        yield invalid_value("spec.insecureSkipTLSVerify", True, "may not be true if caBundle is present")
