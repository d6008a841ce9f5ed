"""What can be wrong with a Service. Paths, order and wording are those of pkg/apis/core/validation."""

from collections.abc import Sequence

from kubrick_api import addresses
from kubrick_api.errors import (
    FieldError,
    duplicate,
    forbidden_value,
    invalid_value,
    not_supported,
    required,
)
from kubrick_api.resource import Object
from kubrick_api.validation import label, qualified_name, subdomain
from kubrick_api.validation import labels as validate_labels
from kubrick_api_core.internal import SERVICE_PORT, internal
from kubrick_api_core.rules import port_in_range, port_number_or_name
from kubrick_api_core.rules import protocol as check_protocol
from kubrick_api_core.service_defaults import HEADLESS, WITH_CLUSTER_IP, WITH_NODE_PORTS, needs_health_port, reachable

Errors = list[FieldError]

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
POLICIES = ("Cluster", "Local")
FAMILIES = ("IPv4", "IPv6")
FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
HINTS, TOPOLOGY_MODE = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
BALANCED_ONLY = "may only be used when `type` is 'LoadBalancer'"
UNCHANGING = "may not change once set"
DAY = 86400


def validate_service(service: Object, old: Object | None = None) -> Errors:
    """`old` is the service it replaces: addresses it had may stay however they are spelt."""
    errors: Errors = []
    spec, before = service.get("spec") or {}, (old or {}).get("spec") or {}
    annotations = (service.get("metadata") or {}).get("annotations") or {}
    _annotations(annotations, errors)
    ports, kind, headless = spec.get("ports") or [], spec.get("type") or "", is_headless(spec)
    if not ports and not headless and kind != "ExternalName":
        errors.append(required("spec.ports"))
    _type(spec, kind, headless, errors)
    _ports(ports, errors)
    if spec.get("selector"):
        errors += validate_labels(spec["selector"], "spec.selector")
    _session_affinity(spec, errors)
    errors += cluster_ip_fields(spec, before)
    known = before.get("externalIPs") or ()
    for i, ip in enumerate(spec.get("externalIPs") or ()):
        at = f"spec.externalIPs[{i}]"
        errors += addresses.check(ip, at, known) or endpoint_ip(ip, at)
    if not kind:
        errors.append(required("spec.type"))
    elif kind not in TYPES:
        errors.append(not_supported("spec.type", kind, TYPES))
    _numbers(ports, kind, errors)
    _source_ranges(spec, before, annotations, old, errors)
    if spec.get("allocateLoadBalancerNodePorts") is not None and kind != "LoadBalancer":
        errors.append(forbidden_value("spec.allocateLoadBalancerNodePorts", BALANCED_ONLY))
    if spec.get("allocateLoadBalancerNodePorts") is None and kind == "LoadBalancer":
        errors.append(required("allocateLoadBalancerNodePorts"))
    _load_balancer_class(spec, errors)
    _traffic(spec, kind, errors)
    return errors


def is_headless(spec: Object) -> bool:
    return (spec.get("clusterIPs") or ()) == [HEADLESS]


def _annotations(annotations: Object, errors: Errors) -> None:
    if HINTS in annotations and TOPOLOGY_MODE in annotations and annotations[HINTS] != annotations[TOPOLOGY_MODE]:
        why = f"must match annotations[{HINTS}] when both are specified"
        at = f"metadata.annotations[{TOPOLOGY_MODE}]"
        errors.append(invalid_value(at, annotations[TOPOLOGY_MODE], why))


def _type(spec: Object, kind: str, headless: bool, errors: Errors) -> None:
    if kind in WITH_NODE_PORTS and headless:
        why = f"may not be set to 'None' for {kind} services"
        errors.append(invalid_value("spec.clusterIPs[0]", HEADLESS, why))
    if kind != "ExternalName":
        return
    for name in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if spec.get(name):
            errors.append(forbidden_value(f"spec.{name}", "may not be set for ExternalName services"))
    name = (spec.get("externalName") or "").removesuffix(".")
    if not name:
        errors.append(required("spec.externalName"))
    else:
        errors += [invalid_value("spec.externalName", name, why) for why in subdomain(name)]


def _ports(ports: list[Object], errors: Errors) -> None:
    names: set[str] = set()
    for i, port in enumerate(ports):
        at, name = f"spec.ports[{i}]", port.get("name") or ""
        if name:
            errors += [invalid_value(f"{at}.name", name, why) for why in label(name)]
            if name in names:
                errors.append(duplicate(f"{at}.name", name))
            names.add(name)
        elif len(ports) > 1:
            errors.append(required(f"{at}.name"))
        errors += port_in_range(port.get("port") or 0, f"{at}.port")
        errors += check_protocol(port.get("protocol"), f"{at}.protocol")
        errors += port_number_or_name(port.get("targetPort"), f"{at}.targetPort")
        if (application := port.get("appProtocol")) is not None:
            errors += [invalid_value(f"{at}.appProtocol", application, why) for why in qualified_name(application)]


