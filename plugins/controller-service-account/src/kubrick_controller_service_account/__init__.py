"""Keeps a service account called "default" in every namespace."""

from collections.abc import Sequence

from kubrick_api.errors import NAMESPACE_TERMINATING, StatusError
from kubrick_api_core import NAMESPACES, SERVICE_ACCOUNTS
from kubrick_controller import Context, Controller
from kubrick_kernel import Kernel, hookimpl

ACCOUNTS = ("default",)


class ServiceAccountController:
    """Keys are namespaces."""

    name = "service-account-controller"
    workers = 1

    def setup(self, context: Context) -> None:
        self._client = context.client
        self._namespaces = context.informer(NAMESPACES)
        self._accounts = context.informer(SERVICE_ACCOUNTS)
        add = context.queue.add
        self._namespaces.add_handler(
            added=lambda namespace: add(namespace["metadata"]["name"]),
            updated=lambda old, new: add(new["metadata"]["name"]),
        )
        self._accounts.add_handler(deleted=lambda account: add(account["metadata"]["namespace"]))

    async def reconcile(self, key: str) -> None:
        namespace = self._namespaces.get("", key)
        if namespace is None or namespace.get("status", {}).get("phase") == "Terminating":
            return
        for name in ACCOUNTS:
            if self._accounts.get(key, name) is None:
                await self._create(key, name)

    async def _create(self, namespace: str, name: str) -> None:
        account = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": name, "namespace": namespace}}
        try:
            await self._client.create(SERVICE_ACCOUNTS, account, namespace)
        except StatusError as error:
            if error.reason != "AlreadyExists" and not error.has_cause(NAMESPACE_TERMINATING):
                raise


@hookimpl
def kubrick_register_controllers(kernel: Kernel) -> Sequence[Controller]:
    return [ServiceAccountController()]
