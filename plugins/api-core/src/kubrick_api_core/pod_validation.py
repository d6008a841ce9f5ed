"""What can be wrong with a pod, or a template of pods.

The parts are in `container_validation`, `volume_validation`, `placement_validation`, `security_validation` and
`pod_annotations`; what an update may not do is in `pod_update`. Paths, order and wording are those of
pkg/apis/core/validation. Every function appends to a list: the usual pod has nothing wrong, and is checked
some thousand times a second.
"""

from collections.abc import Collection, Sequence

from kubrick_api import addresses
from kubrick_api.errors import (
    FieldError,
    duplicate,
    forbidden_value,
    invalid_value,
    not_found_value,
    not_supported,
    required,
    too_long,
)
from kubrick_api.quantity import Quantity
from kubrick_api.resource import Object
from kubrick_api.validation import annotations as validate_annotations
from kubrick_api.validation import label, name_is_dns_subdomain, qualified_name, subdomain
from kubrick_api.validation import labels as validate_labels
from kubrick_api_core.container_validation import (
    surroundings_of,
    validate_containers,
    validate_image_spelling,
)
from kubrick_api_core.internal import RESOURCE_CLAIM, internal
from kubrick_api_core.placement_validation import (
    validate_affinity,
    validate_gates,
    validate_spread,
    validate_tolerations,
)
from kubrick_api_core.pod_annotations import MIRROR, validate_matching_profiles, validate_pod_annotations
from kubrick_api_core.resource_validation import is_huge, pod_name, total, validate_resources
from kubrick_api_core.rules import search_domain
from kubrick_api_core.security_validation import (
    containers,
    validate_host_process,
    validate_host_users,
    validate_pod_security,
    validate_system,
)
from kubrick_api_core.tolerance import NONE, Tolerance
from kubrick_api_core.volume_validation import validate_volumes

Errors = list[FieldError]

RESTART_POLICIES = ("Always", "OnFailure", "Never")
DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
PREEMPTION_POLICIES = ("PreemptLowerPriority", "Never")
MAX_INT32 = 2**31 - 1
DEADLINE = f"must be between 1 and {MAX_INT32}, inclusive"


