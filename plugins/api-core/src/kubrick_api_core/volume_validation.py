"""What can be wrong with a pod's volumes. Paths and wording are those of pkg/apis/core/validation."""

from collections.abc import Mapping
from typing import Any

from kubrick_api.errors import FieldError, duplicate, forbidden_value, invalid_value, required
from kubrick_api.quantity import ZERO, Quantity
from kubrick_api.resource import Object
from kubrick_api.validation import annotations as validate_annotations
from kubrick_api.validation import label, name_is_dns_subdomain
from kubrick_api.validation import labels as validate_labels
from kubrick_api_core import projection_validation as projections
from kubrick_api_core import volume_sources as sources
from kubrick_api_core.claim_validation import validate_claim_spec
from kubrick_api_core.rules import pull_policy
from kubrick_api_core.tolerance import NONE, Tolerance

Errors = list[FieldError]


def empty_dir(source: Object, path: str, errors: Errors) -> None:
    if (limit := source.get("sizeLimit")) is not None and Quantity(limit) < ZERO:
        errors.append(forbidden_value(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity"))


def ephemeral(source: Object, path: str, errors: Errors) -> None:
    template, at = source.get("volumeClaimTemplate"), f"{path}.volumeClaimTemplate"
    if template is None:
        errors.append(required(at))
        return
    metadata = template.get("metadata") or {}
    errors += validate_annotations(metadata.get("annotations"), f"{at}.metadata.annotations")
    errors += validate_labels(metadata.get("labels"), f"{at}.metadata.labels")
    for name in metadata:
        if name not in ("annotations", "labels"):
            shown = {"uid": "uID"}.get(name, name)
            errors.append(forbidden_value(f"{at}.metadata.{shown}", "cannot be set"))
    validate_claim_spec(template.get("spec") or {}, f"{at}.spec", errors)


# In the order they are looked at: of several, the first counts and the others are forbidden.
CHECKS: dict[str, sources.Check] = {
    "emptyDir": empty_dir,
    "hostPath": sources.host_path,
    "gitRepo": sources.git_repo,
    "gcePersistentDisk": sources.gce_disk,
    "awsElasticBlockStore": sources.aws_disk,
    "secret": projections.secret,
    "nfs": sources.nfs,
    "iscsi": sources.iscsi,
    "glusterfs": sources.needs("endpoints", "path"),
    "flocker": sources.flocker,
    "persistentVolumeClaim": sources.needs("claimName"),
    "rbd": sources.rbd,
    "cinder": sources.cinder,
    "cephfs": sources.ceph,
    "quobyte": sources.quobyte,
    "downwardAPI": projections.downward,
    "fc": sources.fibre_channel,
    "flexVolume": sources.flex_volume,
    "configMap": projections.config_map,
    "azureFile": sources.needs("secretName", "shareName"),
    "vsphereVolume": sources.needs("volumePath"),
    "photonPersistentDisk": sources.needs("pdID"),
    "portworxVolume": sources.needs("volumeID"),
    "azureDisk": sources.azure_disk,
    "storageos": sources.storage_os,
    "projected": projections.projected,
    "scaleIO": sources.scale_io,
    "csi": sources.csi,
    "ephemeral": ephemeral,
}


def validate_volumes(
    volumes: list[Object], path: str, errors: Errors, *, pod: str = "", tolerance: Tolerance = NONE
) -> dict[str, Object]:
    """Everything wrong with a pod's volumes; answers with those that are fine, by name. `pod` is the pod's
    name, when there is one: claims made for it are named after it."""
    fine: dict[str, Object] = {}
    made = {f"{pod}-{volume.get('name') or ''}" for volume in volumes if "ephemeral" in volume} if pod else ()
    for i, volume in enumerate(volumes):
        at = f"{path}[{i}]"
        before = len(errors)
        name = volume.get("name") or ""
        _source(volume, name, at, errors, pod, tolerance)
        if not name:
            errors.append(required(f"{at}.name"))
        else:
            errors += [invalid_value(f"{at}.name", name, why) for why in label(name)]
        if name in fine:
            errors.append(duplicate(f"{at}.name", name))
        if len(errors) == before:
            fine[name] = volume
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if claim and claim in made:
            why = "must not reference a PVC that gets created for an ephemeral volume"
            errors.append(invalid_value(f"{at}.persistentVolumeClaim.claimName", claim, why))
    return fine


def _source(volume: Mapping[str, Any], name: str, at: str, errors: Errors, pod: str, tolerance: Tolerance) -> None:
    found = False
    for kind in _kinds(volume):
        if found:
            errors.append(sources.second_kind(kind, at))
        else:
            found = True
            _check(kind, volume[kind], f"{at}.{kind}", errors, tolerance)
            if kind == "ephemeral" and pod and name:
                claim = f"{pod}-{name}"
                errors += [
                    invalid_value(f"{at}.name", name, f'PVC name "{claim}": {why}')
                    for why in name_is_dns_subdomain(claim)
                ]
        if kind == "iscsi":
            iscsi = volume[kind]
            if iscsi.get("initiatorName") is not None and len(f"{name}:{iscsi.get('targetPortal') or ''}") > 64:
                errors.append(invalid_value(f"{at}.name", name, sources.ISCSI_LONG))
    if not found:
        errors.append(required(at, "must specify a volume type"))


def _kinds(volume: Mapping[str, Any]) -> list[str]:
    """The kinds of source a volume has, in the order they are looked at."""
    kinds = [kind for kind in volume if kind in CHECKS or kind == "image"]
    if len(kinds) > 1:
        kinds = [kind for kind in (*CHECKS, "image") if kind in kinds]
    return kinds


def _check(kind: str, source: Object, path: str, errors: Errors, tolerance: Tolerance) -> None:
    if kind == "image":
        if not source.get("reference") and not tolerance.no_image_reference:
            errors.append(required(f"{path}.reference"))
        errors += pull_policy(source.get("pullPolicy"), f"{path}.pullPolicy")
    elif kind == "projected":
        projections.projected(source, path, errors, any_token_path=tolerance.token_paths)
    else:
        CHECKS[kind](source, path, errors)
