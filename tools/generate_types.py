"""Generate the data of the API bricks from the table of Kubernetes' types.

    python tools/generate_types.py FACTS [BRICK...]

FACTS is a folder with ``api-types.json``. For every API brick (or only those named, such as
``apps``; ``api`` is the shared apimachinery types) this writes, beside the brick's sources,

- ``schemas.json``: the brick's types, as `kubrick_api.schema` reads them, one line per type;
- ``messages.json``, if there are any: messages that exist in protobuf only (JSON inlines their members);
- ``types.py`` (and ``types_<version>.py`` for an older version of the same group): attrs classes.

Descriptions of the types and fields that people ask about most come from ``descriptions.json`` beside
this file; others get a neutral sentence when they are shown. What the table can't tell is added here:
which optional strings are pointers in Go, so that "" is kept (`KEPT_EMPTY`), which optional numbers and
booleans are not, so that 0 and false are dropped as Go's omitempty drops them (`DROPPED_ZERO`), and the
named Go types that show up in the decoder's messages (`GO_TYPES`).
"""

import json
import keyword
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
META = "io.k8s.apimachinery."
# Brick -> the prefixes of its types, newest version first.
BRICKS: dict[str, tuple[str, ...]] = {
    "api": (META,),
    "core": ("io.k8s.api.core.v1.",),
    "apps": ("io.k8s.api.apps.v1.",),
    "events": ("io.k8s.api.events.v1.",),
    "authentication": ("io.k8s.api.authentication.v1.",),
    "authorization": ("io.k8s.api.authorization.v1.",),
    "autoscaling": ("io.k8s.api.autoscaling.v2.", "io.k8s.api.autoscaling.v1."),
    "batch": ("io.k8s.api.batch.v1.",),
    "certificates": ("io.k8s.api.certificates.v1.",),
    "networking": ("io.k8s.api.networking.v1.",),
    "policy": ("io.k8s.api.policy.v1.",),
    "rbac": ("io.k8s.api.rbac.v1.",),
    "storage": ("io.k8s.api.storage.v1.",),
    "admissionregistration": ("io.k8s.api.admissionregistration.v1.",),
    "apiextensions": ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.",),
    "apiregistration": ("io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.",),
    "scheduling": ("io.k8s.api.scheduling.v1.",),
    "coordination": ("io.k8s.api.coordination.v1.",),
    "node": ("io.k8s.api.node.v1.",),
    "discovery": ("io.k8s.api.discovery.v1.",),
    "resource": ("io.k8s.api.resource.v1.",),
    "flowcontrol": ("io.k8s.api.flowcontrol.v1.",),
}

