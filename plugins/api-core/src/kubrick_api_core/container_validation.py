"""What can be wrong with a container: names, image, ports, environment, mounts, resources, probes.

Paths, reasons and wording are those of pkg/apis/core/validation.
"""

import re
from collections.abc import Iterator, Mapping
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
from kubrick_api.resource import Object
from kubrick_api.validation import name_is_dns_label, qualified_name
from kubrick_api_core.rules import config_map_key, port_name

Errors = Iterator[FieldError]

NOT_NEGATIVE = "must be greater than or equal to 0"
PORT_RANGE = "must be between 1 and 65535, inclusive"
PROTOCOLS = ("SCTP", "TCP", "UDP")
PROBE_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
LIFECYCLE_HANDLERS = ("exec", "httpGet", "tcpSocket", "sleep")
ENV_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
MAX_USER = 2**31 - 1
is_variable_name = re.compile(r"[ -<>-~]+").fullmatch
# Resources a container may ask for by a bare name; anything else needs a domain ("example.com/gpu").
STANDARD_RESOURCES = ("cpu", "memory", "ephemeral-storage")


def validate_containers(spec: Object, volumes: Mapping[str, Object], path: str, *, template: bool = False) -> Errors:
    """Everything wrong with a pod's containers and init containers."""
    names: set[str] = set()
    containers = spec.get("containers") or []
    if not containers:
        yield required(f"{path}.containers")
    for list_name in ("containers", "initContainers"):
        for i, container in enumerate(spec.get(list_name) or ()):
            at = f"{path}.{list_name}[{i}]"
            yield from validate_container(container, volumes, at, init=list_name == "initContainers")
            name = container.get("name") or ""
            if name in names:
                yield duplicate(f"{at}.name", name)
            names.add(name)
            if spec.get("hostNetwork") and not template:
                yield from _host_network_ports(container, at)
        yield from _host_port_conflicts(spec.get(list_name) or (), f"{path}.{list_name}")


def validate_container(container: Object, volumes: Mapping[str, Object], at: str, *, init: bool = False) -> Errors:
    name = container.get("name")
    if not name:
        yield required(f"{at}.name")
    else:
        for message in name_is_dns_label(name, False):
            yield invalid_value(f"{at}.name", name, message)
    image = container.get("image") or ""
    if not image:
        yield required(f"{at}.image")
    elif image != image.strip():
        yield invalid_value(f"{at}.image", image, "must not have leading or trailing whitespace")
    policy = container.get("terminationMessagePolicy")
    if policy not in ("File", "FallbackToLogsOnError"):
        yield not_supported(f"{at}.terminationMessagePolicy", policy, ("FallbackToLogsOnError", "File"))
    yield from _ports(container.get("ports") or (), f"{at}.ports")
    yield from _environment(container, at)
    yield from _mounts(container.get("volumeMounts") or (), volumes, f"{at}.volumeMounts")
    if container.get("imagePullPolicy") not in ("Always", "IfNotPresent", "Never"):
        yield not_supported(
            f"{at}.imagePullPolicy", container.get("imagePullPolicy"), ("Always", "IfNotPresent", "Never")
        )
    yield from validate_resources(container.get("resources") or {}, f"{at}.resources")
    yield from _security(container.get("securityContext") or {}, f"{at}.securityContext")
    yield from _lifecycle(container, at, init=init)


def _lifecycle(container: Object, at: str, *, init: bool) -> Errors:
    sidecar = container.get("restartPolicy") == "Always"
    if not init and container.get("restartPolicy") not in (None, "", "Always", "OnFailure", "Never"):
        yield not_supported(f"{at}.restartPolicy", container["restartPolicy"], ("Always", "OnFailure", "Never"))
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(probe) is None:
            continue
        if init and not sidecar:
            yield forbidden_value(f"{at}.{probe}", "may not be set for init containers without restartPolicy=Always")
        else:
            yield from validate_probe(container[probe], f"{at}.{probe}", liveness=probe != "readinessProbe")
    lifecycle = container.get("lifecycle")
    if lifecycle and init and not sidecar:
        yield forbidden_value(f"{at}.lifecycle", "may not be set for init containers without restartPolicy=Always")
    elif lifecycle:
        for hook in ("postStart", "preStop"):
            if lifecycle.get(hook) is not None:
                yield from _handler(lifecycle[hook], LIFECYCLE_HANDLERS, f"{at}.lifecycle.{hook}")


def port_in_range(value: Any, path: str) -> Errors:
    if not isinstance(value, int) or not 1 <= value <= 65535:
        yield invalid_value(path, 0 if value is None else value, PORT_RANGE)


