"""What can be wrong with a pod's containers, init containers and ephemeral containers.

Paths, reasons, order and wording are those of pkg/apis/core/validation (validateContainers,
validateInitContainers, validateEphemeralContainers).
"""

from collections.abc import Collection, Mapping, Sequence

from attrs import frozen

from kubrick_api.errors import (
    FieldError,
    duplicate,
    forbidden_value,
    invalid_value,
    not_found_value,
    not_supported,
    required,
    too_many,
)
from kubrick_api.resource import Object
from kubrick_api.validation import label
from kubrick_api_core.environment_validation import validate_environment, validate_environment_sources
from kubrick_api_core.mount_validation import validate_devices, validate_mounts
from kubrick_api_core.probe_validation import validate_lifecycle, validate_probe
from kubrick_api_core.resource_validation import validate_resources
from kubrick_api_core.rules import PROTOCOLS, PULL_POLICIES, port_in_range, port_name
from kubrick_api_core.rules import protocol as check_protocol
from kubrick_api_core.rules import pull_policy as check_pull_policy
from kubrick_api_core.security_validation import validate_container_security
from kubrick_api_core.tolerance import NONE, Tolerance

Errors = list[FieldError]

MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
RESTART_POLICIES = ("Always", "Never", "OnFailure")
RESIZE_POLICIES = ("NotRequired", "RestartContainer")
RULE_ACTIONS = ("Restart", "RestartAllContainers")
NOT_FOR_INIT = "may not be set for init containers without restartPolicy=Always"
NOT_FOR_EPHEMERAL = "cannot be set for an Ephemeral Container"
PROBES = (("livenessProbe", True), ("readinessProbe", False), ("startupProbe", True))
# What an ephemeral container may not have, in the order of Go's struct.
NOT_EPHEMERAL = (
    "ports", "resources", "resizePolicy", "restartPolicy", "restartPolicyRules", "livenessProbe", "readinessProbe",
    "startupProbe", "lifecycle",
)  # fmt: skip


@frozen
class Surroundings:
    """What a container's validation needs to know of its pod."""

    volumes: Mapping[str, Object]
    """The pod's valid volumes, by name."""
    claims: Collection[str]
    restart_policy: str
    grace: int | None
    system: Object | None
    host_users: bool
    tolerance: Tolerance = NONE


def surroundings_of(spec: Object, volumes: Mapping[str, Object], tolerance: Tolerance = NONE) -> Surroundings:
    claims = spec.get("resourceClaims")
    return Surroundings(
        volumes,
        {claim["name"] for claim in claims if claim.get("name")} if claims else (),
        spec.get("restartPolicy") or "",
        spec.get("terminationGracePeriodSeconds"),
        spec.get("os"),
        spec.get("hostUsers") is not False,
        tolerance,
    )


def validate_containers(spec: Object, around: Surroundings, path: str, errors: Errors) -> None:
    """Everything wrong with a pod's containers of all three kinds."""
    containers = spec.get("containers") or []
    at = f"{path}.containers"
    if not containers:
        errors.append(required(at))
    names: set[str] = set()
    for i, container in enumerate(containers):
        here = f"{at}[{i}]"
        _common(container, around, here, errors)
        name = container.get("name") or ""
        if name in names:
            errors.append(duplicate(f"{here}.name", name))
        names.add(name)
        _hooks(container, around, here, errors)
        if "restartPolicy" in container or "restartPolicyRules" in container:
            _restarts(container, here, errors)
    _host_ports(containers, at, errors)
    if inits := spec.get("initContainers"):
        _inits(inits, names, around, f"{path}.initContainers", errors)
    if ephemeral := spec.get("ephemeralContainers"):
        others = {container.get("name") or "" for container in (*containers, *(inits or ()))}
        _ephemerals(ephemeral, others, around, f"{path}.ephemeralContainers", errors)


