"""What can be wrong with where a volume's data comes from, in pods and in PersistentVolumes.

One function per kind: check(source, path, errors). Paths and wording are those of pkg/apis/core/validation.
"""

import re
from collections.abc import Callable

from kubrick_api.errors import FieldError, forbidden_value, invalid_value, not_supported, required, too_long
from kubrick_api.resource import Object
from kubrick_api.validation import label, name_is_dns_label, name_is_dns_subdomain, subdomain
from kubrick_api_core.rules import descending_path, no_backsteps

Errors = list[FieldError]
Check = Callable[[Object, str, Errors], None]

HOST_PATH_TYPES = (
    "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket",
)  # fmt: skip
LUN = "must be between 0 and 255, inclusive"
PARTITION = "must be between 1 and 255, inclusive"
ISCSI_LONG = (
    "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is "
    "specified."
)
ISCSI_PREFIXES = ("iqn", "eui", "naa")
ISCSI_START = "must be valid format starting with iqn, eui, or naa"
ISCSI_FORMAT = "must be valid format"
ISCSI = {
    "iqn": re.compile(r"iqn\.\d{4}-\d{2}\.([0-9A-Za-z\-.]+)(:[^,;*&$|\s]+)\Z").search,
    "eui": re.compile(r"eui.[0-9A-Za-z]{16}\Z").match,
    "naa": re.compile(r"naa.[0-9A-Za-z]{32}\Z").match,
}
HOST_AND_PORT = "must be a host:port pair or multiple pairs separated by commas"
MANAGED_DISK = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"
BLOB_DISK = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"


def needs(*names: str) -> Check:
    """A check that nothing but these fields matter, all required."""

    def check(source: Object, path: str, errors: Errors) -> None:
        for name in names:
            if not source.get(name):
                errors.append(required(f"{path}.{name}"))

    return check


def host_path(source: Object, path: str, errors: Errors) -> None:
    where = source.get("path") or ""
    if not where:
        errors.append(required(f"{path}.path"))
        return
    errors += no_backsteps(where, f"{path}.path")
    kind = source.get("type")
    if kind is not None and kind not in HOST_PATH_TYPES:
        errors.append(not_supported(f"{path}.type", kind, HOST_PATH_TYPES))


def local(source: Object, path: str, errors: Errors) -> None:
    where = source.get("path") or ""
    if not where:
        errors.append(required(f"{path}.path"))
        return
    errors += no_backsteps(where, f"{path}.path")


def git_repo(source: Object, path: str, errors: Errors) -> None:
    if not source.get("repository"):
        errors.append(required(f"{path}.repository"))
    errors += descending_path(source.get("directory") or "", f"{path}.directory")


def _partition(source: Object, path: str, errors: Errors) -> None:
    partition = source.get("partition") or 0
    if not 0 <= partition <= 255:
        errors.append(invalid_value(f"{path}.partition", partition, PARTITION))


def gce_disk(source: Object, path: str, errors: Errors) -> None:
    """Its errors stand under another name than the field has."""
    path = f"{path.rpartition('.')[0]}.persistentDisk"
    needs("pdName")(source, path, errors)
    _partition(source, path, errors)


def aws_disk(source: Object, path: str, errors: Errors) -> None:
    needs("volumeID")(source, path, errors)
    _partition(source, path, errors)


def nfs(source: Object, path: str, errors: Errors) -> None:
    needs("server", "path")(source, path, errors)
    where = source.get("path") or ""
    if not where.startswith("/"):
        errors.append(invalid_value(f"{path}.path", where, "must be an absolute path"))


def _iscsi_name(name: str, path: str, errors: Errors, start: str) -> None:
    if not name.startswith(ISCSI_PREFIXES):
        errors.append(invalid_value(path, name, start))
    elif not ISCSI[name[:3]](name):
        errors.append(invalid_value(path, name, ISCSI_FORMAT))


def iscsi(source: Object, path: str, errors: Errors) -> None:
    _iscsi(source, path, errors, ISCSI_START)


