"""What may change in a PersistentVolumeClaim, and the two names of its data source.

From ValidatePersistentVolumeClaimUpdate and pkg/api/persistentvolumeclaim.
"""

from kubrick_api.equality import same, unified_diff
from kubrick_api.errors import FieldError, forbidden_value, invalid_value, not_supported, required
from kubrick_api.quantity import ZERO, Quantity
from kubrick_api.resource import Object
from kubrick_api.validation import IMMUTABLE, label_selector, qualified_name
from kubrick_api_core.claim_validation import validate_claim_spec
from kubrick_api_core.resource_validation import is_native

Errors = list[FieldError]

CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
FIXED = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
RESIZE_STATUSES = (
    "ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizeInProgress", "NodeResizeInfeasible",
    "NodeResizePending",
)  # fmt: skip
SOURCE_KEYS = ("apiGroup", "kind", "name")


def keep_only_known_sources(spec: Object, before: Object) -> None:
    """dataSource alone may name claims and snapshots only; anything else is dropped, as ever."""
    source = spec.get("dataSource")
    if source is None or spec.get("dataSourceRef") is not None:
        return
    if before.get("dataSource") is not None or before.get("dataSourceRef") is not None:
        return
    known = (("", "PersistentVolumeClaim"), ("snapshot.storage.k8s.io", "VolumeSnapshot"))
    if (source.get("apiGroup") or "", source.get("kind") or "") not in known:
        del spec["dataSource"]


def pair_sources(spec: Object) -> None:
    """dataSource and dataSourceRef say the same, where only one is given."""
    old, new = spec.get("dataSource"), spec.get("dataSourceRef")
    if old is not None and new is None:
        spec["dataSourceRef"] = {key: old[key] for key in SOURCE_KEYS if key in old}
    elif new is not None and old is None and not new.get("namespace"):
        spec["dataSource"] = {key: new[key] for key in SOURCE_KEYS if key in new}


def _annotation(claim: Object) -> str | None:
    found: str | None = ((claim.get("metadata") or {}).get("annotations") or {}).get(CLASS_ANNOTATION)
    return found


def _storage(spec: Object) -> Quantity:
    return Quantity(((spec.get("resources") or {}).get("requests") or {}).get("storage") or 0)


def validate_claim_update(claim: Object, old: Object) -> Errors:
    errors: Errors = []
    spec, before = claim.get("spec") or {}, old.get("spec") or {}
    any_group = any((before.get(name) or {}).get("apiGroup") is not None for name in ("dataSource", "dataSourceRef"))
    any_selector = bool(label_selector(before.get("selector"), ""))
    validate_claim_spec(spec, "spec", errors, any_selector=any_selector, any_group=any_group)
    bound = (claim.get("status") or {}).get("phase") == "Bound"
    comparable, was = dict(spec), dict(before)
    if not before.get("volumeName"):
        was["volumeName"] = spec.get("volumeName")
    _storage_class(claim, old, comparable, errors)
    if bound:
        resources = comparable.get("resources") or {}
        if resources.get("requests"):
            storage = ((before.get("resources") or {}).get("requests") or {}).get("storage")
            comparable["resources"] = {**resources, "requests": {**resources["requests"], "storage": storage}}
        comparable["volumeAttributesClassName"] = before.get("volumeAttributesClassName")
    if not same(comparable, was):
        errors.append(forbidden_value("spec", f"{FIXED}\n{unified_diff(was, comparable)}"))
    capacity = Quantity(((old.get("status") or {}).get("capacity") or {}).get("storage") or 0)
    if _storage(spec) < _storage(before) and _storage(spec) <= capacity:
        errors.append(forbidden_value("spec.resources.requests.storage", "field can not be less than status.capacity"))
    if spec.get("volumeMode") != before.get("volumeMode"):
        errors.append(invalid_value("volumeMode", spec.get("volumeMode"), IMMUTABLE))
    _attributes_class(spec, before, old, errors)
    return errors


def _storage_class(claim: Object, old: Object, comparable: Object, errors: Errors) -> None:
    """The class moves from its old annotation to the field, or is set once where there was none."""
    new, had = (claim.get("spec") or {}).get("storageClassName"), (old.get("spec") or {}).get("storageClassName")
    annotated, was = _annotation(claim), _annotation(old)
    if was is not None and had is None and new == was and annotated in (None, was):
        comparable.pop("storageClassName", None)
        return
    if (annotated or "") != (was or ""):
        errors.append(invalid_value(f"metadata.annotations.{CLASS_ANNOTATION}", annotated or "", IMMUTABLE))
    if new is not None and had is None and was in (None, new):
        comparable.pop("storageClassName", None)


def _attributes_class(spec: Object, before: Object, old: Object, errors: Errors) -> None:
    new, at = spec.get("volumeAttributesClassName"), "spec.volumeAttributesClassName"
    applied = (old.get("status") or {}).get("currentVolumeAttributesClassName")
    if new == before.get("volumeAttributesClassName") or applied is None:
        return
    if not new:
        what = "nil" if new is None else "empty string"
        why = f"update to {what} is forbidden when status.currentVolumeAttributesClassName is not nil"
        errors.append(forbidden_value(at, why))


def validate_claim_status(claim: Object) -> Errors:
    errors: Errors = []
    status = claim.get("status") or {}
    if not (claim.get("spec") or {}).get("accessModes"):
        errors.append(required("Spec.accessModes"))
    for name, value in (status.get("capacity") or {}).items():
        _amount(value, f"status.capacity[{name}]", errors)
    at = "status.allocatedResourceStatuses"
    for name, value in (status.get("allocatedResourceStatuses") or {}).items():
        errors += _resource_key(name, at)
        if value not in RESIZE_STATUSES:
            errors.append(not_supported(at, name, RESIZE_STATUSES))
    at = "status.allocatedResources"
    for name, value in (status.get("allocatedResources") or {}).items():
        wrong = _resource_key(name, at)
        errors += wrong
        if not wrong:
            _amount(value, f"{at}[{name}]", errors)
    return errors


def _amount(value: str, at: str, errors: Errors) -> None:
    quantity = Quantity(value)
    if quantity < ZERO:
        errors.append(invalid_value(at, quantity.value, "must be a valid resource quantity"))


def _resource_key(name: str, at: str) -> Errors:
    if wrong := qualified_name(name):
        return [invalid_value(at, name, why) for why in wrong]
    return [not_supported(at, name, ("storage",))] if is_native(name) and name != "storage" else []


def claim_warnings(claim: Object) -> list[str]:
    from kubrick_api_core.pod_warnings import claim_spec_warnings

    warnings = []
    if _annotation(claim) is not None:
        why = 'deprecated since v1.8; use "storageClassName" attribute instead'
        warnings.append(f"metadata.annotations[{CLASS_ANNOTATION}]: {why}")
    return warnings + list(claim_spec_warnings(claim.get("spec") or {}, "spec"))
