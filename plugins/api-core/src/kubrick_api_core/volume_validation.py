"""What can be wrong with a pod's volumes. Paths and wording are those of pkg/apis/core/validation."""

from collections.abc import Iterator
from typing import Any

from kubrick_api.errors import FieldError, duplicate, forbidden_value, invalid_value, not_supported, required
from kubrick_api.quantity import ZERO, Quantity
from kubrick_api.resource import Object
from kubrick_api.validation import name_is_dns_label
from kubrick_api_core.rules import config_map_key

Errors = Iterator[FieldError]

FILE_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
HOST_PATH_TYPES = (
    "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket",
)  # fmt: skip
# What each source can't do without.
REQUIRED = {
    "awsElasticBlockStore": ("volumeID",),
    "azureDisk": ("diskName", "diskURI"),
    "azureFile": ("secretName", "shareName"),
    "cephfs": ("monitors",),
    "cinder": ("volumeID",),
    "configMap": ("name",),
    "csi": ("driver",),
    "ephemeral": ("volumeClaimTemplate",),
    "flexVolume": ("driver",),
    "gcePersistentDisk": ("pdName",),
    "gitRepo": ("repository",),
    "glusterfs": ("endpoints", "path"),
    "hostPath": ("path",),
    "image": ("reference",),
    "iscsi": ("targetPortal", "iqn"),
    "nfs": ("server", "path"),
    "persistentVolumeClaim": ("claimName",),
    "photonPersistentDisk": ("pdID",),
    "portworxVolume": ("volumeID",),
    "quobyte": ("registry", "volume"),
    "rbd": ("monitors", "image"),
    "scaleIO": ("gateway", "system", "volumeName"),
    "secret": ("secretName",),
    "storageos": (),
    "vsphereVolume": ("volumePath",),
}


def validate_volumes(volumes: list[Object], path: str) -> Errors:
    """Everything wrong with a pod's volumes."""
    names: set[str] = set()
    for i, volume in enumerate(volumes):
        at = f"{path}[{i}]"
        yield from _source(volume, at)
        name = volume.get("name") or ""
        if not name:
            yield required(f"{at}.name")
            continue
        messages = name_is_dns_label(name, False)
        for message in messages:
            yield invalid_value(f"{at}.name", name, message)
        if not messages and name in names:
            yield duplicate(f"{at}.name", name)
        names.add(name)


def _source(volume: Object, at: str) -> Errors:
    kinds = [kind for kind, source in volume.items() if kind != "name" and source is not None]
    if not kinds:
        yield required(at, "must specify a volume type")
    for extra in kinds[1:]:
        yield forbidden_value(f"{at}.{extra}", "may not specify more than 1 volume type")
    for kind in kinds[:1]:
        source, here = volume[kind], f"{at}.{kind}"
        for name in REQUIRED.get(kind, ()):
            if not source.get(name):
                yield required(f"{here}.{name}")
        mode = source.get("defaultMode")
        if mode is not None and not 0 <= mode <= 0o777:
            yield invalid_value(f"{here}.defaultMode", mode, FILE_MODE)
        yield from _items(source.get("items") or (), f"{here}.items", keyed=kind != "downwardAPI")
        if kind == "emptyDir" and Quantity(source.get("sizeLimit") or 0) < ZERO:
            yield forbidden_value(f"{here}.sizeLimit", "SizeLimit field must be a valid resource quantity")
        if kind == "hostPath":
            yield from _host_path(source, here)
        if kind == "projected":
            yield from _projected(source, here)


def local_path(text: str, path: str) -> Errors:
    """A path inside a volume: relative, and not out of it."""
    if text.startswith("/"):
        yield invalid_value(path, text, "must be a relative path")
    if ".." in text.split("/"):
        yield invalid_value(path, text, "must not contain '..'")
    elif text.startswith(".."):
        yield invalid_value(path, text, "must not start with '..'")


def _items(items: Any, path: str, *, keyed: bool) -> Errors:
    for i, item in enumerate(items):
        at = f"{path}[{i}]"
        if keyed:
            if not item.get("key"):
                yield required(f"{at}.key")
            else:
                for message in config_map_key(item["key"]):
                    yield invalid_value(f"{at}.key", item["key"], message)
        if not item.get("path"):
            yield required(f"{at}.path")
        else:
            yield from local_path(item["path"], f"{at}.path")
        mode = item.get("mode")
        if mode is not None and not 0 <= mode <= 0o777:
            yield invalid_value(f"{at}.mode", mode, FILE_MODE)


def _host_path(source: Object, here: str) -> Errors:
    if ".." in (source.get("path") or "").split("/"):
        yield invalid_value(f"{here}.path", source["path"], "must not contain '..'")
    if (source.get("type") or "") not in HOST_PATH_TYPES:
        yield not_supported(f"{here}.type", source["type"], HOST_PATH_TYPES)


def _projected(source: Object, here: str) -> Errors:
    for i, projection in enumerate(source.get("sources") or ()):
        at = f"{here}.sources[{i}]"
        kinds = [kind for kind, entry in projection.items() if entry is not None]
        for extra in kinds[1:]:
            yield forbidden_value(f"{at}.{extra}", "may not specify more than 1 volume type")
        for kind in kinds[:1]:
            entry = projection[kind]
            if kind in ("secret", "configMap") and not entry.get("name"):
                yield required(f"{at}.{kind}.name")
            yield from _items(entry.get("items") or (), f"{at}.{kind}.items", keyed=kind != "downwardAPI")
            if kind == "serviceAccountToken":
                seconds = entry.get("expirationSeconds") or 0
                if seconds < 600:
                    yield invalid_value(
                        f"{at}.{kind}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes"
                    )
                if seconds > 1 << 32:
                    yield invalid_value(
                        f"{at}.{kind}.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds"
                    )
                if not entry.get("path"):
                    yield required(f"{at}.{kind}.path")
