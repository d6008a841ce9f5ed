"""A request and a response, as the filters and handlers pass them on. No sockets here."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from attrs import define, field, frozen

from kubrick_api.storage import UserInfo

ANONYMOUS = UserInfo("system:anonymous", groups=("system:unauthenticated",))


@frozen
class RequestInfo:
    """What a path and method mean (apiserver's RequestInfo). `verb` is get, list, watch, create, update,
    patch, delete or deletecollection for resource requests, and the lower-case method otherwise."""

    resource_request: bool
    path: str
    verb: str
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""


@define(eq=False)
class Request:
    """One HTTP request, body read. Header names are lower case. `query` and `headers` keep the last
    value of each name; `query_lists` and `header_lists` all of them where there is more than one."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    info: RequestInfo
    user: UserInfo = ANONYMOUS
    query_lists: Mapping[str, tuple[str, ...]] = field(factory=dict)
    header_lists: Mapping[str, tuple[str, ...]] = field(factory=dict)
    audit_id: str = ""


class Stream(Protocol):
    """A body that is sent piece by piece (chunked): a watch, a followed log."""

    async def next(self) -> bytes:
        """The next piece, as large as is available; b"" ends the response."""
        ...


@define(eq=False)
class Response:
    """An answer. `body` is bytes, a list of bytes to be sent one after another (a LIST joins stored
    values without copying), or an opened-on-send stream."""

    status: int
    content_type: str = "application/json"
    body: bytes | list[bytes] | AbstractAsyncContextManager[Stream] = b""
    headers: list[tuple[str, str]] = field(factory=list)


class Handler(Protocol):
    """Answers requests that passed authentication and authorization. Raises StatusError."""

    async def __call__(self, request: Request) -> Response: ...
