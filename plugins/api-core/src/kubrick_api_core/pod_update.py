"""What an update may change in a pod: labels and very little of the spec.

A running pod's spec is fixed but for images, a shorter deadline, more tolerations; one that scheduling
gates hold back may still narrow where it can go. Its subresources have rules of their own: ephemeral
containers are only added, resize changes only resources. From ValidatePodUpdate and its siblings.
"""

from collections.abc import Iterator

from kubrick_api.equality import differences, same
from kubrick_api.errors import FieldError, forbidden_value, invalid_value
from kubrick_api.resource import Object
from kubrick_api_core.placement_validation import validate_tolerations

Errors = Iterator[FieldError]

UPDATABLE = (
    "`spec.containers[*].image`",
    "`spec.initContainers[*].image`",
    "`spec.activeDeadlineSeconds`",
    "`spec.tolerations` (only additions to existing tolerations)",
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
)
ADDED_OR_REMOVED = "pod updates may not add or remove containers"
FREE = ("activeDeadlineSeconds", "tolerations", "schedulingGates", "ephemeralContainers")
RESIZABLE = ("cpu", "memory")


def validate_pod_update(pod: Object, old: Object) -> Errors:
    """The main resource: nothing but the fields above changes."""
    spec, before = pod.get("spec") or {}, old.get("spec") or {}
    counts_differ = False
    for name in ("containers", "initContainers"):
        if len(spec.get(name) or ()) != len(before.get(name) or ()):
            counts_differ = True
            yield forbidden_value(f"spec.{name}", ADDED_OR_REMOVED)
    if counts_differ:
        return
    yield from _deadline(spec.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds"))
    yield from _tolerations(spec.get("tolerations") or [], before.get("tolerations") or [])
    yield from _gates(spec, before)
    comparable = _without_images({**spec, **{name: before.get(name) for name in FREE}}, before)
    if before.get("schedulingGates"):
        yield from _narrowed(comparable, before)
        comparable = {**comparable, "nodeSelector": before.get("nodeSelector"), "affinity": before.get("affinity")}
    grace, grace_before = spec.get("terminationGracePeriodSeconds"), before.get("terminationGracePeriodSeconds")
    if grace == 1 and grace_before is not None and grace_before < 0:
        comparable["terminationGracePeriodSeconds"] = grace_before
    if changed := differences(before, comparable):
        listed = "\n".join(changed)
        yield forbidden_value("spec", f"pod updates may not change fields other than {','.join(UPDATABLE)}\n{listed}\n")


def _without_images(spec: Object, before: Object) -> Object:
    comparable = dict(spec)
    for name in ("containers", "initContainers"):
        if spec.get(name):
            pairs = zip(spec[name], before.get(name) or (), strict=True)
            comparable[name] = [{**container, "image": was.get("image")} for container, was in pairs]
    return comparable


def _deadline(new: int | None, old: int | None) -> Errors:
    path = "spec.activeDeadlineSeconds"
    if old is None:
        return
    if new is None:
        yield invalid_value(path, None, "must not update from a positive integer to nil value")
    elif new > old:
        yield invalid_value(path, new, "must be less than or equal to previous value")


def _tolerations(new: list[Object], old: list[Object]) -> Errors:
    def bare(toleration: Object) -> Object:
        return {key: value for key, value in toleration.items() if key != "tolerationSeconds"}

    for was in old:
        if not any(same(bare(was), bare(one)) for one in new):
            yield forbidden_value(
                "spec.tolerations", "existing toleration can not be modified except its tolerationSeconds"
            )
            return
    yield from validate_tolerations(new, "spec.tolerations")


def _gates(spec: Object, before: Object) -> Errors:
    known = {gate.get("name") for gate in before.get("schedulingGates") or ()}
    for gate in spec.get("schedulingGates") or ():
        if gate.get("name") not in known:
            yield forbidden_value(
                "spec.schedulingGates",
                f"only deletion is allowed, but found new scheduling gate '{gate.get('name')}'",
            )


def _narrowed(spec: Object, before: Object) -> Errors:
    """While gates hold a pod, its node selector and affinity may become stricter."""
    new, old = spec.get("nodeSelector") or {}, before.get("nodeSelector") or {}
    if any(new.get(key) != value for key, value in old.items()):
        yield invalid_value(
            "spec.nodeSelector", new, "only additions are allowed to spec.nodeSelector (no mutations or deletions)"
        )
    affinity, was = spec.get("affinity") or {}, before.get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        if not same(affinity.get(kind), was.get(kind)):
            yield forbidden_value(
                "spec", f"pod updates may not change fields other than {','.join(UPDATABLE)}\n-affinity.{kind}\n"
            )


def validate_pod_status_update(pod: Object, old: Object) -> Errors:
    """The status subresource: containers don't come back to life, nodes and hosts don't change."""
    spec, status, before = pod.get("spec") or {}, pod.get("status") or {}, old.get("status") or {}
    policy = spec.get("restartPolicy")
    for kind in ("containerStatuses", "initContainerStatuses"):
        sidecars = {c.get("name") for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"}
        for i, was in enumerate(before.get(kind) or ()):
            if policy == "Always" or was.get("name") in sidecars:
                continue
            ended = (was.get("state") or {}).get("terminated")
            if ended is None or (ended.get("exitCode") and policy == "OnFailure"):
                continue
            for now in status.get(kind) or ():
                if now.get("name") == was.get("name") and (now.get("state") or {}).get("terminated") is None:
                    yield forbidden_value(
                        f"status.{kind}[{i}].state", "may not be transitioned to non-terminated state"
                    )


def validate_ephemeral_update(pod: Object, old: Object) -> Errors:
    """The ephemeralcontainers subresource: existing ones stay as they are."""
    new = {c.get("name"): c for c in (pod.get("spec") or {}).get("ephemeralContainers") or ()}
    for was in (old.get("spec") or {}).get("ephemeralContainers") or ():
        name = was.get("name")
        if name not in new:
            yield forbidden_value(
                "spec.ephemeralContainers",
                f"existing ephemeral containers {name!r} may not be removed\n".replace("'", '"'),
            )
        elif not same(new[name], was):
            yield forbidden_value(
                "spec.ephemeralContainers",
                f"existing ephemeral containers {name!r} may not be changed\n".replace("'", '"'),
            )


def validate_resize(pod: Object, old: Object) -> Errors:
    """The resize subresource: only cpu and memory of containers."""
    spec, before = pod.get("spec") or {}, old.get("spec") or {}

    def without(spec: Object) -> Object:
        bare = {**spec, "resources": None}
        for name in ("containers", "initContainers"):
            bare[name] = [{**c, "resources": None, "resizePolicy": None} for c in spec.get(name) or ()]
        return bare

    if (old.get("status") or {}).get("qosClass") != (pod.get("status") or {}).get("qosClass"):
        yield invalid_value("spec", "", "Pod QOS Class may not change as a result of resizing")
    if changed := differences(without(before), without(spec)):
        yield forbidden_value("spec", "only cpu and memory resources are mutable\n" + "\n".join(changed) + "\n")
        return
    for name in ("containers", "initContainers"):
        for i, (container, was) in enumerate(zip(spec.get(name) or (), before.get(name) or (), strict=True)):
            for kind in ("requests", "limits"):
                new_amounts = (container.get("resources") or {}).get(kind) or {}
                old_amounts = (was.get("resources") or {}).get(kind) or {}
                if any(
                    new_amounts.get(key) != old_amounts.get(key)
                    for key in new_amounts.keys() | old_amounts.keys()
                    if key not in RESIZABLE
                ):
                    yield forbidden_value(
                        f"spec.{name}[{i}].resources.{kind}", "only cpu and memory resources are mutable"
                    )