# Optional strings that are pointers in Go: "" is a value of its own. Type (without package) -> fields.
KEPT_EMPTY: dict[str, str] = {
    "PersistentVolumeClaimSpec": "storageClassName volumeMode volumeAttributesClassName",
    "PersistentVolumeClaimStatus": "currentVolumeAttributesClassName",
    "PersistentVolumeSpec": "volumeMode volumeAttributesClassName",
    "PodSpec": "runtimeClassName preemptionPolicy hostnameOverride",
    "ServicePort": "appProtocol",
    "ServiceSpec": "internalTrafficPolicy loadBalancerClass ipFamilyPolicy",
    "EndpointPort": "name protocol appProtocol",
    "Endpoint": "hostname nodeName zone",
    "EndpointAddress": "nodeName",
    "SeccompProfile": "localhostProfile",
    "AppArmorProfile": "localhostProfile",
    "WindowsSecurityContextOptions": "gmsaCredentialSpec gmsaCredentialSpecName runAsUserName",
    "PodDNSConfigOption": "value",
    "AzureDiskVolumeSource": "cachingMode fsType kind",
    "ISCSIVolumeSource": "initiatorName",
    "ISCSIPersistentVolumeSource": "initiatorName",
    "AzureFilePersistentVolumeSource": "secretNamespace",
    "CSIVolumeSource": "fsType",
    "GlusterfsPersistentVolumeSource": "endpointsNamespace",
    "ClusterTrustBundleProjection": "name signerName",
    "TypedLocalObjectReference": "apiGroup",
    "TypedObjectReference": "apiGroup namespace",
    "VolumeMount": "mountPropagation recursiveReadOnly",
    "VolumeMountStatus": "recursiveReadOnly",
    "SecurityContext": "procMount",
    "PodSecurityContext": "fsGroupChangePolicy supplementalGroupsPolicy seLinuxChangePolicy",
    "PortStatus": "error",
    "LoadBalancerIngress": "ipMode",
    "PodResourceClaim": "resourceClaimName resourceClaimTemplateName",
    "PodResourceClaimStatus": "resourceClaimName",
    "GRPCAction": "service",
    "HTTPIngressPath": "pathType",
    "IngressSpec": "ingressClassName",
    "IngressClassParametersReference": "apiGroup namespace scope",
    "IngressPortStatus": "error",
    "NetworkPolicyPort": "protocol",
    "LeaseSpec": "holderIdentity strategy preferredHolder",
    "JobSpec": "completionMode managedBy podReplacementPolicy",
    "JobStatus": "failedIndexes",
    "CronJobSpec": "timeZone",
    "SuccessPolicyRule": "succeededIndexes",
    "PodFailurePolicyOnExitCodesRequirement": "containerName",
    "StorageClass": "reclaimPolicy volumeBindingMode",
    "CSIDriverSpec": "fsGroupPolicy",
    "VolumeAttachmentSource": "persistentVolumeName",
    "PriorityClass": "preemptionPolicy",
    "Preconditions": "uid resourceVersion",
    "DeleteOptions": "propagationPolicy",
    "WebhookClientConfig": "url",
    "ServiceReference": "path name namespace",
    "ValidatingWebhook": "failurePolicy matchPolicy sideEffects",
    "MutatingWebhook": "failurePolicy matchPolicy sideEffects reinvocationPolicy",
    "Rule": "scope",
    "NamedRuleWithOperations": "scope",
    "RuleWithOperations": "scope",
    "MatchResources": "matchPolicy",
    "ValidatingAdmissionPolicySpec": "failurePolicy",
    "MutatingAdmissionPolicySpec": "failurePolicy",
    "Validation": "reason",
    "ParamRef": "parameterNotFoundAction",
    "ValidationRule": "reason optionalOldSelf",
    "JSONSchemaProps": "x-kubernetes-list-type x-kubernetes-map-type $ref",
    "CustomResourceSubresourceScale": "labelSelectorPath",
    "PodDisruptionBudgetSpec": "unhealthyPodEvictionPolicy",
    "HPAScalingRules": "selectPolicy",
    "FlowDistinguisherMethod": "type",
    "DeviceAttribute": "string version",
    "ResourceSliceSpec": "nodeName",
}

# Optional numbers and booleans that are plain values in Go: 0 and false are dropped.
DROPPED_ZERO: dict[str, str] = {
    "PodSpec": "hostNetwork hostPID hostIPC",
    "Container": "stdin stdinOnce tty",
    "EphemeralContainer": "stdin stdinOnce tty",
    "ContainerPort": "hostPort",
    "Probe": "initialDelaySeconds timeoutSeconds periodSeconds successThreshold failureThreshold",
    "VolumeMount": "readOnly",
    "AWSElasticBlockStoreVolumeSource": "readOnly partition",
    "GCEPersistentDiskVolumeSource": "readOnly partition",
    "PersistentVolumeClaimVolumeSource": "readOnly",
    "NFSVolumeSource": "readOnly",
    "ISCSIVolumeSource": "readOnly chapAuthDiscovery chapAuthSession",
    "CephFSVolumeSource": "readOnly",
    "FCVolumeSource": "readOnly",
    "RBDVolumeSource": "readOnly",
    "AzureFileVolumeSource": "readOnly",
    "CSIPersistentVolumeSource": "readOnly",
    "DeploymentSpec": "minReadySeconds paused",
    "DaemonSetSpec": "minReadySeconds",
    "StatefulSetSpec": "minReadySeconds",
    "ReplicaSetSpec": "minReadySeconds",
    "ReplicationControllerSpec": "minReadySeconds",
    "DeploymentStatus": "observedGeneration replicas updatedReplicas readyReplicas availableReplicas "
    "unavailableReplicas",
    "ReplicaSetStatus": "fullyLabeledReplicas readyReplicas availableReplicas observedGeneration",
    "ReplicationControllerStatus": "fullyLabeledReplicas readyReplicas availableReplicas observedGeneration",
    "StatefulSetStatus": "readyReplicas currentReplicas updatedReplicas observedGeneration",
    "DaemonSetStatus": "observedGeneration updatedNumberScheduled numberAvailable numberUnavailable",
    "JobStatus": "active succeeded failed",
    "NodeSpec": "unschedulable",
    "ServicePort": "nodePort",
    "ServiceSpec": "publishNotReadyAddresses healthCheckNodePort",
    "ObjectMeta": "generation",
    "Condition": "observedGeneration",
    "PodCondition": "observedGeneration",
    "PodStatus": "observedGeneration",
    "Event": "count",
    "ScaleSpec": "replicas",
    "HorizontalPodAutoscalerStatus": "currentReplicas",
    "PriorityClass": "globalDefault",
    "StatusDetails": "retryAfterSeconds",
    "Status": "code",
    "PodDisruptionBudgetStatus": "observedGeneration",
    "CustomResourceDefinitionSpec": "preserveUnknownFields",
    "CustomResourceDefinitionVersion": "deprecated",
    "CustomResourceColumnDefinition": "priority",
    "APIServiceSpec": "insecureSkipTLSVerify",
    "JSONSchemaProps": "nullable exclusiveMaximum exclusiveMinimum uniqueItems x-kubernetes-embedded-resource "
    "x-kubernetes-int-or-string",
}

