"""Names and amounts of resources: requests, limits, quotas, capacities.

From pkg/apis/core/validation (validateResourceRequirements and what it calls) and pkg/apis/core/helper.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

from kubrick_api.errors import (
    FieldError,
    duplicate,
    forbidden_value,
    invalid_value,
    not_found_value,
    not_supported,
    required,
)
from kubrick_api.quantity import ZERO, Quantity
from kubrick_api.validation import label, qualified_name

Object = Mapping[str, Any]

NOT_NEGATIVE = "must be greater than or equal to 0"
NOT_INTEGER = "must be an integer"
HUGE = "hugepages-"
CONTAINER = frozenset(("cpu", "memory", "ephemeral-storage"))
COUNTED = frozenset(
    (
        "pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps",
        "persistentvolumeclaims", "services.nodeports", "services.loadbalancers",
    )
)  # fmt: skip
QUOTA = CONTAINER | COUNTED | {
    "requests.cpu", "requests.memory", "requests.storage", "requests.ephemeral-storage",
    "limits.cpu", "limits.memory", "limits.ephemeral-storage",
}  # fmt: skip
STANDARD = QUOTA | {"storage"}


def is_huge(name: str) -> bool:
    return name.startswith(HUGE)


def is_quota_huge(name: str) -> bool:
    return name.startswith((HUGE, "requests.hugepages-"))


def is_native(name: str) -> bool:
    """In the namespace kubernetes.io, where names without a domain are, too."""
    return "/" not in name or "kubernetes.io/" in name


def may_overcommit(name: str) -> bool:
    return is_native(name) and not is_huge(name)


@lru_cache(maxsize=1024)
def is_extended(name: str) -> bool:
    """A resource with a domain of its own: "example.com/gpu"."""
    return not is_native(name) and not name.startswith("requests.") and not qualified_name(f"requests.{name}")


def is_integer(name: str) -> bool:
    return name in COUNTED or is_extended(name)


def is_standard_quota(name: str) -> bool:
    return name in QUOTA or is_quota_huge(name)


@lru_cache(maxsize=1024)
def resource_name(name: str) -> tuple[str, ...]:
    """What is wrong with any resource's name."""
    errors = qualified_name(name)
    if not errors and "/" not in name and name not in STANDARD and not is_quota_huge(name):
        errors = ["must be a standard resource type or fully qualified"]
    return tuple(errors)


@lru_cache(maxsize=1024)
def container_resource_name(name: str) -> tuple[str, ...]:
    """What is wrong with a name in a container's requests or limits."""
    errors = resource_name(name)
    if "/" not in name:
        if name not in CONTAINER and not is_huge(name):
            return (*errors, "must be a standard resource for containers")
    elif not is_native(name) and not is_extended(name):
        return (*errors, "doesn't follow extended resource name standard")
    return errors


def quota_resource_name(name: str) -> tuple[str, ...]:
    """What is wrong with a name in a quota."""
    errors = resource_name(name)
    if "/" not in name and not is_standard_quota(name):
        return (*errors, "must be a standard resource for quota")
    return errors


def check_name(name: str, path: str, rule: Callable[[str], Sequence[str]]) -> list[FieldError]:
    return [invalid_value(path, name, why) for why in rule(name)]


def container_name(name: str, path: str) -> list[FieldError]:
    return check_name(name, path, container_resource_name)


def pod_name(name: str, path: str) -> list[FieldError]:
    """A name in a pod's own requests or limits."""
    if errors := check_name(name, path, resource_name):
        return errors
    if name in ("cpu", "memory") or is_huge(name):
        return []
    return [not_supported(path, name, ("cpu", HUGE, "memory"))]


@lru_cache(maxsize=4096)
def _amount(name: str, text: str) -> tuple[str, ...]:
    quantity = Quantity(text)
    errors = []
    if quantity < ZERO:
        errors.append(NOT_NEGATIVE)
    if is_integer(name) and quantity.milli % 1000:
        errors.append(NOT_INTEGER)
    return tuple(errors)


def amount(name: str, value: str | int | float, path: str) -> list[FieldError]:
    """A quantity of a resource."""
    return [invalid_value(path, str(value), why) for why in _amount(name, str(value))]


def whole_pages(name: str, value: str | int | float) -> bool:
    """Whether an amount of huge pages is a whole number of pages."""
    try:
        page = Quantity(name.removeprefix(HUGE))
    except ValueError:
        return False
    return page > ZERO and page.milli % 1000 == 0 and Quantity(value).value % page.value == 0


