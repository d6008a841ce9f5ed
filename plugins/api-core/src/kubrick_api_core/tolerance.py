"""What an update may keep though it would be refused in a new object.

Rules get stricter; an object that broke one before it was made must still take updates of everything else.
From GetValidationOptionsFromPodSpecAndMeta (pkg/api/pod/util.go).
"""

from collections.abc import Iterator

from attrs import frozen

from kubrick_api.resource import Object
from kubrick_api.validation import is_label_value_text, label_selector

TERMS = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


@frozen
class Tolerance:
    """Each field: that violation was there before."""

    deletion_cost: bool = False
    affinity_selectors: bool = False
    spread_selectors: bool = False
    spread_keys: bool = False
    node_labels: bool = False
    huge_pages: bool = False
    token_paths: bool = False
    host_sysctls: bool = False
    user_namespace_devices: bool = False
    no_image_reference: bool = False
    init_restarts: bool = False


NONE = Tolerance()


def tolerance_of(spec: Object, metadata: Object) -> Tolerance:
    """What was wrong with a stored pod's (or template's) spec and metadata."""
    from kubrick_api_core.security_validation import shares_sysctls

    affinity = spec.get("affinity") or {}
    spread = spec.get("topologySpreadConstraints") or ()
    devices = spec.get("hostUsers") is False and any(c.get("volumeDevices") for c in _containers(spec))
    volumes = spec.get("volumes") or ()
    return Tolerance(
        deletion_cost=not is_deletion_cost((metadata.get("annotations") or {}).get(DELETION_COST)),
        affinity_selectors=bool(affinity) and any(label_selector(s, "") for s in _selectors(affinity)),
        spread_selectors=any(label_selector(each.get("labelSelector"), "") for each in spread),
        spread_keys=any(_repeats_key(each) for each in spread),
        node_labels=bool(affinity) and _has_bad_value(affinity.get("nodeAffinity") or {}),
        huge_pages=any(_has_broken_pages(c.get("resources") or {}) for c in _containers(spec))
        or _has_broken_pages({"limits": spec.get("overhead") or {}}),
        token_paths=any(_has_bad_token_path(volume) for volume in volumes),
        host_sysctls=bool((spec.get("securityContext") or {}).get("sysctls")) and shares_sysctls(spec),
        user_namespace_devices=devices,
        no_image_reference=any("image" in v and not v["image"].get("reference") for v in volumes),
        init_restarts=any(_restarts_on_resize(c) for c in spec.get("initContainers") or ()),
    )


def _containers(spec: Object) -> Iterator[Object]:
    for name in CONTAINERS:
        yield from spec.get(name) or ()


def is_deletion_cost(text: str | None) -> bool:
    """Whether the annotation's value is a 32-bit integer as Go writes one; absent is fine."""
    if text is None or text == "0":
        return True
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not (digits.isascii() and digits.isdigit()) or text[0] == "+" or digits[0] == "0":
        return False
    return -(2**31) <= int(text) < 2**31


def _selectors(affinity: Object) -> Iterator[Object | None]:
    for kind in ("podAffinity", "podAntiAffinity"):
        own = affinity.get(kind) or {}
        terms = [*(own.get(TERMS) or ()), *(each.get("podAffinityTerm") or {} for each in own.get(PREFERRED) or ())]
        for term in terms:
            yield term.get("labelSelector")
            yield term.get("namespaceSelector")


def _repeats_key(constraint: Object) -> bool:
    selector = constraint.get("labelSelector") or {}
    keys = set(selector.get("matchLabels") or ())
    for expression in selector.get("matchExpressions") or ():
        if expression.get("key") in keys and expression.get("key") in (constraint.get("matchLabelKeys") or ()):
            return True
        keys.add(expression.get("key"))
    return False


def _has_bad_value(affinity: Object) -> bool:
    return any(
        not is_label_value_text(value) or len(value) > 63
        for term in (affinity.get(TERMS) or {}).get("nodeSelectorTerms") or ()
        for expression in term.get("matchExpressions") or ()
        for value in expression.get("values") or ()
    )


def _has_broken_pages(resources: Object) -> bool:
    from kubrick_api_core.resource_validation import is_huge, whole_pages

    amounts = [*(resources.get("limits") or {}).items(), *(resources.get("requests") or {}).items()]
    return any(is_huge(name) and not whole_pages(name, value) for name, value in amounts)


def _has_bad_token_path(volume: Object) -> bool:
    from kubrick_api_core.rules import local_path

    return any(
        local_path(source["serviceAccountToken"].get("path") or "", "")
        for source in (volume.get("projected") or {}).get("sources") or ()
        if source.get("serviceAccountToken") is not None
    )


def _restarts_on_resize(container: Object) -> bool:
    return container.get("restartPolicy") != "Always" and any(
        policy.get("restartPolicy") == "RestartContainer" for policy in container.get("resizePolicy") or ()
    )
