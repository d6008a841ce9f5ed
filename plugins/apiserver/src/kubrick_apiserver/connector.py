"""The way in for components of this process: calls with dicts, under the caller's own name.

Authorization and admission are the same as over HTTPS; what is left out is the encoding. Results are the
cache's own objects, shared by everybody.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from attrs import evolve

from kubrick_api.errors import method_not_allowed
from kubrick_api.resource import Object, Resource
from kubrick_api.storage import Call, UserInfo
from kubrick_apiserver import watching
from kubrick_apiserver.access import AccessControl, access_of_call, trusted
from kubrick_apiserver.registry import Registry
from kubrick_client import WatchEvent, WatchStream


class InProcessConnector:
    """`kubrick_client.Connector` of a server in this process."""

    def __init__(self, registry: Registry, access_control: AccessControl) -> None:
        self.registry = registry
        self.access_control = access_control

    def transport(self, user: UserInfo) -> "InProcessTransport":
        return InProcessTransport(self, trusted(user))


class InProcessTransport:
    """One identity's calls."""

    def __init__(self, connector: InProcessConnector, user: UserInfo) -> None:
        self._connector = connector
        self._registry = connector.registry
        self.user = user

    async def call(self, call: Call) -> Object:
        """`Transport.call`."""
        user = self.user
        self._connector.access_control.check(access_of_call(call, user))
        return await self._registry.handle(evolve(call, user=user))

    def watch(self, call: Call) -> AbstractAsyncContextManager[WatchStream]:
        """`Transport.watch`."""
        return self._watch(evolve(call, user=self.user))

    @asynccontextmanager
    async def _watch(self, call: Call) -> AsyncIterator[WatchStream]:
        self._connector.access_control.check(access_of_call(call, self.user))
        registry = self._registry
        resource = registry.resource(call.resource)
        if "watch" not in resource.verbs:
            raise method_not_allowed()
        asked = watching.plan(registry, resource, call)
        async with watching.opened(registry, resource, asked) as feed:
            yield _Changes(registry, resource, feed)


class _Changes:
    """A feed as `kubrick_client.WatchStream`."""

    def __init__(self, registry: Registry, resource: Resource, feed: watching.Feed) -> None:
        self._registry = registry
        self._resource = resource
        self._feed = feed

    async def receive(self) -> list[WatchEvent]:
        events = []
        for change in await self._feed.next():
            if isinstance(change, watching.Bookmark):
                events.append(WatchEvent(watching.BOOKMARK, watching.bookmark_object(self._resource, change)))
                continue
            kind, event = change
            obj = watching.object_of(self._registry, self._resource, kind, event)
            events.append(WatchEvent(kind, obj))
        return events