def _iscsi(source: Object, path: str, errors: Errors, start: str, volume: str | None = None) -> None:
    portal, name, initiator = source.get("targetPortal") or "", source.get("iqn") or "", source.get("initiatorName")
    if not portal:
        errors.append(required(f"{path}.targetPortal"))
    if volume is not None and initiator is not None and len(f"{volume}:{portal}") > 64:
        errors.append(invalid_value(f"{path}.targetportal", portal, ISCSI_LONG))
    if not name:
        errors.append(required(f"{path}.iqn"))
    else:
        _iscsi_name(name, f"{path}.iqn", errors, start)
    lun = source.get("lun") or 0
    if not 0 <= lun <= 255:
        errors.append(invalid_value(f"{path}.lun", lun, LUN))
    secret = source.get("secretRef")
    if (source.get("chapAuthDiscovery") or source.get("chapAuthSession")) and secret is None:
        errors.append(required(f"{path}.secretRef"))
    if volume is not None and secret is not None and not secret.get("name"):
        errors.append(required(f"{path}.secretRef.name"))
    if initiator is not None:
        _iscsi_name(initiator, f"{path}.initiatorname", errors, start)


def persistent_iscsi(source: Object, path: str, errors: Errors, volume: str) -> None:
    """A PersistentVolume's; `volume` is its name."""
    _iscsi(source, path, errors, ISCSI_FORMAT, volume)


def fibre_channel(source: Object, path: str, errors: Errors) -> None:
    names, wide, lun = source.get("targetWWNs") or (), source.get("wwids") or (), source.get("lun")
    if not names and not wide:
        errors.append(required(f"{path}.targetWWNs", "must specify either targetWWNs or wwids, but not both"))
    if names and wide:
        why = "targetWWNs and wwids can not be specified simultaneously"
        errors.append(invalid_value(f"{path}.targetWWNs", names, why))
    if names:
        if lun is None:
            errors.append(required(f"{path}.lun", "lun is required if targetWWNs is specified"))
        elif not 0 <= lun <= 255:
            errors.append(invalid_value(f"{path}.lun", lun, LUN))