# Named scalar types of Go: (type or "*", field) -> name.
GO_TYPES: dict[tuple[str, str], str] = {
    ("*", "uid"): "types.UID",
    ("Container", "imagePullPolicy"): "v1.PullPolicy",
    ("Container", "terminationMessagePolicy"): "v1.TerminationMessagePolicy",
    ("Container", "restartPolicy"): "v1.ContainerRestartPolicy",
    ("ContainerPort", "protocol"): "v1.Protocol",
    ("ServicePort", "protocol"): "v1.Protocol",
    ("PodSpec", "restartPolicy"): "v1.RestartPolicy",
    ("PodSpec", "dnsPolicy"): "v1.DNSPolicy",
    ("PodSpec", "preemptionPolicy"): "v1.PreemptionPolicy",
    ("Toleration", "operator"): "v1.TolerationOperator",
    ("Toleration", "effect"): "v1.TaintEffect",
    ("Taint", "effect"): "v1.TaintEffect",
    ("ServiceSpec", "type"): "v1.ServiceType",
    ("ServiceSpec", "sessionAffinity"): "v1.ServiceAffinity",
    ("ServiceSpec", "externalTrafficPolicy"): "v1.ServiceExternalTrafficPolicy",
    ("ServiceSpec", "internalTrafficPolicy"): "v1.ServiceInternalTrafficPolicy",
    ("DeploymentStrategy", "type"): "v1.DeploymentStrategyType",
    ("LabelSelectorRequirement", "operator"): "v1.LabelSelectorOperator",
    ("NodeSelectorRequirement", "operator"): "v1.NodeSelectorOperator",
    ("Secret", "type"): "v1.SecretType",
    ("PodStatus", "phase"): "v1.PodPhase",
    ("PodCondition", "type"): "v1.PodConditionType",
    ("PodCondition", "status"): "v1.ConditionStatus",
    ("NodeCondition", "type"): "v1.NodeConditionType",
    ("NodeCondition", "status"): "v1.ConditionStatus",
    ("Condition", "status"): "v1.ConditionStatus",
    ("ResourceRequirements", "limits"): "v1.ResourceList",
    ("ResourceRequirements", "requests"): "v1.ResourceList",
    ("NodeStatus", "allocatable"): "v1.ResourceList",
    ("NodeStatus", "capacity"): "v1.ResourceList",
    ("JobSpec", "completionMode"): "v1.CompletionMode",
    ("CronJobSpec", "concurrencyPolicy"): "v1.ConcurrencyPolicy",
}

DESCRIPTIONS: dict[str, dict[str, str]] = json.loads((Path(__file__).parent / "descriptions.json").read_text())

Definition = dict[str, Any]


def main() -> None:
    facts = json.loads((Path(sys.argv[1]) / "api-types.json").read_text())
    wanted = sys.argv[2:] or list(BRICKS)
    for brick in wanted:
        generate(brick, facts)


def generate(brick: str, facts: dict[str, Any]) -> None:
    types: dict[str, Definition] = facts["types"]
    package = "kubrick_api" if brick == "api" else f"kubrick_api_{brick}"
    folder = ROOT / "plugins" / ("api" if brick == "api" else f"api-{brick}") / "src" / package
    versions = [{n: d for n, d in types.items() if n.startswith(prefix)} for prefix in BRICKS[brick]]
    table = {name: annotated(name, d) for version in versions for name, d in sorted(version.items())}
    pb_packages = {d["pb_message"].rpartition(".")[0] for d in table.values() if "pb_message" in d}
    messages = {n: m for n, m in facts["proto_only_messages"].items() if n.rpartition(".")[0] in pb_packages}
    (folder / "schemas.json").write_text(lines(table))
    descriptions = {n: texts for n, d in table.items() if (texts := described(n, d))}
    if descriptions:
        (folder / "descriptions.json").write_text(lines(descriptions))
    if messages:
        (folder / "messages.json").write_text(lines(messages))
    for index, (prefix, version) in enumerate(zip(BRICKS[brick], versions, strict=True)):
        module = "types" if index == 0 else f"types_{prefix.split('.')[-2]}"
        (folder / f"{module}.py").write_text(module_source(brick, version, prefix))
        for command in (["format", "-q"], ["check", "--fix", "-q"], ["format", "-q"]):
            subprocess.run(["ruff", *command, str(folder / f"{module}.py")], cwd=ROOT, check=True)  # noqa: S603, S607
        print(f"{folder.name}: {module}.py, {len(version)} types")  # noqa: T201 - a command's output


