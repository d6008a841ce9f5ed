"""What can be wrong with files that a volume gathers: secrets, config maps, fields, tokens, certificates.

Paths and wording, odd ones included, are those of pkg/apis/core/validation (validateProjectionSources and its
neighbours).
"""

from kubrick_api.errors import FieldError, forbidden_value, invalid_value, not_supported, required
from kubrick_api.resource import Object
from kubrick_api.signers import is_kubernetes_signer, signer_name
from kubrick_api.validation import label_selector, name_is_dns_subdomain, qualified_name
from kubrick_api_core.environment_validation import (
    VOLUME_FIELDS,
    validate_field_reference,
    validate_resource_reference,
)
from kubrick_api_core.internal import BUNDLE, internal
from kubrick_api_core.rules import local_path

Errors = list[FieldError]

FILE_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
CONFLICT = "conflicting duplicate paths"
KEY_TYPES = ("RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519")
LONGEST_CERTIFICATE, LONGEST_KUBERNETES_CERTIFICATE = 7862400, 86400


def file_mode(source: Object, name: str, path: str, errors: Errors) -> None:
    mode = source.get(name)
    if mode is not None and not 0 <= mode <= 0o777:
        errors.append(invalid_value(f"{path}.{name}", mode, FILE_MODE))


def validate_items(items: list[Object], path: str, errors: Errors) -> None:
    """Keys and the paths they go to."""
    for i, item in enumerate(items):
        _item(item, f"{path}[{i}]", errors)


def _item(item: Object, at: str, errors: Errors) -> None:
    if not item.get("key"):
        errors.append(required(f"{at}.key"))
    where = item.get("path") or ""
    if not where:
        errors.append(required(f"{at}.path"))
    errors += local_path(where, f"{at}.path")
    file_mode(item, "mode", at, errors)


def _downward_file(item: Object, at: str, errors: Errors) -> None:
    where = item.get("path") or ""
    if not where:
        errors.append(required(f"{at}.path"))
    errors += local_path(where, f"{at}.path")
    field, resource = item.get("fieldRef"), item.get("resourceFieldRef")
    if field is not None:
        validate_field_reference(field, VOLUME_FIELDS, f"{at}.fieldRef", errors)
        if resource is not None:
            why = "fieldRef and resourceFieldRef can not be specified simultaneously"
            errors.append(invalid_value(at, "resource", why))
    elif resource is not None:
        validate_resource_reference(resource, f"{at}.resourceFieldRef", errors, volume=True)
    else:
        errors.append(required(at, "one of fieldRef and resourceFieldRef is required"))
    file_mode(item, "mode", at, errors)


def secret(source: Object, path: str, errors: Errors) -> None:
    if not source.get("secretName"):
        errors.append(required(f"{path}.secretName"))
    file_mode(source, "defaultMode", path, errors)
    validate_items(source.get("items") or [], f"{path}.items", errors)


def config_map(source: Object, path: str, errors: Errors) -> None:
    if not source.get("name"):
        errors.append(required(f"{path}.name"))
    file_mode(source, "defaultMode", path, errors)
    validate_items(source.get("items") or [], f"{path}.items", errors)


def downward(source: Object, path: str, errors: Errors) -> None:
    file_mode(source, "defaultMode", path, errors)
    for item in source.get("items") or ():
        _downward_file(item, path, errors)


def projected(source: Object, path: str, errors: Errors, *, any_token_path: bool = False) -> None:
    """`any_token_path`: tokens at paths out of the volume were there before."""
    file_mode(source, "defaultMode", path, errors)
    paths: set[str] = set()
    for i, projection in enumerate(source.get("sources") or ()):
        _projection(projection, path, f"{path}.sources[{i}]", paths, errors, any_token_path=any_token_path)


def _take(where: str, named: str, path: str, paths: set[str], errors: Errors) -> None:
    """No two files at one path."""
    if where in paths:
        errors.append(invalid_value(path, named, CONFLICT))
    paths.add(where)


