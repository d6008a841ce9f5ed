"""What an update of a pod's status may not say.

From ValidatePodStatusUpdate and preserveOldObservedGeneration: ended containers don't come back to life where
nobody restarts them, addresses are addresses, claims are the pod's own.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from kubrick_api import addresses
from kubrick_api.equality import same
from kubrick_api.errors import (
    FieldError,
    duplicate,
    forbidden_value,
    invalid_value,
    not_supported,
    required,
    too_long,
)
from kubrick_api.quantity import ZERO, Quantity
from kubrick_api.resource import Object
from kubrick_api.validation import IMMUTABLE, label, name_is_dns_subdomain, qualified_name
from kubrick_api_core.internal import IP, internal
from kubrick_api_core.pod_update import validate_pod_metadata_update
from kubrick_api_core.resource_validation import is_native
from kubrick_api_core.security_validation import user_or_group

Errors = list[FieldError]

SYSTEM_CONDITIONS = ("PodScheduled", "Ready", "Initialized")
GENERATION = "must be a non-negative integer"
RESTARTED = "may not be transitioned to non-terminated state"
ONE_PER_FAMILY = "may specify no more than one IP for each IP family"
KINDS = (
    ("containerStatuses", "containers"),
    ("initContainerStatuses", "initContainers"),
    ("ephemeralContainerStatuses", "ephemeralContainers"),
)
HEALTHS = ("Healthy", "Unhealthy", "Unknown")
MESSAGE_LIMIT = 1024
IMAGE_LIMIT = 256


def keep_generations(status: Object, before: Object) -> None:
    """A status without observedGeneration keeps the one it had, and so do its conditions."""
    if not status.get("observedGeneration") and before.get("observedGeneration"):
        status["observedGeneration"] = before["observedGeneration"]
    known: dict[str, list[int]] = {}
    for condition in before.get("conditions") or ():
        known.setdefault(condition.get("type") or "", []).append(condition.get("observedGeneration") or 0)
    for condition in status.get("conditions") or ():
        earlier = known.get(condition.get("type") or "")
        generation = earlier.pop(0) if earlier else 0
        if generation and not condition.get("observedGeneration"):
            condition["observedGeneration"] = generation


def validate_pod_status_update(pod: Object, old: Object) -> Errors:
    errors: Errors = validate_pod_metadata_update(pod, old)
    spec, status, before = pod.get("spec") or {}, pod.get("status") or {}, old.get("status") or {}
    for i, condition in enumerate(status.get("conditions") or ()):
        at, kind = f"status.conditions[{i}]", condition.get("type") or ""
        if (condition.get("observedGeneration") or 0) < 0:
            errors.append(invalid_value(f"{at}.observedGeneration", condition["observedGeneration"], GENERATION))
        if kind not in SYSTEM_CONDITIONS and (wrong := qualified_name(kind)):
            errors += [invalid_value(f"{at}.Type", kind, why) for why in wrong]
    _nominated(status, before, old.get("spec") or {}, errors)
    if (status.get("observedGeneration") or 0) < 0:
        errors.append(invalid_value("status.observedGeneration", status["observedGeneration"], GENERATION))
    if (status.get("qosClass") or "") != (before.get("qosClass") or ""):
        errors.append(invalid_value("status.qosClass", status.get("qosClass") or "", IMMUTABLE))
    for kind, containers in KINDS:
        _transitions(status.get(kind) or (), before.get(kind) or (), f"status.{kind}", spec, containers, errors)
    _claims(status, spec, errors)
    _addresses(status, before, "podIPs", errors)
    _host_addresses(status, before, errors)
    for kind, containers in KINDS:
        _containers(status.get(kind) or (), spec, f"status.{kind}", containers, errors)
    return errors


def _nominated(status: Object, before: Object, spec: Object, errors: Errors) -> None:
    name, at = status.get("nominatedNodeName") or "", "status.nominatedNodeName"
    if not name or name == (before.get("nominatedNodeName") or ""):
        return
    errors += [invalid_value(at, name, why) for why in name_is_dns_subdomain(name)]
    if spec.get("nodeName"):
        errors.append(forbidden_value(at, "may not be set on pods that are already bound to a node"))


def _transitions(
    new: Sequence[Object], old: Sequence[Object], path: str, spec: Object, kind: str, errors: Errors
) -> None:
    ended = [(i, was) for i, was in enumerate(old) if (was.get("state") or {}).get("terminated") is not None]
    if not ended or (kind != "ephemeralContainers" and _all_restart(spec)):
        return
    for i, was in ended:
        name = was.get("name")
        now = next((each for each in new if each.get("name") == name), None)
        if now is None or (now.get("state") or {}).get("terminated") is not None:
            continue
        if kind != "ephemeralContainers":
            container = next((each for each in spec.get(kind) or () if each.get("name") == name), None)
            code = was["state"]["terminated"].get("exitCode") or 0
            if container is not None and restarts(container, spec, code):
                continue
        errors.append(forbidden_value(f"{path}[{i}].state", RESTARTED))


def _all_restart(spec: Object) -> bool:
    """Whether some container's end can restart all of the pod's."""
    return any(
        rule.get("action") == "RestartAllContainers"
        for kind in ("containers", "initContainers")
        for container in spec.get(kind) or ()
        for rule in container.get("restartPolicyRules") or ()
    )


def restarts(container: Object, spec: Object, code: int) -> bool:
    """Whether a container that ended with `code` is started again: by its own rules and policy, else the pod's."""
    policy = container.get("restartPolicy")
    if policy is not None:
        rule = next((each for each in container.get("restartPolicyRules") or () if _matches(each, code)), None)
        if rule is not None and rule.get("action") == "Restart":
            return True
    if policy not in ("Always", "OnFailure", "Never"):
        policy = spec.get("restartPolicy")
    return policy != "Never" and (policy != "OnFailure" or code != 0)