def _numbers(ports: list[Object], kind: str, errors: Errors) -> None:
    """Node ports where they belong, and no port twice."""
    if kind == "ClusterIP":
        errors += [
            forbidden_value(f"spec.ports[{i}].nodePort", "may not be used when `type` is 'ClusterIP'")
            for i, port in enumerate(ports)
            if port.get("nodePort")
        ]
    nodes: set[tuple[str, int]] = set()
    for i, port in enumerate(ports):
        if number := port.get("nodePort"):
            key = (port.get("protocol") or "", number)
            if key in nodes:
                errors.append(duplicate(f"spec.ports[{i}].nodePort", number))
            nodes.add(key)
    seen: set[tuple[str, int]] = set()
    for i, port in enumerate(ports):
        key = (port.get("protocol") or "", port.get("port") or 0)
        if key in seen:
            shown = internal({"protocol": key[0], "port": key[1]}, SERVICE_PORT)
            errors.append(duplicate(f"spec.ports[{i}]", shown))
        seen.add(key)


def _session_affinity(spec: Object, errors: Errors) -> None:
    affinity, config = spec.get("sessionAffinity") or "", spec.get("sessionAffinityConfig")
    at = "spec.sessionAffinityConfig"
    if not affinity:
        errors.append(required("spec.sessionAffinity"))
    elif affinity not in ("ClientIP", "None"):
        errors.append(not_supported("spec.sessionAffinity", affinity, ("ClientIP", "None")))
    if affinity == "ClientIP":
        why = "when session affinity type is ClientIP"
        client = (config or {}).get("clientIP")
        seconds = (client or {}).get("timeoutSeconds")
        if config is None:
            errors.append(required(at, why))
        elif client is None:
            errors.append(required(f"{at}.clientIP", why))
        elif seconds is None:
            errors.append(required(f"{at}.clientIP.timeoutSeconds", why))
        elif not 0 < seconds <= DAY:
            why = f"must be greater than 0 and less than {DAY}"
            errors.append(invalid_value(f"{at}.clientIP.timeoutSeconds", seconds, why))
    elif affinity == "None" and config is not None:
        errors.append(forbidden_value(at, "must not be set when session affinity is None"))


def cluster_ip_fields(spec: Object, before: Object) -> Errors:
    """clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy, as far as they can be judged without a cluster."""
    if spec.get("type") == "ExternalName":
        return []
    errors: Errors = []
    one, many, families = spec.get("clusterIP") or "", spec.get("clusterIPs") or [], spec.get("ipFamilies") or []
    at = "spec.clusterIPs"
    if one and not many:
        errors.append(required(at))
    elif one and many[0] != one:
        errors.append(invalid_value(at, many, "first value must match `clusterIP`"))
    elif many and not one:
        errors.append(invalid_value(at, many, "must be empty when `clusterIP` is not specified"))
    for i, family in enumerate(families):
        if family not in FAMILIES:
            errors.append(not_supported(f"spec.ipFamilies[{i}]", family, FAMILIES))
        if family in families[:i]:
            errors.append(duplicate(f"spec.ipFamilies[{i}]", family))
    policy = spec.get("ipFamilyPolicy")
    if policy is not None and policy not in FAMILY_POLICIES:
        errors.append(not_supported("spec.ipFamilyPolicy", policy, FAMILY_POLICIES))
    known, broken = before.get("clusterIPs") or (), False
    for i, ip in enumerate(many):
        if i == 0 and ip == HEADLESS:
            wrong = [invalid_value(at, many, "'None' must be the first and only value")] if len(many) > 1 else []
        else:
            wrong = addresses.check(ip, f"{at}[{i}]", known)
        broken |= bool(wrong)
        errors += wrong
    if len(many) > 2:
        errors.append(invalid_value(at, many, "may only hold up to 2 values"))
    if broken:
        return errors
    found = [addresses.family(ip) for ip in many]
    if len(many) > 1 and not addresses.dual_stack(found):
        errors.append(invalid_value(at, many, "may specify no more than one IP for each IP family"))
    if not is_headless(spec):
        for i, (family, wanted) in enumerate(zip(found, families, strict=False)):
            if wanted in FAMILIES and family != wanted:
                why = f"expected an {wanted} value as indicated by `ipFamilies[{i}]`"
                errors.append(invalid_value(f"{at}[{i}]", many[i], why))
    return errors


