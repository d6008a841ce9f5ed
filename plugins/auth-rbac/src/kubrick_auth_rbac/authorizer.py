"""The RBAC authorizer: an index that follows the bus, and one compiled set of grants per user.

It subscribes to the four kinds when it starts and takes over changes whenever it is asked, so a binding
counts as soon as the request that made it is answered. Compiled grants are thrown away at any change.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from kubrick_api import codec
from kubrick_api.storage import UserInfo
from kubrick_api_rbac import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES
from kubrick_apiserver.auth import Access, ResourceRules
from kubrick_auth_rbac.index import Index, Key, Object, UserGrants, aggregate
from kubrick_auth_rbac.rules import Grant, Rule
from kubrick_kernel import Compacted, Lagged

if TYPE_CHECKING:
    from kubrick_kernel import Kernel, Subscription, Topic

CACHE = 4096
"""How many users' compiled grants are kept."""
EMPTY = Grant()


class RBAC:
    """Authorizer, and component "rbac"."""

    name = "rbac"
    order = 20
    requires: tuple[str, ...] = ("bus",)

    def __init__(self, kernel: "Kernel") -> None:
        self.index = Index()
        self._feeds: list[tuple[Topic, Callable[[Key, Object | None], None]]] = [
            (kernel.bus.topic(f"{resource.qualified}/".encode()), take)
            for resource, take in (
                (ROLES, self.index.role),
                (CLUSTER_ROLES, self.index.role),
                (ROLE_BINDINGS, self.index.binding),
                (CLUSTER_ROLE_BINDINGS, self.index.binding),
            )
        ]
        self._subscriptions: list[Subscription] = []
        self._lagged = trio.Event()
        self._compiled: dict[tuple[str, tuple[str, ...]], UserGrants] = {}
        self._compiled_at = -1
        self._bus = kernel.bus
        self._seen = -1
        """The bus's revision when changes were last looked for."""

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        started = False
        try:
            while True:
                self._lagged = trio.Event()
                subscriptions = [await topic.subscribe(topic.revision) for topic, _ in self._feeds]
                self._load()
                self._subscriptions = subscriptions
                if not started:
                    task_status.started()
                    started = True
                await self._lagged.wait()
                self._close()
        finally:
            self._close()

    def _close(self) -> None:
        for subscription in self._subscriptions:
            subscription.close()
        self._subscriptions = []

    def _load(self) -> None:
        """Everything as it stands now."""
        self._seen = -1
        self.index.clear()
        for topic, take in self._feeds:
            for item in topic.range().items:
                take(_key(topic, item.key), codec.decode(item))

    def update(self) -> None:
        """Take over what has changed."""
        revision = self._bus.revision
        if revision == self._seen:
            return
        self._seen = revision
        try:
            for (topic, take), subscription in zip(self._feeds, self._subscriptions, strict=False):
                for event in subscription.receive_nowait():
                    take(_key(topic, event.key), codec.decode(event.item) if event.item else None)
        except (Lagged, Compacted):
            self._load()
            self._lagged.set()

    def version(self) -> int:
        """Changes with any role or binding."""
        self.update()
        return self.index.revision

    def grants(self, user: UserInfo) -> UserGrants:
        """What `user` may do now."""
        self.update()
        if self._compiled_at != self.index.revision or len(self._compiled) > CACHE:
            self._compiled.clear()
            self._compiled_at = self.index.revision
        key = user.name, user.groups
        found = self._compiled.get(key)
        if found is None:
            found = self._compiled[key] = self.index.grants(user)
        return found

    def authorize(self, access: Access) -> tuple[bool | None, str]:
        """Allows or has no opinion: RBAC never denies."""
        grants = self.grants(access.user)
        source = _allowed(grants.cluster, access)
        if source is None and access.namespace and access.resource_request:
            source = _allowed(grants.namespaces.get(access.namespace, EMPTY), access)
        if source is not None:
            return True, f"RBAC: allowed by {source}"
        errors = [*grants.cluster_errors, *(grants.errors.get(access.namespace, ()) if access.namespace else ())]
        return None, f"RBAC: {aggregate(errors)}" if errors else ""

    def rules(self, user: UserInfo, namespace: str) -> ResourceRules:
        """For SelfSubjectRulesReview. As in kube-apiserver, a role that can't be found is an error, and the answer is
        no less complete for it."""
        grants = self.grants(user)
        answer = ResourceRules([], [])
        for rule in self.rules_for(user, namespace):
            shown = {key: values for key, values in rule.items() if values}
            if "resources" in shown:
                names = ("verbs", "apiGroups", "resources", "resourceNames")
                answer.resource_rules.append({key: shown[key] for key in names if key in shown})
            if "nonResourceURLs" in shown:
                answer.non_resource_rules.append({key: shown[key] for key in ("verbs", "nonResourceURLs")})
        errors = [*grants.cluster_errors, *grants.errors.get(namespace, ())]
        answer.error = aggregate(errors) if errors else ""
        return answer

    def rules_for(self, user: UserInfo, namespace: str) -> list[Rule]:
        """All rules that hold for `user` in `namespace` (""; cluster-wide)."""
        grants = self.grants(user)
        local = grants.namespaces.get(namespace) if namespace else None
        return [*grants.cluster.rules, *(local.rules if local else ())]


def _key(topic: "Topic", key: bytes) -> Key:
    namespace, _, name = key[len(topic.prefix) :].decode().rpartition("/")
    return namespace, name


def _allowed(grant: Grant, access: Access) -> str | None:
    if access.resource_request:
        return grant.resource(access.verb, access.group, access.resource, access.subresource, access.name)
    return grant.path(access.verb, access.path)
