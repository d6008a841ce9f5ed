"""Which IP families a service has.

Decided before anything is allocated, from what its author says, what it had, and what the cluster has: its
configured families, the first of which is the default. From initIPFamilyFields in
pkg/registry/core/service/storage/alloc.go.
"""

from collections.abc import Sequence

from kubrick_api import addresses
from kubrick_api.errors import FieldError, invalid_value
from kubrick_api.resource import Object
from kubrick_api_core.service_defaults import HEADLESS
from kubrick_api_core.service_validation import cluster_ip_fields

SINGLE, PREFER, REQUIRE = "SingleStack", "PreferDualStack", "RequireDualStack"
OTHER = {"IPv4": "IPv6", "IPv6": "IPv4"}
POLICY = "spec.ipFamilyPolicy"


def keeps_preference(spec: Object, before: Object) -> bool:
    """A PreferDualStack service whose addresses stay is left alone, whatever the cluster has become."""
    return (
        spec.get("ipFamilyPolicy") == before.get("ipFamilyPolicy") == PREFER
        and (spec.get("clusterIPs") or []) == (before.get("clusterIPs") or [])
        and (spec.get("ipFamilies") or []) == (before.get("ipFamilies") or [])
    )


def settle_families(spec: Object, before: Object, families: Sequence[str]) -> list[FieldError]:
    """Fill in ipFamilies and ipFamilyPolicy of `spec`. `before` is the old spec, {} for a new service. Errors: the
    service can't be had."""
    if spec.get("type") == "ExternalName" or keeps_preference(spec, before):
        return []
    selectorless = spec.get("clusterIP") == HEADLESS and not spec.get("selector")
    if spec.get("ipFamilyPolicy") is None:
        default = REQUIRE if selectorless else SINGLE
        spec["ipFamilyPolicy"] = before.get("ipFamilyPolicy") or default
    if errors := cluster_ip_fields(spec, before):
        return errors
    policy = spec["ipFamilyPolicy"]
    if errors := _shrink(spec, before) if before else []:
        return errors
    errors = _policy_fits(spec) + _infer(spec, families)
    if errors:
        return errors
    if selectorless:
        own = spec["ipFamilies"] = list(spec.get("ipFamilies") or [families[0]])
        if len(own) < 2 and policy != SINGLE:
            own.append(OTHER[own[0]])
        return []
    if policy == REQUIRE and len(families) < 2:
        why = "this cluster is not configured for dual-stack services"
        errors.append(invalid_value(POLICY, policy, why))
    for i, family in enumerate(spec.get("ipFamilies") or ()):
        if family not in families:
            errors.append(invalid_value(f"spec.ipFamilies[{i}]", family, "not configured on this cluster"))
    if errors:
        return errors
    own = spec["ipFamilies"] = list(spec.get("ipFamilies") or [families[0]])
    if policy != SINGLE and len(own) == 1 and len(families) == 2:
        own.append(OTHER[own[0]])
    return []


def _shrink(spec: Object, before: Object) -> list[FieldError]:
    """An update to SingleStack lets the second address and family go; no other may."""
    policy, errors = spec["ipFamilyPolicy"], []
    for name, what in (("clusterIPs", "cluster IP"), ("ipFamilies", "IP family")):
        new, old = spec.get(name) or [], before.get(name) or []
        if policy == SINGLE:
            if new == old and len(new) > 1:
                spec[name] = new[:1]
        elif len(old) == 2 and len(new) == 1 and new[0] == old[0]:
            why = f"must be 'SingleStack' to release the secondary {what}"
            errors.append(invalid_value(POLICY, policy, why))
    return errors


def _policy_fits(spec: Object) -> list[FieldError]:
    if spec["ipFamilyPolicy"] != SINGLE:
        return []
    return [
        invalid_value(
            POLICY, SINGLE, f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified"
        )
        for name, what in (("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families"))
        if len(spec.get(name) or ()) == 2
    ]


def _infer(spec: Object, families: Sequence[str]) -> list[FieldError]:
    """Families of addresses that were given without."""
    errors: list[FieldError] = []
    ips = spec.get("clusterIPs") or []
    own = list(spec.get("ipFamilies") or [])
    for i, ip in enumerate(ips):
        if ip == HEADLESS:
            break
        if i < len(own):
            continue
        family = addresses.family(ip)
        if family in families:
            own.append(family)
        else:
            errors.append(invalid_value(f"spec.clusterIPs[{i}]", ips, f"{family} is not configured on this cluster"))
    if own:
        spec["ipFamilies"] = own
    return errors
