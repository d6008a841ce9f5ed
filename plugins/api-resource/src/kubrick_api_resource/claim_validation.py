"""What can be wrong with a ResourceClaim: its requests, constraints and configuration, and what was allocated.
Paths, order and wording are those of pkg/apis/resource/validation."""

from collections.abc import Iterator, Sequence
from typing import Any

from kubrick_api import addresses
from kubrick_api.conditions import validate_conditions
from kubrick_api.equality import same
from kubrick_api.errors import (
    FieldError,
    duplicate,
    forbidden_value,
    invalid_value,
    not_supported,
    required,
    too_long,
    too_many,
)
from kubrick_api.formats import csi_driver_name, invalids
from kubrick_api.resource import Object
from kubrick_api.validation import IMMUTABLE, label_value, qualified_name, subdomain
from kubrick_api_core.internal import internal
from kubrick_api_resource.internal import ALLOCATION
from kubrick_api_resource.rules import (
    MAX_CONFIGS,
    MAX_REQUESTS,
    MAX_SELECTORS,
    binding_conditions,
    configuration,
    dns_label,
    each,
    each_once,
    fully_qualified,
    node_selector,
    pool_name,
    raw,
    selector,
    uid,
)

Errors = Iterator[FieldError]
Names = dict[str, set[str]]

MAX_ALTERNATIVES, MAX_CONSUMERS = 8, 256
MAX_RESULTS, MAX_CONDITIONS, MAX_ADDRESSES = 32, 8, 16
ONE_KIND = "exactly one of `exactly` or `firstAvailable` is required"
NO_REQUEST = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
ONE_ATTRIBUTE = 'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'
EFFECTS = ("NoExecute", "NoSchedule", "None")


def request_names(spec: Object) -> Names:
    """Requests, each with the names of its alternatives."""
    requests = (spec.get("devices") or {}).get("requests") or ()
    return {r.get("name") or "": {s.get("name") or "" for s in r.get("firstAvailable") or ()} for r in requests}


def validate_claim_spec(spec: Object, at: str) -> Errors:
    devices, at, names = spec.get("devices") or {}, f"{at}.devices", request_names(spec)
    yield from each_once(devices.get("requests"), MAX_REQUESTS, _request, f"{at}.requests", "name")

    def constraint(value: Object, here: str) -> Errors:
        yield from _references(value.get("requests"), names, f"{here}.requests")
        match, distinct = value.get("matchAttribute"), value.get("distinctAttribute")
        if match is not None:
            yield from fully_qualified(match, f"{here}.matchAttribute")
        elif distinct is not None:
            yield from fully_qualified(distinct, f"{here}.distinctAttribute")
        else:
            yield required(here, ONE_ATTRIBUTE)

    def config(value: Object, here: str) -> Errors:
        yield from _references(value.get("requests"), names, f"{here}.requests")
        yield from configuration(value, here)

    yield from each(devices.get("constraints"), MAX_REQUESTS, constraint, f"{at}.constraints")
    yield from each(devices.get("config"), MAX_CONFIGS, config, f"{at}.config")


def _references(values: Sequence[str] | None, names: Names, at: str) -> Errors:
    yield from each_once(values, MAX_REQUESTS, lambda name, here: _reference(name, names, here), at)


def _reference(name: str, names: Names, at: str) -> Errors:
    parts = name.split("/")
    if len(parts) > 2:
        yield invalid_value(at, name, NO_REQUEST)
        return
    for part in parts:
        yield from dns_label(part, at)
    if parts[0] not in names or (len(parts) > 1 and parts[1] not in names[parts[0]]):
        yield invalid_value(at, name, NO_REQUEST)


def _request(request: Object, at: str) -> Errors:
    yield from dns_label(request.get("name") or "", f"{at}.name")
    exactly, first = request.get("exactly"), request.get("firstAvailable") or ()
    if exactly is None and not first:
        yield required(at, ONE_KIND)
    elif exactly is not None and first:
        yield invalid_value(at, None, f"{ONE_KIND}, but multiple fields are set")
    elif exactly is not None:
        yield from _wanted(exactly, f"{at}.exactly")
    else:
        yield from each_once(first, MAX_ALTERNATIVES, _alternative, f"{at}.firstAvailable", "name")


def _alternative(request: Object, at: str) -> Errors:
    yield from dns_label(request.get("name") or "", f"{at}.name")
    yield from _wanted(request, at)


def _wanted(request: Object, at: str) -> Errors:
    """Which devices, and how many."""
    name, mode, count = request.get("deviceClassName") or "", request.get("allocationMode"), request.get("count") or 0
    if not name:
        yield required(f"{at}.deviceClassName")
    else:
        yield from invalids(f"{at}.deviceClassName", name, subdomain(name))
    yield from each(request.get("selectors"), MAX_SELECTORS, selector, f"{at}.selectors")
    if mode == "All":
        if count:
            why = f"must not be specified when allocationMode is '{mode}'"
            yield invalid_value(f"{at}.count", count, why)
    elif mode == "ExactCount":
        if count <= 0:
            yield invalid_value(f"{at}.count", count, "must be greater than zero")
    else:
        yield not_supported(f"{at}.allocationMode", mode or "", ("All", "ExactCount"))
    yield from each(request.get("tolerations"), None, _toleration, f"{at}.tolerations")


