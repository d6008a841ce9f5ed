"""What can be wrong with a Node, and what may change in one.

Paths and wording, odd ones included, are those of pkg/apis/core/validation (ValidateNode, ValidateNodeUpdate).
"""

import json
import re

from kubrick_api import addresses
from kubrick_api.errors import FieldError, duplicate, forbidden_value, invalid_value, not_supported, required
from kubrick_api.resource import Object
from kubrick_api.validation import label_value, name_is_dns_label, name_is_dns_subdomain, qualified_name
from kubrick_api_core.internal import ADDRESS, CONFIG_SOURCE, TAINT, internal
from kubrick_api_core.placement_validation import EFFECTS
from kubrick_api_core.resource_validation import amount
from kubrick_api_core.rules import config_map_key

Errors = list[FieldError]

TAINTS_ANNOTATION = "scheduler.alpha.kubernetes.io/taints"
CIDR_FIXED = 'node updates may not change podCIDR except from "" to valid'
PROVIDER_FIXED = 'node updates may not change providerID except from "" to valid'
ONE_REFERENCE = "exactly one reference subfield must be non-nil"
is_feature_name = re.compile(r"[A-Z][A-Za-z0-9]*(/[A-Za-z0-9]+)*").fullmatch
FEATURE = (
    "must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or "
    "MyFeature/mySubFeature), and contain only alphanumeric characters and slashes"
)


def validate_node(node: Object) -> Errors:
    errors: Errors = []
    spec, status = node.get("spec") or {}, node.get("status") or {}
    _annotations((node.get("metadata") or {}).get("annotations") or {}, errors)
    _taints(spec.get("taints") or [], "metadata.taints", errors)
    _amounts(status, errors)
    swap = ((status.get("nodeInfo") or {}).get("swap") or {}).get("capacity")
    if swap is not None and swap <= 0:
        errors.append(invalid_value("metadata.nodeSwapStatus.capacity", swap, "must be greater than zero"))
    _features(status.get("declaredFeatures") or [], errors)
    cidrs = spec.get("podCIDRs") or []
    for i, cidr in enumerate(cidrs):
        errors += addresses.check_cidr(cidr, f"spec.podCIDRs[{i}]")
    families = [addresses.family(cidr.partition("/")[0]) for cidr in cidrs]
    if len(cidrs) > 1 and (len(cidrs) > 2 or not addresses.dual_stack(families)):
        why = "may specify no more than one CIDR for each IP family"
        errors.append(invalid_value("spec.podCIDRs", cidrs, why))
    return errors


def _annotations(annotations: Object, errors: Errors) -> None:
    text = annotations.get(TAINTS_ANNOTATION)
    if not text:
        return
    try:
        taints = json.loads(text)
    except ValueError as error:
        errors.append(invalid_value("metadata.annotations", TAINTS_ANNOTATION, str(error)))
        return
    if isinstance(taints, list) and all(isinstance(each, dict) for each in taints):
        _taints(taints, f"metadata.annotations.{TAINTS_ANNOTATION}", errors)


def _taints(taints: list[Object], path: str, errors: Errors) -> None:
    seen: set[tuple[str, str]] = set()
    for i, taint in enumerate(taints):
        at = f"{path}[{i}]"
        key, effect, value = taint.get("key") or "", taint.get("effect") or "", taint.get("value") or ""
        errors += [invalid_value(f"{at}.key", key, why) for why in qualified_name(key)]
        if wrong := label_value(value):
            errors.append(invalid_value(f"{at}.value", value, ";".join(wrong)))
        if not effect:
            errors.append(required(f"{at}.effect"))
        elif effect not in EFFECTS:
            errors.append(not_supported(f"{at}.effect", effect, EFFECTS))
        if (key, effect) in seen:
            errors.append(duplicate(at, internal(taint, TAINT), "taints must be unique by key and effect pair"))
        seen.add((key, effect))


def _amounts(status: Object, errors: Errors) -> None:
    for kind in ("capacity", "allocatable"):
        for name, value in (status.get(kind) or {}).items():
            errors += amount(name, value, f"status.{kind}.{name}")


