"""PATCH: which kind of patch it is, what it makes of an object, and how its errors read.

The patch is decoded once per request and applied to the stored object on every attempt. What comes out
passes the same decoder as a PUT (types, unknown fields), with errors about "patch" as in kube-apiserver.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

from kubrick_api import merge
from kubrick_api.errors import StatusError, bad_request, unsupported_media_type
from kubrick_api.merge import JSON_PATCH, PATCH_TYPES, STRATEGIC_PATCH
from kubrick_api.names import GVK
from kubrick_api.resource import Object, Resource
from kubrick_api.schema import Type
from kubrick_api.storage import Call
from kubrick_apiserver.body import Body, Unreadable
from kubrick_apiserver.options import WriteOptions

if TYPE_CHECKING:
    from kubrick_apiserver.registry import Registry

OPERATION_LIMIT = 10_000

Apply = Callable[[Object, list[str]], Object]
"""apply(old, warnings) -> a private new object."""


def patch_type(header: str) -> str:
    """The kind of patch. Raises 415, for server-side apply too (not served yet)."""
    media = header.partition(";")[0].strip().lower()
    if media not in PATCH_TYPES:
        raise unsupported_media_type(PATCH_TYPES)
    return media


def reader(registry: "Registry", resource: Resource, call: Call, body: Body, options: WriteOptions) -> Apply:
    """Decode the patch of a request to `resource`'s objects. Raises StatusError."""
    return applier(resource.kind, registry.catalog.type(resource), call.content_type, body, options)


def applier(kind: GVK, schema: Type, content_type: str, body: Body, options: WriteOptions) -> Apply:
    """A function that applies the patch in `body` to objects of `kind`."""
    media = patch_type(content_type)
    change = _decoded(media, body)

    def apply(old: Object, warnings: list[str]) -> Object:
        obj = merge.apply_patch(schema, old, change, media)
        return _accepted(kind, schema, obj, change, media, options, warnings)

    return apply


def _decoded(media: str, body: Body) -> Any:
    try:
        change = body.read()
    except Unreadable as error:
        raise bad_request(f"error decoding patch: {error}") from None
    if media == JSON_PATCH:
        if type(change) is not list:
            raise bad_request(
                f"error decoding patch: json: cannot unmarshal {_go_type(change)} into Go value of type jsonpatch.Patch"
            )
        if len(change) > OPERATION_LIMIT:
            message = f"The allowed maximum operations in a JSON patch is {OPERATION_LIMIT}, got {len(change)}"
            raise StatusError(413, "RequestEntityTooLarge", f"Request entity too large: {message}")
    elif type(change) is not dict:
        raise bad_request(
            f"error decoding patch: json: cannot unmarshal {_go_type(change)} into Go value of type "
            "map[string]interface {}"
        )
    return change


def _go_type(value: Any) -> str:
    return {str: "string", bool: "bool", list: "array", dict: "object", type(None): "null"}.get(type(value), "number")


def _accepted(
    kind: GVK, schema: Type, obj: Object, change: Any, media: str, options: WriteOptions, warnings: list[str]
) -> Object:
    """What a patch made, checked like any object on its way in."""
    if obj.get("kind") != kind.kind or obj.get("apiVersion") != kind.api_version:
        raise bad_request(
            f"the patch may not change the kind or API version ({kind.api_version}, {kind.kind}) of the object"
        )
    text = orjson.dumps(change if media == STRATEGIC_PATCH else obj).decode()
    try:
        unknown = schema.accept(obj, kind)
    except StatusError as error:
        raise merge.unpatchable(text, error.message.partition(f"cannot be handled as a {kind.kind}: ")[2]) from None
    if unknown:
        if options.field_validation == "Strict":
            raise merge.unpatchable(text, f"strict decoding error: {', '.join(unknown)}")
        if options.field_validation == "Warn":
            warnings += unknown
    metadata = obj.setdefault("metadata", {})
    metadata.pop("managedFields", None)
    return obj
