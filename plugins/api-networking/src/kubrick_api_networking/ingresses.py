"""Ingresses and their classes: defaults, validation, rows. Paths, order and wording of pkg/apis/networking."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from kubrick_api import addresses
from kubrick_api.cells import NONE, age, joined
from kubrick_api.errors import NIL, FieldError, forbidden_value, invalid_value, not_supported, required, show, too_long
from kubrick_api.formats import domain_prefixed_path, invalids, port_name, port_number, wildcard_subdomain
from kubrick_api.resource import Object, Strategy
from kubrick_api.validation import IMMUTABLE, name_is_dns_label, name_is_path_segment, subdomain

Errors = Iterator[FieldError]

PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
CLASS_ANNOTATION = "kubernetes.io/ingress.class"
BAD_SEQUENCES = ("//", "/./", "/../", "%2f", "%2F")
BAD_ENDS = ("/..", "/.")
CONTROLLER_LENGTH = 250
NOT_AN_IP = "must be a DNS name, not an IP address"
SCOPES = ("Cluster", "Namespace")


class IngressClassStrategy(Strategy):
    tracks_generation = True

    def default(self, obj: Object) -> None:
        parameters = (obj.get("spec") or {}).get("parameters")
        if parameters is not None and parameters.get("scope") is None:
            parameters["scope"] = "Cluster"

    def validate(self, obj: Object) -> list[FieldError]:
        return list(_class(obj.get("spec") or {}))

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        new, was = ((each.get("spec") or {}).get("controller") or "" for each in (obj, old))
        changed = [] if new == was else [invalid_value("spec.controller", new, IMMUTABLE)]
        return changed + self.validate(obj)

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec = obj.get("spec") or {}
        parameters, text = spec.get("parameters"), NONE
        if parameters:
            kind = parameters.get("kind", "")
            group = parameters.get("apiGroup")
            text = f"{kind}.{group}/{parameters.get('name', '')}" if group else f"{kind}/{parameters.get('name', '')}"
        return [obj["metadata"]["name"], spec.get("controller") or "", text, age(obj, now)]


def _class(spec: Object) -> Errors:
    controller = spec.get("controller") or ""
    if len(controller) > CONTROLLER_LENGTH:
        yield too_long("spec.controller", CONTROLLER_LENGTH)
    yield from domain_prefixed_path(controller, "spec.controller")
    parameters, at = spec.get("parameters"), "spec.parameters"
    if parameters is None:
        return
    yield from _reference(parameters, at)
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    if scope is None:
        yield required(f"{at}.scope")
    elif scope not in SCOPES:
        yield not_supported(f"{at}.scope", scope, SCOPES)
    elif scope == "Namespace":
        if namespace is None:
            yield required(f"{at}.namespace", "`parameters.scope` is set to 'Namespace'")
        else:
            yield from invalids(f"{at}.namespace", namespace, name_is_dns_label(namespace))
    elif namespace is not None:
        yield forbidden_value(f"{at}.namespace", "`parameters.scope` is set to 'Cluster'")


def _reference(reference: Object, at: str) -> Errors:
    """A TypedLocalObjectReference."""
    group = reference.get("apiGroup")
    if group is not None:
        yield from invalids(f"{at}.apiGroup", group, subdomain(group))
    for name in ("kind", "name"):
        value = reference.get(name) or ""
        if not value:
            yield required(f"{at}.{name}")
        yield from invalids(f"{at}.{name}", value, name_is_path_segment(value))


class IngressStrategy(Strategy):
    has_status = True
    tracks_generation = True

    def validate(self, obj: Object) -> list[FieldError]:
        errors, spec = list(_ingress(obj.get("spec") or {})), obj.get("spec") or {}
        annotated, named = (
            (obj["metadata"].get("annotations") or {}).get(CLASS_ANNOTATION),
            spec.get("ingressClassName"),
        )
        if annotated is not None and named is not None and annotated != named:
            why = "must match `ingressClassName` when both are specified"
            errors.append(invalid_value(f"annotations.{CLASS_ANNOTATION}", annotated, why))
        return errors

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        before = old.get("spec") or {}
        secrets = any(_secret_name(tls) for tls in before.get("tls") or ())
        wild = any("*" in (rule.get("host") or "") and any(_http(rule, "")) for rule in before.get("rules") or ())
        return list(_ingress(obj.get("spec") or {}, any_secret=secrets, any_wildcard=wild))

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return list(_balancer(obj.get("status") or {}, old.get("status") or {}))

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        annotated = CLASS_ANNOTATION in (obj["metadata"].get("annotations") or {})
        if old is not None or not annotated:
            return []
        return [f"annotation {show(CLASS_ANNOTATION)} is deprecated, please use 'spec.ingressClassName' instead"]

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec = obj.get("spec") or {}
        hosts = [rule["host"] for rule in spec.get("rules") or () if rule.get("host")]
        balanced = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
        addresses = [entry.get("ip") or entry.get("hostname") or "" for entry in balanced]
        annotated = (obj["metadata"].get("annotations") or {}).get("kubernetes.io/ingress.class")
        return [
            obj["metadata"]["name"],
            spec.get("ingressClassName") or annotated or NONE,
            joined(hosts, 3) or "*",
            ",".join(dict.fromkeys(address for address in addresses if address)),
            "80, 443" if spec.get("tls") else "80",
            age(obj, now),
        ]


def _ingress(spec: Object, *, any_secret: bool = False, any_wildcard: bool = False) -> Errors:
    """`any_secret`, `any_wildcard`: such mistakes were there before and may stay."""
    rules, backend = spec.get("rules") or [], spec.get("defaultBackend")
    if not rules and backend is None:
        yield invalid_value("spec", rules or NIL, "either `defaultBackend` or `rules` must be specified")
    if backend is not None:
        yield from _backend(backend, "spec.defaultBackend")
    for i, rule in enumerate(rules):
        host = rule.get("host") or ""
        yield from _host(host, f"spec.rules[{i}].host", not_ip=True)
        if "*" not in host or not any_wildcard:
            yield from _http(rule, f"spec.rules[{i}]")
    for i, tls in enumerate(spec.get("tls") or ()):
        for j, host in enumerate(tls.get("hosts") or ()):
            yield from _tls_host(host, f"spec.tls[{i}].hosts[{j}]")
        if not any_secret:
            yield from invalids(f"spec.tls[{i}].secretName", tls.get("secretName") or "", _secret_name(tls))
    named = spec.get("ingressClassName")
    if named is not None:
        yield from invalids("spec.ingressClassName", named, subdomain(named))


def _secret_name(tls: Object) -> list[str]:
    return subdomain(tls["secretName"]) if tls.get("secretName") else []


def _tls_host(host: str, at: str) -> Errors:
    yield from invalids(at, host, wildcard_subdomain(host) if "*" in host else subdomain(host))


def _host(host: str, at: str, *, not_ip: bool) -> Errors:
    if not host:
        return
    if not_ip and addresses.parse(host) is not None:
        yield invalid_value(at, host, NOT_AN_IP)
    yield from _tls_host(host, at)


def _http(rule: Object, at: str) -> Errors:
    http = rule.get("http")
    if http is None:
        return
    if not http.get("paths"):
        yield required(f"{at}.http.paths")
    for j, path in enumerate(http.get("paths") or ()):
        yield from _path(path, f"{at}.http.paths[{j}]")


def _path(path: Object, at: str) -> Errors:
    kind, text = path.get("pathType"), path.get("path") or ""
    if kind is None:
        yield required(f"{at}.pathType", "pathType must be specified")
        return
    if kind not in PATH_TYPES:
        yield not_supported(f"{at}.pathType", kind, PATH_TYPES)
    elif (text or kind != "ImplementationSpecific") and not text.startswith("/"):
        yield invalid_value(f"{at}.path", text, "must be an absolute path")
    if kind in ("Exact", "Prefix"):
        for sequence in BAD_SEQUENCES:
            if sequence in text:
                yield invalid_value(f"{at}.path", text, f"must not contain '{sequence}'")
        for end in BAD_ENDS:
            if text.endswith(end):
                yield invalid_value(f"{at}.path", text, f"cannot end with '{end}'")
    yield from _backend(path.get("backend") or {}, f"{at}.backend")


def _backend(backend: Object, at: str) -> Errors:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        yield invalid_value(at, "", "cannot set both resource and service backends")
    elif resource is not None:
        yield from _reference(resource, f"{at}.resource")
    elif service is None:
        yield invalid_value(at, "", "resource or service backend is required")
    else:
        name = service.get("name") or ""
        if not name:
            yield required(f"{at}.service.name")
        else:
            yield from invalids(f"{at}.service.name", name, name_is_dns_label(name))
        yield from _port(service.get("port") or {}, at)


def _port(port: Object, at: str) -> Errors:
    name, number = port.get("name") or "", port.get("number") or 0
    if name and number:
        yield invalid_value(at, "", "cannot set both port name & port number")
    elif name:
        yield from invalids(f"{at}.service.port.name", name, port_name(name))
    elif number:
        yield from invalids(f"{at}.service.port.number", number, port_number(number))
    else:
        yield required(at, "port name or number is required")


def _balancer(status: Object, old: Object) -> Errors:
    def points(of: Object) -> list[Object]:
        return (of.get("loadBalancer") or {}).get("ingress") or []

    known = [point["ip"] for point in points(old) if point.get("ip")]
    for i, point in enumerate(points(status)):
        at = f"status.loadBalancer.ingress[{i}]"
        if point.get("ip"):
            yield from addresses.check(point["ip"], f"{at}.ip", known)
        if hostname := point.get("hostname"):
            yield from invalids(f"{at}.hostname", hostname, subdomain(hostname))
            if addresses.parse(hostname) is not None:
                yield invalid_value(f"{at}.hostname", hostname, NOT_AN_IP)