def _common(container: Object, around: Surroundings, at: str, errors: Errors) -> None:
    """What all kinds of containers have."""
    get = container.get
    name = get("name")
    if not name:
        errors.append(required(f"{at}.name"))
    elif why := label(name):
        errors += [invalid_value(f"{at}.name", name, text) for text in why]
    if not get("image"):
        errors.append(required(f"{at}.image"))
    policy = get("terminationMessagePolicy")
    if not policy:
        errors.append(required(f"{at}.terminationMessagePolicy"))
    elif policy not in MESSAGE_POLICIES:
        errors.append(not_supported(f"{at}.terminationMessagePolicy", policy, MESSAGE_POLICIES))
    if ports := get("ports"):
        _ports(ports, f"{at}.ports", errors)
    if variables := get("env"):
        validate_environment(variables, f"{at}.env", errors)
    if sources := get("envFrom"):
        validate_environment_sources(sources, f"{at}.envFrom", errors)
    mounts, devices = get("volumeMounts"), get("volumeDevices")
    if mounts:
        validate_mounts(mounts, devices or (), around.volumes, container, f"{at}.volumeMounts", errors)
    if devices:
        validate_devices(devices, mounts or (), around.volumes, f"{at}.volumeDevices", errors)
    if get("imagePullPolicy") not in PULL_POLICIES:
        errors += check_pull_policy(get("imagePullPolicy"), f"{at}.imagePullPolicy")
    if resources := get("resources"):
        pages = around.tolerance.huge_pages
        validate_resources(resources, f"{at}.resources", errors, around.claims, broken_pages=pages)
    if policies := get("resizePolicy"):
        _resize_policies(policies, around.restart_policy, f"{at}.resizePolicy", errors)
    if context := get("securityContext"):
        validate_container_security(context, f"{at}.securityContext", errors, host_users=around.host_users)


def _hooks(container: Object, around: Surroundings, at: str, errors: Errors) -> None:
    if (lifecycle := container.get("lifecycle")) is not None:
        validate_lifecycle(lifecycle, around.grace, around.system, f"{at}.lifecycle", errors)
    for name, once in PROBES:
        if (probe := container.get(name)) is not None:
            validate_probe(probe, f"{at}.{name}", errors, once=once)


def _inits(inits: list[Object], regular: set[str], around: Surroundings, path: str, errors: Errors) -> None:
    names = set(regular)
    for i, container in enumerate(inits):
        at = f"{path}[{i}]"
        _common(container, around, at, errors)
        if "restartPolicy" in container or "restartPolicyRules" in container:
            _restarts(container, at, errors)
        sidecar = container.get("restartPolicy") == "Always"
        name = container.get("name") or ""
        if name in names:
            errors.append(duplicate(f"{at}.name", name))
        elif name:
            names.add(name)
        # One by one, and under index 0: init containers run one after the other.
        _host_ports([container], path, errors)
        if sidecar:
            _hooks(container, around, at, errors)
        else:
            for kind in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
                if container.get(kind) is not None:
                    errors.append(forbidden_value(f"{at}.{kind}", NOT_FOR_INIT))
        if not sidecar and not around.tolerance.init_restarts:
            for j, policy in enumerate(container.get("resizePolicy") or ()):
                if policy.get("restartPolicy") == "RestartContainer":
                    why = "must not be set to 'RestartContainer' for non-sidecar initContainers"
                    errors.append(invalid_value(f"{at}.resizePolicy[{j}].restartPolicy", "RestartContainer", why))


def _ephemerals(ephemeral: list[Object], others: set[str], around: Surroundings, path: str, errors: Errors) -> None:
    names = set(others)
    for i, container in enumerate(ephemeral):
        at = f"{path}[{i}]"
        _common(container, around, at, errors)
        validate_image_spelling(container, at, errors)
        name = container.get("name") or ""
        if name in names:
            errors.append(duplicate(f"{at}.name", name))
        names.add(name)
        target = container.get("targetContainerName")
        if target and target not in others:
            errors.append(not_found_value(f"{at}.targetContainerName", target))
        errors += [forbidden_value(f"{at}.{kind}", NOT_FOR_EPHEMERAL) for kind in NOT_EPHEMERAL if container.get(kind)]
        for j, mount in enumerate(container.get("volumeMounts") or ()):
            for kind in ("subPath", "subPathExpr"):
                if mount.get(kind):
                    errors.append(forbidden_value(f"{at}.volumeMounts[{j}].{kind}", NOT_FOR_EPHEMERAL))


