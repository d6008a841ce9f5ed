"""What can be wrong with a ResourceSlice: its pool, its nodes, its devices and their counters. Paths, order and
wording are those of pkg/apis/resource/validation."""

import re
from collections.abc import Iterator

from kubrick_api.equality import same
from kubrick_api.errors import NIL, FieldError, forbidden_value, invalid_value, not_supported, required, too_long
from kubrick_api.formats import csi_driver_name, invalids
from kubrick_api.quantity import Quantity
from kubrick_api.resource import Object
from kubrick_api.validation import IMMUTABLE, label_value, qualified_name, subdomain
from kubrick_api_core.internal import NODE_TERM, internal
from kubrick_api_resource.internal import ATTRIBUTE
from kubrick_api_resource.rules import (
    binding_conditions,
    dns_label,
    each,
    each_named,
    each_once,
    node_selector,
    pool_name,
    qualified,
)

Errors = Iterator[FieldError]

MAX_DEVICES, MAX_SETS, MAX_ATTRIBUTES, MAX_TAINTS = 128, 8, 32, 16
MAX_ADVANCED_DEVICES = 64
"""How many when one of them has taints or consumes counters."""
MAX_COUNTERS, MAX_CONSUMED_SETS, MAX_VALUES, VALUE_LENGTH = 32, 2, 10, 64
KEY_LENGTH = 63 + 1 + 32
WHERE = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
WHERE_DEVICE = (
    "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true "
    "in the ResourceSlice spec"
)
NOT_PER_DEVICE = (
    "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the "
    "ResourceSlice spec"
)
NOT_BOTH = "only one of `sharedCounters` or `devices` is allowed"
ONE_VALUE = "exactly one value must be specified"
EFFECTS = ("NoExecute", "NoSchedule", "None")
VALUES = ("bool", "int", "string", "version")
_NUMBER, _PRE, _BUILD = r"(0|[1-9]\d*)", r"(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)", "[0-9a-zA-Z-]+"
SEMVER = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_PRE}(\.{_PRE})*)?(\+{_BUILD}(\.{_BUILD})*)?", re.ASCII)


def validate_slice(spec: Object, old: Object | None = None) -> Errors:
    yield from csi_driver_name(spec.get("driver") or "", "spec.driver")
    pool = spec.get("pool") or {}
    yield from pool_name(pool.get("name") or "", "spec.pool.name")
    if (pool.get("resourceSliceCount") or 0) <= 0:
        count = pool.get("resourceSliceCount") or 0
        yield invalid_value("spec.pool.resourceSliceCount", count, "must be greater than zero")
    if (pool.get("generation") or 0) < 0:
        yield invalid_value("spec.pool.generation", pool["generation"], "must be greater than or equal to zero")
    if old is not None:
        for at, new, was in (
            ("pool.name", pool.get("name"), (old.get("pool") or {}).get("name")),
            ("driver", spec.get("driver"), old.get("driver")),
            ("nodeName", spec.get("nodeName"), old.get("nodeName")),
        ):
            if not same(new, was):
                yield invalid_value(f"spec.{at}", new, IMMUTABLE)
    yield from _nodes(spec)
    if spec.get("sharedCounters") is not None and spec.get("devices") is not None:
        yield invalid_value("spec", "", NOT_BOTH)
    yield from _devices(spec, old or {})


def _nodes(spec: Object) -> Errors:
    found = []
    node, selector = spec.get("nodeName"), spec.get("nodeSelector")
    if node == "":
        yield invalid_value("spec.nodeName", node, "must be either unset or set to a non-empty string")
    elif node is not None:
        found.append("`nodeName`")
        yield from invalids("spec.nodeName", node, subdomain(node))
    if selector is not None:
        found.append("`nodeSelector`")
        yield from node_selector(selector, "spec.nodeSelector")
        terms = selector.get("nodeSelectorTerms") or []
        if len(terms) != 1:
            at = "spec.nodeSelector.nodeSelectorTerms"
            yield invalid_value(at, internal(terms, NODE_TERM) or NIL, "must have exactly one node selector term")
    for name in ("allNodes", "perDeviceNodeSelection"):
        if spec.get(name):
            found.append(f"`{name}`")
        elif spec.get(name) is not None:
            yield invalid_value(f"spec.{name}", spec[name], "must be either unset or set to true")
    if not found:
        yield required("spec", WHERE)
    elif len(found) > 1:
        yield invalid_value("spec", f"{{{', '.join(found)}}}", f"{WHERE}, but multiple fields are set")


