"""Resource requests over HTTP: from bytes to a call, and from the answer back to bytes.

What is stored is sent as it is; only protobuf, Tables, metadata, YAML and pretty printing decode and encode.
Also the door to discovery and OpenAPI.
"""

from typing import TYPE_CHECKING

import orjson
import trio

from kubrick_api.catalog import Catalog
from kubrick_api.errors import StatusError, bad_request, method_not_allowed, not_acceptable, unknown_path
from kubrick_api.names import GVR
from kubrick_api.protobuf import Protobuf
from kubrick_api.resource import Object, Resource
from kubrick_api.storage import Call
from kubrick_api.table import Table, partial_metadata
from kubrick_apiserver import read, watching
from kubrick_apiserver.answer import Answer
from kubrick_apiserver.body import WebBody
from kubrick_apiserver.discovery import Discovery
from kubrick_apiserver.negotiation import (
    JSON,
    PROTOBUF,
    TEXTS,
    YAML,
    Representation,
    dump,
    media_type,
    representation,
)
from kubrick_apiserver.options import list_options
from kubrick_apiserver.patching import patch_type
from kubrick_apiserver.registry import Registry, refused
from kubrick_apiserver.specification import Specification
from kubrick_apiserver.warning import warning_headers
from kubrick_apiserver.web import Request, Response
from kubrick_http.writer import NOT_FOUND, text_response

if TYPE_CHECKING:
    from kubrick_apiserver.connect.table import Connect
    from kubrick_kernel import Kernel

CHUNK = 64
"""How many stored values of a list are joined into one piece of the body."""
INCLUDES = ("None", "Metadata", "Object")
COLLECTION_VERBS = frozenset(("list", "watch", "deletecollection"))
NAMED_VERBS = frozenset(("update", "patch"))
CONNECTED = frozenset(("log", "exec", "attach", "portforward", "proxy"))
"""Subresources that are connections, not objects."""
KNOWN_VERBS = frozenset(("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"))
WITH_BODY = frozenset(("create", "update", "patch", "delete", "deletecollection"))
ONLY_REVISION = frozenset(("resourceVersion",))


