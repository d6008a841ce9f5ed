"""Keeps the finalizer and the condition of ServiceCIDRs (see plan.py for what decides)."""

from datetime import datetime
from typing import Any

from kubrick_api.errors import StatusError
from kubrick_api.resource import Object
from kubrick_api.storage import Call
from kubrick_api_networking import IP_ADDRESSES, SERVICE_CIDRS
from kubrick_controller import Context
from kubrick_controller_service_cidr.plan import FINALIZER, allocated, holding, may_go, needed_condition, overlapping
from kubrick_kernel import rfc3339

APPLY = "application/apply-patch+yaml"
GRACE_SECONDS = 10.0
"""How long a range that is to go keeps its finalizer, so that every API server has heard of it before it is gone."""
NOT_READY = "The ServiceCIDR Status can not be set to Ready=True"


class ServiceCIDRController:
    """Keys are ServiceCIDRs."""

    name = "service-cidr-controller"
    service_account = "service-cidrs-controller"
    workers = 5

    def setup(self, context: Context) -> None:
        self._client = context.client
        self._clock = context.clock
        self._queue = context.queue
        self._recorder = context.recorder
        self._cidrs = context.informer(SERVICE_CIDRS)
        self._addresses = context.informer(IP_ADDRESSES)
        self._cidrs.add_handler(
            added=self._changed, updated=lambda old, new: self._queue.add(_name(new)), deleted=self._changed
        )
        self._addresses.add_handler(added=self._address_changed, deleted=self._address_changed)

    def _changed(self, service_cidr: Object) -> None:
        """One that comes or goes may matter to those that share its addresses."""
        for name in {_name(service_cidr)} | overlapping(self._cidrs.list(), service_cidr):
            self._queue.add(name)

    def _address_changed(self, ip_address: Object) -> None:
        for address in allocated((ip_address,)):
            for name in holding(self._cidrs.list(), address):
                self._queue.add(name)

    async def reconcile(self, key: str) -> None:
        found = self._cidrs.get("", key)
        if found is None:
            return
        if found["metadata"].get("deletionTimestamp"):
            await self._end(found)
            return
        await self._protect(found)
        try:
            await self._set_condition(found, ready=True)
        except StatusError:
            self._recorder.event(found, "Warning", "KubernetesServiceCIDRError", NOT_READY)
            raise

    async def _end(self, found: Object) -> None:
        if not may_go(found, self._cidrs.list(), self._addresses.list()):
            await self._set_condition(found, ready=False)
            return
        since = datetime.fromisoformat(found["metadata"]["deletionTimestamp"])
        left = GRACE_SECONDS - (self._clock.now() - since).total_seconds()
        if left > 0:
            self._queue.add_after(_name(found), left)
            return
        if FINALIZER in (found["metadata"].get("finalizers") or ()):
            await self._patch(found, {"$deleteFromPrimitiveList/finalizers": [FINALIZER]})

    async def _protect(self, found: Object) -> None:
        if FINALIZER not in (found["metadata"].get("finalizers") or ()):
            await self._patch(found, {"finalizers": [FINALIZER]})

    async def _patch(self, found: Object, metadata: Object) -> None:
        try:
            await self._client.patch(SERVICE_CIDRS, _name(found), {"metadata": metadata}, kind="strategic")
        except StatusError as error:
            if error.code != 404:
                raise

    async def _set_condition(self, found: Object, *, ready: bool) -> None:
        """By server-side apply, as its sole owner. Set only when it isn't: each write would bring the next."""
        needed = needed_condition(found, ready)
        if needed is None:
            return
        needed["lastTransitionTime"] = rfc3339(self._clock.now())
        body: dict[str, Any] = {
            "kind": "ServiceCIDR",
            "apiVersion": "networking.k8s.io/v1",
            "metadata": {"name": _name(found)},
            "status": {"conditions": [needed]},
        }
        params = {"fieldManager": self.name, "force": "true"}
        await self._client.transport.call(Call("patch", SERVICE_CIDRS, "", _name(found), "status", params, body, APPLY))


def _name(obj: Object) -> str:
    name: str = obj["metadata"]["name"]
    return name
