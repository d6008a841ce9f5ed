"""What the resize subresource may change in a pod: cpu and memory, of containers, sidecars and the whole.

From ValidatePodResize and dropNonResizeUpdates.
"""

from collections.abc import Mapping, Sequence

from kubrick_api.equality import same
from kubrick_api.errors import FieldError, forbidden_value, invalid_value
from kubrick_api.resource import Object
from kubrick_api_core.pod_annotations import MIRROR
from kubrick_api_core.pod_quality import quality_of_service
from kubrick_api_core.pod_validation import validate_pod_parts
from kubrick_api_core.tolerance import NONE, tolerance_of

Errors = list[FieldError]

RESIZABLE = ("cpu", "memory")
CONTAINERS = ("containers", "initContainers")
ONLY = "only cpu and memory resources are mutable"


def resized(spec: Object, before: Object) -> Object:
    """The old spec with the new resources and resize policies. Containers that were added, removed, renamed or
    moved stay as they were sent, for validation to complain about."""
    lists = [(name, spec.get(name) or [], before.get(name) or []) for name in CONTAINERS]
    if any(len(new) != len(old) for _, new, old in lists):
        return spec
    made = {**before, "resources": spec.get("resources")}
    if made["resources"] is None:
        del made["resources"]
    for name, new, old in lists:
        if not new:
            continue
        if any(one.get("name") != was.get("name") for one, was in zip(new, old, strict=True)):
            made[name] = new
            continue
        made[name] = [_with(was, one) for one, was in zip(new, old, strict=True)]
    return made


def _with(was: Object, one: Object) -> Object:
    made = dict(was)
    for key in ("resources", "resizePolicy"):
        if key in one:
            made[key] = one[key]
        else:
            made.pop(key, None)
    return made


def validate_resize(pod: Object, old: Object) -> Errors:
    spec, before = pod.get("spec") or {}, old.get("spec") or {}
    metadata = old.get("metadata") or {}
    if MIRROR in (metadata.get("annotations") or ()):
        return [forbidden_value("[]", "static pods cannot be resized")]
    if (before.get("os") or {}).get("name") == "windows":
        return [forbidden_value("[]", "windows pods cannot be resized")]
    errors: Errors = []
    validate_pod_parts(pod, NONE, errors)
    if errors:
        errors.clear()
        validate_pod_parts(pod, tolerance_of(before, metadata), errors)
    quality = (old.get("status") or {}).get("qosClass") or quality_of_service(old)
    if quality != quality_of_service(pod):
        shown = (pod.get("status") or {}).get("qosClass") or ""
        errors.append(invalid_value("spec", shown, "Pod QOS Class may not change as a result of resizing"))
    if not _is_supported(old):
        errors.append(forbidden_value("spec", "Pod running on node without support for resize"))
    whole, was = spec.get("resources") or {}, before.get("resources") or {}
    if any(each.get(kind) for each in (whole, was) for kind in ("requests", "limits")):
        _pod_level(spec.get("resources"), before.get("resources"), errors)
    if (old.get("status") or {}).get("nodeAllocatableResourceClaimStatuses"):
        why = "pods with node allocatable resource claims cannot be resized"
        errors.append(forbidden_value("spec", why))
    if moved := _order(spec, before):
        return errors + moved
    _containers(spec, before, errors)
    if not errors and not same(_without_resizable(spec), _without_resizable(before)):
        errors.append(forbidden_value("spec", ONLY))
    return errors


def _is_supported(pod: Object) -> bool:
    """Whether the node resizes pods: then it says what running containers have."""
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        if (status.get("state") or {}).get("running") is not None:
            return status.get("resources") is not None
    return True


def _removed(new: Mapping[str, str] | None, old: Mapping[str, str] | None) -> bool:
    return any(name not in (new or {}) for name in old or ())


def _pod_level(new: Object | None, old: Object | None, errors: Errors) -> None:
    if old is not None and new is None:
        errors.append(forbidden_value("spec.resources", "pod-level resources cannot be removed"))
        return
    for kind in ("requests", "limits"):
        if _removed((new or {}).get(kind), (old or {}).get(kind)):
            why = f"pod-level resource {kind} cannot be removed"
            errors.append(forbidden_value(f"spec.resources.{kind}", why))
    if not same(_rest(new or {}), _rest(old or {})):
        errors.append(forbidden_value("spec", f"{ONLY} at pod-level"))


def _rest(resources: Object) -> Object:
    """Resources but for what can be resized. Claims of containers can't be changed, nor do they count."""
    return {
        kind: {name: value for name, value in (resources.get(kind) or {}).items() if name not in RESIZABLE}
        for kind in ("requests", "limits")
    }


def _order(spec: Object, before: Object) -> Errors:
    errors: Errors = []
    for kind in CONTAINERS:
        new, old = spec.get(kind) or [], before.get(kind) or []
        if len(new) != len(old):
            why = f"{kind} may not be added or removed on resize"
            errors.append(forbidden_value(f"spec.{kind}", why))
            continue
        for i, (one, was) in enumerate(zip(new, old, strict=True)):
            if one.get("name") != was.get("name"):
                why = f"{kind} may not be renamed or reordered on resize"
                errors.append(forbidden_value(f"spec.{kind}[{i}].name", why))
    return errors


def _pairs(spec: Object, before: Object, kind: str) -> Sequence[tuple[Object, Object]]:
    return list(zip(spec.get(kind) or (), before.get(kind) or (), strict=True))


def _containers(spec: Object, before: Object, errors: Errors) -> None:
    for kind in ("initContainers", "containers"):
        for i, (one, was) in enumerate(_pairs(spec, before, kind)):
            if kind == "initContainers" and was.get("restartPolicy") != "Always":
                continue
            new, old = one.get("resources") or {}, was.get("resources") or {}
            for amounts in ("requests", "limits"):
                if _removed(new.get(amounts), old.get(amounts)):
                    why = f"resource {amounts} cannot be removed"
                    errors.append(forbidden_value(f"spec.{kind}[{i}].resources.{amounts}", why))
    for one, was in _pairs(spec, before, "containers"):
        if not same(_without(one), _without(was)):
            errors.append(forbidden_value("spec", ONLY))
    for i, (one, was) in enumerate(_pairs(spec, before, "initContainers")):
        if one.get("restartPolicy") == "Always":
            if not same(_without(one), _without(was)):
                why = "only cpu and memory resources for init or sidecar containers are mutable"
                errors.append(forbidden_value(f"spec.initContainers[{i}]", why))
        elif not same(one, was):
            errors.append(forbidden_value("spec", "resources for non-sidecar init containers are immutable"))


def _without(container: Object) -> Object:
    """A container without the cpu and memory it asks for."""
    resources = container.get("resources") or {}
    return {**container, "resources": _rest(resources)}


def _without_resizable(spec: Object) -> Object:
    bare = {**spec, "resources": _rest(spec.get("resources") or {})}
    for name in CONTAINERS:
        bare[name] = [_without(container) for container in spec.get(name) or ()]
    return bare
