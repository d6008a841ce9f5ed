"""Image names, and which of a pod's pull secrets are for which registry. Pure.

Source: distribution's reference grammar (names without a registry are Docker Hub's), the kubelet's
parsers.ParseImageName and its credential provider's URL matching.
"""

import base64
import binascii
import json
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

Object = dict[str, Any]

DOCKER_HUB = "docker.io"
_HUB_KEYS = ("index.docker.io", "registry-1.docker.io")
_DOMAIN = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_PATH = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<domain>{_DOMAIN}(?:\.{_DOMAIN})*(?::[0-9]+)?|\[[a-fA-F0-9:]+\](?::[0-9]+)?)/(?P<path>{_PATH}(?:/{_PATH})*)"
    r"(?::(?P<tag>[\w][\w.-]{0,127}))?"
    r"(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?",
    re.ASCII,
)
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")


class BadReference(ValueError):
    """An image name that can't be read; the text is what follows `couldn't parse image name "…": `."""


def normalize(image: str) -> str:
    """The full name: registry, path, and a tag or digest ("latest" if none). Raises BadReference."""
    if _IDENTIFIER.fullmatch(image):
        raise BadReference(f"invalid repository name ({image}), cannot specify 64-byte hexadecimal strings")
    first, slash, rest = image.partition("/")
    if not slash or not (set(first) & set(".:") or first == "localhost" or first.lower() != first):
        domain, rest = DOCKER_HUB, image
    else:
        domain = DOCKER_HUB if first == "index.docker.io" else first
    if domain == DOCKER_HUB and "/" not in rest:
        rest = f"library/{rest}"
    path = rest.partition("@")[0].rpartition(":")[0] or rest.partition("@")[0]
    if path != path.lower():
        raise BadReference(f"invalid reference format: repository name ({path}) must be lowercase")
    match = _REFERENCE.fullmatch(f"{domain}/{rest}")
    if match is None:
        raise BadReference("invalid reference format")
    if match["tag"] is None and match["digest"] is None:
        return f"{domain}/{rest}:latest"
    return f"{domain}/{rest}"


def pull_policy(container: Object) -> str:
    """The container's, or what the API server would have put there."""
    policy: str = container.get("imagePullPolicy") or ""
    if policy:
        return policy
    image = container.get("image", "")
    return "Always" if "@" not in image and normalize(image).endswith(":latest") else "IfNotPresent"


def credentials(image: str, secrets: Sequence[Object]) -> list[Object]:
    """AuthConfigs to try for a normalized `image`, the most specific first. What can't be read is passed
    over, as the kubelet does."""
    found: list[tuple[str, Object]] = []
    for secret in secrets:
        for key, entry in _entries(secret).items():
            where = _where(key)
            if isinstance(entry, dict) and _matches(where, image):
                auth = _auth(entry)
                if auth is not None:
                    found.append((where, auth))
    found.sort(key=lambda item: len(item[0]), reverse=True)
    unique: list[Object] = []
    for _, auth in found:
        if auth not in unique:
            unique.append(auth)
    return unique


def _entries(secret: Object) -> dict[str, Any]:
    data = secret.get("data") or {}
    try:
        if secret.get("type") == "kubernetes.io/dockerconfigjson":
            entries = json.loads(base64.b64decode(data[".dockerconfigjson"]))["auths"]
        elif secret.get("type") == "kubernetes.io/dockercfg":
            entries = json.loads(base64.b64decode(data[".dockercfg"]))
        else:
            return {}
    except (KeyError, TypeError, ValueError, binascii.Error):
        return {}
    return entries if isinstance(entries, dict) else {}


def _where(key: str) -> str:
    """A key of the file as host and path: "https://index.docker.io/v1/" is Docker Hub."""
    where = key.partition("://")[2] or key
    host, _, path = where.rstrip("/").partition("/")
    if path.split("/")[0] in ("v1", "v2"):
        path = path.partition("/")[2]
    if host in _HUB_KEYS:
        host = DOCKER_HUB
    return f"{host}/{path}" if path else host


def _matches(where: str, image: str) -> bool:
    host, _, path = where.partition("/")
    image_host, _, image_path = image.partition("/")
    name, _, port = host.partition(":")
    image_name, _, image_port = image_host.partition(":")
    parts, image_parts = name.split("."), image_name.split(".")
    return (
        port == image_port
        and len(parts) == len(image_parts)
        and all(fnmatchcase(ours, pattern) for ours, pattern in zip(image_parts, parts, strict=True))
        and image_path.startswith(path)
    )


def _auth(entry: Object) -> Object | None:
    if entry.get("identitytoken"):
        return {"identity_token": entry["identitytoken"]}
    if entry.get("registrytoken"):
        return {"registry_token": entry["registrytoken"]}
    if entry.get("username"):
        return {"username": entry["username"], "password": entry.get("password", "")}
    try:
        user, colon, password = base64.b64decode(entry["auth"]).decode().partition(":")
    except (KeyError, ValueError, binascii.Error):
        return None
    return {"username": user, "password": password.rstrip("\0")} if colon else None