class ResourceHandler:
    """`web.Handler` for everything under /api, /apis and /openapi."""

    def __init__(self, kernel: "Kernel", catalog: Catalog, registry: Registry) -> None:
        self._kernel = kernel
        self._registry = registry
        self._catalog = catalog
        self._protobuf = Protobuf(catalog)
        self._discovery = Discovery(catalog)
        self._specification = Specification(catalog)
        self._gvrs: dict[tuple[str, str, str], Resource] = {}
        self._connections: dict[tuple[str, str], Connect] | None = None

    async def __call__(self, request: Request) -> Response:
        """Answer a request that may be made. Raises StatusError."""
        info = request.info
        if not info.resource_request:
            return self._document(request)
        resource = self._gvrs.get((info.group, info.version, info.resource))
        if resource is None:
            if not self._knows(info.group):
                return text_response(404, NOT_FOUND)
            resource = self._look_up(request)
        if info.subresource in CONNECTED:
            return await self._connect(request, resource)
        if resource.deprecation:
            return await self._deprecated(request, resource)
        if info.verb == "get" and not info.subresource and resource.virtual is None:
            query = request.query
            if not query or query.keys() == ONLY_REVISION:
                return self._get(request, resource)
        return await self._perform(request, resource)

    async def _deprecated(self, request: Request, resource: Resource) -> Response:
        """Whatever the answer is, it says that the resource is going out of use."""
        warning = warning_headers((resource.deprecation,))
        try:
            response = await self._perform(request, resource)
        except StatusError as error:
            error.headers = (*error.headers, *warning)
            raise
        response.headers = [*response.headers, *warning]
        return response

    def _knows(self, group: str) -> bool:
        """Unknown groups are nobody's paths, unlike unknown resources of known ones."""
        return any(known.group == group for known in self._catalog.groups())

    async def _connect(self, request: Request, resource: Resource) -> Response:
        """What goes on to a node or a pod."""
        if self._connections is None:
            from kubrick_apiserver.connect.table import connections

            self._connections = connections(self._kernel, self._registry)
        connect = self._connections.get((resource.gvr.resource, request.info.subresource))
        if connect is None or resource.gvr.group:
            raise unknown_path()
        call = _call(request, resource)
        if resource.namespaced and not call.namespace:
            raise unknown_path()
        return await connect(request, call)

    def _look_up(self, request: Request) -> Resource:
        info = request.info
        resource = self._registry.resource(GVR(info.group, info.version, info.resource))
        self._gvrs[info.group, info.version, info.resource] = resource
        return resource

    def _get(self, request: Request, resource: Resource) -> Response:
        """The shortest way: one stored object, nothing asked about it but how old it may be."""
        form = representation(request.headers, request.query)
        call = _call(request, resource)
        _check_scope(resource, call)
        if "get" not in resource.verbs:
            raise refused(resource, call)
        item = read.fetch(self._registry, resource, call)
        if form.plain and resource.stored_as is None:
            return Response(200, JSON, item.value)
        return self._encode(form, resource, Answer(item), request)

    async def _perform(self, request: Request, resource: Resource) -> Response:
        info = request.info
        call = _call(request, resource)
        _check_scope(resource, call)
        verb = info.verb
        if verb == "list" and resource.virtual is None and not info.subresource:
            if "list" not in resource.verbs:
                raise refused(resource, call)
            return await self._list(request, resource, call)
        if verb == "watch":
            if "watch" not in resource.verbs or info.subresource:
                raise refused(resource, call)
            return self._watch(request, resource, call)
        form = representation(request.headers, request.query)
        body = WebBody(request.body, JSON, self._protobuf)
        if verb in WITH_BODY:
            header = request.headers.get("content-type", "")
            if verb == "patch":
                patch_type(header)
            elif request.body:
                body.media = media_type(header)
        answer = await self._registry.perform(resource, call, body)
        if form.plain and answer.item is not None and resource.stored_as is None and not answer.warnings:
            return Response(answer.status, JSON, answer.item.value)
        return self._encode(form, resource, answer, request)

    def _encode(self, form: Representation, resource: Resource, answer: Answer, request: Request) -> Response:
        """One object in the representation asked for."""
        headers = warning_headers(answer.warnings) if answer.warnings else []
        if form.plain and answer.item is not None and resource.stored_as is None:
            return Response(answer.status, JSON, answer.item.value, headers)
        obj = self._registry.object(resource, answer)
        if form.transform and obj.get("kind") == resource.kind.kind:
            obj = self._transformed(form, resource, [obj], {}, request)
        elif form.transform and obj.get("kind") == resource.list_kind:
            obj = self._transformed(form, resource, obj["items"], obj["metadata"], request)
        return Response(answer.status, form.media, self._dump(obj, form), headers)

    def _dump(self, obj: Object, form: Representation) -> bytes:
        """An object in the chosen format. Raises 406 for one that has no protobuf."""
        if form.media != PROTOBUF:
            return dump(obj, form)
        try:
            return self._protobuf.encode(obj)
        except LookupError:
            raise not_acceptable(TEXTS) from None

    def _transformed(
        self, form: Representation, resource: Resource, objects: list[Object], about: Object, request: Request
    ) -> Object:
        """Objects as a Table or as metadata alone: a list if `about` (the list's metadata) says so."""
        if form.transform == "table":
            metadata = about or {"resourceVersion": objects[0]["metadata"].get("resourceVersion", "")}
            return _versioned(
                Table(resource, _include(request)).build(objects, self._kernel.clock.now(), metadata), form
            )
        partial = [_versioned(partial_metadata(obj), form) for obj in objects]
        if not about:
            return partial[0]
        kind = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1"}
        return _versioned({**kind, "metadata": about, "items": partial}, form)

    async def _list(self, request: Request, resource: Resource, call: Call) -> Response:
        form = representation(request.headers, request.query)
        found = await read.page(self._registry, resource, call, list_options(call.params))
        if form.plain and resource.stored_as is None:
            return Response(200, JSON, _joined(resource, found))
        metadata = read.list_metadata(found)
        if form.media == PROTOBUF and not form.transform:
            return Response(200, PROTOBUF, await self._listed(resource, found, metadata))
        objects = [self._registry.decode(resource, item) for item in found.items]
        if form.transform:
            obj = self._transformed(form, resource, objects, metadata, request)
        else:
            kind = resource.kind
            obj = {"kind": resource.list_kind, "apiVersion": kind.api_version, "metadata": metadata, "items": objects}
        return Response(200, form.media, self._dump(obj, form))

    async def _listed(self, resource: Resource, found: read.Page, metadata: Object) -> bytes:
        """A list in protobuf. Others get their turn between a few dozen items: each takes some ten microseconds."""
        items = []
        for index, item in enumerate(found.items, 1):
            items.append(self._protobuf.item(resource.kind, self._registry.decode(resource, item)))
            if not index % CHUNK:
                await trio.lowlevel.checkpoint()
        head = {"kind": resource.list_kind, "apiVersion": resource.kind.api_version, "metadata": metadata}
        return self._protobuf.encode_list(head, items)

    def _watch(self, request: Request, resource: Resource, call: Call) -> Response:
        form = representation(request.headers, request.query)
        socket = request.headers.get("upgrade", "").lower() == "websocket"
        if form.media == YAML or (socket and form.media == PROTOBUF):
            raise not_acceptable((JSON,))
        registry = self._registry
        asked = watching.plan(registry, resource, call)
        encode = self._protobuf.event if form.media == PROTOBUF else watching.json_frame
        frames = watching.PlainFrames(registry, resource)
        if form.media == PROTOBUF and not form.transform:
            frames = watching.Frames(registry, resource, PROTOBUF, lambda obj, first: obj, encode)
        elif form.transform == "metadata":

            def strip(obj: Object, first: bool) -> Object:
                return _versioned(partial_metadata(obj), form)

            frames = watching.Frames(registry, resource, ("metadata", form.media, form.version), strip, encode)
        elif form.transform == "table":
            include = _include(request)
            table = Table(resource, include)

            def tabulate(obj: Object, first: bool) -> Object:
                now = self._kernel.clock.now()
                metadata = {"resourceVersion": obj["metadata"]["resourceVersion"]}
                if "name" not in obj["metadata"]:
                    # A bookmark: no row, but its annotation must be seen.
                    metadata = obj["metadata"]
                    return _versioned(table.wrap([], metadata, first), form)
                return _versioned(table.build([obj], now, metadata, first), form)

            frames = watching.Frames(registry, resource, ("table", form.version, include), tabulate)
        stream = watching.Stream(registry, resource, asked, frames)
        if socket:
            from kubrick_apiserver.websocket_watch import watched

            return watched(request.headers, stream)
        return Response(200, f"{PROTOBUF};stream=watch" if form.media == PROTOBUF else JSON, stream)

    def _document(self, request: Request) -> Response:
        """Discovery and OpenAPI."""
        if request.method not in ("GET", "HEAD"):
            raise method_not_allowed()
        response = None
        if request.path.startswith("/openapi"):
            response = self._specification.answer(request)
        else:
            response = self._discovery.answer(request)
        if response is not None:
            return response
        root, _, rest = request.path.strip("/").partition("/")
        if root == "openapi" or (root == "apis" and not self._knows(rest.partition("/")[0])):
            return text_response(404, NOT_FOUND)
        raise unknown_path()


