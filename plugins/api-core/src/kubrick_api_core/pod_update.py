"""What an update may change in a pod: labels and very little of the spec.

A running pod's spec is fixed but for images, a shorter deadline, more tolerations; one that scheduling gates
hold back may still narrow where it can go. Ephemeral containers are only added, by a subresource of their own.
From ValidatePodUpdate and its siblings; `pod_status` and `pod_resize` have the other views.
"""

from collections.abc import Mapping, Sequence

from kubrick_api.equality import same, unified_diff
from kubrick_api.errors import FieldError, forbidden_value, invalid_value, required
from kubrick_api.resource import Object
from kubrick_api_core.internal import NODE_TERM, internal
from kubrick_api_core.placement_validation import validate_tolerations
from kubrick_api_core.pod_annotations import MIRROR, validate_annotation_update, validate_pod_annotations
from kubrick_api_core.pod_validation import MAX_INT32, validate_pod_parts
from kubrick_api_core.tolerance import NONE, TERMS, tolerance_of

Errors = list[FieldError]

UPDATABLE = (
    "`spec.containers[*].image`",
    "`spec.initContainers[*].image`",
    "`spec.activeDeadlineSeconds`",
    "`spec.tolerations` (only additions to existing tolerations)",
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
)
ADDED_OR_REMOVED = "pod updates may not add or remove containers"
FREE = ("activeDeadlineSeconds", "tolerations", "schedulingGates")
CONTAINERS = ("containers", "initContainers")


def validate_pod_update(pod: Object, old: Object) -> Errors:
    """The main resource: the pod is valid, and nothing but the fields above changes."""
    errors: Errors = []
    spec, before = pod.get("spec") or {}, old.get("spec") or {}
    _validate_again(pod, old, errors)
    for name in CONTAINERS:
        new, was = spec.get(name) or [], before.get(name) or []
        if len(new) != len(was):
            errors.append(forbidden_value(f"spec.{name}", ADDED_OR_REMOVED))
            return errors
        _images(new, f"spec.{name}", errors)
    deadline, earlier = spec.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")
    if deadline != earlier and not _deadline(deadline, earlier, errors):
        return errors
    _tolerations(spec.get("tolerations") or [], before.get("tolerations") or [], errors)
    _gates(spec.get("schedulingGates") or (), before.get("schedulingGates") or (), errors)
    _fixed(spec, before, errors)
    return errors


def _validate_again(pod: Object, old: Object, errors: Errors) -> None:
    """What is wrong with the new pod that wasn't wrong with the old."""
    metadata, earlier = pod.get("metadata") or {}, old.get("metadata") or {}
    fresh: Errors = []
    validate_pod_parts(pod, NONE, fresh)
    if fresh:
        # Only now find out what may stay: hardly any pod has anything wrong.
        fresh = []
        validate_pod_parts(pod, tolerance_of(old.get("spec") or {}, earlier), fresh)
    errors += fresh
    annotations, known = metadata.get("annotations") or {}, earlier.get("annotations") or {}
    if annotations != known:
        validate_annotation_update(annotations, known, "metadata.annotations", errors)


def validate_pod_metadata_update(pod: Object, old: Object) -> Errors:
    """An update of nothing but metadata: its annotations."""
    errors: Errors = []
    annotations = (pod.get("metadata") or {}).get("annotations") or {}
    known = (old.get("metadata") or {}).get("annotations") or {}
    if annotations != known:
        spec = pod.get("spec") or {}
        tolerance = tolerance_of({}, old.get("metadata") or {})
        validate_pod_annotations(annotations, spec, "metadata.annotations", errors, tolerance)
        validate_annotation_update(annotations, known, "metadata.annotations", errors)
    return errors


def _images(containers: Sequence[Object], path: str, errors: Errors) -> None:
    for i, container in enumerate(containers):
        image = container.get("image") or ""
        if not image:
            errors.append(required(f"{path}[{i}].image"))
        if image != image.strip():
            why = "must not have leading or trailing whitespace"
            errors.append(invalid_value(f"{path}[{i}].image", image, why))


def _deadline(new: int | None, old: int | None, errors: Errors) -> bool:
    """Set once, then only shortened. Whether the rest is worth looking at."""
    path = "spec.activeDeadlineSeconds"
    if new is None:
        errors.append(invalid_value(path, None, "must not update from a positive integer to nil value"))
        return True
    if not 0 <= new <= MAX_INT32:
        errors.append(invalid_value(path, new, f"must be between 0 and {MAX_INT32}, inclusive"))
        return False
    if old is not None and old < new:
        errors.append(invalid_value(path, new, "must be less than or equal to previous value"))
        return False
    return True