def _features(features: list[str], errors: Errors) -> None:
    for i, feature in enumerate(features):
        at = f"status.declaredFeatures[{i}]"
        if i and feature == features[i - 1]:
            errors.append(duplicate(at, feature))
        elif i and feature < features[i - 1]:
            errors.append(invalid_value(at, feature, "list must be sorted alphabetically"))
        shown = json.dumps(feature, ensure_ascii=False)
        if len(feature) > 253:
            why = f"invalid feature name {shown}: must be no more than 253 characters"
            errors.append(invalid_value(at, feature, why))
        elif not is_feature_name(feature):
            errors.append(invalid_value(at, feature, f"invalid feature name {shown}: {FEATURE}"))


def validate_node_update(node: Object, old: Object) -> Errors:
    """Update and status update alike: what is valid, and that what identifies the node stays."""
    errors: Errors = []
    spec, before, status = node.get("spec") or {}, old.get("spec") or {}, node.get("status") or {}
    _annotations((node.get("metadata") or {}).get("annotations") or {}, errors)
    _amounts(status, errors)
    _features(status.get("declaredFeatures") or [], errors)
    known: set[tuple[str, str]] = set()
    for i, address in enumerate(status.get("addresses") or ()):
        key = (address.get("type") or "", address.get("address") or "")
        if key in known:
            errors.append(duplicate(f"status.addresses[{i}]", internal(address, ADDRESS)))
        known.add(key)
    cidrs, had = spec.get("podCIDRs") or [], before.get("podCIDRs") or []
    if had and len(cidrs) != len(had):
        errors.append(forbidden_value("spec.podCIDRs", CIDR_FIXED))
    elif had:
        changed = sum(one != was for one, was in zip(cidrs, had, strict=True))
        errors += [forbidden_value("spec.podCIDRs", CIDR_FIXED)] * changed
    if before.get("providerID") and spec.get("providerID") != before["providerID"]:
        errors.append(forbidden_value("spec.providerID", PROVIDER_FIXED))
    if (source := spec.get("configSource")) is not None:
        _config_source(source, "spec.configSource", errors, stored=False)
    for name in ("assigned", "active", "lastKnownGood"):
        if (source := (status.get("config") or {}).get(name)) is not None:
            _config_source(source, f"status.config.{name}", errors, stored=True)
    _taints(spec.get("taints") or [], "metadata.taints", errors)
    if (spec.get("externalID") or "") != (before.get("externalID") or ""):
        errors.append(forbidden_value("spec.externalID", "may not be updated"))
    return errors


def _config_source(source: Object, path: str, errors: Errors, *, stored: bool) -> None:
    """A reference to a ConfigMap; in the status it says which one it was."""
    reference, at = source.get("configMap"), f"{path}.configMap"
    if reference is None:
        errors.append(invalid_value(path, internal(source, CONFIG_SOURCE), ONE_REFERENCE))
        return
    for name in ("uid", "resourceVersion"):
        if stored and not reference.get(name):
            errors.append(required(f"{at}.{name}"))
        elif not stored and reference.get(name):
            errors.append(forbidden_value(f"{at}.{name}", f"{name} must not be set in spec"))
    rules = (("namespace", name_is_dns_label), ("name", name_is_dns_subdomain), ("kubeletConfigKey", config_map_key))
    for name, rule in rules:
        text = reference.get(name) or ""
        if not text:
            errors.append(required(f"{at}.{name}"))
        else:
            errors += [invalid_value(f"{at}.{name}", text, why) for why in rule(text)]


def node_warnings(node: Object) -> list[str]:
    spec, warnings = node.get("spec") or {}, []
    if spec.get("configSource") is not None:
        warnings.append("spec.configSource: the feature is no longer supported")
    if spec.get("externalID"):
        warnings.append("spec.externalID: this field is deprecated, and is unused by Kubernetes")
    for i, cidr in enumerate(spec.get("podCIDRs") or ()):
        warnings += addresses.cidr_spelling_warnings(cidr, f"spec.podCIDRs[{i}]")
    return warnings