def lines(table: dict[str, Any]) -> str:
    """JSON with one type per line, so that a change shows in a diff."""
    rows = (f"{json.dumps(n)}: {json.dumps(d, sort_keys=True, separators=(',', ':'))}" for n, d in table.items())
    return "{\n" + ",\n".join(rows) + "\n}\n"


def annotated(name: str, definition: Definition) -> Definition:
    """The definition with what the table can't tell, and without defaults that are mere
    zero values (an artefact of required scalars in OpenAPI)."""
    short = name.rpartition(".")[2]
    kept = KEPT_EMPTY.get(short, "").split()
    dropped = DROPPED_ZERO.get(short, "").split()
    fields = {}
    for key, spec in definition.get("fields", {}).items():
        spec = dict(spec)
        if not spec.get("default", True):
            del spec["default"]
        if key in kept:
            spec["keep-empty"] = True
        if key in dropped:
            spec["omit-zero"] = True
        go = GO_TYPES.get((short, key)) or (GO_TYPES.get(("*", key)) if spec.get("type") == "string" else None)
        if go:
            spec["go"] = go
        fields[key] = spec
    result = {k.removeprefix("x-kubernetes-"): v for k, v in definition.items() if k != "fields"}
    if fields:
        result["fields"] = fields
    return result


def described(name: str, definition: Definition) -> dict[str, str]:
    """The sentences for a type ("") and its fields."""
    texts = DESCRIPTIONS.get(name.rpartition(".")[2], {})
    return {key: text for key, text in texts.items() if not key or key in definition.get("fields", {})}


# Typed classes

SCALARS = {"string": "str", "boolean": "bool", "integer": "int", "number": "float"}
ZERO = {"str": '""', "bool": "False", "int": "0", "float": "0.0"}
# Attributes that would hide what annotations are made of.
SHADOWING = {"bool", "int", "str", "float", "bytes", "list", "dict", "all"}
SPECIAL = {
    "Quantity": "Quantity",
    "MicroTime": "MicroTime",
    "Time": "datetime",
    "IntOrString": "int | str",
    "RawExtension": "Any",
    "FieldsV1": "Any",
    "Patch": "Any",
    "JSON": "Any",
    "JSONSchemaPropsOrArray": "Any",
    "JSONSchemaPropsOrBool": "Any",
    "JSONSchemaPropsOrStringArray": "Any",
}


def snake(name: str) -> str:
    """hostIPC -> host_ipc, clusterIPs -> cluster_ips, $ref -> ref, from -> from_."""
    name = name.lstrip("$").replace("-", "_")
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    name = re.sub(r"([A-Z]+)([A-Z][a-z])(?!\b)", lambda m: split_acronym(m), name).lower()
    return f"{name}_" if keyword.iskeyword(name) or name in SHADOWING else name


def camel(name: str) -> str:
    """What kubrick_api.typed makes of an attribute's name when the class doesn't say otherwise."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def split_acronym(match: re.Match[str]) -> str:
    if match[2][1] == "s" and not match.string[match.end() :][:1].islower():
        return match[0]
    return f"{match[1]}_{match[2]}"


def owner(ref: str) -> tuple[str, str]:
    """Which module defines a type: (brick, module)."""
    for brick, prefixes in BRICKS.items():
        for index, prefix in enumerate(prefixes):
            if ref.startswith(prefix):
                return brick, "types" if index == 0 else f"types_{prefix.split('.')[-2]}"
    raise LookupError(ref)


def module_source(brick: str, types: dict[str, Definition], prefix: str) -> str:
    imports: set[str] = set()
    classes = [class_source(n, types[n], brick, imports) for n in ordered(types) if not special(n)]
    body = "\n\n\n".join(classes)
    short = ".".join(prefix.split(".")[-3:-1])
    head = [f'"""Typed classes of {short}. Generated by tools/generate_types.py; don\'t edit."""', ""]
    standard = []
    if "datetime" in imports:
        standard.append("from datetime import datetime")
    names = [name for name in ("Any", "ClassVar") if re.search(rf"\b{name}\b", body)]
    if names:
        standard.append(f"from typing import {', '.join(names)}")
    attrs = ["from attrs import define, field"] if "= field(" in body else ["from attrs import define"]
    ours = sorted(i for i in imports if i.startswith("from kubrick"))
    ours.append(f"from kubrick_api.typed import {'MicroTime, ' if 'MicroTime' in imports else ''}Typed")
    if "Quantity" in imports:
        ours.append("from kubrick_api.quantity import Quantity")
    ours.sort(key=lambda line: line.split()[1])
    blocks = [*head]
    if standard:
        blocks += [*standard, ""]
    blocks += [*attrs, "", *ours]
    return "\n".join(blocks) + "\n\n\n" + body + "\n"


