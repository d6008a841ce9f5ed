"""Publishes the cluster's root certificate as ConfigMap kube-root-ca.crt in every namespace, so that
pods can verify the API server."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from kubrick_api.errors import NAMESPACE_TERMINATING, StatusError
from kubrick_api.resource import Object
from kubrick_api_core import CONFIG_MAPS, NAMESPACES
from kubrick_client import RootCA
from kubrick_controller import Context, Controller
from kubrick_kernel import ConfigurationError, Kernel, hookimpl

NAME = "kube-root-ca.crt"
DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)


@frozen
class Settings:
    """`root_ca_file` is the certificate to publish (PEM); "" means that of the API server in this process."""

    root_ca_file: str = ""


def published(namespace: str, pem: str, found: Object | None) -> Object | None:
    """The ConfigMap to write, or None when `found` is as it should be."""
    annotations = {"kubernetes.io/description": DESCRIPTION}
    data = {"ca.crt": pem}
    if found is None:
        metadata = {"name": NAME, "namespace": namespace, "annotations": annotations}
        return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": data}
    have = found["metadata"].get("annotations") or {}
    if found.get("data") == data and have.get("kubernetes.io/description") == DESCRIPTION:
        return None
    return {**found, "data": data, "metadata": {**found["metadata"], "annotations": {**have, **annotations}}}


class RootCACertificatePublisher:
    """Keys are namespaces. Without a certificate (an API server that has no listener) there is nothing to
    publish and nothing is watched."""

    name = "root-ca-cert-publisher"
    workers = 1

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def setup(self, context: Context) -> None:
        self._pem = self._certificate(context.settings())
        if not self._pem:
            return
        self._client = context.client
        self._namespaces = context.informer(NAMESPACES)
        self._config_maps = context.informer(CONFIG_MAPS)
        add = context.queue.add
        self._namespaces.add_handler(
            added=lambda namespace: add(namespace["metadata"]["name"]),
            updated=lambda old, new: add(new["metadata"]["name"]),
        )

        def changed(config_map: Object) -> None:
            if config_map["metadata"]["name"] == NAME:
                add(config_map["metadata"]["namespace"])

        self._config_maps.add_handler(updated=lambda old, new: changed(new), deleted=changed)

    def _certificate(self, settings: Any) -> str:
        if settings is not None and settings.root_ca_file:
            try:
                return Path(settings.root_ca_file).read_text()
            except OSError as error:
                raise ConfigurationError(
                    f"[plugins.controller-root-ca-certificate-publisher] root_ca_file: {error.strerror}: "
                    f"{settings.root_ca_file}"
                ) from None
        return self._kernel.find(RootCA).pem if self._kernel.has(RootCA) else ""

    async def reconcile(self, key: str) -> None:
        namespace = self._namespaces.get("", key)
        if namespace is None or namespace.get("status", {}).get("phase") == "Terminating":
            return
        found = self._config_maps.get(key, NAME)
        wanted = published(key, self._pem, found)
        if wanted is None:
            return
        try:
            if found is None:
                await self._client.create(CONFIG_MAPS, wanted, key)
            else:
                await self._client.update(CONFIG_MAPS, wanted)
        except StatusError as error:
            if error.has_cause(NAMESPACE_TERMINATING):
                return
            if error.reason != "AlreadyExists":
                raise


@hookimpl
def kubrick_register_settings() -> type:
    return Settings


@hookimpl
def kubrick_register_controllers(kernel: Kernel) -> Sequence[Controller]:
    return [RootCACertificatePublisher(kernel)]
