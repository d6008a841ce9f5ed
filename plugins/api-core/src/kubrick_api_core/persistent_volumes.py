"""What can be wrong with a PersistentVolume, and what it is warned of.

Paths, order and wording are those of pkg/apis/core/validation (ValidatePersistentVolumeSpec) and
pkg/api/persistentvolume.
"""

import posixpath

from kubrick_api.equality import same, unified_diff
from kubrick_api.errors import FieldError, forbidden_value, invalid_value, not_supported, required
from kubrick_api.quantity import ZERO, Quantity
from kubrick_api.resource import Object
from kubrick_api.validation import IMMUTABLE, is_label_value_text
from kubrick_api_core import volume_sources as sources
from kubrick_api_core.claim_validation import (
    POSITIVE,
    class_name,
    validate_access_modes,
    validate_volume_mode,
)
from kubrick_api_core.internal import VOLUME_AFFINITY, internal
from kubrick_api_core.placement_validation import validate_node_selector

Errors = list[FieldError]

RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
MOUNT_ANNOTATION = "volume.beta.kubernetes.io/mount-options"
# In the order they are looked at: of several, the first counts and the others are forbidden.
CHECKS: dict[str, sources.Check] = {
    "hostPath": sources.host_path,
    "gcePersistentDisk": sources.gce_disk,
    "awsElasticBlockStore": sources.aws_disk,
    "glusterfs": sources.persistent_glusterfs,
    "flocker": sources.flocker,
    "nfs": sources.nfs,
    "rbd": sources.rbd,
    "quobyte": sources.quobyte,
    "cephfs": sources.ceph,
    "iscsi": sources.iscsi,
    "cinder": sources.persistent_cinder,
    "fc": sources.fibre_channel,
    "flexVolume": sources.flex_volume,
    "azureFile": sources.persistent_azure_file,
    "vsphereVolume": sources.needs("volumePath"),
    "photonPersistentDisk": sources.needs("pdID"),
    "portworxVolume": sources.needs("volumeID"),
    "azureDisk": sources.azure_disk,
    "scaleIO": sources.scale_io,
    "local": sources.local,
    "storageos": sources.persistent_storage_os,
    "csi": sources.persistent_csi,
}
# Labels of nodes that may be replaced by their successors in a volume's node affinity.
SUCCESSORS = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "beta.kubernetes.io/os": "kubernetes.io/os",
    "beta.kubernetes.io/arch": "kubernetes.io/arch",
    "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
}
OLD_KINDS = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}


def validate_volume(volume: Object, old: Object | None = None) -> Errors:
    """`old` is the volume it replaces: labels' values in its node affinity may be what they were."""
    errors: Errors = []
    spec, name = volume.get("spec") or {}, (volume.get("metadata") or {}).get("name") or ""
    modes = spec.get("accessModes") or ()
    if not modes:
        errors.append(required("spec.accessModes"))
    validate_access_modes(modes, "spec.accessModes", errors)
    _capacity(spec.get("capacity") or {}, errors)
    policy = spec.get("persistentVolumeReclaimPolicy")
    if policy and policy not in RECLAIM_POLICIES:
        errors.append(not_supported("spec.persistentVolumeReclaimPolicy", policy, RECLAIM_POLICIES))
    if (affinity := spec.get("nodeAffinity")) is not None:
        known = _has_bad_value(((old or {}).get("spec") or {}).get("nodeAffinity") or {})
        if affinity.get("required") is None:
            errors.append(required("spec.nodeAffinity.required", "must specify required node constraints"))
        else:
            validate_node_selector(affinity["required"], "spec.nodeAffinity.required", errors, any_value=known)
    _source(spec, name, errors)
    host = (spec.get("hostPath") or {}).get("path") or ""
    if host and posixpath.normpath(host).lstrip("/") == "" and policy == "Recycle":
        why = "may not be 'recycle' for a hostPath mount of '/'"
        errors.append(forbidden_value("spec.persistentVolumeReclaimPolicy", why))
    if storage_class := spec.get("storageClassName"):
        errors += class_name(storage_class, "spec.storageClassName")
    validate_volume_mode(spec, "spec", errors)
    attributes = spec.get("volumeAttributesClassName")
    if attributes is not None:
        at = "spec.volumeAttributesClassName"
        errors += class_name(attributes, at) if attributes else [required(at, "an empty string is disallowed")]
        if spec.get("csi") is None:
            errors.append(required("spec.csi", "has to be specified when using volumeAttributesClassName"))
    return errors


def _capacity(capacity: Object, errors: Errors) -> None:
    if not capacity:
        errors.append(required("spec.capacity"))
    if "storage" not in capacity or len(capacity) > 1:
        errors.append(not_supported("spec.capacity", dict(sorted(capacity.items())) or None, ("storage",)))
    for name, value in capacity.items():
        quantity, at = Quantity(value), f"spec.capacity[{name}]"
        if quantity.value < 0:
            errors.append(invalid_value(at, quantity.value, "must be a valid resource quantity"))
        if quantity <= ZERO:
            errors.append(invalid_value(at, str(quantity), POSITIVE))