def endpoint_ip(text: str, at: str) -> Errors:
    """An address something can be behind: not this machine's own, not link-local."""
    address = addresses.parse(text)
    if address is None:
        return [invalid_value(at, text, "must be a valid IP address")]
    why = []
    if address.is_unspecified:
        why.append(f"may not be unspecified ({text})")
    if address.is_loopback:
        why.append("may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if address.is_link_local:
        why.append("may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    packed = address.packed
    if packed[:3] == b"\xe0\x00\x00" if address.version == 4 else packed[0] == 0xFF and packed[1] & 0x0F == 2:
        why.append("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
    return [invalid_value(at, text, each) for each in why]


def _source_ranges(spec: Object, before: Object, annotations: Object, old: Object | None, errors: Errors) -> None:
    balanced = spec.get("type") == "LoadBalancer"
    if ranges := spec.get("loadBalancerSourceRanges"):
        at = "spec.LoadBalancerSourceRanges"
        if not balanced:
            errors.append(forbidden_value(at, BALANCED_ONLY))
        known = [text.strip() for text in before.get("loadBalancerSourceRanges") or ()]
        for i, text in enumerate(ranges):
            errors += addresses.check_cidr(text.strip(), f"{at}[{i}]", known)
    elif SOURCE_RANGES in annotations:
        at, text = f"metadata.annotations[{SOURCE_RANGES}]", annotations[SOURCE_RANGES]
        if not balanced:
            errors.append(forbidden_value(at, BALANCED_ONLY))
        earlier = ((old or {}).get("metadata") or {}).get("annotations") or {}
        if earlier.get(SOURCE_RANGES) != text and text.strip():
            for each in text.strip().split(","):
                errors += addresses.check_cidr(each.strip(), at)


def _load_balancer_class(spec: Object, errors: Errors) -> None:
    name = spec.get("loadBalancerClass")
    if name is None:
        return
    if spec.get("type") != "LoadBalancer":
        errors.append(forbidden_value("spec.loadBalancerClass", BALANCED_ONLY))
    else:
        errors += [invalid_value("spec.loadBalancerClass", name, why) for why in qualified_name(name)]


def _traffic(spec: Object, kind: str, errors: Errors) -> None:
    external, internal_policy = spec.get("externalTrafficPolicy") or "", spec.get("internalTrafficPolicy")
    at = "spec.externalTrafficPolicy"
    if not reachable(spec):
        if external:
            errors.append(invalid_value(at, external, "may only be set for externally-accessible services"))
    elif not external:
        errors.append(required(at))
    elif external not in POLICIES:
        errors.append(not_supported(at, external, POLICIES))
    health, at = spec.get("healthCheckNodePort") or 0, "spec.healthCheckNodePort"
    if needs_health_port(spec):
        errors += port_in_range(health, at) if health else [required(at)]
    elif health:
        why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        errors.append(invalid_value(at, health, why))
    if internal_policy is None and kind in WITH_CLUSTER_IP:
        errors.append(required("spec.internalTrafficPolicy"))
    elif internal_policy is not None and internal_policy not in POLICIES:
        errors.append(not_supported("spec.internalTrafficPolicy", internal_policy, POLICIES))
    distribution = spec.get("trafficDistribution")
    if distribution is not None and distribution not in DISTRIBUTIONS:
        errors.append(not_supported("spec.trafficDistribution", distribution, DISTRIBUTIONS))


# Updates


def validate_service_update(service: Object, old: Object) -> Errors:
    """What may not change, then everything wrong with the new service."""
    errors: Errors = []
    spec, before = service.get("spec") or {}, old.get("spec") or {}
    if "ExternalName" not in (spec.get("type"), before.get("type")):
        _addresses_update(spec, before, errors)
        _families_update(spec, before, errors)
    if spec.get("type") == before.get("type") == "LoadBalancer":
        name = spec.get("loadBalancerClass")
        if name != before.get("loadBalancerClass"):
            errors.append(invalid_value("spec.loadBalancerClass", name, UNCHANGING))
    _load_balancer_class(spec, errors)
    both = needs_health_port(spec) and needs_health_port(before)
    if both and (spec.get("healthCheckNodePort") or 0) != (before.get("healthCheckNodePort") or 0):
        errors.append(forbidden_value("spec.healthCheckNodePort", "field is immutable"))
    return errors + validate_service(service, old)


def _addresses_update(spec: Object, before: Object, errors: Errors) -> None:
    new, old = spec.get("clusterIPs") or [], before.get("clusterIPs") or []
    if is_headless(spec) and is_headless(before):
        return
    shown = new or None
    if len(new) == len(old):
        for i, (ip, was) in enumerate(zip(new, old, strict=True)):
            if ip != was:
                errors.append(invalid_value(f"spec.clusterIPs[{i}]", shown, UNCHANGING))
        return
    if len(new) < len(old) and not new:
        errors.append(invalid_value("spec.clusterIPs[0]", shown, "primary clusterIP can not be unset"))
    if new and old and new[0] != old[0]:
        errors.append(invalid_value("spec.clusterIPs[0]", shown, UNCHANGING))
    if len(new) < len(old) and len(new) == 1 and spec.get("ipFamilyPolicy") != "SingleStack":
        why = "must be set to 'SingleStack' when releasing the secondary clusterIP"
        errors.append(invalid_value("spec.ipFamilyPolicy", spec.get("ipFamilyPolicy"), why))


def _families_update(spec: Object, before: Object, errors: Errors) -> None:
    if is_headless(spec) or is_headless(before):
        return
    new, old = spec.get("ipFamilies") or [], before.get("ipFamilies") or []
    ips: Sequence[str] | None = spec.get("clusterIPs") or None
    at = "spec.ipFamilies[0]"
    if len(new) == len(old):
        errors += [invalid_value(at, new, UNCHANGING) for one, was in zip(new, old, strict=True) if one != was]
        return
    if len(new) < len(old) and not ips:
        errors.append(invalid_value(at, new or None, "primary ipFamily can not be unset"))
    if new and old and new[0] != old[0]:
        errors.append(invalid_value(at, ips, UNCHANGING))
    if len(new) < len(old) and len(new) == 1 and spec.get("ipFamilyPolicy") != "SingleStack":
        why = "must be set to 'SingleStack' when releasing the secondary ipFamily"
        errors.append(invalid_value("spec.ipFamilyPolicy", spec.get("ipFamilyPolicy"), why))


def validate_service_status_update(service: Object, old: Object) -> Errors:
    """The load balancer's addresses."""
    errors: Errors = []
    ingress = _ingress(service)
    if (service.get("spec") or {}).get("type") != "LoadBalancer":
        if ingress:
            why = "may only be used when `spec.type` is 'LoadBalancer'"
            errors.append(forbidden_value("status.loadBalancer.ingress", why))
        return errors
    known = [entry["ip"] for entry in _ingress(old) if entry.get("ip")]
    for i, entry in enumerate(ingress):
        _ingress_entry(entry, f"status.loadBalancer.ingress[{i}]", known, errors)
    return errors


def _ingress(service: Object) -> list[Object]:
    return ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []


def _ingress_entry(entry: Object, at: str, known: Sequence[str], errors: Errors) -> None:
    ip, mode, name = entry.get("ip") or "", entry.get("ipMode"), entry.get("hostname") or ""
    if ip:
        errors += addresses.check(ip, f"{at}.ip", known)
    if mode is None:
        if ip:
            errors.append(required(f"{at}.ipMode", "must be specified when `ip` is set"))
    elif not ip:
        errors.append(forbidden_value(f"{at}.ipMode", "may not be specified when `ip` is not set"))
    elif mode not in ("Proxy", "VIP"):
        errors.append(not_supported(f"{at}.ipMode", mode, ("Proxy", "VIP")))
    if name:
        errors += [invalid_value(f"{at}.hostname", name, why) for why in subdomain(name)]
        if addresses.parse(name) is not None:
            errors.append(invalid_value(f"{at}.hostname", name, "must be a DNS name, not an IP address"))


def service_warnings(service: Object) -> list[str]:
    """From pkg/api/service/warnings.go."""
    spec, annotations = service.get("spec") or {}, (service.get("metadata") or {}).get("annotations") or {}
    kind, external, warnings = spec.get("type"), spec.get("externalIPs") or [], []
    headless = kind == "ClusterIP" and spec.get("clusterIP") == HEADLESS
    if HINTS in annotations:
        warnings.append(f"annotation {HINTS} is deprecated, please use {TOPOLOGY_MODE} instead")
    if spec.get("clusterIP") not in (None, "", HEADLESS):
        for i, ip in enumerate(spec.get("clusterIPs") or ()):
            warnings += addresses.spelling_warnings(ip, f"spec.clusterIPs[{i}]")
    if headless:
        ignored = (("loadBalancerIP", spec.get("loadBalancerIP")), ("externalIPs", external))
        warnings += [f"spec.{name} is ignored for headless services" for name, value in ignored if value]
        if spec.get("sessionAffinity") != "None":
            warnings.append("spec.SessionAffinity is ignored for headless services")
    for i, ip in enumerate(external):
        warnings += addresses.spelling_warnings(ip, f"spec.externalIPs[{i}]")
    if external and not headless and kind != "ExternalName":
        warnings.append("spec.externalIPs is deprecated and may no longer be implemented in some clusters")
    if ip := spec.get("loadBalancerIP"):
        warnings += addresses.spelling_warnings(ip, "spec.loadBalancerIP")
    for i, text in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        warnings += addresses.cidr_spelling_warnings(text, f"spec.loadBalancerSourceRanges[{i}]")
    if kind == "ExternalName" and external:
        warnings.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
    if kind != "ExternalName" and spec.get("externalName"):
        warnings.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    if spec.get("trafficDistribution") == "PreferClose":
        warnings.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    return warnings