def validate_image_spelling(container: Object, at: str, errors: Errors) -> None:
    """What pods forbid and templates don't."""
    image = container.get("image") or ""
    if image != image.strip():
        errors.append(invalid_value(f"{at}.image", image, "must not have leading or trailing whitespace"))


def _ports(ports: Sequence[Object], path: str, errors: Errors) -> None:
    names: set[str] = set()
    for i, port in enumerate(ports):
        if name := port.get("name"):
            if why := port_name(name):
                errors += [invalid_value(f"{path}[{i}].name", name, text) for text in why]
            elif name in names:
                errors.append(duplicate(f"{path}[{i}].name", name))
            else:
                names.add(name)
        number = port.get("containerPort") or 0
        if not number:
            errors.append(required(f"{path}[{i}].containerPort"))
        elif not 1 <= number <= 65535:
            errors += port_in_range(number, f"{path}[{i}].containerPort")
        if host := port.get("hostPort"):
            errors += port_in_range(host, f"{path}[{i}].hostPort")
        if port.get("protocol") not in PROTOCOLS:
            errors += check_protocol(port.get("protocol"), f"{path}[{i}].protocol")


def _host_ports(containers: Sequence[Object], path: str, errors: Errors) -> None:
    """No two at one port of the host."""
    seen: set[str] = set()
    for i, container in enumerate(containers):
        for j, port in enumerate(container.get("ports") or ()):
            if not port.get("hostPort"):
                continue
            text = f"{port.get('protocol') or ''}/{port.get('hostIP') or ''}/{port['hostPort']}"
            if text in seen:
                errors.append(duplicate(f"{path}[{i}].ports[{j}].hostPort", text))
            seen.add(text)


def _resize_policies(policies: Sequence[Object], restart_policy: str, path: str, errors: Errors) -> None:
    names: set[str] = set()
    for i, policy in enumerate(policies):
        name, restart = policy.get("resourceName") or "", policy.get("restartPolicy") or ""
        if name in names:
            errors.append(duplicate(f"{path}[{i}]", name))
        names.add(name)
        for value, choices in ((name, ("cpu", "memory")), (restart, RESIZE_POLICIES)):
            if not value:
                errors.append(required(path))
            elif value not in choices:
                errors.append(not_supported(path, value, choices))
        if restart_policy == "Never" and restart != "NotRequired":
            why = "must be 'NotRequired' when pod `restartPolicy` is 'Never'"
            errors.append(invalid_value(path, restart, why))


def _restarts(container: Object, at: str, errors: Errors) -> None:
    """A container's own restartPolicy and its rules."""
    policy, rules = container.get("restartPolicy"), container.get("restartPolicyRules") or ()
    if policy is None:
        if not rules:
            return
        why = "must specify restartPolicy when restart rules are used"
        errors.append(required(f"{at}.restartPolicy", why))
    elif policy not in RESTART_POLICIES:
        errors.append(not_supported(f"{at}.restartPolicy", policy, RESTART_POLICIES))
    path = f"{at}.restartPolicyRules"
    if len(rules) > 20:
        errors.append(too_many(path, len(rules), 20))
    for i, rule in enumerate(rules):
        action, codes = rule.get("action") or "", rule.get("exitCodes")
        if action not in RULE_ACTIONS:
            errors.append(not_supported(f"{path}[{i}].action", action, RULE_ACTIONS))
        if codes is None:
            errors.append(required(f"{path}[{i}].exitCodes", "must be specified"))
            continue
        operator = codes.get("operator") or ""
        if operator not in ("In", "NotIn"):
            errors.append(not_supported(f"{path}[{i}].exitCodes.operator", operator, ("In", "NotIn")))
        if len(codes.get("values") or ()) > 255:
            errors.append(too_many(f"{path}[{i}].exitCodes.values", len(codes["values"]), 255))
