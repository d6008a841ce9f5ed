"""Annotations of pods that mean something: mirror pods, deletion cost, and the old way to name profiles.

From ValidatePodSpecificAnnotations and its neighbours in pkg/apis/core/validation, and applyAppArmorVersionSkew in
pkg/registry/core/pod.
"""

import json
from collections.abc import Mapping

from kubrick_api.errors import FieldError, forbidden_value, invalid_value
from kubrick_api.resource import Object
from kubrick_api_core.placement_validation import validate_tolerations
from kubrick_api_core.rules import descending_path
from kubrick_api_core.security_validation import app_armor, containers
from kubrick_api_core.tolerance import DELETION_COST, NONE, Tolerance, is_deletion_cost

Errors = list[FieldError]
Annotations = Mapping[str, str]

MIRROR = "kubernetes.io/config.mirror"
TOLERATIONS = "scheduler.alpha.kubernetes.io/tolerations"
SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
RUNTIME_DEFAULT, DOCKER_DEFAULT, UNCONFINED, LOCALHOST = "runtime/default", "docker/default", "unconfined", "localhost/"
PROFILES = {"Unconfined": (UNCONFINED,), "RuntimeDefault": (RUNTIME_DEFAULT,)}


def validate_pod_annotations(
    annotations: Annotations, spec: Object, path: str, errors: Errors, tolerance: Tolerance = NONE
) -> None:
    if MIRROR in annotations and not spec.get("nodeName"):
        why = "must set spec.nodeName if mirror pod annotation is set"
        errors.append(invalid_value(f"{path}[{MIRROR}]", annotations[MIRROR], why))
    if annotations.get(TOLERATIONS):
        _tolerations(annotations[TOLERATIONS], path, errors)
    if (
        DELETION_COST in annotations
        and not tolerance.deletion_cost
        and not is_deletion_cost(annotations[DELETION_COST])
    ):
        why = "must be a 32bit integer"
        errors.append(invalid_value(f"{path}[{DELETION_COST}]", annotations[DELETION_COST], why))
    for key, text in annotations.items():
        if key == SECCOMP_POD or key.startswith(SECCOMP_CONTAINER):
            errors += _seccomp(text, f"{path}.{key}")
    for key, text in annotations.items():
        if key.startswith(APP_ARMOR):
            name = key.removeprefix(APP_ARMOR)
            if all(container.get("name") != name for container, _ in containers(spec, "")):
                errors.append(invalid_value(f"{path}[{key}]", name, "container not found"))
            if text not in ("", RUNTIME_DEFAULT, UNCONFINED) and not text.startswith(LOCALHOST):
                why = f"invalid AppArmor profile name: {json.dumps(text, ensure_ascii=False)}"
                errors.append(invalid_value(f"{path}[{key}]", text, why))


def _tolerations(text: str, path: str, errors: Errors) -> None:
    try:
        found = json.loads(text)
    except ValueError as error:
        errors.append(invalid_value(path, TOLERATIONS, str(error)))
        return
    if isinstance(found, list) and all(isinstance(each, dict) for each in found):
        validate_tolerations(found, f"{path}.{TOLERATIONS}", errors)
    elif found is not None:
        why = "json: cannot unmarshal into Go value of type []core.Toleration"
        errors.append(invalid_value(path, TOLERATIONS, why))


def _seccomp(text: str, path: str) -> list[FieldError]:
    if text in (RUNTIME_DEFAULT, DOCKER_DEFAULT, UNCONFINED):
        return []
    if text.startswith(LOCALHOST):
        return descending_path(text.removeprefix(LOCALHOST), path)
    return [invalid_value(path, text, "must be a valid seccomp profile")]


