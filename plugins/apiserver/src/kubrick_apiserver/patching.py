"""PATCH: which kind of patch it is, what it makes of an object, and how its errors read.

The patch is decoded once per request and applied to the stored object on every attempt. What comes out
passes the same decoder as a PUT (types, unknown fields), with errors about "patch" as in kube-apiserver:
a strategic patch goes through its converter of maps, whose words differ, and is shown as Go prints maps.
"""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import orjson

from kubrick_api import merge
from kubrick_api.duplication import duplicate_fields
from kubrick_api.equality import identical
from kubrick_api.errors import StatusError, bad_request
from kubrick_api.fields.gotext import value_text
from kubrick_api.merge import JSON_PATCH, PATCH_TYPES, STRATEGIC_PATCH
from kubrick_api.names import GVK
from kubrick_api.resource import Object, Resource
from kubrick_api.schema import Type
from kubrick_api.storage import Call
from kubrick_api.trouble import Trouble, describe
from kubrick_apiserver.body import Body, Unreadable
from kubrick_apiserver.options import WriteOptions

if TYPE_CHECKING:
    from kubrick_apiserver.registry import Registry

OPERATION_FIELDS = ("op", "path", "from", "value")
TEXTS = frozenset(("labels", "annotations"))
NO_MAP = "into Go value of type map[string]interface {}"
EMPTY = "unexpected end of JSON input"

Apply = Callable[[Object, list[str]], Object]
"""apply(old, warnings) -> a new object. It may have members in common with `old`, but for its metadata."""


def patch_type(header: str) -> str:
    """The kind of patch. Raises 415."""
    media = header.partition(";")[0].strip().lower()
    if media not in PATCH_TYPES:
        # The router of kube-apiserver says this, before any handler could name the types there are.
        raise StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
    return media


def reader(registry: "Registry", resource: Resource, call: Call, body: Body, options: WriteOptions) -> Apply:
    """Decode the patch of a request to `resource`'s objects. Raises StatusError."""
    return applier(resource.kind, registry.catalog.type(resource), call.content_type, body, options)


def applier(kind: GVK, schema: Type, content_type: str, body: Body, options: WriteOptions) -> Apply:
    """A function that applies the patch in `body` to objects of `kind`."""
    media = patch_type(content_type)
    asked = options.field_validation != "Ignore"
    change = _decoded(media, body, asked)
    strict = _strict_troubles(media, body.data, change) if asked else []

    plain = media != JSON_PATCH and not any(key.startswith("$") for key in change)
    fits = plain and sets_only_texts(change)

    def apply(old: Object, warnings: list[str]) -> Object:
        if plain:
            obj, touched = merge.borrow(schema, old, change, media), change
        else:
            touched = obj = merge.apply_patch(schema, old, change, media)
        return _accepted(kind, schema, obj, old, change, () if fits else touched, strict, media, options, warnings)

    return apply


def sets_only_texts(change: Object) -> bool:
    """Whether a patch does nothing but set labels and annotations to texts, as most do: whatever it is applied to then
    fits its type as well as before."""
    metadata = change.get("metadata")
    return (
        type(metadata) is dict
        and len(change) == 1
        and metadata.keys() <= TEXTS
        and all(type(texts) is dict and all(map(_is_text, texts.items())) for texts in metadata.values())
    )


def _is_text(item: tuple[str, Any]) -> bool:
    return type(item[1]) is str and not item[0].startswith("$")


def _decoded(media: str, body: Body, asked: bool) -> Any:
    """The patch. Raises 400 where it isn't one; `asked`: field validation has decoded it before, and said
    so first."""
    head = "error decoding patch: " if asked and media != STRATEGIC_PATCH else ""
    try:
        change = body.read()
    except Unreadable as error:
        raise bad_request(f"{head}{error}") from None
    if not body.data:
        raise bad_request(f"{head}{EMPTY}")
    if media != JSON_PATCH:
        if type(change) is not dict:
            raise bad_request(f"{head}json: cannot unmarshal {describe(change, '')} {NO_MAP}")
    elif asked:
        wrong = _no_operations(change)
        if wrong:
            raise bad_request(f"{head}json: cannot unmarshal {wrong}")
    return change