def _matches(rule: Object, code: int) -> bool:
    codes = rule.get("exitCodes") or {}
    found = code in (codes.get("values") or ())
    return found if codes.get("operator") == "In" else not found and codes.get("operator") == "NotIn"


def _claims(status: Object, spec: Object, errors: Errors) -> None:
    wanted = spec.get("resourceClaims") or ()
    names = [claim.get("name") for claim in wanted]
    seen: set[str] = set()
    for i, each in enumerate(status.get("resourceClaimStatuses") or ()):
        at, name = f"status.resourceClaimStatuses[{i}]", each.get("name") or ""
        if name not in names:
            why = "must match the name of an entry in `spec.resourceClaims`"
            errors.append(invalid_value(f"{at}.name", name, why))
        if name in seen:
            errors.append(duplicate(f"{at}.name", name))
        seen.add(name)
        if (claim := each.get("resourceClaimName")) is not None:
            errors += [invalid_value(f"{at}.resourceClaimName", claim, why) for why in name_is_dns_subdomain(claim)]
    if (extended := status.get("extendedResourceClaimStatus")) is not None:
        _extended(extended, spec, "status.extendedResourceClaimStatus", errors)
    if allocated := status.get("nodeAllocatableResourceClaimStatuses"):
        _allocatable(allocated, status, wanted, errors)


def _extended(status: Object, spec: Object, path: str, errors: Errors) -> None:
    mappings, at = status.get("requestMappings") or (), f"{path}.requestMappings"
    containers = {c.get("name"): c for kind in ("initContainers", "containers") for c in spec.get(kind) or ()}
    if not mappings:
        errors.append(required(at, "at least one request mapping is required"))
    seen: set[tuple[str, str, str]] = set()
    for i, mapping in enumerate(mappings):
        key = tuple(mapping.get(name) or "" for name in ("containerName", "resourceName", "requestName"))
        name, resource, request = key
        container = containers.get(name)
        if container is None:
            why = "must match the name of an entry in spec.initContainers.name or spec.containers.name"
            errors.append(invalid_value(f"{at}[{i}].containerName", name, why))
        elif resource not in ((container.get("resources") or {}).get("requests") or {}):
            where = "spec.initContainers.resources.requests or spec.containers.resources.requests"
            why = f"must match the extended resource name of an entry in {where}"
            errors.append(invalid_value(f"{at}[{i}].resourceName", resource, why))
        errors += [invalid_value(f"{path}.requestName", request, why) for why in label(request)]
        if (name, resource, request) in seen:
            errors += [
                duplicate(f"{at}[{i}].{kind}", mapping.get(kind) or "")
                for kind in ("containerName", "resourceName", "requestName")
            ]
        seen.add((name, resource, request))
    claim = status.get("resourceClaimName") or ""
    if not claim:
        errors.append(required(f"{path}.resourceClaimName"))
    errors += [invalid_value(f"{path}.resourceClaimName", claim, why) for why in name_is_dns_subdomain(claim) if claim]


def _allocatable(allocated: Sequence[Object], status: Object, wanted: Iterable[Object], errors: Errors) -> None:
    known = {each.get("resourceClaimName") for each in (*wanted, *(status.get("resourceClaimStatuses") or ()))}
    for i, each in enumerate(allocated):
        at, claim = f"status.nodeAllocatableResourceClaimStatuses[{i}]", each.get("resourceClaimName") or ""
        if not claim:
            errors.append(required(f"{at}.resourceClaimName", "must not be empty"))
        if claim not in known - {None}:
            errors.append(invalid_value(f"{at}.resourceClaimName", claim, "no mapping found in pod reference"))
        for name in ("containers", "resources"):
            if not each.get(name):
                errors.append(required(f"{at}.{name}", "must not be empty"))
        for name, value in (each.get("resources") or {}).items():
            here = f"{at}.resources[{name}]"
            if not is_native(name):
                errors.append(invalid_value(here, name, "must be a node allocatable resource name"))
            if Quantity(value) < ZERO:
                errors.append(invalid_value(here, str(value), "must be non-negative"))