def _devices(spec: Object, old: Object) -> Errors:
    chosen = bool(spec.get("perDeviceNodeSelection"))
    devices = spec.get("devices") or ()
    before = {device.get("name"): device for device in reversed(old.get("devices") or ())}
    advanced = any(device.get("taints") or device.get("consumesCounters") for device in devices)

    def device(value: Object, at: str) -> Errors:
        yield from _device(value, before.get(value.get("name")), chosen, at)

    limit = MAX_ADVANCED_DEVICES if advanced else MAX_DEVICES
    yield from each_once(devices, limit, device, "spec.devices", "name")
    yield from each_once(spec.get("sharedCounters"), MAX_SETS, _counter_set, "spec.sharedCounters", "name")


def _any(value: object, at: str) -> Errors:
    yield from ()


def _counter_set(counters: Object, at: str) -> Errors:
    if not counters.get("name"):
        yield required(f"{at}.name")
    else:
        yield from dns_label(counters["name"], f"{at}.name")
    yield from _counters(counters, at)


def _counters(holder: Object, at: str) -> Errors:
    if not holder.get("counters"):
        yield required(f"{at}.counters")
    yield from each_named(holder.get("counters"), MAX_COUNTERS, dns_label, _any, f"{at}.counters")


def _device(device: Object, old: Object | None, per_device: bool, at: str) -> Errors:
    """`old`: the device of this name that was there before."""
    yield from dns_label(device.get("name") or "", f"{at}.name")
    attributes, capacity = device.get("attributes") or {}, device.get("capacity") or {}
    total = len(attributes) + len(capacity)
    if total > MAX_ATTRIBUTES:
        why = f"the total number of attributes and capacities must not exceed {MAX_ATTRIBUTES}"
        yield invalid_value(at, total, why)
    yield from each_named(attributes, None, qualified, _attribute, f"{at}.attributes", KEY_LENGTH)
    check = _shared_capacity if device.get("allowMultipleAllocations") else _capacity
    yield from each_named(capacity, None, qualified, check, f"{at}.capacity", KEY_LENGTH)
    if old is None or not same(old.get("taints"), device.get("taints")):
        yield from each(device.get("taints"), MAX_TAINTS, _taint, f"{at}.taints")
    consumed = device.get("consumesCounters")
    yield from each_once(consumed, MAX_CONSUMED_SETS, _consumption, f"{at}.consumesCounters", "counterSet")
    yield from _device_nodes(device, per_device, at)
    yield from binding_conditions(device, at)


def _attribute(attribute: Object, at: str) -> Errors:
    text, version = attribute.get("string"), attribute.get("version")
    if text is not None and len(text.encode()) > VALUE_LENGTH:
        yield too_long(f"{at}.string", VALUE_LENGTH)
    if version is not None:
        if not SEMVER.fullmatch(version):
            why = "must be a string compatible with semver.org spec 2.0.0"
            yield invalid_value(f"{at}.version", version, why)
        if len(version.encode()) > VALUE_LENGTH:
            yield too_long(f"{at}.version", VALUE_LENGTH)
    found = [name for name in VALUES if attribute.get(name) is not None]
    if not found:
        yield invalid_value(at, "", ONE_VALUE)
    elif len(found) > 1:
        yield invalid_value(at, internal(attribute, ATTRIBUTE), ONE_VALUE)


def _capacity(capacity: Object, at: str) -> Errors:
    if capacity.get("requestPolicy") is not None:
        yield forbidden_value(f"{at}.requestPolicy", "allowMultipleAllocations must be true")


def _shared_capacity(capacity: Object, at: str) -> Errors:
    policy, at = capacity.get("requestPolicy"), f"{at}.requestPolicy"
    if policy is None:
        return
    whole, values, span = Quantity(capacity.get("value") or 0), policy.get("validValues"), policy.get("validRange")
    if values and span is not None:
        both = 'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time'
        yield forbidden_value(at, both)
        return
    for name, given in (("validValues", values), ("validRange", span)):
        if (given or given == {}) and policy.get("default") is None:
            yield required(f"{at}.default", f"required when {name} is defined")
            return
    if values:
        yield from _values(Quantity(policy["default"]), whole, list(map(Quantity, values)), f"{at}.validValues")
    elif span is not None:
        yield from _range(Quantity(policy["default"]), whole, span, f"{at}.validRange")


