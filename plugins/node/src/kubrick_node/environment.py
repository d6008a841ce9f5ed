"""A container's environment, command and arguments, worked out from the pod and what it refers to. Pure.

Source: the kubelet's makeEnvironmentVariables and pkg/kubelet/envvars. envFrom comes first, env on top, each
value expanded with what came before it (and with the service variables), service variables fill the rest.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import define, field, frozen

from kubrick_node.envfile import BadFile, value_of
from kubrick_node.expansion import expand, expand_all
from kubrick_node.fields import FieldError, container_named, field_value, resource_value

Object = dict[str, Any]

NO_ADDRESS = ("", "None")


class BadEnvironment(ValueError):
    """The environment can't be made; the message is what the container's waiting state says."""


@frozen
class World:
    """What an environment may refer to. `config_map` and `secret` take a name (in the pod's namespace) and
    answer None when there is none; their data is text (secrets: base64 decoded). `file` takes a volume's name and a
    path in it and answers where that is and what it holds; it raises OSError and BadEnvironment."""

    config_map: Callable[[str], Mapping[str, str] | None]
    secret: Callable[[str], Mapping[str, str] | None]
    services: Mapping[str, str]
    allocatable: Mapping[str, str]
    host_ip: str = ""
    ips: Sequence[str] = ()
    file: Callable[[str, str], tuple[str, str]] = lambda volume, path: _no_volume(volume)


def _no_volume(volume: str) -> tuple[str, str]:
    raise BadEnvironment(f'cannot find the volume "{volume}" referenced by FileKeyRef')


@define
class Environment:
    """The variables, and keys of envFrom that can't be names: (kind, namespace/name, keys)."""

    variables: dict[str, str] = field(factory=dict)
    skipped: list[tuple[str, str, list[str]]] = field(factory=list)

    def command(self, container: Object) -> tuple[str, ...]:
        return expand_all(container.get("command") or (), self.variables)

    def args(self, container: Object) -> tuple[str, ...]:
        return expand_all(container.get("args") or (), self.variables)


def environment(pod: Object, container: Object, world: World) -> Environment:
    """Raises `BadEnvironment`."""
    made = Environment()
    for source in container.get("envFrom") or ():
        _take_all(made, pod, source, world)
    known = _Layered(made.variables, world.services)
    for variable in container.get("env") or ():
        value = _value(pod, container, variable, world, known)
        if value is not None:
            made.variables[variable["name"]] = value
    for name, value in world.services.items():
        made.variables.setdefault(name, value)
    return made


class _Layered(dict[str, str]):
    """First what has been set, then the service variables."""

    def __init__(self, first: Mapping[str, str], second: Mapping[str, str]) -> None:
        super().__init__()
        self._first, self._second = first, second

    def get(self, name: str, default: Any = None) -> Any:
        value = self._first.get(name)
        return value if value is not None else self._second.get(name, default)


def _take_all(made: Environment, pod: Object, source: Object, world: World) -> None:
    for key, look_up, kind in (("configMapRef", world.config_map, "configMap"), ("secretRef", world.secret, "secret")):
        reference = source.get(key)
        if reference is None:
            continue
        name = reference.get("name", "")
        data = look_up(name)
        if data is None:
            if not reference.get("optional"):
                raise BadEnvironment(f'{kind.lower()} "{name}" not found')
            continue
        invalid = []
        for entry, value in data.items():
            variable = source.get("prefix", "") + entry
            if is_variable_name(variable):
                made.variables[variable] = value
            else:
                invalid.append(variable)
        if invalid:
            made.skipped.append((kind, f"{pod['metadata']['namespace']}/{name}", sorted(invalid)))


def is_variable_name(name: str) -> bool:
    """Printable ASCII without "=" (KEP-4369)."""
    return bool(name) and all(" " <= char <= "~" and char != "=" for char in name)


def _value(pod: Object, container: Object, variable: Object, world: World, known: Mapping[str, str]) -> str | None:
    """The variable's value; None when what it refers to is optional and missing."""
    text: str = variable.get("value") or ""
    source = variable.get("valueFrom")
    if text or not source:
        return expand(text, known)
    try:
        if "fieldRef" in source:
            return field_value(pod, source["fieldRef"]["fieldPath"], world.host_ip, world.ips)
        if "resourceFieldRef" in source:
            reference = source["resourceFieldRef"]
            named = reference.get("containerName")
            about = container_named(pod, named) if named else container
            return resource_value(about, reference, world.allocatable)
    except FieldError as error:
        raise BadEnvironment(str(error)) from None
    if "configMapKeyRef" in source:
        return _entry(pod, source["configMapKeyRef"], world.config_map, "ConfigMap")
    if "secretKeyRef" in source:
        return _entry(pod, source["secretKeyRef"], world.secret, "Secret")
    if "fileKeyRef" in source:
        return _from_file(source["fileKeyRef"], world)
    return ""


def _from_file(reference: Object, world: World) -> str | None:
    try:
        where, text = world.file(reference["volumeName"], reference["path"])
        value = value_of(text, reference["key"])
    except (BadFile, OSError, UnicodeDecodeError):
        raise BadEnvironment("couldn't parse env file") from None
    if value or reference.get("optional"):
        return value or None
    raise BadEnvironment(f'environment variable key "{reference["key"]}" not found in file "{where}"')


def _entry(pod: Object, reference: Object, look_up: Callable[[str], Mapping[str, str] | None], kind: str) -> str | None:
    name, key = reference.get("name", ""), reference["key"]
    data = look_up(name)
    if data is None:
        if reference.get("optional"):
            return None
        raise BadEnvironment(f'{kind.lower()} "{name}" not found')
    if key not in data:
        if reference.get("optional"):
            return None
        raise BadEnvironment(f"couldn't find key {key} in {kind} {pod['metadata']['namespace']}/{name}")
    return data[key]


def service_variables(services: Iterable[Object], namespace: str, links: bool) -> dict[str, str]:
    """The variables of the services a pod of `namespace` sees: default/kubernetes always, its own namespace's
    when it wants `links` (enableServiceLinks)."""
    chosen: dict[str, Object] = {}
    for service in services:
        metadata = service["metadata"]
        name = metadata["name"]
        if service["spec"].get("clusterIP", "") in NO_ADDRESS:
            continue
        if metadata["namespace"] == namespace and (links or (namespace == "default" and name == "kubernetes")):
            chosen[name] = service
        elif metadata["namespace"] == "default" and name == "kubernetes":
            chosen.setdefault(name, service)
    variables: dict[str, str] = {}
    for name in sorted(chosen):
        variables.update(_of_service(chosen[name]))
    return variables


def _of_service(service: Object) -> dict[str, str]:
    spec = service["spec"]
    name = _as_variable(service["metadata"]["name"])
    address: str = spec["clusterIP"]
    ports = spec.get("ports") or ()
    made = {f"{name}_SERVICE_HOST": address}
    if not ports:
        return made
    made[f"{name}_SERVICE_PORT"] = str(ports[0]["port"])
    for port in ports:
        if port.get("name"):
            made[f"{name}_SERVICE_PORT_{_as_variable(port['name'])}"] = str(port["port"])
    host = f"[{address}]" if ":" in address else address
    for index, port in enumerate(ports):
        protocol = port.get("protocol") or "TCP"
        number = port["port"]
        url = f"{protocol.lower()}://{host}:{number}"
        if index == 0:
            made[f"{name}_PORT"] = url
        prefix = f"{name}_PORT_{number}_{protocol.upper()}"
        made[prefix] = url
        made[f"{prefix}_PROTO"] = protocol.lower()
        made[f"{prefix}_PORT"] = str(number)
        made[f"{prefix}_ADDR"] = address
    return made


def _as_variable(name: str) -> str:
    return name.upper().replace("-", "_")
