"""The defaults Kubernetes gives pods, and templates of pods.

What an object's own schema says (a port's protocol) is the engine's; here is the rest, from
pkg/apis/core/v1/defaults.go. Some defaults belong to pods only, not to templates: requests taken from
limits, host ports under host networking, enableServiceLinks.
"""

import re
from typing import Any

Object = dict[str, Any]

# Volume sources that carry the mode of their files, all 0644 when unset.
WITH_MODE = ("secret", "configMap", "downwardAPI", "projected")
CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")


def default_pod(pod: Object) -> None:
    """Defaults of a Pod."""
    spec = pod.setdefault("spec", {})
    default_pod_spec(spec)
    spec.setdefault("enableServiceLinks", True)
    for container in _containers(spec, ("initContainers", "containers")):
        _request_limits(container["resources"])
        if spec.get("hostNetwork"):
            for port in container.get("ports") or ():
                if not port.get("hostPort") and "containerPort" in port:
                    port["hostPort"] = port["containerPort"]


def default_pod_template(template: Object) -> None:
    """Defaults of a PodTemplateSpec: those of its spec."""
    template.setdefault("metadata", {})
    default_pod_spec(template.setdefault("spec", {}))


def default_pod_spec(spec: Object) -> None:
    """Defaults common to pods and templates."""
    if not spec.get("dnsPolicy"):
        spec["dnsPolicy"] = "ClusterFirst"
    if not spec.get("restartPolicy"):
        spec["restartPolicy"] = "Always"
    if spec.get("securityContext") is None:
        spec["securityContext"] = {}
    if spec.get("terminationGracePeriodSeconds") is None:
        spec["terminationGracePeriodSeconds"] = 30
    if not spec.get("schedulerName"):
        spec["schedulerName"] = "default-scheduler"
    _alias_service_account(spec)
    for volume in spec.get("volumes") or ():
        default_volume(volume)
    for container in _containers(spec, CONTAINER_LISTS):
        default_container(container)


def _alias_service_account(spec: Object) -> None:
    """serviceAccount is the old name of serviceAccountName; both are always served."""
    name = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if name:
        spec["serviceAccountName"] = spec["serviceAccount"] = name
    else:
        spec.pop("serviceAccount", None)
        spec.pop("serviceAccountName", None)


def _containers(spec: Object, lists: tuple[str, ...]) -> list[Object]:
    return [container for name in lists for container in spec.get(name) or ()]


def pull_policy(image: str) -> str:
    """Always for the tag "latest" (or none, without a digest), IfNotPresent otherwise."""
    name, _, digest = image.partition("@")
    tag = re.search(r":([^:/]+)$", name)
    latest = tag[1] == "latest" if tag else not digest
    return "Always" if latest else "IfNotPresent"


def default_container(container: Object) -> None:
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = pull_policy(container.get("image") or "")
    if not container.get("terminationMessagePath"):
        container["terminationMessagePath"] = "/dev/termination-log"
    if not container.get("terminationMessagePolicy"):
        container["terminationMessagePolicy"] = "File"
    if container.get("resources") is None:
        container["resources"] = {}
    for port in container.get("ports") or ():
        if not port.get("protocol"):
            port["protocol"] = "TCP"
    for variable in container.get("env") or ():
        if field_ref := (variable.get("valueFrom") or {}).get("fieldRef"):
            _version_field(field_ref)
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe := container.get(name):
            default_probe(probe)
    for action in (container.get("lifecycle") or {}).values():
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
    for kind in WITH_MODE:
        if (source := volume.get(kind)) is not None and source.get("defaultMode") is None:
            source["defaultMode"] = 0o644
    if (host_path := volume.get("hostPath")) is not None and host_path.get("type") is None:
        host_path["type"] = ""
    for item in (volume.get("downwardAPI") or {}).get("items") or ():
        if item.get("fieldRef"):
            _version_field(item["fieldRef"])
    for source in (volume.get("projected") or {}).get("sources") or ():
        if (token := source.get("serviceAccountToken")) is not None and token.get("expirationSeconds") is None:
            token["expirationSeconds"] = 3600
        for item in (source.get("downwardAPI") or {}).get("items") or ():
            if item.get("fieldRef"):
                _version_field(item["fieldRef"])
    if claim := (volume.get("ephemeral") or {}).get("volumeClaimTemplate"):
        claim.setdefault("metadata", {})
        claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
    if (image := volume.get("image")) is not None and not image.get("pullPolicy"):
        image["pullPolicy"] = pull_policy(image.get("reference") or "")


def _request_limits(resources: Object) -> None:
    """A resource that is limited but not requested is requested up to its limit."""
    if limits := resources.get("limits"):
        requests = resources.get("requests")
        resources["requests"] = {**limits, **(requests or {})}