def _call(request: Request, resource: Resource) -> Call:
    info = request.info
    return Call(
        info.verb,
        resource.gvr,
        info.namespace if resource.namespaced else "",
        info.name,
        info.subresource,
        request.query,
        None,
        request.headers.get("content-type", JSON),
        request.user,
        request.headers.get("user-agent", ""),
    )


def _check_scope(resource: Resource, call: Call) -> None:
    """Refuse what no route of kube-apiserver would match: a single object without its namespace, an update
    of a collection, a create with a name. Raises 404, 405."""
    verb = call.verb
    if resource.namespaced and not call.namespace and verb not in COLLECTION_VERBS:
        if call.name:
            raise unknown_path()
        raise refused(resource, call)
    if verb in NAMED_VERBS and not call.name:
        raise refused(resource, call)
    if verb == "create" and call.name and not call.subresource:
        raise refused(resource, call)
    if verb not in KNOWN_VERBS:
        raise refused(resource, call)


def _include(request: Request) -> str:
    """The includeObject parameter of a Table. Raises 400."""
    include = request.query.get("includeObject", "Metadata") or "Metadata"
    if include not in INCLUDES:
        raise bad_request(f'unrecognized includeObject value: "{include}"')
    return include


def _versioned(obj: Object, form: Representation) -> Object:
    if form.version != "v1":
        obj["apiVersion"] = f"meta.k8s.io/{form.version}"
    return obj


def _joined(resource: Resource, found: read.Page) -> list[bytes]:
    """A list of stored values in an envelope, in pieces of some dozen kilobytes."""
    kind = resource.kind
    metadata = orjson.dumps(read.list_metadata(found))
    head = b'{"kind":"%b","apiVersion":"%b","metadata":%b,"items":[' % (
        resource.list_kind.encode(),
        kind.api_version.encode(),
        metadata,
    )
    items = found.items
    if not items:
        return [head, b"]}"]
    pieces = [head]
    for start in range(0, len(items), CHUNK):
        values = [item.value for item in items[start : start + CHUNK]]
        if start:
            values.insert(0, b"")  # a comma before the first
        pieces.append(b",".join(values))
    pieces.append(b"]}")
    return pieces