def special(name: str) -> bool:
    return name.rpartition(".")[2] in SPECIAL


def ordered(types: dict[str, Definition]) -> list[str]:
    """Names so that a type follows those it refers to (a cycle refers by name)."""
    done: dict[str, None] = {}

    def visit(name: str) -> None:
        if name in seen or name not in types:
            return
        seen.add(name)
        for spec in types[name].get("fields", {}).values():
            for part in (spec, spec.get("list", {}), spec.get("map", {})):
                if "ref" in part:
                    visit(part["ref"])
        done[name] = None

    seen: set[str] = set()
    for name in sorted(types):
        visit(name)
    return list(done)


def annotation(spec: Definition, brick: str, module: str, own: str, imports: set[str]) -> str:
    if "list" in spec:
        return f"list[{annotation(spec['list'], brick, module, own, imports)}]"
    if "map" in spec:
        return f"dict[str, {annotation(spec['map'], brick, module, own, imports)}]"
    if "ref" not in spec:
        return "bytes" if spec.get("format") == "byte" else SCALARS[spec["type"]]
    ref = spec["ref"]
    short = ref.rpartition(".")[2]
    if special(ref):
        imports.add(SPECIAL[short])
        return SPECIAL[short]
    its_brick, its_module = owner(ref)
    if (its_brick, its_module) == (brick, module):
        return f'"{short}"' if short == own else short
    package = "kubrick_api" if its_brick == "api" else f"kubrick_api_{its_brick}"
    alias = "meta" if its_brick == "api" else its_brick
    imports.add(f"from {package} import {its_module} as {alias}")
    return f"{alias}.{short}"


def class_source(name: str, definition: Definition, brick: str, imports: set[str]) -> str:
    short = name.rpartition(".")[2]
    module = owner(name)[1]
    gvk = definition.get("gvk")
    out = ["@define(slots=False)", f"class {short}(Typed):", f'    """{sentence(short, gvk)}"""']
    fields = definition.get("fields", {})
    renamed = {key: snake(key) for key in fields}
    irregular = {name: key for key, name in renamed.items() if camel(name) != key}
    if irregular:
        out += ["", f"    json_names: ClassVar[dict[str, str]] = {json.dumps(irregular)}"]
    if gvk:
        group, version, kind = gvk
        api_version = f"{group}/{version}" if group else version
        out += ["", f'    api_version: str = "{api_version}"', f'    kind: str = "{kind}"']
    elif fields:
        out.append("")
    for key, spec in fields.items():
        if gvk and key in ("apiVersion", "kind"):
            continue
        text = annotation(spec, brick, module, short, imports)
        if "list" in spec or "map" in spec:
            value = f"field(factory={'list' if 'list' in spec else 'dict'})"
        elif "ref" in spec and not special(spec["ref"]) and (spec.get("required") or (gvk and key in TOP)):
            value = f"field(factory={text})"
        elif spec.get("required") and text in ZERO:
            value = ZERO[text]
        elif text == "Any":
            value = "None"
        else:
            text, value = optional(text), "None"
        out.append(f"    {renamed[key]}: {text} = {value}")
    return "\n".join(out)


TOP = ("metadata", "spec", "status")


def optional(text: str) -> str:
    return f'"{text.strip(chr(34))} | None"' if '"' in text else f"{text} | None"


def sentence(short: str, gvk: list[str] | None) -> str:
    if gvk:
        return f"The kind {gvk[2]} of {gvk[0] + '/' if gvk[0] else ''}{gvk[1]}."
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", short).lower()
    return f"{words[0].upper()}{words[1:]}."


if __name__ == "__main__":
    main()