def validate_matching_profiles(annotations: Annotations, spec: Object, path: str, errors: Errors) -> None:
    """Where a profile is named by annotation and by field, both say the same."""
    profile = (spec.get("securityContext") or {}).get("seccompProfile")
    if profile is not None and SECCOMP_POD in annotations:
        at = f"{path}.securityContext.seccompProfile"
        _match(annotations[SECCOMP_POD], profile, at, "seccomp", errors, also=DOCKER_DEFAULT)
    everyone = list(containers(spec, path))
    for container, at in everyone:
        profile = (container.get("securityContext") or {}).get("seccompProfile")
        text = annotations.get(SECCOMP_CONTAINER + (container.get("name") or ""))
        if profile is not None and text is not None:
            _match(text, profile, f"{at}.securityContext.seccompProfile", "seccomp", errors, also=DOCKER_DEFAULT)
    if (spec.get("os") or {}).get("name") == "windows":
        return
    whole = (spec.get("securityContext") or {}).get("appArmorProfile")
    for container, at in everyone:
        profile = (container.get("securityContext") or {}).get("appArmorProfile") or whole
        text = annotations.get(APP_ARMOR + (container.get("name") or ""))
        if profile is not None and text is not None:
            _match(text, profile, f"{at}.securityContext.appArmorProfile", "apparmor", errors)


def _match(text: str, profile: Object, path: str, what: str, errors: Errors, *, also: str = "") -> None:
    kind = profile.get("type") or ""
    wrong = f"{what} type in annotation and field must match"
    if kind == "Localhost":
        if not text.startswith(LOCALHOST):
            errors.append(forbidden_value(f"{path}.type", wrong))
        elif text.removeprefix(LOCALHOST) != profile.get("localhostProfile"):
            why = f"{what} profile in annotation and field must match"
            errors.append(forbidden_value(f"{path}.localhostProfile", why))
    elif kind in PROFILES and text not in PROFILES[kind] and not (kind == "RuntimeDefault" and text == also):
        errors.append(forbidden_value(f"{path}.type", wrong))


def validate_annotation_update(new: Annotations, old: Annotations, path: str, errors: Errors) -> None:
    """Annotations that stay as they were when the pod was made."""
    for key, text in old.items():
        if new.get(key) == text:
            continue
        if key.startswith(APP_ARMOR):
            errors.append(forbidden_value(f"{path}[{key}]", "may not remove or update AppArmor annotations"))
        if key == MIRROR:
            errors.append(forbidden_value(f"{path}[{key}]", "may not remove or update mirror pod annotation"))
    for key in new:
        if key in old:
            continue
        if key.startswith(APP_ARMOR):
            errors.append(forbidden_value(f"{path}[{key}]", "may not add AppArmor annotations"))
        if key == MIRROR:
            errors.append(forbidden_value(f"{path}[{key}]", "may not add mirror pod annotation"))


def sync_app_armor(pod: Object) -> list[str]:
    """Profiles that only annotations name are put into the fields. Answers with warnings."""
    annotations, spec = pod["metadata"].get("annotations") or {}, pod.get("spec") or {}
    if not any(key.startswith(APP_ARMOR) for key in annotations) or (spec.get("os") or {}).get("name") == "windows":
        return []
    warnings = []
    whole = (spec.get("securityContext") or {}).get("appArmorProfile")
    for container, _ in containers(spec, ""):
        key = APP_ARMOR + (container.get("name") or "")
        if key not in annotations or (container.get("securityContext") or {}).get("appArmorProfile") is not None:
            continue
        profile = app_armor_field(annotations[key])
        if profile is not None and profile != whole:
            container["securityContext"] = {**(container.get("securityContext") or {}), "appArmorProfile": profile}
        if profile is None or profile != whole:
            why = 'deprecated since v1.30; use the "appArmorProfile" field instead'
            warnings.append(f"metadata.annotations[{key}]: {why}")
    return warnings


def app_armor_field(text: str) -> Object | None:
    """The field that says what an annotation says; None when there is none, or no valid one."""
    if text == UNCONFINED:
        return {"type": "Unconfined"}
    if text == RUNTIME_DEFAULT:
        return {"type": "RuntimeDefault"}
    if not text.startswith(LOCALHOST):
        return None
    profile = {"type": "Localhost", "localhostProfile": text.removeprefix(LOCALHOST)}
    return None if app_armor(profile, "") else profile
