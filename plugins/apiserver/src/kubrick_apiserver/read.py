"""get and list: stored items, found and counted out, never copied.

A list is a snapshot: of the bus's state when nothing else is asked, or of the store at an older revision.
A continue token pins the revision and the next key, so that pages of one list fit together.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING

import orjson
from attrs import frozen

from kubrick_api.errors import StatusError, bad_request, expired, not_found, too_large_resource_version
from kubrick_api.resource import Object, Resource
from kubrick_api.storage import Call
from kubrick_api.trouble import describe
from kubrick_apiserver.malformed import syntax_error
from kubrick_apiserver.options import EXACT, ListOptions, list_options, revision
from kubrick_apiserver.selection import Selection, selection
from kubrick_kernel import Compacted, FutureRevision, Item, Range

if TYPE_CHECKING:
    from kubrick_apiserver.registry import Registry

TOKEN_VERSION = "meta.k8s.io/v1"  # noqa: S105 -- not a secret
NOT_BASE64 = re.compile(r"[^A-Za-z0-9_-]")


def prefix(resource: Resource, namespace: str) -> bytes:
    """The prefix of the keys of one namespace, or of all."""
    if namespace and resource.namespaced:
        return resource.key_prefix + f"{namespace}/".encode()
    return resource.key_prefix


def fetch(registry: "Registry", resource: Resource, call: Call) -> Item:
    """The stored object a get asks for. Raises 404."""
    if call.params and (asked := call.params.get("resourceVersion")):
        not_in_the_future(revision(asked), registry.bus.revision)
    item = registry.topic(resource).get(resource.key(call.namespace, call.name))
    if item is None:
        raise not_found(resource.gvr, call.name)
    return item


def not_in_the_future(asked: int, current: int) -> None:
    if asked > current:
        raise too_large_resource_version(asked, current)


@frozen
class Page:
    """Some items of a list. `token` is "" at the end; `remaining` is None when unknown."""

    items: list[Item]
    revision: int
    token: str = ""
    remaining: int | None = None


@frozen
class Token:
    """A continue token: the next key (relative to the list's prefix) and the list's revision (-1 when
    the rest of the list may be of a newer one)."""

    start: str
    revision: int

    def encode(self) -> str:
        body = {"v": TOKEN_VERSION, "rv": self.revision, "start": self.start}
        return urlsafe_b64encode(orjson.dumps(body)).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str) -> "Token":
        """Raises 400."""
        strange = NOT_BASE64.search(text)
        if strange is not None or len(text) % 4 == 1:
            at = strange.start() if strange is not None else len(text) - 1
            raise _no_token(f": illegal base64 data at input byte {at}")
        data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        try:
            body = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise _no_token(f": {syntax_error(data) or error}") from None
        if not isinstance(body, dict):
            found = describe(body, "")
            raise _no_token(f": json: cannot unmarshal {found} into Go value of type storage.continueToken")
        version, number, start = body.get("v") or "", body.get("rv") or 0, body.get("start") or ""
        for name, value, kind, go in (
            ("v", version, str, "string"),
            ("rv", number, int, "int64"),
            ("start", start, str, "string"),
        ):
            if type(value) is not kind or (isinstance(value, int) and value >= 2**63):
                where = f"Go struct field continueToken.{name} of type {go}"
                raise _no_token(f": json: cannot unmarshal {describe(value, go)} into {where}")
        if version != TOKEN_VERSION:
            raise _no_token(f": server does not recognize this encoded version {version}")
        if not number:
            raise _no_token(f": incorrect encoded start resourceVersion (version {TOKEN_VERSION})")
        if not start:
            raise _no_token(f": encoded start key empty (version {TOKEN_VERSION})")
        relative = start.removeprefix("/")
        if not _clean(relative):
            raise _no_token(f": {start}")
        return cls(relative, number)


def _clean(path: str) -> bool:
    """Whether Go's path.Clean would leave it alone: a key can't climb out of its prefix."""
    return not path or not any(part in ("", ".", "..") for part in path.split("/"))


def _no_token(why: str) -> StatusError:
    return bad_request(f"invalid continue token: continue key is not valid{why}")


async def page(registry: "Registry", resource: Resource, call: Call, options: ListOptions) -> Page:
    """One page of a list (all of it without a limit). Raises StatusError."""
    chosen = selection(resource, call.namespace, call.name, options, lambda item: registry.decode(resource, item))
    within = prefix(resource, call.namespace)
    topic = registry.topic(resource)
    limit = max(options.limit, 0)
    at: int | None = None
    start = b""
    if options.token:
        token = Token.decode(options.token)
        if options.resource_version not in ("", "0"):
            raise bad_request("specifying resource version is not allowed when using continue")
        start = within + token.start.encode()
        at = token.revision if token.revision > 0 else None
    elif options.resource_version not in ("", "0"):
        asked = revision(options.resource_version)
        not_in_the_future(asked, registry.bus.revision)
        if options.match == EXACT or (limit and not options.match):
            at = asked
    elif chosen is not None and chosen.key is not None:
        found = topic.get(chosen.key)
        return Page([found] if found is not None and chosen.matches(found) else [], registry.bus.revision)
    if at is None or topic.changed <= at <= registry.bus.revision:
        shown = registry.bus.revision if at is None else at
        if chosen is None:
            return _plain(topic.range(within, start, limit), within, limit, shown)
        return _selected(topic.range(within, start), chosen, within, limit, shown)
    try:
        if chosen is None:
            return _plain(await registry.bus.store.range(within, start, limit, at), within, limit, at)
        return _selected(await registry.bus.store.range(within, start, 0, at), chosen, within, limit, at)
    except Compacted as error:
        raise _gone(registry, error, options, start[len(within) :].decode()) from None
    except FutureRevision as error:
        raise too_large_resource_version(at, error.current) from None


def _plain(found: Range, within: bytes, limit: int, at: int) -> Page:
    if not limit or not found.more:
        return Page(found.items, at)
    return Page(found.items, at, _after(found.items[-1], within, at), found.remaining)


def _selected(found: Range, chosen: Selection, within: bytes, limit: int, at: int) -> Page:
    matches = chosen.matches
    if not limit:
        return Page([item for item in found.items if matches(item)], at)
    items: list[Item] = []
    for item in found.items:
        if matches(item):
            if len(items) == limit:
                return Page(items, at, _after(items[-1], within, at))
            items.append(item)
    return Page(items, at)


def _after(item: Item, within: bytes, at: int) -> str:
    return Token(item.key[len(within) :].decode() + "\0", at).encode()


def _gone(registry: "Registry", error: Compacted, options: ListOptions, start: str) -> StatusError:
    """410: with a token that goes on from the same key at the newest revision, when it was a page."""
    if not options.token:
        return expired("The resourceVersion for the provided list is too old.")
    refusal = expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new "
        "list without the continue parameter, or use the continue token in this response to retrieve the "
        "remainder of the results. Continuing with the provided token results in an inconsistent list - "
        "objects that were created, modified, or deleted between the time the first chunk was returned and "
        "now may show up in the list."
    )
    return Expired(refusal, Token(start, -1).encode())


class Expired(StatusError):
    """410 with a continue token in the status's metadata."""

    def __init__(self, refusal: StatusError, token: str) -> None:
        super().__init__(refusal.code, refusal.reason, refusal.message, refusal.details, refusal.headers)
        self.token = token

    def status(self) -> Object:
        return {**super().status(), "metadata": {"continue": self.token}}


async def listing(registry: "Registry", resource: Resource, call: Call) -> Object:
    """A list as a dict. Its items are shared: never change them."""
    found = await page(registry, resource, call, list_options(call.params))
    return {
        "kind": resource.list_kind,
        "apiVersion": resource.kind.api_version,
        "metadata": list_metadata(found),
        "items": [registry.decode(resource, item) for item in found.items],
    }


def list_metadata(found: Page) -> Object:
    metadata: Object = {"resourceVersion": str(found.revision)}
    if found.token:
        metadata["continue"] = found.token
        if found.remaining is not None:
            metadata["remainingItemCount"] = found.remaining
    return metadata