def _is_host_and_port(text: str) -> bool:
    """Whether Go's net.SplitHostPort accepts it."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        return bool(bracket) and rest.startswith(":") and ":" not in rest[1:] and "[" not in host
    return text.count(":") == 1 and "[" not in text and "]" not in text


def quobyte(source: Object, path: str, errors: Errors) -> None:
    registry = source.get("registry") or ""
    if not registry:
        errors.append(required(f"{path}.registry", HOST_AND_PORT))
    elif len(source.get("tenant") or "") >= 65:
        errors.append(required(f"{path}.tenant", "must be a UUID and may not exceed a length of 64 characters"))
    else:
        for pair in registry.split(","):
            if not _is_host_and_port(pair):
                errors.append(invalid_value(f"{path}.registry", registry, HOST_AND_PORT))
    needs("volume")(source, path, errors)


def flocker(source: Object, path: str, errors: Errors) -> None:
    name, uuid = source.get("datasetName") or "", source.get("datasetUUID") or ""
    if not name and not uuid:
        errors.append(required(path, "one of datasetName and datasetUUID is required"))
    if name and uuid:
        why = "datasetName and datasetUUID can not be specified simultaneously"
        errors.append(invalid_value(path, "resource", why))
    if "/" in name:
        errors.append(invalid_value(f"{path}.datasetName", name, "must not contain '/'"))


def persistent_glusterfs(source: Object, path: str, errors: Errors) -> None:
    needs("endpoints", "path")(source, path, errors)
    namespace, at = source.get("endpointsNamespace"), f"{path}.endpointsNamespace"
    if namespace == "":
        why = "if the endpointnamespace is set, it must be a valid namespace name"
        errors.append(invalid_value(at, namespace, why))
    elif namespace is not None:
        errors += [invalid_value(at, namespace, why) for why in name_is_dns_label(namespace)]


def _secret(source: Object, path: str, errors: Errors, *names: str) -> None:
    if (secret := source.get("secretRef")) is not None:
        for name in names:
            if not secret.get(name):
                errors.append(required(f"{path}.secretRef.{name}"))


def cinder(source: Object, path: str, errors: Errors) -> None:
    needs("volumeID")(source, path, errors)
    _secret(source, path, errors, "name")


def persistent_cinder(source: Object, path: str, errors: Errors) -> None:
    needs("volumeID")(source, path, errors)
    _secret(source, path, errors, "name", "namespace")


def _storage_os(source: Object, path: str, errors: Errors, *names: str) -> None:
    if not source.get("volumeName"):
        errors.append(required(f"{path}.volumeName"))
    for name in ("volumeName", "volumeNamespace"):
        if text := source.get(name):
            errors += [invalid_value(f"{path}.{name}", text, why) for why in label(text)]
    _secret(source, path, errors, *names)


def storage_os(source: Object, path: str, errors: Errors) -> None:
    _storage_os(source, path, errors, "name")


def persistent_storage_os(source: Object, path: str, errors: Errors) -> None:
    _storage_os(source, path, errors, "name", "namespace")


def flex_volume(source: Object, path: str, errors: Errors) -> None:
    needs("driver")(source, path, errors)
    for key in source.get("options") or ():
        if f".{key.partition('/')[0].lower()}".endswith((".kubernetes.io", ".k8s.io")):
            why = "kubernetes.io and k8s.io namespaces are reserved"
            errors.append(invalid_value(f"{path}.options[{key}]", key, why))


def persistent_azure_file(source: Object, path: str, errors: Errors) -> None:
    needs("secretName", "shareName")(source, path, errors)
    if source.get("secretNamespace") == "":
        errors.append(required(f"{path}.secretNamespace"))


def azure_disk(source: Object, path: str, errors: Errors) -> None:
    needs("diskName", "diskURI")(source, path, errors)
    caching, kind, uri = source.get("cachingMode"), source.get("kind"), source.get("diskURI") or ""
    if caching is not None and caching not in (modes := ("None", "ReadOnly", "ReadWrite")):
        errors.append(not_supported(f"{path}.cachingMode", caching, modes))
    if kind is None:
        return
    if kind not in (kinds := ("Dedicated", "Managed", "Shared")):
        errors.append(not_supported(f"{path}.kind", kind, kinds))
    if kind == "Managed" and not uri.startswith("/subscriptions/"):
        errors.append(not_supported(f"{path}.diskURI", uri, (MANAGED_DISK,)))
    if kind != "Managed" and not uri.startswith("https://"):
        errors.append(not_supported(f"{path}.diskURI", uri, (BLOB_DISK,)))


def driver_name(name: str, path: str) -> list[FieldError]:
    """The name of a CSI driver."""
    if not name:
        return [required(path)]
    errors = [too_long(path, 63)] if len(name) > 63 else []
    return errors + [invalid_value(path, name, why) for why in subdomain(name.lower())]


def csi(source: Object, path: str, errors: Errors) -> None:
    errors += driver_name(source.get("driver") or "", f"{path}.driver")
    if (secret := source.get("nodePublishSecretRef")) is not None:
        if not (name := secret.get("name") or ""):
            errors.append(required(f"{path}.nodePublishSecretRef.name"))
        else:
            errors += [invalid_value(f"{path}.name", name, why) for why in name_is_dns_subdomain(name)]


CSI_SECRETS = (
    "controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef",
)  # fmt: skip


def persistent_csi(source: Object, path: str, errors: Errors) -> None:
    errors += driver_name(source.get("driver") or "", f"{path}.driver")
    needs("volumeHandle")(source, path, errors)
    for kind in CSI_SECRETS:
        if (secret := source.get(kind)) is None:
            continue
        for name, rule in (("name", subdomain), ("namespace", label)):
            at, text = f"{path}.{kind}.{name}", secret.get(name) or ""
            if not text:
                errors.append(required(at))
            else:
                errors += [invalid_value(at, text, why) for why in rule(text)]


ceph = needs("monitors")
rbd = needs("monitors", "image")
scale_io = needs("gateway", "system", "volumeName")
# Kinds that forbidding a second one names otherwise than the field.
ALIASES = {"cephfs": "cephFS", "downwardAPI": "downwarAPI"}


def second_kind(kind: str, path: str) -> FieldError:
    return forbidden_value(f"{path}.{ALIASES.get(kind, kind)}", "may not specify more than 1 volume type")