def port_number_or_name(value: Any, path: str) -> Errors:
    """An int-or-string that names a port."""
    if isinstance(value, int):
        yield from port_in_range(value, path)
    else:
        for message in port_name(value or ""):
            yield invalid_value(path, value, message)


def _ports(ports: Any, path: str) -> Errors:
    names: set[str] = set()
    for i, port in enumerate(ports):
        at = f"{path}[{i}]"
        if name := port.get("name"):
            messages = port_name(name)
            for message in messages:
                yield invalid_value(f"{at}.name", name, message)
            if not messages and name in names:
                yield duplicate(f"{at}.name", name)
            names.add(name)
        if not port.get("containerPort"):
            yield required(f"{at}.containerPort")
        else:
            yield from port_in_range(port["containerPort"], f"{at}.containerPort")
        if port.get("hostPort"):
            yield from port_in_range(port["hostPort"], f"{at}.hostPort")
        if not port.get("protocol"):
            yield required(f"{at}.protocol")
        elif port["protocol"] not in PROTOCOLS:
            yield not_supported(f"{at}.protocol", port["protocol"], PROTOCOLS)


def _host_network_ports(container: Object, at: str) -> Errors:
    for i, port in enumerate(container.get("ports") or ()):
        if port.get("hostPort") != port.get("containerPort"):
            yield invalid_value(
                f"{at}.ports[{i}].containerPort",
                port.get("containerPort"),
                "must match `hostPort` when `hostNetwork` is true",
            )


def _host_port_conflicts(containers: Any, path: str) -> Errors:
    seen: set[str] = set()
    for i, container in enumerate(containers):
        for j, port in enumerate(container.get("ports") or ()):
            if port.get("hostPort"):
                text = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{port['hostPort']}"
                if text in seen:
                    yield duplicate(f"{path}[{i}].ports[{j}].hostPort", text)
                seen.add(text)


def _environment(container: Object, at: str) -> Errors:
    for i, variable in enumerate(container.get("env") or ()):
        here = f"{at}.env[{i}]"
        name = variable.get("name") or ""
        if not name:
            yield required(f"{here}.name")
        elif not is_variable_name(name):
            yield invalid_value(
                f"{here}.name",
                name,
                "a valid environment variable name must consist only of printable ASCII characters other than '='",
            )
        source = variable.get("valueFrom")
        if source is not None:
            yield from _environment_source(variable, source, f"{here}.valueFrom")
    for i, source in enumerate(container.get("envFrom") or ()):
        kinds = [kind for kind in ("configMapRef", "secretRef") if source.get(kind) is not None]
        here = f"{at}.envFrom[{i}]"
        if not kinds:
            yield invalid_value(here, "", "must specify one of: `configMapRef` or `secretRef`")
        elif len(kinds) > 1:
            yield invalid_value(here, "", "may not have more than one field specified at a time")
        for kind in kinds:
            if not source[kind].get("name"):
                yield required(f"{here}.{kind}.name")


def _environment_source(variable: Object, source: Object, here: str) -> Errors:
    kinds = [kind for kind in ENV_SOURCES if source.get(kind) is not None]
    if variable.get("value"):
        yield invalid_value(here, "", "may not be specified when `value` is not empty")
    elif not kinds:
        yield invalid_value(
            here,
            "",
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        )
    elif len(kinds) > 1:
        yield invalid_value(here, "", "may not have more than one field specified at a time")
    for kind in kinds:
        reference, place = source[kind], f"{here}.{kind}"
        if kind == "fieldRef" and not reference.get("fieldPath"):
            yield required(f"{place}.fieldPath")
        if kind in ("configMapKeyRef", "secretKeyRef"):
            if not reference.get("name"):
                yield required(f"{place}.name")
            if not reference.get("key"):
                yield required(f"{place}.key")
            else:
                for message in config_map_key(reference["key"]):
                    yield invalid_value(f"{place}.key", reference["key"], message)
        if kind == "resourceFieldRef" and not reference.get("resource"):
            yield required(f"{place}.resource")


def _mounts(mounts: Any, volumes: Mapping[str, Object], path: str) -> Errors:
    points: set[str] = set()
    for i, mount in enumerate(mounts):
        at = f"{path}[{i}]"
        name, point = mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            yield required(f"{at}.name")
        elif name not in volumes:
            yield not_found_value(f"{at}.name", name)
        if not point:
            yield required(f"{at}.mountPath")
        elif point in points:
            yield invalid_value(f"{at}.mountPath", point, "must be unique")
        points.add(point)
        if mount.get("subPath") and mount.get("subPathExpr"):
            yield invalid_value(
                f"{at}.subPathExpr", mount["subPathExpr"], "subPathExpr and subPath are mutually exclusive"
            )
        for kind in ("subPath", "subPathExpr"):
            if text := mount.get(kind):
                if text.startswith("/"):
                    yield invalid_value(f"{at}.{kind}", text, "must be a relative path")
                if ".." in text.split("/"):
                    yield invalid_value(f"{at}.{kind}", text, "must not contain '..'")