def _projection(
    projection: Object, path: str, at: str, paths: set[str], errors: Errors, *, any_token_path: bool
) -> None:
    count = 0
    for kind in ("secret", "configMap"):
        if (source := projection.get(kind)) is not None:
            count += 1
            _keyed(source, path, f"{at}.{kind}", paths, errors)
    if (source := projection.get("downwardAPI")) is not None:
        count += 1
        for item in source.get("items") or ():
            _downward_file(item, f"{at}.downwardAPI", errors)
            if where := item.get("path"):
                _take(where, where, path, paths, errors)
    if (source := projection.get("serviceAccountToken")) is not None:
        count += 1
        _token(source, path, f"{at}.serviceAccountToken", errors, any_path=any_token_path)
    if (source := projection.get("clusterTrustBundle")) is not None:
        count += 1
        _bundle(source, path, f"{at}.clusterTrustBundle", paths, errors)
    if (source := projection.get("podCertificate")) is not None:
        count += 1
        _certificate(source, path, f"{at}.podCertificate", paths, errors)
    if count > 1:
        errors.append(forbidden_value(at, "may not specify more than 1 volume type per source"))


def _keyed(source: Object, path: str, at: str, paths: set[str], errors: Errors) -> None:
    name = source.get("name") or ""
    if not name:
        errors.append(required(f"{at}.name"))
    for i, item in enumerate(source.get("items") or ()):
        _item(item, f"{at}.items[{i}]", errors)
        if where := item.get("path"):
            _take(where, name, path, paths, errors)


def _token(source: Object, path: str, at: str, errors: Errors, *, any_path: bool) -> None:
    seconds, where = source.get("expirationSeconds") or 0, source.get("path") or ""
    if seconds < 600:
        why = "may not specify a duration less than 10 minutes"
        errors.append(invalid_value(f"{at}.expirationSeconds", seconds, why))
    if seconds > 1 << 32:
        why = "may not specify a duration larger than 2^32 seconds"
        errors.append(invalid_value(f"{at}.expirationSeconds", seconds, why))
    if not where:
        errors.append(required(f"{path}.path"))
    elif not any_path:
        errors += local_path(where, f"{path}.path")


def _bundle(source: Object, path: str, at: str, paths: set[str], errors: Errors) -> None:
    name, signer, where = source.get("name"), source.get("signerName"), source.get("path") or ""
    if name is not None and signer is not None:
        errors.append(invalid_value(at, internal(source, BUNDLE), "only one of name and signerName may be used"))
    elif name is not None:
        if not name:
            errors.append(required(f"{at}.name", "must be a valid object name"))
        why = "not a valid clustertrustbundlename: "
        errors += [invalid_value(f"{at}.name", name, why + text) for text in _bundle_name(name)]
        if source.get("labelSelector") is not None:
            why = "labelSelector must be unset if name is specified"
            errors.append(invalid_value(f"{at}.labelSelector", source["labelSelector"], why))
    elif signer is not None:
        if not signer:
            errors.append(required(f"{at}.signerName", "must be a valid signer name"))
        errors += signer_name(signer, f"{at}.signerName")
        errors += label_selector(source.get("labelSelector"), f"{at}.labelSelector")
    else:
        errors.append(required(at, "either name or signerName must be specified"))
    if not where:
        errors.append(required(f"{at}.path"))
    errors += local_path(where, f"{at}.path")
    _take(where, where, path, paths, errors)


def _bundle_name(name: str) -> list[str]:
    """A ClusterTrustBundle of a signer is named after it: <signer, "/" as ":">:<name>."""
    return name_is_dns_subdomain(name.rpartition(":")[2])


def _certificate(source: Object, path: str, at: str, paths: set[str], errors: Errors) -> None:
    signer = source.get("signerName") or ""
    errors += signer_name(signer, f"{at}.signerName")
    for key in source.get("userAnnotations") or {}:
        errors += [invalid_value(f"{at}.userAnnotations", key, why) for why in qualified_name(key.lower())]
    kind = source.get("keyType") or ""
    if kind not in KEY_TYPES:
        errors.append(not_supported(f"{at}.keyType", kind, KEY_TYPES))
    seconds = source.get("maxExpirationSeconds")
    if seconds is not None:
        place = f"{at}.maxExpirationSeconds"
        most = LONGEST_KUBERNETES_CERTIFICATE if is_kubernetes_signer(signer) else LONGEST_CERTIFICATE
        if seconds < 3600:
            errors.append(invalid_value(place, seconds, "if provided, maxExpirationSeconds must be >= 3600"))
        if seconds > most:
            errors.append(invalid_value(place, seconds, f"if provided, maxExpirationSeconds must be <= {most}"))
    given = 0
    for name in ("credentialBundlePath", "keyPath", "certificateChainPath"):
        if where := source.get(name):
            given += 1
            errors += local_path(where, f"{at}.{name}")
            _take(where, where, path, paths, errors)
    if not given:
        why = "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"
        errors.append(required(at, why))