def _no_operations(change: Any) -> str:
    """What keeps `change` from being a list of operations."""
    if type(change) is not list:
        return f"{describe(change, '')} into Go value of type []handlers.jsonPatchOp"
    for operation in change:
        if type(operation) is not dict:
            return f"{describe(operation, '')} into Go value of type handlers.jsonPatchOp"
        for name in OPERATION_FIELDS[:3]:
            value = operation.get(name)
            if value is not None and type(value) is not str:
                return f"{describe(value, '')} into Go struct field jsonPatchOp.{name} of type string"
    return ""


def _strict_troubles(media: str, data: bytes, change: Any) -> list[str]:
    """What field validation finds wrong with the patch itself: keys given twice, and more in an operation
    than belongs there."""
    repeated = duplicate_fields(data, change)
    if media != JSON_PATCH:
        return repeated
    unknown = [
        f'unknown field "[{index}].{name}"'
        for index, operation in enumerate(change)
        for name in operation
        if name not in OPERATION_FIELDS
    ]
    return [f"json patch {trouble}" for trouble in (*repeated, *unknown)]


def _accepted(
    kind: GVK,
    schema: Type,
    obj: Object,
    old: Object,
    change: Any,
    touched: Collection[str],
    strict: list[str],
    media: str,
    options: WriteOptions,
    warnings: list[str],
) -> Object:
    """What a patch made, checked like any object on its way in."""
    if obj.get("kind") != kind.kind or obj.get("apiVersion") != kind.api_version:
        raise bad_request(
            f"the patch may not change the kind or API version ({kind.api_version}, {kind.kind}) of the object"
        )
    strategic = media == STRATEGIC_PATCH
    text = "" if strategic else orjson.dumps(obj).decode()
    wrong, unknown = _decode(schema, obj, old, touched)
    if strategic and (wrong is not None or strict or unknown):
        text = value_text(change)
    if wrong is not None:
        raise merge.unpatchable(text, unconvertible(wrong) if strategic else str(wrong))
    unknown = [*strict, *unknown]
    if unknown:
        if options.field_validation == "Strict":
            raise merge.unpatchable(text, f"strict decoding error: {', '.join(unknown)}")
        if options.field_validation == "Warn":
            warnings += unknown
    metadata = obj.setdefault("metadata", {})
    owned = old["metadata"].get("managedFields")
    if owned is not None and metadata.get("managedFields") == owned:
        metadata["managedFields"] = owned
    return obj


def _decode(schema: Type, obj: Object, old: Object, touched: Collection[str]) -> tuple[Trouble | None, list[str]]:
    """`Type.decode`, passing over what isn't `touched` and what stands in `old` as well: it went through it then."""
    if not touched:
        return None, []
    order = list(obj)
    untouched = {}
    for key in order:
        if key in old and (key not in touched or identical(obj[key], old[key])):
            untouched[key] = obj.pop(key)
    outcome = schema.decode(obj)
    if untouched:
        obj.update(untouched)
        for key in order:  # back in their places
            if key in obj:
                obj[key] = obj.pop(key)
    return outcome


KINDS = {str: "string", bool: "bool", int: "int64", float: "float64", list: "slice", dict: "map"}


def unconvertible(trouble: Trouble) -> str:
    """Why a value doesn't fit, as the converter of maps to Go's types says it (apimachinery: runtime)."""
    go, expected, found = trouble.go, trouble.expected, type(trouble.value)
    shown = KINDS.get(found, "invalid")
    if not go:
        return str(trouble)
    if expected is list:
        return f"cannot restore slice from {shown}"
    if expected is dict:
        return (
            f"cannot restore map from {shown}"
            if "map" in go or "List" in go
            else f"cannot restore struct from: {shown}"
        )
    if (found in (int, float) and expected in (int, float)) or (found is int and expected is str):
        return f"cannot convert {shown} to {go}"
    return f"unrecognized type: {go if expected is int else KINDS[expected]}"