def _huge_amount(name: str, value: str | int | float, path: str) -> list[FieldError]:
    if whole_pages(name, value):
        return []
    quantity = Quantity(value)
    return [invalid_value(path, str(quantity), f"{quantity} is not positive integer multiple of {name}")]


NameCheck = Callable[[str, str], list[FieldError]]


def validate_resources(
    resources: Object,
    path: str,
    errors: list[FieldError],
    claims: Collection[str] = (),
    *,
    name_check: NameCheck = container_name,
    broken_pages: bool = False,
) -> None:
    """ResourceRequirements. `claims` are the names in the pod's resourceClaims; `broken_pages`: amounts that
    are no whole number of huge pages are let through, because they were there before."""
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for name, value in limits.items():
        at = f"{path}.limits[{name}]"
        if name not in CONTAINER or name_check is pod_name:
            errors += name_check(name, at)
        errors += amount(name, value, at)
        if is_huge(name) and not broken_pages:
            errors += _huge_amount(name, value, at)
    for name, value in requests.items():
        at = f"{path}.requests[{name}]"
        if name not in CONTAINER or name_check is pod_name:
            errors += name_check(name, at)
        errors += amount(name, value, at)
        limit = limits.get(name)
        if limit is not None:
            if limit != value:
                _compare(name, Quantity(value), Quantity(limit), path, errors)
        elif not may_overcommit(name):
            errors.append(required(f"{path}.limits", "Limit must be set for non overcommitable resources"))
        if is_huge(name) and not broken_pages:
            errors += _huge_amount(name, value, at)
    names = {*limits, *requests}
    if any(map(is_huge, names)) and not names & {"cpu", "memory"}:
        errors.append(forbidden_value(path, "HugePages require cpu or memory"))
    if resources.get("claims"):
        validate_claims(resources["claims"], claims, f"{path}.claims", errors)


def _compare(name: str, request: Quantity, limit: Quantity, path: str, errors: list[FieldError]) -> None:
    if request != limit and not may_overcommit(name):
        why = f"must be equal to {name} limit of {limit}"
    elif request > limit:
        why = f"must be less than or equal to {name} limit of {limit}"
    else:
        return
    errors.append(invalid_value(f"{path}.requests", str(request), why))


def validate_claims(wanted: Sequence[Object], known: Collection[str], path: str, errors: list[FieldError]) -> None:
    """A container's claims: each names one of the pod's, and no part of it twice."""
    names: dict[str, None] = {}
    for i, claim in enumerate(wanted):
        at = f"{path}[{i}]"
        name, request = claim.get("name") or "", claim.get("request") or ""
        if not name:
            errors.append(required(at))
            continue
        if name in names:
            errors.append(duplicate(at, name))
        else:
            key = name
            if request:
                errors += [invalid_value(f"{at}.request", request, why) for why in label(request)]
                key = f"{name}/{request}"
            if key in names:
                errors.append(duplicate(at, key))
            elif not request:
                errors += [duplicate(at, name) for other in names if other.startswith(f"{name}/")]
            names[key] = None
        if name not in known:
            listed = f": {', '.join(sorted(known))}" if known else " which is empty"
            errors.append(not_found_value(at, name, f"must be one of the names in pod.spec.resourceClaims{listed}"))


# Sums over a pod's containers (component-helpers/resource)


def total(spec: Object, kind: str) -> dict[str, Quantity]:
    """What all containers of a pod together request (`kind` "requests") or are limited to ("limits"): the sum of
    the containers and sidecars, or more where an init container needs more."""
    sums: dict[str, Quantity] = {}
    sidecars: dict[str, Quantity] = {}
    most: dict[str, Quantity] = {}
    for container in spec.get("containers") or ():
        _add(sums, _amounts(container, kind))
    for container in spec.get("initContainers") or ():
        needs = _amounts(container, kind)
        if container.get("restartPolicy") == "Always":
            _add(sums, needs)
            _add(sidecars, needs)
            needs = dict(sidecars)
        else:
            _add(needs, sidecars)
        _raise(most, needs)
    _raise(sums, most)
    return sums


def _amounts(container: Object, kind: str) -> dict[str, Quantity]:
    given = (container.get("resources") or {}).get(kind) or {}
    return {name: Quantity(value) for name, value in given.items()}


def _add(sums: dict[str, Quantity], more: Mapping[str, Quantity]) -> None:
    for name, value in more.items():
        sums[name] = sums[name] + value if name in sums else value


def _raise(most: dict[str, Quantity], more: Mapping[str, Quantity]) -> None:
    for name, value in more.items():
        if name not in most or value > most[name]:
            most[name] = value