def _addresses(status: Object, before: Object, kind: str, errors: Errors) -> None:
    entries = status.get(kind) or []
    if same(entries, before.get(kind)):
        return
    known = [entry.get("ip") or "" for entry in before.get(kind) or ()]
    ips = [entry.get("ip") or "" for entry in entries]
    for i, ip in enumerate(ips):
        errors += addresses.check(ip, f"status.{kind}[{i}]", known)
    if len(ips) > 1 and (len(ips) > 2 or not addresses.dual_stack([addresses.family(ip) for ip in ips])):
        errors.append(invalid_value(f"status.{kind}", internal(entries, IP), ONE_PER_FAMILY))


def _host_addresses(status: Object, before: Object, errors: Errors) -> None:
    entries = status.get("hostIPs") or []
    if not entries:
        return
    first = entries[0].get("ip") or ""
    if (status.get("hostIP") or "") != first:
        errors.append(invalid_value("status.hostIPs[0].ip", first, "must be equal to `hostIP`"))
    _addresses(status, before, "hostIPs", errors)


def _containers(statuses: Sequence[Object], spec: Object, path: str, kind: str, errors: Errors) -> None:
    windows = (spec.get("os") or {}).get("name") == "windows"
    for i, status in enumerate(statuses):
        user = (status.get("user") or {}).get("linux")
        if user is not None:
            at = f"{path}[{i}].user.linux"
            if windows:
                errors.append(forbidden_value(at, "cannot be set for a windows pod"))
            else:
                _user(user, at, errors)
        resources = status.get("allocatedResourcesStatus") or ()
        if resources and kind == "ephemeralContainers":
            why = "must not be specified in container status"
            errors.append(forbidden_value(f"{path}[{i}].allocatedResourcesStatus", why))
        elif resources:
            container = next((c for c in spec.get(kind) or () if c.get("name") == status.get("name")), None)
            _health(resources, container, f"{path}[{i}].allocatedResourcesStatus", errors)
        for j, mount in enumerate(status.get("volumeMounts") or ()):
            image = (mount.get("volumeStatus") or {}).get("image")
            if image is not None:
                _image(image, f"{path}[{i}].volumeMounts[{j}].volumeStatus.imageVolumeStatus.imageRef", errors)


def _user(user: Object, at: str, errors: Errors) -> None:
    for name in ("uid", "gid"):
        errors += user_or_group(user.get(name) or 0, f"{at}.{name}")
    for i, group in enumerate(user.get("supplementalGroups") or ()):
        errors += user_or_group(group, f"{at}.supplementalGroups[{i}]")


def _image(image: Object, at: str, errors: Errors) -> None:
    reference = image.get("imageRef") or ""
    if not reference:
        errors.append(required(at, "imageRef must not be empty"))
    if len(reference.encode()) > IMAGE_LIMIT:
        errors.append(too_long(at, IMAGE_LIMIT))


def _health(statuses: Sequence[Object], container: Object | None, path: str, errors: Errors) -> None:
    for j, status in enumerate(statuses):
        name = status.get("name") or ""
        if container is not None and name not in _resources(container, claims=name.startswith("claim:")):
            why = "must match one of the container's resource requests"
            if name.startswith("claim:"):
                why = (
                    "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or "
                    "'claim:<claimName>' if request is empty"
                )
            errors.append(invalid_value(f"{path}[{j}].name", name, why))
        seen: set[Any] = set()
        for k, resource in enumerate(status.get("resources") or ()):
            at, health = f"{path}[{j}].resources[{k}]", resource.get("health") or ""
            if health not in HEALTHS:
                errors.append(not_supported(f"{at}.health", health, HEALTHS))
            if (message := resource.get("message")) is not None:
                if not message:
                    errors.append(required(f"{at}.message", "must be non-empty if specified"))
                elif len(message.encode()) > MESSAGE_LIMIT:
                    errors.append(too_long(f"{at}.message", MESSAGE_LIMIT))
            identity = resource.get("resourceID") or ""
            if identity in seen:
                errors.append(duplicate(f"{at}.resourceID", identity))
            seen.add(identity)


def _resources(container: Object, *, claims: bool) -> set[str]:
    """What a container asks for: "claim:<name>/<request>" for its claims, or the names of its requests."""
    resources = container.get("resources") or {}
    if not claims:
        return set(resources.get("requests") or ())
    return {
        f"claim:{each.get('name') or ''}" + (f"/{each['request']}" if each.get("request") else "")
        for each in resources.get("claims") or ()
    }
