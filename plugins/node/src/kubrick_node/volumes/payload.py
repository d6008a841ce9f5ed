"""Which files a configMap, secret, downwardAPI or projected volume shows. Pure.

Source: the kubelet's MakePayload functions, their error messages included.
"""

import base64
from collections.abc import Callable, Mapping
from typing import Any

from kubrick_node.fields import FieldError, container_named, field_value, resource_value
from kubrick_node.volumes.atomic import File
from kubrick_node.volumes.contract import VolumeFailure

Object = dict[str, Any]
Files = dict[str, File]

DEFAULT_MODE = 0o644
TOKEN_SECONDS = 3600


def data_of(obj: Object) -> dict[str, bytes]:
    """The entries of a ConfigMap or Secret as bytes."""
    if obj.get("kind") == "Secret":
        return {key: base64.b64decode(text) for key, text in (obj.get("data") or {}).items()}
    entries = {key: text.encode() for key, text in (obj.get("data") or {}).items()}
    binary = {key: base64.b64decode(text) for key, text in (obj.get("binaryData") or {}).items()}
    return {**entries, **binary}


def text_of(obj: Object) -> dict[str, str]:
    """The entries as environment variables have them: text; binaryData has no part in it."""
    if obj.get("kind") == "Secret":
        return {key: data.decode(errors="surrogateescape") for key, data in data_of(obj).items()}
    return dict(obj.get("data") or {})


def entries(kind: str, source: Object, obj: Object | None, mode: int, key: str = "name") -> Files:
    """The files of a configMap or secret source; `obj` is what it refers to, None when there is none. `kind` is
    configmap or secret, `key` what the source calls the name."""
    optional = bool(source.get("optional"))
    if obj is None:
        if optional:
            return {}
        raise VolumeFailure(f'{kind} "{source.get(key, "")}" not found')
    data = data_of(obj)
    items = source.get("items")
    if not items:
        return {name: File(content, mode) for name, content in data.items()}
    files: Files = {}
    for item in items:
        content = data.get(item["key"])
        if content is None:
            if optional:
                continue
            word = "config" if kind == "configmap" else "secret"
            raise VolumeFailure(f"references non-existent {word} key: {item['key']}")
        files[item["path"]] = File(content, _mode(item, mode))
    return files


def _mode(item: Object, default: int) -> int:
    mode = item.get("mode")
    return default if mode is None else mode


def downward(items: list[Object], pod: Object, mode: int, allocatable: Mapping[str, str]) -> Files:
    files: Files = {}
    for item in items:
        try:
            if "fieldRef" in item:
                text = field_value(pod, item["fieldRef"]["fieldPath"])
            else:
                reference = item["resourceFieldRef"]
                text = resource_value(container_named(pod, reference["containerName"]), reference, allocatable)
        except FieldError as error:
            raise VolumeFailure(str(error)) from None
        files[item["path"]] = File(text.encode(), _mode(item, mode))
    return files


def projected(
    volume: Object,
    pod: Object,
    look_up: Callable[[str, str], Object | None],
    tokens: Mapping[tuple[str, int], str],
    allocatable: Mapping[str, str],
    user: int | None,
    group: int | None,
) -> Files:
    """The files of a projected volume. `look_up` takes "ConfigMap" or "Secret" and a name; `tokens` are by
    audience and life."""
    projection = volume["projected"]
    mode = _mode({"mode": projection.get("defaultMode")}, DEFAULT_MODE)
    files: Files = {}
    for source in projection.get("sources") or ():
        if "configMap" in source:
            one = source["configMap"]
            files.update(entries("configmap", one, look_up("ConfigMap", one.get("name", "")), mode))
        elif "secret" in source:
            one = source["secret"]
            files.update(entries("secret", one, look_up("Secret", one.get("name", "")), mode))
        elif "downwardAPI" in source:
            files.update(downward(source["downwardAPI"].get("items") or [], pod, mode, allocatable))
        elif "serviceAccountToken" in source:
            one = source["serviceAccountToken"]
            # A token is for the pod's user only, where that is known.
            private = user is not None or group is not None
            token = tokens[token_key(one)]
            files[one["path"]] = File(token.encode(), 0o600 if private else mode, user)
        elif source:
            raise VolumeFailure(f"unsupported projected volume source: {', '.join(source)}")
    return files


def token_key(source: Object) -> tuple[str, int]:
    """Audience and life of a serviceAccountToken source."""
    return source.get("audience") or "", source.get("expirationSeconds") or TOKEN_SECONDS