def validate_pod(pod: Object) -> Errors:
    """A new Pod, metadata aside."""
    errors: Errors = []
    spec, metadata = pod.get("spec") or {}, pod.get("metadata") or {}
    validate_pod_parts(pod, NONE, errors)
    if spec.get("ephemeralContainers"):
        errors.append(forbidden_value("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        why = "cannot be set until all schedulingGates have been cleared"
        errors.append(forbidden_value("spec.nodeName", why))
    if annotations := metadata.get("annotations"):
        validate_matching_profiles(annotations, spec, "spec", errors)
    return errors


def validate_pod_parts(pod: Object, tolerance: Tolerance, errors: Errors) -> None:
    """What create and update of a pod have in common (validatePodMetadataAndSpec)."""
    spec, metadata = pod.get("spec") or {}, pod.get("metadata") or {}
    if annotations := metadata.get("annotations"):
        validate_pod_annotations(annotations, spec, "metadata.annotations", errors, tolerance)
    validate_pod_spec(spec, "spec", errors, metadata=metadata, tolerance=tolerance)
    if not spec.get("serviceAccountName"):
        _no_tokens(spec, errors)
    for name in ("containers", "initContainers"):
        for i, container in enumerate(spec.get(name) or ()):
            validate_image_spelling(container, f"spec.{name}[{i}]", errors)


def _no_tokens(spec: Object, errors: Errors) -> None:
    for i, volume in enumerate(spec.get("volumes") or ()):
        for j, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
            if source.get("serviceAccountToken") is not None:
                at = f"spec.volumes[{i}].projected.sources[{j}].serviceAccountToken"
                errors.append(forbidden_value(at, "must not be specified when serviceAccountName is not set"))


def validate_pod_template(template: Object, path: str, old: Object | None = None) -> Errors:
    """A PodTemplateSpec; `old` is the one it replaces: what was wrong with that may stay."""
    from kubrick_api_core.tolerance import tolerance_of

    errors: Errors = []
    tolerance = NONE if old is None else tolerance_of(old.get("spec") or {}, old.get("metadata") or {})
    metadata, spec = template.get("metadata") or {}, template.get("spec") or {}
    annotations = metadata.get("annotations")
    errors += validate_labels(metadata.get("labels"), f"{path}.labels")
    if annotations:
        errors += validate_annotations(annotations, f"{path}.annotations")
        validate_pod_annotations(annotations, spec, f"{path}.annotations", errors, tolerance)
    validate_pod_spec(spec, f"{path}.spec", errors, tolerance=tolerance)
    if annotations:
        validate_matching_profiles(annotations, spec, f"{path}.spec", errors)
    if spec.get("ephemeralContainers"):
        why = "ephemeral containers not allowed in pod template"
        errors.append(forbidden_value(f"{path}.spec.ephemeralContainers", why))
    return errors


def validate_pod_spec(
    spec: Object, path: str, errors: Errors, *, metadata: Object | None = None, tolerance: Tolerance = NONE
) -> None:
    """`metadata` is that of the pod, None for a template."""
    get = spec.get
    if get("terminationGracePeriodSeconds") is None:
        errors.append(required(f"{path}.terminationGracePeriodSeconds"))
    pod = (metadata or {}).get("name") or ""
    volumes = get("volumes")
    fine = validate_volumes(volumes, f"{path}.volumes", errors, pod=pod, tolerance=tolerance) if volumes else {}
    if claims := get("resourceClaims"):
        _claims(claims, metadata, f"{path}.resourceClaims", errors)
    validate_containers(spec, surroundings_of(spec, fine, tolerance), path, errors)
    if (resources := get("resources")) is not None:
        _pod_resources(spec, resources, path, errors, tolerance)
    if get("hostNetwork"):
        _host_network(spec, f"{path}.containers", errors, pod=metadata is not None)
    _policies(spec, path, errors)
    if selector := get("nodeSelector"):
        errors += validate_labels(selector, f"{path}.nodeSelector")
    if get("securityContext") or get("shareProcessNamespace"):
        validate_pod_security(spec, path, errors, host_sysctls=tolerance.host_sysctls)
    if affinity := get("affinity"):
        validate_affinity(affinity, f"{path}.affinity", errors, tolerance)
    if "dnsConfig" in spec or get("dnsPolicy") == "None":
        _dns(spec, f"{path}.dnsConfig", errors)
    for i, gate in enumerate(get("readinessGates") or ()):
        name = gate.get("conditionType") or ""
        errors += [
            invalid_value(f"{path}.readinessGates[{i}].conditionType", name, why) for why in qualified_name(name)
        ]
    if gates := get("schedulingGates"):
        validate_gates(gates, f"{path}.schedulingGates", errors)
    if constraints := get("topologySpreadConstraints"):
        validate_spread(constraints, f"{path}.topologySpreadConstraints", errors, tolerance)
    validate_host_process(spec, path, errors)
    if get("hostUsers") is False:
        validate_host_users(spec, path, errors, devices=tolerance.user_namespace_devices)
    if (override := get("hostnameOverride")) is not None:
        _hostname(override, spec, f"{path}.hostnameOverride", errors)
    _scalars(spec, path, errors, tolerance)
    if get("os") is not None:
        validate_system(spec, path, errors)
    if (group := get("schedulingGroup")) is not None:
        _group(group, f"{path}.schedulingGroup.podGroupName", errors)
    _file_keys(spec, path, errors)


def _policies(spec: Object, path: str, errors: Errors) -> None:
    restart, dns = spec.get("restartPolicy"), spec.get("dnsPolicy")
    if not restart:
        errors.append(required(f"{path}.restartPolicy"))
    elif restart not in RESTART_POLICIES:
        errors.append(not_supported(f"{path}.restartPolicy", restart, RESTART_POLICIES))
    if not dns:
        errors.append(required(f"{path}.dnsPolicy"))
    elif dns not in DNS_POLICIES:
        errors.append(not_supported(f"{path}.dnsPolicy", dns, DNS_POLICIES))


def _claims(claims: Sequence[Object], metadata: Object | None, path: str, errors: Errors) -> None:
    if MIRROR in ((metadata or {}).get("annotations") or ()):
        errors += [forbidden_value("[]", "static pods do not support resource claims")] * len(claims)
        return
    names: set[str] = set()
    for i, claim in enumerate(claims):
        at, name = f"{path}[{i}]", claim.get("name") or ""
        if not name:
            errors.append(required(f"{at}.name"))
        elif name in names:
            errors.append(duplicate(f"{at}.name", name))
        else:
            errors += [invalid_value(f"{at}.name", name, why) for why in label(name)]
            names.add(name)
        given = [(kind, claim[kind]) for kind in ("resourceClaimName", "resourceClaimTemplateName") if kind in claim]
        if len(given) != 1:
            why = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            if not given:
                why = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            errors.append(invalid_value(at, internal(claim, RESOURCE_CLAIM), why))
        for kind, text in given:
            errors += [invalid_value(f"{at}.{kind}", text, why) for why in name_is_dns_subdomain(text)]


def _pod_resources(spec: Object, resources: Object, path: str, errors: Errors, tolerance: Tolerance) -> None:
    """Requests and limits of the pod as a whole, and how the containers' fit in."""
    at = f"{path}.resources"
    if (spec.get("os") or {}).get("name") == "windows":
        errors.append(forbidden_value(at, "may not be set for a windows pod"))
        return
    if resources.get("claims"):
        errors.append(forbidden_value(f"{at}.claims", "claims may not be set for Resources at pod-level"))
    names = {claim.get("name") or "" for claim in spec.get("resourceClaims") or ()} - {""}
    validate_resources(resources, at, errors, names, name_check=pod_name, broken_pages=tolerance.huge_pages)
    requests = {name: Quantity(value) for name, value in (resources.get("requests") or {}).items()}
    limits = {name: Quantity(value) for name, value in (resources.get("limits") or {}).items()}
    for name, wanted in total(spec, "requests").items():
        if name in requests and wanted > requests[name]:
            why = f"must be greater than or equal to aggregate container requests of {wanted}"
            errors.append(invalid_value(f"{at}.requests[{name}]", str(requests[name]), why))
    for name, wanted in total(spec, "limits").items():
        if is_huge(name) and name in limits and wanted > limits[name]:
            why = f"must be greater than or equal to aggregate container limits of {wanted}"
            errors.append(invalid_value(f"{at}.limits[{name}]", str(limits[name]), why))
    for i, container in enumerate(spec.get("containers") or ()):
        for name, value in ((container.get("resources") or {}).get("limits") or {}).items():
            if name in limits and Quantity(value) > limits[name]:
                why = f"must be less than or equal to pod limits of {limits[name]}"
                errors.append(invalid_value(f"{at}.containers[{i}][{name}].limits", str(Quantity(value)), why))


def _host_network(spec: Object, path: str, errors: Errors, *, pod: bool) -> None:
    """On the host's network a port is what it is; a template may leave hostPort out."""
    for i, container in enumerate(spec.get("containers") or ()):
        for j, port in enumerate(container.get("ports") or ()):
            host = port.get("hostPort") or 0
            if (pod or host) and host != (port.get("containerPort") or 0):
                why = "must match `containerPort` when `hostNetwork` is true"
                errors.append(invalid_value(f"{path}[{i}].ports[{j}].hostPort", host, why))


def _dns(spec: Object, at: str, errors: Errors) -> None:
    config = spec.get("dnsConfig")
    servers = (config or {}).get("nameservers") or []
    if spec.get("dnsPolicy") == "None" and not servers:
        if config is None:
            errors.append(required(at, "must provide `dnsConfig` when `dnsPolicy` is None"))
        else:
            why = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            errors.append(required(f"{at}.nameservers", why))
        return
    config = config or {}
    searches = config.get("searches") or []
    if len(servers) > 3:
        errors.append(invalid_value(f"{at}.nameservers", servers, "must not have more than 3 nameservers"))
    for i, server in enumerate(servers):
        errors += addresses.check(server, f"{at}.nameservers[{i}]")
    if len(searches) > 32:
        errors.append(invalid_value(f"{at}.searches", searches, "must not have more than 32 search paths"))
    if len(" ".join(searches)) > 2048:
        why = "must not have more than 2048 characters (including spaces) in the search list"
        errors.append(invalid_value(f"{at}.searches", searches, why))
    for i, search in enumerate(searches):
        if search != ".":
            bare = search.removesuffix(".")
            errors += [invalid_value(f"{at}.searches[{i}]", bare, why) for why in search_domain(bare)]
    for i, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            errors.append(required(f"{at}.options[{i}]", "must not be empty"))


def _hostname(override: str, spec: Object, at: str, errors: Errors) -> None:
    if spec.get("setHostnameAsFQDN"):
        errors.append(forbidden_value(at, "may not be specified when setHostnameAsFQDN is true"))
    if spec.get("hostNetwork"):
        errors.append(forbidden_value(at, "may not be specified when hostNetwork is true"))
    if len(override) > 64:
        errors.append(too_long(at, 64))
    errors += [invalid_value(at, override, why) for why in subdomain(override)]


def _name(spec: Object, name: str, path: str, errors: Errors) -> None:
    if text := spec.get(name):
        errors += [invalid_value(f"{path}.{name}", text, why) for why in name_is_dns_subdomain(text)]


def _scalars(spec: Object, path: str, errors: Errors, tolerance: Tolerance) -> None:
    get = spec.get
    _name(spec, "serviceAccountName", path, errors)
    _name(spec, "nodeName", path, errors)
    deadline = get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= MAX_INT32:
        errors.append(invalid_value(f"{path}.activeDeadlineSeconds", deadline, DEADLINE))
    for name in ("hostname", "subdomain"):
        if text := get(name):
            errors += [invalid_value(f"{path}.{name}", text, why) for why in label(text)]
    if tolerations := get("tolerations"):
        validate_tolerations(tolerations, f"{path}.tolerations", errors)
    for i, alias in enumerate(get("hostAliases") or ()):
        errors += addresses.check(alias.get("ip") or "", f"{path}.hostAliases[{i}].ip")
        for j, hostname in enumerate(alias.get("hostnames") or ()):
            at = f"{path}.hostAliases[{i}].hostnames[{j}]"
            errors += [invalid_value(at, hostname, why) for why in subdomain(hostname)]
    _name(spec, "priorityClassName", path, errors)
    _name(spec, "runtimeClassName", path, errors)
    preemption = get("preemptionPolicy")
    if preemption is not None and preemption not in PREEMPTION_POLICIES:
        at = f"{path}.preemptionPolicy"
        errors.append(not_supported(at, preemption, PREEMPTION_POLICIES) if preemption else required(at))
    if overhead := get("overhead"):
        at = f"{path}.overhead"
        validate_resources({"limits": overhead}, at, errors, broken_pages=tolerance.huge_pages)


def _group(group: Object, path: str, errors: Errors) -> None:
    name = group.get("podGroupName")
    if name is None:
        errors.append(invalid_value(path, None, "must specify one of: `podGroupName`"))
    else:
        errors += [invalid_value(path, name, why) for why in name_is_dns_subdomain(name)]


def _file_keys(spec: Object, path: str, errors: Errors) -> None:
    """Variables from a file: the file is in an emptyDir of the pod."""
    for container, at in containers(spec, path):
        for i, variable in enumerate(container.get("env") or ()):
            reference = (variable.get("valueFrom") or {}).get("fileKeyRef") if "valueFrom" in variable else None
            if reference is None:
                continue
            name, here = reference.get("volumeName") or "", f"{at}.env[{i}].valueFrom.fileKeyRef.volumeName"
            volume = _volume(spec, name)
            if volume is None:
                errors.append(not_found_value(here, name))
            elif "emptyDir" not in volume:
                errors.append(invalid_value(here, name, "referenced volume must be of type emptyDir"))


def _volume(spec: Object, name: str) -> Object | None:
    """The last volume of that name."""
    volumes: Collection[Object] = spec.get("volumes") or ()
    return next((volume for volume in reversed(list(volumes)) if (volume.get("name") or "") == name), None)
