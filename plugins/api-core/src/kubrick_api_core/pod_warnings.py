"""What a new pod, or a template of pods, is warned of. From pkg/api/pod/warnings.go and its neighbours."""

from collections.abc import Iterator, Mapping

from kubrick_api import addresses
from kubrick_api.quantity import Quantity
from kubrick_api.resource import Object
from kubrick_api.validation import label, label_value
from kubrick_api_core.pod_annotations import APP_ARMOR, SECCOMP_CONTAINER, SECCOMP_POD
from kubrick_api_core.security_validation import containers
from kubrick_api_core.tolerance import PREFERRED, TERMS

NODE_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
    "app.kubernetes.io/created-by": "deprecated since v1.9",
    "scheduler.alpha.kubernetes.io/preferAvoidPods": "deprecated since v1.22; use Taints and Tolerations instead",
    "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
}
ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": 'non-functional in v1.16+; use the "priorityClassName" field instead',
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
VOLUMES = {
    "photonPersistentDisk": ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    "gitRepo": ("gitRepo", "deprecated in v1.11"),
    "scaleIO": ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    "flocker": ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
    "storageos": ("storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    "quobyte": ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    "glusterfs": ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    "cephfs": ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    "rbd": ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
}
NO_SELECTOR = "a null labelSelector results in matching no pod"
SECCOMP = 'non-functional in v1.27+; use the "seccompProfile" field instead'
HOSTNAME = (
    "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; "
    "a DNS label is recommended: "
)


def pod_warnings(pod: Object) -> list[str]:
    """Warnings for a new pod."""
    return name_warnings(pod) + spec_warnings(pod)


def name_warnings(pod: Object) -> list[str]:
    why = label((pod.get("metadata") or {}).get("name") or "")
    return [f"{HOSTNAME}[{' '.join(why)}]"] if why else []


def spec_warnings(pod: Object) -> list[str]:
    """The warnings that follow from spec and annotations."""
    return list(_warnings(pod.get("spec") or {}, pod.get("metadata") or {}, "", template=False))


def template_warnings(template: Object, path: str) -> list[str]:
    """Warnings for a PodTemplateSpec at `path`."""
    return list(_warnings(template.get("spec") or {}, template.get("metadata") or {}, f"{path}.", template=True))


def _warnings(spec: Object, metadata: Object, prefix: str, *, template: bool) -> Iterator[str]:
    path = f"{prefix}spec"
    annotations = metadata.get("annotations") or {}
    if spec.get("nodeSelector") or spec.get("affinity") or spec.get("topologySpreadConstraints"):
        yield from _placement(spec, path)
    for key in ANNOTATIONS.keys() & annotations.keys():
        yield f"{prefix}metadata.annotations[{key}]: {ANNOTATIONS[key]}"
    if volumes := spec.get("volumes"):
        yield from _volumes(volumes, f"{path}.volumes")
    for name, key in (("hostAliases", "ip"), ("imagePullSecrets", "name")):
        if entries := spec.get(name):
            yield from _repeated(entries, key, f"{path}.{name}")
    for i, secret in enumerate(spec.get("imagePullSecrets") or ()):
        if not secret.get("name"):
            yield f'{path}.imagePullSecrets[{i}].name: invalid empty name ""'
    if overhead := spec.get("overhead"):
        yield from _fractions(overhead, f"{path}.overhead")
    if annotations:
        yield from _profiles(annotations, spec, prefix, template=template)
    for container, at in containers(spec, path):
        if resources := container.get("resources"):
            for kind in ("limits", "requests"):
                yield from _fractions(resources.get(kind) or {}, f"{at}.resources.{kind}")
        if len(container.get("env") or ()) > 1:
            yield from _hidden(container["env"], f"{at}.env")
    yield from _ports(spec, path)
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        why = "must be >= 0; negative values are invalid and will be treated as 1"
        yield f"{path}.terminationGracePeriodSeconds: {why}"
    for kind in ("podAffinity", "podAntiAffinity"):
        if terms := (spec.get("affinity") or {}).get(kind):
            yield from _selectors(terms, f"{path}.affinity.{kind}")
    for i, alias in enumerate(spec.get("hostAliases") or ()):
        yield from addresses.spelling_warnings(alias.get("ip") or "", f"{path}.hostAliases[{i}].ip")
    for i, server in enumerate((spec.get("dnsConfig") or {}).get("nameservers") or ()):
        yield from addresses.spelling_warnings(server, f"{path}.dnsConfig.nameservers[{i}]")


def _placement(spec: Object, path: str) -> Iterator[str]:
    for key in spec.get("nodeSelector") or ():
        if key in NODE_LABELS:
            yield f"{path}.nodeSelector[{key}]: {NODE_LABELS[key]}"
    affinity, at = (spec.get("affinity") or {}).get("nodeAffinity") or {}, f"{path}.affinity.nodeAffinity"
    for i, term in enumerate((affinity.get(TERMS) or {}).get("nodeSelectorTerms") or ()):
        yield from node_term_warnings(term, f"{at}.{TERMS}.nodeSelectorTerms[{i}]")
    for i, term in enumerate(affinity.get(PREFERRED) or ()):
        yield from node_term_warnings(term.get("preference") or {}, f"{at}.{PREFERRED}[{i}].preference", values=True)
    for i, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        key, here = constraint.get("topologyKey") or "", f"{path}.topologySpreadConstraints[{i}]"
        if key in NODE_LABELS:
            yield f"{here}.topologyKey: {key} is {NODE_LABELS[key]}"
        if constraint.get("labelSelector") is None:
            yield f"{here}.labelSelector: {NO_SELECTOR}"


def node_term_warnings(term: Object, path: str, *, values: bool = False) -> Iterator[str]:
    """Old labels in a node selector term; `values`: also values that are no label values."""
    for i, expression in enumerate(term.get("matchExpressions") or ()):
        key, at = expression.get("key") or "", f"{path}.matchExpressions[{i}]"
        if key in NODE_LABELS:
            yield f"{at}.key: {key} is {NODE_LABELS[key]}"
        if values:
            for j, value in enumerate(expression.get("values") or ()):
                for why in label_value(value):
                    yield f"{at}.values[{j}]: {value} is invalid, {why}"


def _volumes(volumes: list[Object], path: str) -> Iterator[str]:
    for i, volume in enumerate(volumes):
        for kind in VOLUMES.keys() & volume.keys():
            shown, why = VOLUMES[kind]
            yield f"{path}[{i}].{shown}: {why}"
        template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
        if template is not None:
            yield from claim_spec_warnings(
                template.get("spec") or {}, f"{path}[{i}].ephemeral.volumeClaimTemplate.spec"
            )
    tokens = {
        source["serviceAccountToken"].get("path") or ""
        for volume in volumes
        for source in (volume.get("projected") or {}).get("sources") or ()
        if source.get("serviceAccountToken") is not None
    }
    if tokens:
        for i, volume in enumerate(volumes):
            for source in (volume.get("projected") or {}).get("sources") or ():
                yield from _token_paths(source, tokens, f"{path}[{i}].projected.sources")


def _token_paths(source: Object, tokens: set[str], path: str) -> Iterator[str]:
    """Files that a token takes the place of."""
    for kind, shown in (("configMap", "configMap"), ("secret", "secrets"), ("downwardAPI", "downwardAPI")):
        for j, item in enumerate((source.get(kind) or {}).get("items") or ()):
            if (where := item.get("path") or "") in tokens:
                yield f'{path}.{shown}[{j}]: has duplicated path with ServiceAccountToken "{where}"'
    bundle = source.get("clusterTrustBundle")
    if bundle is not None and (where := bundle.get("path") or "") in tokens:
        yield f'{path}.ClusterTrustBundle: has duplicated path with ServiceAccountToken "{where}"'


def _repeated(entries: list[Object], key: str, path: str) -> Iterator[str]:
    seen: set[str] = set()
    for i, entry in enumerate(entries):
        value = entry.get(key) or ""
        if value in seen:
            yield f'{path}[{i}].{key}: duplicate {key} "{value}"'
        seen.add(value)


def _fractions(amounts: Mapping[str, str], path: str) -> Iterator[str]:
    for name in ("memory", "ephemeral-storage"):
        if name in amounts and (value := Quantity(amounts[name])).milli % 1000:
            yield f'{path}[{name}]: fractional byte value "{value}" is invalid, must be an integer'


def claim_spec_warnings(spec: Object, path: str) -> Iterator[str]:
    """A claim's spec at `path`."""
    for kind in ("requests", "limits"):
        storage = ((spec.get("resources") or {}).get(kind) or {}).get("storage")
        if storage is not None and (value := Quantity(storage)).milli % 1000:
            yield f'{path}.resources.{kind}[storage]: fractional byte value "{value}" is invalid, must be an integer'


def _profiles(annotations: Mapping[str, str], spec: Object, prefix: str, *, template: bool) -> Iterator[str]:
    own = spec.get("securityContext") or {}
    at = f"{prefix}metadata.annotations"
    if SECCOMP_POD in annotations and own.get("seccompProfile") is None:
        yield f"{at}[{SECCOMP_POD}]: {SECCOMP}"
    for container, _ in containers(spec, ""):
        context, name = container.get("securityContext") or {}, container.get("name") or ""
        if SECCOMP_CONTAINER + name in annotations and context.get("seccompProfile") is None:
            yield f"{at}[{SECCOMP_CONTAINER}{name}]: {SECCOMP}"
        armored = own.get("appArmorProfile") is not None or context.get("appArmorProfile") is not None
        if template and not armored and APP_ARMOR + name in annotations:
            why = 'deprecated since v1.30; use the "appArmorProfile" field instead'
            yield f"{at}[{APP_ARMOR}{name}]: {why}"


def _hidden(variables: list[Object], path: str) -> Iterator[str]:
    """A variable given twice, the second time without using the first."""
    seen: set[str] = set()
    for i, variable in enumerate(variables):
        name, value = variable.get("name") or "", variable.get("value") or ""
        if name not in seen:
            seen.add(name)
            continue
        reference = f"$({name})"
        if variable.get("valueFrom") is not None or value == reference or reference not in value:
            yield f'{path}[{i}]: hides previous definition of "{name}", which may be dropped when using apply'


def _ports(spec: Object, path: str) -> Iterator[str]:
    known: dict[tuple[int, str], list[tuple[str, str, int]]] = {}
    for container, at in containers(spec, path):
        for i, port in enumerate(container.get("ports") or ()):
            here, ip, host = f"{at}.ports[{i}]", port.get("hostIP") or "", port.get("hostPort") or 0
            if ip and not host:
                yield f"{here}: hostIP set without hostPort: {_shown(port)}"
            others = known.setdefault((port.get("containerPort") or 0, port.get("protocol") or ""), [])
            for other, other_ip, other_host in others:
                if (ip, host) == (other_ip, other_host):
                    yield f"{here}: duplicate port definition with {other}"
                elif not host or not other_host:
                    yield f"{here}: overlapping port definition with {other}"
                elif host == other_host and bool(ip) != bool(other_ip):
                    yield f"{here}: dangerously ambiguous port definition with {other}"
            others.append((here, ip, host))


def _shown(port: Object) -> str:
    """A port as Go's %+v prints it."""
    return (
        f"{{Name:{port.get('name') or ''} HostPort:{port.get('hostPort') or 0} "
        f"ContainerPort:{port.get('containerPort') or 0} Protocol:{port.get('protocol') or ''} "
        f"HostIP:{port.get('hostIP') or ''}}}"
    )


def _selectors(terms: Object, path: str) -> Iterator[str]:
    for i, term in enumerate(terms.get(TERMS) or ()):
        if term.get("labelSelector") is None:
            yield f"{path}.{TERMS}[{i}].labelSelector: {NO_SELECTOR}"
    for i, weighted in enumerate(terms.get(PREFERRED) or ()):
        if (weighted.get("podAffinityTerm") or {}).get("labelSelector") is None:
            yield f"{path}.{PREFERRED}[{i}].podAffinityTerm.labelSelector: {NO_SELECTOR}"
