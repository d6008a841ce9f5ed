"""What can be wrong with a pod, or a template of pods.

The parts are in `container_validation`, `volume_validation` and `placement_validation`; what an update
may not do is in `pod_update`. Paths and wording are those of pkg/apis/core/validation.
"""

import ipaddress
from collections.abc import Callable, Iterator

from kubrick_api.errors import FieldError, duplicate, forbidden_value, invalid_value, not_supported, required
from kubrick_api.resource import Object
from kubrick_api.validation import annotations as validate_annotations
from kubrick_api.validation import labels as validate_labels
from kubrick_api.validation import name_is_dns_label, name_is_dns_subdomain, qualified_name
from kubrick_api_core.container_validation import MAX_USER, validate_containers
from kubrick_api_core.placement_validation import validate_placement
from kubrick_api_core.volume_validation import validate_volumes

Errors = Iterator[FieldError]

RESTART_POLICIES = ("Always", "OnFailure", "Never")
DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
MAX_INT32 = 2**31 - 1


def validate_pod(pod: Object) -> Errors:
    """A Pod, metadata aside."""
    yield from validate_pod_spec(pod.get("spec") or {}, "spec")


def validate_pod_template(template: Object, path: str) -> Errors:
    """A PodTemplateSpec."""
    metadata = template.get("metadata") or {}
    yield from validate_labels(metadata.get("labels") or {}, f"{path}.metadata.labels")
    yield from validate_annotations(metadata.get("annotations") or {}, f"{path}.metadata.annotations")
    spec = template.get("spec") or {}
    yield from validate_pod_spec(spec, f"{path}.spec", template=True)
    if spec.get("ephemeralContainers"):
        yield forbidden_value(f"{path}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template")


def validate_pod_spec(spec: Object, path: str, *, template: bool = False) -> Errors:
    volumes = spec.get("volumes") or []
    yield from validate_volumes(volumes, f"{path}.volumes")
    by_name = {volume.get("name") or "": volume for volume in volumes}
    yield from validate_containers(spec, by_name, path, template=template)
    yield from _policies(spec, path)
    yield from _names(spec, path)
    yield from _security(spec, path)
    yield from validate_placement(spec, path)
    yield from _dns(spec, path)
    for i, gate in enumerate(spec.get("readinessGates") or ()):
        for message in qualified_name(gate.get("conditionType") or ""):
            yield invalid_value(f"{path}.readinessGates[{i}].conditionType", gate.get("conditionType") or "", message)


def _policies(spec: Object, path: str) -> Errors:
    restart, dns = spec.get("restartPolicy"), spec.get("dnsPolicy")
    if not restart:
        yield required(f"{path}.restartPolicy")
    elif restart not in RESTART_POLICIES:
        yield not_supported(f"{path}.restartPolicy", restart, RESTART_POLICIES)
    if not dns:
        yield required(f"{path}.dnsPolicy")
    elif dns not in DNS_POLICIES:
        yield not_supported(f"{path}.dnsPolicy", dns, DNS_POLICIES)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= MAX_INT32:
        yield invalid_value(f"{path}.activeDeadlineSeconds", deadline, f"must be between 1 and {MAX_INT32}, inclusive")
    if spec.get("preemptionPolicy") not in (None, "", "PreemptLowerPriority", "Never"):
        yield not_supported(f"{path}.preemptionPolicy", spec["preemptionPolicy"], ("PreemptLowerPriority", "Never"))
    if (system := (spec.get("os") or {}).get("name")) not in (None, "linux", "windows"):
        yield not_supported(f"{path}.os.name", system, ("linux", "windows"))


def _names(spec: Object, path: str) -> Errors:
    checks: tuple[tuple[str, Callable[[str], list[str]]], ...] = (
        ("serviceAccountName", name_is_dns_subdomain),
        ("nodeName", name_is_dns_subdomain),
        ("schedulerName", qualified_name),
        ("priorityClassName", name_is_dns_subdomain),
        ("runtimeClassName", name_is_dns_subdomain),
        ("hostname", name_is_dns_label),
        ("subdomain", name_is_dns_label),
    )
    for name, check in checks:
        if text := spec.get(name):
            for message in check(text):
                yield invalid_value(f"{path}.{name}", text, message)
    for i, secret in enumerate(spec.get("imagePullSecrets") or ()):
        if not secret.get("name"):
            yield required(f"{path}.imagePullSecrets[{i}].name")
    for i, alias in enumerate(spec.get("hostAliases") or ()):
        yield from ip_address(alias.get("ip") or "", f"{path}.hostAliases[{i}].ip")
        for j, hostname in enumerate(alias.get("hostnames") or ()):
            for message in name_is_dns_subdomain(hostname, False):
                yield invalid_value(f"{path}.hostAliases[{i}].hostnames[{j}]", hostname, message)


def ip_address(text: str, path: str) -> Errors:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        yield invalid_value(path, text, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")


def _security(spec: Object, path: str) -> Errors:
    context, at = spec.get("securityContext") or {}, f"{path}.securityContext"
    for name in ("runAsUser", "runAsGroup", "fsGroup"):
        value = context.get(name)
        if value is not None and not 0 <= value <= MAX_USER:
            yield invalid_value(f"{at}.{name}", value, f"must be between 0 and {MAX_USER}, inclusive")
    for i, group in enumerate(context.get("supplementalGroups") or ()):
        if not 0 <= group <= MAX_USER:
            yield invalid_value(f"{at}.supplementalGroups[{i}]", group, f"must be between 0 and {MAX_USER}, inclusive")
    if context.get("fsGroupChangePolicy") not in (None, "OnRootMismatch", "Always"):
        yield not_supported(f"{at}.fsGroupChangePolicy", context["fsGroupChangePolicy"], ("Always", "OnRootMismatch"))
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        yield invalid_value(
            f"{path}.shareProcessNamespace", True, "ShareProcessNamespace and HostPID cannot both be enabled"
        )
    seen: set[str] = set()
    for i, sysctl in enumerate(context.get("sysctls") or ()):
        name = sysctl.get("name") or ""
        if not name:
            yield required(f"{at}.sysctls[{i}].name")
        if name in seen:
            yield duplicate(f"{at}.sysctls[{i}].name", name)
        seen.add(name)


def _dns(spec: Object, path: str) -> Errors:
    config, at = spec.get("dnsConfig"), f"{path}.dnsConfig"
    if spec.get("dnsPolicy") == "None":
        if config is None:
            yield required(at, "must provide `dnsConfig` when `dnsPolicy` is None")
            return
        if not config.get("nameservers"):
            yield required(f"{at}.nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None")
            return
    config = config or {}
    nameservers = config.get("nameservers") or ()
    if len(nameservers) > 3:
        yield invalid_value(f"{at}.nameservers", nameservers, "must not have more than 3 nameservers")
    for i, server in enumerate(nameservers):
        yield from ip_address(server, f"{at}.nameservers[{i}]")
    for i, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            yield required(f"{at}.options[{i}]", "must not be empty")