def is_extended(name: str) -> bool:
    """A resource with a domain of its own: "example.com/gpu"."""
    return "/" in name and not name.startswith("requests.") and "kubernetes.io/" not in name


def validate_resource_name(name: str, path: str) -> Errors:
    """A name in a container's requests or limits."""
    messages = qualified_name(name)
    for message in messages:
        yield invalid_value(path, name, message)
    if not messages and "/" not in name and name not in STANDARD_RESOURCES and not name.startswith("hugepages-"):
        yield invalid_value(path, name, "must be a standard resource type or fully qualified")
        yield invalid_value(path, name, "must be a standard resource for containers")


def validate_resources(resources: Object, path: str) -> Errors:
    """Requests and limits of a container."""
    limits = {name: Quantity(text) for name, text in (resources.get("limits") or {}).items()}
    requests = {name: Quantity(text) for name, text in (resources.get("requests") or {}).items()}
    for kind, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            yield from validate_resource_name(
                name, f"{path}.{kind}[{name}]" if kind == "requests" else f"{path}.{kind}"
            )
            if amount < ZERO:
                yield invalid_value(f"{path}.{kind}[{name}]", str(amount), NOT_NEGATIVE)
            if is_extended(name) and amount.milli % 1000:
                yield invalid_value(f"{path}.{kind}[{name}]", str(amount), "must be an integer")
    for name, amount in requests.items():
        limit = limits.get(name)
        whole = is_extended(name) or name.startswith("hugepages-")
        if limit is None:
            if whole:
                yield required(f"{path}.limits", "Limit must be set for non overcommitable resources")
        elif whole and amount != limit:
            yield invalid_value(f"{path}.requests", str(amount), f"must be equal to {name} limit of {limit}")
        elif amount > limit:
            yield invalid_value(
                f"{path}.requests", str(amount), f"must be less than or equal to {name} limit of {limit}"
            )


def _handler(handler: Object, kinds: tuple[str, ...], path: str) -> Errors:
    present = [kind for kind in kinds if handler.get(kind) is not None]
    if not present:
        yield required(path, "must specify a handler type")
    for extra in present[1:]:
        yield forbidden_value(f"{path}.{extra}", "may not specify more than 1 handler type")
    for kind in present[:1]:
        action, at = handler[kind], f"{path}.{kind}"
        if kind == "exec" and not action.get("command"):
            yield required(f"{at}.command")
        if kind == "httpGet":
            if not action.get("path"):
                yield required(f"{at}.path")
            yield from port_number_or_name(action.get("port"), f"{at}.port")
            if action.get("scheme") not in ("HTTP", "HTTPS"):
                yield not_supported(f"{at}.scheme", action.get("scheme"), ("HTTP", "HTTPS"))
        if kind == "tcpSocket":
            yield from port_number_or_name(action.get("port"), f"{at}.port")
        if kind == "grpc":
            yield from port_in_range(action.get("port"), f"{at}.port")


def validate_probe(probe: Object, path: str, *, liveness: bool) -> Errors:
    """A probe; liveness and startup probes must succeed at the first success."""
    yield from _handler(probe, PROBE_HANDLERS, path)
    for name in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        if (probe.get(name) or 0) < 0:
            yield invalid_value(f"{path}.{name}", probe[name], NOT_NEGATIVE)
    grace = probe.get("terminationGracePeriodSeconds")
    if liveness:
        if grace is not None and grace <= 0:
            yield invalid_value(f"{path}.terminationGracePeriodSeconds", grace, "must be greater than 0")
        if probe.get("successThreshold") != 1:
            yield invalid_value(f"{path}.successThreshold", probe.get("successThreshold"), "must be 1")
    elif grace is not None:
        yield invalid_value(f"{path}.terminationGracePeriodSeconds", grace, "must not be set for readinessProbes")


def _security(context: Object, path: str) -> Errors:
    for name in ("runAsUser", "runAsGroup"):
        value = context.get(name)
        if value is not None and not 0 <= value <= MAX_USER:
            yield invalid_value(f"{path}.{name}", value, f"must be between 0 and {MAX_USER}, inclusive")
    if context.get("allowPrivilegeEscalation") is False:
        added = (context.get("capabilities") or {}).get("add") or ()
        if context.get("privileged"):
            yield invalid_value(
                path, context, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            )
        if "CAP_SYS_ADMIN" in added:
            yield invalid_value(
                path, context, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            )
