"""One identity's way to talk to the API, in Kubernetes' verbs, on plain dicts.

A method makes a `Call` and hands it to the transport; results are shared objects in process and
must not be changed. Everything raises `kubrick_api.errors.StatusError` when the server says no.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal

from kubrick_api.names import GVR
from kubrick_api.resource import Object
from kubrick_api.storage import Call
from kubrick_client.transport import Transport, WatchStream
from kubrick_kernel.clock import Clock, Random, TrioClock
from kubrick_kernel.clock import generator as seeded

PATCH_TYPES: Mapping[str, str] = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
}
DRY_RUN = {"dryRun": "All"}


class Client:
    """`clock` stamps what the client writes of its own (events, leases), `generator` (seeded) gives
    jitter. `user` is the name it speaks as, for messages."""

    def __init__(
        self,
        transport: Transport,
        *,
        clock: Clock | None = None,
        generator: Random | None = None,
        user: str = "",
    ) -> None:
        self.transport = transport
        self.clock: Clock = clock or TrioClock()
        self.generator = generator or seeded(0)
        self.user = user

    async def get(self, gvr: GVR, name: str, namespace: str = "", *, resource_version: str | None = None) -> Object:
        params = {"resourceVersion": resource_version} if resource_version is not None else {}
        return await self.transport.call(Call("get", gvr, namespace, name, params=params))

    async def list(
        self,
        gvr: GVR,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_: str = "",
        resource_version: str | None = None,
    ) -> Object:
        """The list object: ``items``, and in ``metadata`` the resourceVersion and continue token."""
        params = _selectors(label_selector, field_selector, resource_version)
        if limit:
            params["limit"] = str(limit)
        if continue_:
            params["continue"] = continue_
        return await self.transport.call(Call("list", gvr, namespace, params=params))

    async def create(
        self,
        gvr: GVR,
        obj: Object,
        namespace: str = "",
        *,
        subresource: str = "",
        name: str = "",
        dry_run: bool = False,
    ) -> Object:
        """`namespace` defaults to the object's own. `name` is needed for a subresource only."""
        namespace = namespace or obj.get("metadata", {}).get("namespace", "")
        return await self.transport.call(
            Call("create", gvr, namespace, name, subresource, DRY_RUN if dry_run else {}, obj)
        )

    async def update(self, gvr: GVR, obj: Object, *, subresource: str = "", dry_run: bool = False) -> Object:
        """Replace the object its metadata names; guarded by its resourceVersion if it has one."""
        metadata = obj["metadata"]
        return await self.transport.call(
            Call(
                "update",
                gvr,
                metadata.get("namespace", ""),
                metadata["name"],
                subresource,
                DRY_RUN if dry_run else {},
                obj,
            )
        )

    async def patch(
        self,
        gvr: GVR,
        name: str,
        patch: Any,
        namespace: str = "",
        *,
        kind: Literal["merge", "strategic", "json"] = "merge",
        subresource: str = "",
        dry_run: bool = False,
    ) -> Object:
        params = DRY_RUN if dry_run else {}
        return await self.transport.call(
            Call("patch", gvr, namespace, name, subresource, params, patch, PATCH_TYPES[kind])
        )

    async def delete(
        self,
        gvr: GVR,
        name: str,
        namespace: str = "",
        *,
        grace_period: int | None = None,
        propagation_policy: str | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
        dry_run: bool = False,
    ) -> Object:
        """`propagation_policy` is Background, Foreground or Orphan; `uid` and `resource_version` are
        preconditions (409 when they don't hold)."""
        options = _delete_options(grace_period, propagation_policy, uid, resource_version)
        params = DRY_RUN if dry_run else {}
        return await self.transport.call(Call("delete", gvr, namespace, name, params=params, body=options))

    async def delete_collection(
        self,
        gvr: GVR,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        grace_period: int | None = None,
        propagation_policy: str | None = None,
        dry_run: bool = False,
    ) -> Object:
        params = _selectors(label_selector, field_selector, None)
        if dry_run:
            params.update(DRY_RUN)
        options = _delete_options(grace_period, propagation_policy, None, None)
        return await self.transport.call(Call("deletecollection", gvr, namespace, params=params, body=options))

    def watch(
        self,
        gvr: GVR,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str | None = None,
        bookmarks: bool = True,
    ) -> AbstractAsyncContextManager[WatchStream]:
        """Changes after `resource_version`. Use it as ``async with client.watch(...) as stream``."""
        params = _selectors(label_selector, field_selector, resource_version)
        if bookmarks:
            params["allowWatchBookmarks"] = "true"
        return self.transport.watch(Call("watch", gvr, namespace, params=params))

    async def aclose(self) -> None:
        """Give back the transport's connections, if it has any."""
        close = getattr(self.transport, "aclose", None)
        if close is not None:
            await close()


def _selectors(label_selector: str, field_selector: str, resource_version: str | None) -> dict[str, str]:
    params: dict[str, str] = {}
    if label_selector:
        params["labelSelector"] = label_selector
    if field_selector:
        params["fieldSelector"] = field_selector
    if resource_version is not None:
        params["resourceVersion"] = resource_version
    return params


def _delete_options(
    grace_period: int | None, propagation_policy: str | None, uid: str | None, resource_version: str | None
) -> Object:
    options: Object = {"kind": "DeleteOptions", "apiVersion": "v1"}
    if grace_period is not None:
        options["gracePeriodSeconds"] = grace_period
    if propagation_policy is not None:
        options["propagationPolicy"] = propagation_policy
    preconditions = {}
    if uid is not None:
        preconditions["uid"] = uid
    if resource_version is not None:
        preconditions["resourceVersion"] = resource_version
    if preconditions:
        options["preconditions"] = preconditions
    return options
