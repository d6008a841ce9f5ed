"""The defaults Kubernetes gives pods, and templates of pods.

What an object's own schema says (a port's protocol) is the engine's; here is the rest, from
pkg/apis/core/v1/defaults.go. Some defaults belong to pods only, not to templates: requests taken from
limits, the pod's own resources, host ports under host networking, enableServiceLinks.
"""

import re
from functools import lru_cache
from typing import Any

Object = dict[str, Any]

# Volume sources that carry the mode of their files, all 0644 when unset.
WITH_MODE = frozenset(("secret", "configMap", "downwardAPI", "projected"))
CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
tag_of = re.compile(r":([^:/]+)$").search


def default_pod(pod: Object) -> None:
    """Defaults of a Pod."""
    spec = pod.setdefault("spec", {})
    default_pod_spec(spec)
    if spec.get("enableServiceLinks") is None:
        spec["enableServiceLinks"] = True
    for name in ("containers", "initContainers"):
        for container in spec.get(name) or ():
            resources = container["resources"]
            if resources.get("limits"):
                # What is limited but not requested is requested up to its limit.
                resources["requests"] = {**resources["limits"], **(resources.get("requests") or {})}
            if spec.get("hostNetwork"):
                for port in container.get("ports") or ():
                    if not port.get("hostPort") and "containerPort" in port:
                        port["hostPort"] = port["containerPort"]
    if spec.get("resources"):
        _default_pod_resources(spec)


def default_pod_template(template: Object) -> None:
    """Defaults of a PodTemplateSpec: those of its spec."""
    template.setdefault("metadata", {})
    default_pod_spec(template.setdefault("spec", {}))


def default_pod_spec(spec: Object) -> None:
    """Defaults common to pods and templates."""
    get = spec.get
    if not get("dnsPolicy"):
        spec["dnsPolicy"] = "ClusterFirst"
    if not get("restartPolicy"):
        spec["restartPolicy"] = "Always"
    if get("securityContext") is None:
        spec["securityContext"] = {}
    if get("terminationGracePeriodSeconds") is None:
        spec["terminationGracePeriodSeconds"] = 30
    if not get("schedulerName"):
        spec["schedulerName"] = "default-scheduler"
    _alias_service_account(spec)
    for volume in get("volumes") or ():
        default_volume(volume)
    for name in CONTAINER_LISTS:
        for container in get(name) or ():
            default_container(container)


def _alias_service_account(spec: Object) -> None:
    """serviceAccount is the old name of serviceAccountName; both are always served."""
    name = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if name:
        spec["serviceAccountName"] = spec["serviceAccount"] = name
    else:
        spec.pop("serviceAccount", None)
        spec.pop("serviceAccountName", None)


@lru_cache(maxsize=1024)
def pull_policy(image: str) -> str:
    """Always for the tag "latest" (or none, without a digest), IfNotPresent otherwise."""
    name, _, digest = image.partition("@")
    tag = tag_of(name)
    latest = tag[1] == "latest" if tag else not digest
    return "Always" if latest else "IfNotPresent"


def default_container(container: Object) -> None:
    get = container.get
    if not get("imagePullPolicy"):
        container["imagePullPolicy"] = pull_policy(get("image") or "")
    if not get("terminationMessagePath"):
        container["terminationMessagePath"] = "/dev/termination-log"
    if not get("terminationMessagePolicy"):
        container["terminationMessagePolicy"] = "File"
    if get("resources") is None:
        container["resources"] = {}
    for port in get("ports") or ():
        if not port.get("protocol"):
            port["protocol"] = "TCP"
    for variable in get("env") or ():
        if (source := variable.get("valueFrom")) and (field_ref := source.get("fieldRef")):
            _version_field(field_ref)
    for name in PROBES:
        if probe := get(name):
            default_probe(probe)
    if lifecycle := get("lifecycle"):
        for action in lifecycle.values():
            _default_http(action)


def default_probe(probe: Object) -> None:
    for name, value in (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)):
        if not probe.get(name):
            probe[name] = value
    _default_http(probe)
    if "grpc" in probe and probe["grpc"] is not None:
        probe["grpc"].setdefault("service", "")


def _default_http(handler: Any) -> None:
    http = isinstance(handler, dict) and handler.get("httpGet")
    if http:
        if not http.get("path"):
            http["path"] = "/"
        if not http.get("scheme"):
            http["scheme"] = "HTTP"


def _version_field(field_ref: Object) -> None:
    if not field_ref.get("apiVersion"):
        field_ref["apiVersion"] = "v1"


def default_volume(volume: Object) -> None:
    if all(value is None for key, value in volume.items() if key != "name"):
        volume["emptyDir"] = {}
        return
    for kind, source in volume.items():
        if kind in WITH_MODE:
            if source.get("defaultMode") is None:
                source["defaultMode"] = 0o644
            if kind == "downwardAPI":
                _default_files(source)
            elif kind == "projected":
                _default_projections(source)
        elif kind == "hostPath":
            if source.get("type") is None:
                source["type"] = ""
        elif kind == "ephemeral":
            if claim := source.get("volumeClaimTemplate"):
                claim.setdefault("metadata", {})
                claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
        elif kind == "image" and not source.get("pullPolicy"):
            source["pullPolicy"] = pull_policy(source.get("reference") or "")


def _default_files(source: Object) -> None:
    for item in source.get("items") or ():
        if item.get("fieldRef"):
            _version_field(item["fieldRef"])


def _default_projections(projected: Object) -> None:
    for source in projected.get("sources") or ():
        if (token := source.get("serviceAccountToken")) is not None and token.get("expirationSeconds") is None:
            token["expirationSeconds"] = 3600
        if (files := source.get("downwardAPI")) is not None:
            _default_files(files)
        if (certificate := source.get("podCertificate")) is not None and certificate.get(
            "maxExpirationSeconds"
        ) is None:
            certificate["maxExpirationSeconds"] = 86400


def _default_pod_resources(spec: Object) -> None:
    """What the pod as a whole requests and is limited to, where only part of it is given (KEP-2837)."""
    from kubrick_api_core.resource_validation import is_huge, may_overcommit, total

    whole = spec["resources"]
    given_limits, given_requests = whole.get("limits") or {}, whole.get("requests") or {}
    if not given_limits and not given_requests:
        return
    limits, requests = dict(given_limits), dict(given_requests)
    sums = total(spec, "limits")
    for name, value in sums.items():
        if is_huge(name) and name not in requests:
            limits.setdefault(name, str(value))
    if limits:
        for name, value in total(spec, "requests").items():
            if name in ("cpu", "memory"):
                requests.setdefault(name, str(value))
        for name, text in limits.items():
            if name in ("cpu", "memory") or is_huge(name):
                requests.setdefault(name, text)
    else:
        everyone = [c for kind in ("containers", "initContainers") for c in spec.get(kind) or ()]
        for name, value in sums.items():
            everywhere = all(name in ((c.get("resources") or {}).get("limits") or {}) for c in everyone)
            if name in ("cpu", "memory") and may_overcommit(name) and everywhere:
                limits[name] = str(value)
    for kind, amounts in (("limits", limits), ("requests", requests)):
        if amounts:
            whole[kind] = amounts