def _toleration(toleration: Object, at: str) -> Errors:
    key, value, operator = (toleration.get(n) or "" for n in ("key", "value", "operator"))
    if key:
        yield from invalids(f"{at}.key", key, qualified_name(key))
    if operator == "Exists":
        if value:
            yield invalid_value(f"{at}.value", value, "must be empty for operator `Exists`")
    elif operator == "Equal":
        yield from invalids(f"{at}.value", value, label_value(value))
    elif not operator:
        yield required(f"{at}.operator")
    else:
        yield not_supported(f"{at}.operator", operator, ("Equal", "Exists"))
    effect = toleration.get("effect") or ""
    if effect and effect not in EFFECTS:
        yield not_supported(f"{at}.effect", effect, EFFECTS)


# What was allocated


def validate_claim_status(claim: Object, old: Object) -> Errors:
    status, before, at = claim.get("status") or {}, old.get("status") or {}, "status"
    users, allocation = status.get("reservedFor") or [], status.get("allocation")
    yield from each_once(users, MAX_CONSUMERS, _consumer, f"{at}.reservedFor", "uid")
    results = ((allocation or {}).get("devices") or {}).get("results") or ()
    known = {_device_id(result) for result in results}

    def device(value: Object, here: str) -> Errors:
        yield from _device(value, known, here)

    yield from each(status.get("devices"), None, device, f"{at}.devices")
    seen: set[Any] = set()
    for i, value in enumerate(status.get("devices") or ()):
        if (own := _device_id(value)) in seen:
            yield duplicate(f"{at}.devices[{i}]", _shown_id(value))
        seen.add(own)
    if users and allocation is None:
        yield forbidden_value(f"{at}.reservedFor", "may not be specified when `allocated` is not set")
    elif claim["metadata"].get("deletionTimestamp") and any(
        user not in (before.get("reservedFor") or ()) for user in users
    ):
        why = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
        yield forbidden_value(f"{at}.reservedFor", why)
    if allocation is not None and before.get("allocation") is not None:
        if not same(allocation, before["allocation"]):
            yield invalid_value(f"{at}.allocation", internal(allocation, ALLOCATION), IMMUTABLE)
    elif allocation is not None:
        yield from _allocation(allocation, request_names(claim.get("spec") or {}), f"{at}.allocation")


def device_place(device: Object) -> tuple[str, ...]:
    """Which device this is, whoever shares it."""
    return _device_id(device)[:3]


def _device_id(device: Object) -> tuple[str, ...]:
    return tuple(device.get(name) or "" for name in ("driver", "pool", "device", "shareID"))


def _shown_id(device: Object) -> dict[str, str]:
    return dict(zip(("Driver", "Pool", "Device", "ShareID"), _device_id(device), strict=True))


def _consumer(consumer: Object, at: str) -> Errors:
    for name in ("resource", "name", "uid"):
        if not consumer.get(name):
            yield required(f"{at}.{name}")


def _place(result: Object, at: str) -> Errors:
    """Where a device is: driver, pool, name."""
    yield from csi_driver_name(result.get("driver") or "", f"{at}.driver")
    yield from pool_name(result.get("pool") or "", f"{at}.pool")
    yield from dns_label(result.get("device") or "", f"{at}.device")


def _device(device: Object, known: set[tuple[str, ...]], at: str) -> Errors:
    yield from _place(device, at)
    if (share := device.get("shareID")) is not None:
        yield from uid(share, f"{at}.shareID")
    if _device_id(device) not in known:
        yield invalid_value(at, _shown_id(device), "must be an allocated device in the claim")
    conditions = device.get("conditions") or ()
    if len(conditions) > MAX_CONDITIONS:
        yield too_many(f"{at}.conditions", len(conditions), MAX_CONDITIONS)
    yield from validate_conditions(conditions, f"{at}.conditions")
    if device.get("data") is not None:
        yield from raw(device["data"], f"{at}.data")
    network = device.get("networkData") or {}
    for name, limit in (("interfaceName", 256), ("hardwareAddress", 128)):
        if len((network.get(name) or "").encode()) > limit:
            yield too_long(f"{at}.networkData.{name}", limit)
    yield from each_once(network.get("ips"), MAX_ADDRESSES, _interface_address, f"{at}.networkData.ips")


def _interface_address(text: str, at: str) -> Errors:
    parsed = addresses.parse_cidr(text)
    if parsed is None:
        why = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)"
        yield invalid_value(at, text, why)
    elif f"{parsed[0]}/{parsed[1]}" != text:
        yield invalid_value(at, text, f'must be in canonical form ("{parsed[0]}/{parsed[1]}")')


def _allocation(allocation: Object, names: Names, at: str) -> Errors:
    devices = allocation.get("devices") or {}

    def result(value: Object, here: str) -> Errors:
        yield from _reference(value.get("request") or "", names, f"{here}.request")
        yield from _place(value, here)
        yield from binding_conditions(value, here)
        if (share := value.get("shareID")) is not None:
            yield from uid(share, f"{here}.shareID")

    def config(value: Object, here: str) -> Errors:
        source = value.get("source") or ""
        if not source:
            yield required(f"{here}.source")
        elif source not in ("FromClaim", "FromClass"):
            yield not_supported(f"{here}.source", source, ("FromClaim", "FromClass"))
        yield from _references(value.get("requests"), names, f"{here}.requests")
        yield from configuration(value, here)

    yield from each(devices.get("results"), MAX_RESULTS, result, f"{at}.devices.results")
    yield from each(devices.get("config"), 2 * MAX_CONFIGS, config, f"{at}.devices.config")
    if allocation.get("nodeSelector") is not None:
        yield from node_selector(allocation["nodeSelector"], f"{at}.nodeSelector")