def _tolerations(new: list[Object], old: list[Object], errors: Errors) -> None:
    if new == old:
        return

    def bare(toleration: Object) -> Object:
        return {key: value for key, value in toleration.items() if key != "tolerationSeconds"}

    for was in old:
        if not any(same(bare(was), bare(one)) for one in new):
            why = "existing toleration can not be modified except its tolerationSeconds"
            errors.append(forbidden_value("spec.tolerations", why))
            return
    validate_tolerations(new, "spec.tolerations", errors)


def _gates(new: Sequence[Object], old: Sequence[Object], errors: Errors) -> None:
    known = {gate.get("name") for gate in old}
    for i, gate in enumerate(new):
        if gate.get("name") not in known:
            why = f"only deletion is allowed, but found new scheduling gate '{gate.get('name') or ''}'"
            errors.append(forbidden_value(f"spec.schedulingGates[{i}].name", why))


def _fixed(spec: Object, before: Object, errors: Errors) -> None:
    """The rest of the spec stays."""
    if same(spec, before):
        return
    comparable = {**spec, **{name: before.get(name) for name in FREE}}
    for name in CONTAINERS:
        if spec.get(name):
            pairs = zip(spec[name], before.get(name) or (), strict=True)
            comparable[name] = [{**container, "image": was.get("image")} for container, was in pairs]
    grace = before.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0 and spec.get("terminationGracePeriodSeconds") == 1:
        comparable["terminationGracePeriodSeconds"] = grace
    if before.get("schedulingGates"):
        _narrowed(comparable, before, errors)
    if not same(before, comparable):
        why = f"pod updates may not change fields other than {','.join(UPDATABLE)}"
        errors.append(forbidden_value("spec", f"{why}\n{unified_diff(before, comparable)}"))


def _narrowed(spec: Object, before: Object, errors: Errors) -> None:
    """While gates hold a pod, its node selector and affinity may become stricter: what may is taken from `spec`."""
    new, old = spec.get("nodeSelector") or {}, before.get("nodeSelector") or {}
    if new != old:
        if any(new.get(key) != value for key, value in old.items()):
            why = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
            errors.append(invalid_value("spec.nodeSelector", new, why))
        spec["nodeSelector"] = before.get("nodeSelector")
    affinity, was = spec.get("affinity") or {}, before.get("affinity") or {}
    if not same(affinity.get("nodeAffinity"), was.get("nodeAffinity")):
        _affinity(affinity.get("nodeAffinity") or {}, was.get("nodeAffinity") or {}, errors)
        spec["affinity"] = {**affinity, "nodeAffinity": was.get("nodeAffinity")}


def _affinity(new: Mapping[str, Object], old: Mapping[str, Object], errors: Errors) -> None:
    path = f"spec.affinity.nodeAffinity.{TERMS}.nodeSelectorTerms"
    had = (old.get(TERMS) or {}).get("nodeSelectorTerms") or []
    terms = (new.get(TERMS) or {}).get("nodeSelectorTerms") or []
    if had and len(terms) != len(had):
        why = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        errors.append(invalid_value(path, internal(terms, NODE_TERM) or None, why))
        return
    for i, (term, was) in enumerate(zip(terms, had, strict=False)):
        if not _only_additions(term, was):
            why = "only additions are allowed (no mutations or deletions)"
            errors.append(invalid_value(f"{path}[{i}]", internal(term, NODE_TERM), why))


def _only_additions(term: Object, was: Object) -> bool:
    kinds = ("matchExpressions", "matchFields")
    if not any(was.get(kind) for kind in kinds):
        return not any(term.get(kind) for kind in kinds)
    return all(same((term.get(kind) or [])[: len(was.get(kind) or ())], was.get(kind) or []) for kind in kinds)


def validate_ephemeral_update(pod: Object, old: Object) -> Errors:
    """The ephemeralcontainers subresource: the pod is valid, and existing ones stay as they are."""
    if MIRROR in ((old.get("metadata") or {}).get("annotations") or ()):
        return [forbidden_value("[]", "static pods do not support ephemeral containers")]
    errors: Errors = []
    _validate_again(pod, old, errors)
    new = {c.get("name"): c for c in (pod.get("spec") or {}).get("ephemeralContainers") or ()}
    path = "spec.ephemeralContainers"
    for was in (old.get("spec") or {}).get("ephemeralContainers") or ():
        name = was.get("name") or ""
        if was.get("name") not in new:
            errors.append(forbidden_value(path, f'existing ephemeral containers "{name}" may not be removed\n'))
        elif not same(was, now := new[was.get("name")]):
            why = f'existing ephemeral containers "{name}" may not be changed\n{unified_diff(was, now)}'
            errors.append(forbidden_value(path, why))
    return errors