def _values(default: Quantity, whole: Quantity, values: list[Quantity], at: str) -> Errors:
    for i in range(1, len(values)):
        if values[i - 1] > values[i]:
            yield invalid_value(f"{at}[{i}]", str(values[i]), "values must be sorted in ascending order")

    def option(value: Object, here: str) -> Errors:
        if value["is"] > whole:
            yield invalid_value(here, str(value["is"]), f"option is larger than capacity value: {whole}")

    options = [{"is": value, "whole": str(value.value)} for value in values]
    yield from each_once(options, MAX_VALUES, option, at, "whole")
    if len(values) > MAX_VALUES or default not in values:
        yield invalid_value(at, str(default), "default value is not valid according to the requestPolicy")


def _range(default: Quantity, whole: Quantity, span: Object, at: str) -> Errors:
    if span.get("min") is None:
        yield required(f"{at}.min", "required when validRange is defined")
        return
    low = Quantity(span["min"])
    high = None if span.get("max") is None else Quantity(span["max"])
    if low > whole:
        yield invalid_value(f"{at}.min", str(low), f"min is larger than capacity value: {whole}")
    if default < low:
        yield invalid_value(f"{at}.min", str(default), f"default is less than min: {low}")
    if high is not None:
        if low > high:
            yield invalid_value(f"{at}.max", str(low), f"min is larger than max: {high}")
        if high > whole:
            yield invalid_value(f"{at}.max", str(high), f"max is larger than capacity value: {whole}")
        if default > high:
            yield invalid_value(f"{at}.max", str(default), f"default is more than max: {high}")
    if span.get("step") is not None:
        step = Quantity(span["step"])
        if step <= Quantity(0):
            yield invalid_value(f"{at}.step", str(step), "must be greater than zero")
            return
        if low + step > whole:
            why = f"one step {low + step} is larger than capacity value: {whole}"
            yield invalid_value(f"{at}.step", str(step), why)
        for value in (default, high):
            if value is not None and step.value and (value.value - low.value) % step.value:
                why = f"value is not a multiple of a given step ({step}) from ({low})"
                yield invalid_value(f"{at}.step", str(value), why)


def _taint(taint: Object, at: str) -> Errors:
    key, value, effect = (taint.get(name) or "" for name in ("key", "value", "effect"))
    yield from invalids(f"{at}.key", key, qualified_name(key))
    if value:
        yield from invalids(f"{at}.value", value, label_value(value))
    if not effect:
        yield required(f"{at}.effect")
    elif effect not in EFFECTS:
        yield not_supported(f"{at}.effect", effect, EFFECTS)


def _consumption(consumption: Object, at: str) -> Errors:
    if not consumption.get("counterSet"):
        yield required(f"{at}.counterSet")
    else:
        yield from dns_label(consumption["counterSet"], f"{at}.counterSet")
    yield from _counters(consumption, at)


def _device_nodes(device: Object, per_device: bool, at: str) -> Errors:
    node, selector, everywhere = (device.get(name) for name in ("nodeName", "nodeSelector", "allNodes"))
    if not per_device:
        if node is not None or selector is not None or everywhere is not None:
            yield invalid_value(at, None, NOT_PER_DEVICE)
        return
    found = []
    if node == "":
        yield invalid_value(f"{at}.nodeName", node, "must not be empty")
    elif node is not None:
        found.append("`nodeName`")
        yield from invalids(f"{at}.nodeName", node, subdomain(node))
    if selector is not None:
        found.append("`nodeSelector`")
        yield from node_selector(selector, f"{at}.nodeSelector")
    if everywhere:
        found.append("`allNodes`")
    elif everywhere is not None:
        yield invalid_value(f"{at}.allNodes", everywhere, "must be either unset or set to true")
    if not found:
        yield required(at, WHERE_DEVICE)
    elif len(found) > 1:
        yield invalid_value(at, f"{{{', '.join(found)}}}", WHERE_DEVICE)
