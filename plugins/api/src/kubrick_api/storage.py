"""What strategies, subresources and admission see of the server: objects to read, objects to write.

The API server implements these; API group plugins and admission plugins only use them.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from attrs import define, field, frozen

from kubrick_api.names import GVR

Object = dict[str, Any]


@frozen
class UserInfo:
    """Who is asking."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(factory=dict)


@frozen
class Call:
    """One request to a resource, as the API sees it, whichever way it came in.

    `verb` is Kubernetes' request verb: get, list, watch, create, update, patch, delete,
    deletecollection. `params` are the query parameters in Kubernetes' spelling (labelSelector,
    resourceVersion, dryRun, ...), as text. `body` is the decoded object, patch or DeleteOptions.
    `content_type` matters for patches (application/strategic-merge-patch+json, ...). `user_agent` names the field
    manager where the parameters don't.
    """

    verb: str
    resource: GVR
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    params: Mapping[str, str] = field(factory=dict)
    body: Any = None
    content_type: str = "application/json"
    user: UserInfo = UserInfo("system:anonymous", groups=("system:unauthenticated",))
    user_agent: str = ""


class Reader(Protocol):
    """Synchronous, consistent reads from the cache. Objects are shared: never change them."""

    def get(self, resource: GVR, namespace: str, name: str) -> Object | None:
        """One object, or None. `namespace` is "" for cluster-scoped resources."""
        ...

    def list(self, resource: GVR, namespace: str = "") -> list[Object]:
        """All objects of a resource (of one namespace, if given), in key order."""
        ...


@define(eq=False)
class WriteContext:
    """One write under way."""

    user: UserInfo
    now: datetime
    reader: Reader
    storage: "Storage"
    subresource: str = ""
    dry_run: bool = False
    also: list["Also"] = field(factory=list)
    """Further objects to create or delete in the same transaction."""
    on_failure: list[Callable[[], None]] = field(factory=list)
    """Called when the write does not happen (validation, conflict, dry run): give back reservations."""
    on_success: list[Callable[[], None]] = field(factory=list)
    """Called when the write has happened and can be read: what was reserved is stored now."""
    warnings: list[str] = field(factory=list)


@frozen
class Also:
    """A companion write: create `obj` (must be absent) or, when `obj` is None, delete what is there."""

    resource: GVR
    namespace: str
    name: str
    obj: Object | None


class Storage(Protocol):
    """Writing, for subresource handlers. Every method admits, validates and commits like a request
    of that user would, and raises StatusError."""

    reader: Reader

    async def modify(
        self,
        call: Call,
        change: Callable[[Object], Object | None],
        *,
        subresource: str = "",
        admit: bool = True,
    ) -> Object:
        """Read, `change` (given a private copy; returns the new object, or None to leave as is), commit
        with compare-and-swap, again on conflict. Which object: call.resource, namespace, name."""
        ...

    async def handle(self, call: Call) -> Object:
        """Run another call (create, delete, ...) on behalf of `call.user`, without authorization."""
        ...


class SubresourceHandler(Protocol):
    """A subresource or virtual resource with behaviour of its own (binding, eviction, reviews)."""

    async def __call__(self, call: Call, storage: Storage, context: WriteContext) -> Object:
        """Answer the call with the object to send (its kind says what). Raises StatusError."""
        ...
