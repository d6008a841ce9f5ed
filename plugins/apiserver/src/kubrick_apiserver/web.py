"""A request and a response, as the filters and handlers pass them on. No sockets here."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from attrs import define, field, frozen

from kubrick_api.storage import UserInfo
from kubrick_http.response import Response, Stream, Upgrade

if TYPE_CHECKING:
    from kubrick_apiserver.flow import Ticket

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
    target: str = ""
    """Path and query as they came, for those who pass them on."""
    asker: str = ""
    """The name of who sent it, when it is to be treated as somebody else's."""
    ticket: "Ticket | None" = None
    """Its place in flow control, if there is any."""


class Handler(Protocol):
    """Answers requests that passed authentication and authorization. Raises StatusError."""

    async def __call__(self, request: Request) -> Response: ...


__all__ = ["ANONYMOUS", "Handler", "Request", "RequestInfo", "Response", "Stream", "Upgrade"]