def _source(spec: Object, name: str, errors: Errors) -> None:
    kinds = [kind for kind in CHECKS if spec.get(kind) is not None]
    if not kinds:
        errors.append(required("spec", "must specify a volume type"))
    for i, kind in enumerate(kinds):
        at = f"spec.{kind}"
        if i and kind != "flexVolume":
            errors.append(sources.second_kind(kind, "spec"))
        elif kind == "iscsi":
            sources.persistent_iscsi(spec[kind], at, errors, name)
        else:
            CHECKS[kind](spec[kind], at, errors)
            if kind == "local" and spec.get("nodeAffinity") is None:
                errors.append(required("spec.nodeAffinity", "Local volume requires node affinity"))


def _has_bad_value(affinity: Object) -> bool:
    return any(
        not is_label_value_text(value) or len(value) > 63
        for term in (affinity.get("required") or {}).get("nodeSelectorTerms") or ()
        for expression in term.get("matchExpressions") or ()
        for value in expression.get("values") or ()
    )


def validate_volume_update(volume: Object, old: Object) -> Errors:
    """Where a volume's data is doesn't change, nor which nodes reach it."""
    errors = validate_volume(volume, old)
    spec, before = volume.get("spec") or {}, old.get("spec") or {}
    new = {kind: spec.get(kind) for kind in CHECKS}
    was = {kind: before.get(kind) for kind in CHECKS}
    csi, earlier = new["csi"], was["csi"]
    if csi and earlier and earlier.get("controllerExpandSecretRef") is None:
        new["csi"] = {key: value for key, value in csi.items() if key != "controllerExpandSecretRef"}
    if not same(new, was):
        why = "spec.persistentvolumesource is immutable after creation"
        errors.append(forbidden_value("spec.persistentvolumesource", f"{why}\n{unified_diff(was, new)}"))
    if spec.get("volumeMode") != before.get("volumeMode"):
        errors.append(invalid_value("volumeMode", spec.get("volumeMode"), IMMUTABLE))
    affinity, had = spec.get("nodeAffinity"), before.get("nodeAffinity")
    if had is not None and not same(affinity, had) and not same(affinity, _renewed(had, affinity)):
        why = f"{IMMUTABLE}, except for updating from beta label to GA"
        errors.append(invalid_value("nodeAffinity", internal(affinity, VOLUME_AFFINITY), why))
    if before.get("volumeAttributesClassName") is not None and spec.get("volumeAttributesClassName") is None:
        why = "update from non-nil value to nil is forbidden"
        errors.append(forbidden_value("spec.volumeAttributesClassName", why))
    return errors


def _renewed(had: Object, affinity: Object | None) -> Object:
    """The old affinity with those labels replaced that the new one replaces by their successors."""
    used = {
        expression.get("key")
        for term in ((affinity or {}).get("required") or {}).get("nodeSelectorTerms") or ()
        for expression in term.get("matchExpressions") or ()
    }

    def renew(expression: Object) -> Object:
        key = expression.get("key") or ""
        successor = SUCCESSORS.get(key)
        return {**expression, "key": successor} if successor in used and key not in used else expression

    terms = [
        {**term, "matchExpressions": [renew(each) for each in term.get("matchExpressions") or ()]}
        for term in (had.get("required") or {}).get("nodeSelectorTerms") or ()
    ]
    return {**had, "required": {**(had.get("required") or {}), "nodeSelectorTerms": terms}}


def volume_warnings(volume: Object) -> list[str]:
    from kubrick_api_core.pod_warnings import node_term_warnings

    spec, annotations = volume.get("spec") or {}, (volume.get("metadata") or {}).get("annotations") or {}
    warnings = []
    if CLASS_ANNOTATION in annotations:
        why = 'deprecated since v1.8; use "storageClassName" attribute instead'
        warnings.append(f"metadata.annotations[{CLASS_ANNOTATION}]: {why}")
    if MOUNT_ANNOTATION in annotations:
        why = 'deprecated since v1.31; use "mountOptions" attribute instead'
        warnings.append(f"metadata.annotations[{MOUNT_ANNOTATION}]: {why}")
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        why = "Instead, the recommended approach is to use dynamic provisioning."
        warnings.append(f"spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. {why}")
    for i, term in enumerate(((spec.get("nodeAffinity") or {}).get("required") or {}).get("nodeSelectorTerms") or ()):
        warnings += node_term_warnings(term, f"spec.nodeAffinity.required.nodeSelectorTerms[{i}]")
    storage = (spec.get("capacity") or {}).get("storage")
    if storage is not None and (value := Quantity(storage)).milli % 1000:
        warnings.append(f'spec.capacity[storage]: fractional byte value "{value}" is invalid, must be an integer')
    warnings += [f"spec.{kind}: {why}" for kind, why in OLD_KINDS.items() if spec.get(kind) is not None]
    return warnings
