"""Every pod runs as a service account, and finds a token for the API in its containers.

Sets the default account, adds the projected volume kube-api-access-xxxxx and its mounts, hands on the
account's imagePullSecrets. Pods that mirror a node's static pods may have none of this.
Source: plugin/pkg/admission/serviceaccount.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import trio

from kubrick_api.names import NAME_ALPHABET
from kubrick_api.resource import Object
from kubrick_api_core.names import SERVICE_ACCOUNTS
from kubrick_apiserver.admission import refusal
from kubrick_kernel.hookspecs import hookimpl

if TYPE_CHECKING:
    from kubrick_apiserver.admission import AdmissionPlugin, Attributes
    from kubrick_kernel import Kernel

DEFAULT = "default"
MIRROR = "kubernetes.io/config.mirror"
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME = "kube-api-access-"
TOKEN_SECONDS = 3607
"""An hour, and a few seconds by which such tokens can be told from others."""
ROOT_CA = "kube-root-ca.crt"
PAIRS = tuple(first + second for first in NAME_ALPHABET for second in NAME_ALPHABET)
ATTEMPTS = 10
INTERVAL = 0.1
"""How often and how long to wait for the default account of a namespace that was just made."""


class ServiceAccount:
    name = "ServiceAccount"
    order = 30
    exact = True

    def __init__(self, suffix: Callable[[], str]) -> None:
        self._suffix = suffix

    def handles(self, attributes: "Attributes") -> bool:
        resource = attributes.resource
        return (
            attributes.operation == "CREATE"
            and resource.resource == "pods"
            and not resource.group
            and not attributes.subresource
        )

    async def admit(self, attributes: "Attributes") -> None:
        pod = attributes.object
        assert pod is not None
        if MIRROR in (pod["metadata"].get("annotations") or {}):
            check_mirror(attributes, pod)
            return
        spec = pod.setdefault("spec", {})
        name = spec.get("serviceAccountName")
        if not name:
            # The deprecated field always says the same.
            name = spec["serviceAccountName"] = spec["serviceAccount"] = DEFAULT
        account = await self._find(attributes, name)
        if should_mount(spec, account):
            mount(spec, VOLUME + self._suffix())
        secrets = account.get("imagePullSecrets")
        if secrets and not spec.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [dict(secret) for secret in secrets]

    async def _find(self, attributes: "Attributes", name: str) -> Object:
        """The account. Raises 403 when there is none; a default one is waited for."""
        account = attributes.reader.get(SERVICE_ACCOUNTS, attributes.namespace, name)
        if account is None and name == DEFAULT:
            for _ in range(ATTEMPTS):
                await trio.sleep(INTERVAL)
                account = attributes.reader.get(SERVICE_ACCOUNTS, attributes.namespace, name)
                if account is not None:
                    break
        if account is None:
            raise refusal(
                attributes,
                f'error looking up service account {attributes.namespace}/{name}: serviceaccount "{name}" not found',
            )
        return account


def should_mount(spec: Object, account: Object) -> bool:
    """The pod decides, else the account, else yes."""
    for holder in (spec, account):
        wanted = holder.get("automountServiceAccountToken")
        if wanted is not None:
            return bool(wanted)
    return True


def mount(spec: Object, name: str) -> None:
    """Give every container that has nothing at the path the volume; add the volume if any needed it."""
    volumes = spec.get("volumes") or []
    present = next((volume["name"] for volume in volumes if _is_token_volume(volume)), None)
    used = False
    for kind in ("initContainers", "containers"):
        for container in spec.get(kind) or ():
            mounts = container.get("volumeMounts") or []
            if any(each.get("mountPath") == MOUNT_PATH for each in mounts):
                continue
            used = True
            container["volumeMounts"] = [
                *mounts,
                {"name": present or name, "readOnly": True, "mountPath": MOUNT_PATH},
            ]
    if used and present is None:
        spec["volumes"] = [*volumes, token_volume(name)]


def _is_token_volume(volume: Object) -> bool:
    return str(volume.get("name", "")).startswith(VOLUME) and "projected" in volume


def token_volume(name: str) -> Object:
    """Token, certificate authority and namespace, as the clients in pods expect them."""
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return {
        "name": name,
        "projected": {
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
                {"configMap": {"name": ROOT_CA, "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [namespace]}},
            ],
            "defaultMode": 0o644,
        },
    }


def check_mirror(attributes: "Attributes", pod: Object) -> None:
    """A static pod's mirror image comes from a node's disk: the API's secrets are not for it. Raises 403."""
    spec = pod.get("spec") or {}
    if spec.get("serviceAccountName"):
        raise refusal(attributes, "a mirror pod may not reference service accounts")
    if any(True for _ in _secret_references(spec)):
        raise refusal(attributes, "a mirror pod may not reference secrets")
    for volume in spec.get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            if source.get("serviceAccountToken") is not None:
                raise refusal(attributes, "a mirror pod may not use ServiceAccountToken volume projections")


def _secret_references(value: Any) -> Iterator[str]:
    """Every mention of a Secret: fields called secret..., ...SecretRef, imagePullSecrets."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in ("secret", "secretRef", "secretKeyRef", "imagePullSecrets") or name.endswith("SecretRef"):
                yield name
            else:
                yield from _secret_references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _secret_references(inner)


def suffix(number: float) -> str:
    """Five letters and digits for a number in [0, 1)."""
    rest, last = divmod(int(number * len(NAME_ALPHABET) ** 5), len(NAME_ALPHABET))
    first, second = divmod(rest, len(PAIRS))
    return PAIRS[first] + PAIRS[second] + NAME_ALPHABET[last]


@hookimpl
def kubrick_register_admission(kernel: "Kernel") -> "Sequence[AdmissionPlugin]":
    number = kernel.random.random
    return (ServiceAccount(lambda: suffix(number())),)
