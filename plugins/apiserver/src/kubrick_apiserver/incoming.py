"""An object on its way in: is it what it says it is, and does it belong where it was sent?

`receive` decodes, checks the kind, prunes and defaults, and collects warnings for unknown fields. The
messages are those of kube-apiserver's decoders (apiserver: endpoints/handlers, apimachinery: runtime).
"""

from typing import TYPE_CHECKING

from kubrick_api.duplication import may_repeat, strict_troubles
from kubrick_api.errors import StatusError, bad_request
from kubrick_api.names import GVK
from kubrick_api.resource import Object, Resource
from kubrick_api.schema import Type, strict_error, undecodable
from kubrick_apiserver.body import Body, Unreadable, WebBody
from kubrick_apiserver.malformed import untyped
from kubrick_apiserver.negotiation import JSON, YAML, yaml_repetitions
from kubrick_apiserver.options import WriteOptions

if TYPE_CHECKING:
    from kubrick_apiserver.registry import Registry

SCHEME = "pkg/api/legacyscheme/scheme.go:30"
SUMMARY = 30
SYSTEM_FIELDS = (
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "uid",
    "selfLink",
)
GO_PACKAGES = {"rbac.authorization.k8s.io": "rbac", "": "core", "internal.apiserver.k8s.io": "apiserverinternal"}


def receive(
    registry: "Registry",
    kind: GVK,
    schema: Type,
    body: Body,
    options: WriteOptions,
    warnings: list[str],
    also: tuple[str, ...] = (),
) -> Object:
    """A private, pruned and defaulted object of `kind`, which may say one of the API versions `also` instead of its
    own. Raises StatusError 400."""
    try:
        obj = body.read()
    except Unreadable as error:
        raise unrecognized(kind, error.decoding, body.data) from None
    if obj is None and body.data:
        obj = {}  # a JSON null
    if type(obj) is not dict:
        raise unrecognized(kind, untyped(obj), body.data)
    said, version = obj.get("kind"), obj.get("apiVersion")
    if said == kind.kind and version in also:
        obj["apiVersion"] = kind.api_version
    elif said != kind.kind or version != kind.api_version:
        expect_kind(registry, kind, obj, body.data)
    accept(kind, schema, obj, options, warnings, body if isinstance(body, WebBody) else None)
    if obj.get("metadata") is None:
        obj["metadata"] = {}
    return obj


def accept(
    kind: GVK, schema: Type, obj: Object, options: WriteOptions, warnings: list[str], body: WebBody | None = None
) -> None:
    """Prune, check and default in place. Unknown fields, and keys that `body` gives twice, are warned of,
    refused or passed over."""
    asked = options.field_validation in ("Strict", "Warn")
    suspicious = asked and body is not None and body.media == JSON and may_repeat(body.data, obj)
    wrong = schema.accept(obj, kind)
    if not asked:
        return
    if suspicious and body is not None:
        wrong = strict_troubles(body.data, wrong)
    repeated = yaml_repetitions(body.data) if body is not None and body.media == YAML else []
    if not wrong and not repeated:
        return
    if options.field_validation == "Warn":
        warnings += [*repeated, *wrong]
        return
    if repeated:
        wrong.insert(0, "\n  ".join(("yaml: unmarshal errors:", *repeated)))
    raise strict_error(kind, wrong)


def unrecognized(kind: GVK, why: str, data: bytes) -> StatusError:
    """400 for a body that isn't an object at all."""
    return bad_request(f"the object provided is unrecognized (must be of type {kind.kind}): {why} ({_summary(data)})")


def _summary(data: bytes) -> str:
    if not data:
        return "<empty>"
    short = data[:SUMMARY]
    text = short.decode("utf-8", "replace") if data[:1] == b"{" else short.hex()
    return text + " ..." if len(data) > SUMMARY else text


def expect_kind(registry: "Registry", kind: GVK, obj: Object, data: bytes) -> None:
    """Fill in kind and apiVersion where absent; refuse other ones."""
    if why := untyped(obj):
        raise unrecognized(kind, why, data)
    said = obj.get("kind") or kind.kind
    version = obj.get("apiVersion") or kind.api_version
    found_kind = GVK.of({"kind": said, "apiVersion": version})
    if found_kind == kind:
        obj["kind"], obj["apiVersion"] = kind.kind, kind.api_version
        return
    head = f'{found_kind.kind} in version "{found_kind.version}" cannot be handled as a {kind.kind}: '
    if registry.catalog.by_kind(found_kind) is None:
        raise bad_request(f'{head}no kind "{said}" is registered for version "{version}" in scheme "{SCHEME}"')
    if found_kind.group == kind.group and found_kind.kind == kind.kind:
        raise bad_request(
            f"the API version in the data ({version}) does not match the expected API version ({kind.api_version})"
        )
    package = GO_PACKAGES.get(kind.group) or kind.group.partition(".")[0]
    raise bad_request(f"{head}converting ({found_kind.version}.{said}) to ({package}.{kind.kind}): unknown conversion")


def clear_system_fields(obj: Object) -> None:
    """What only the server sets."""
    metadata = obj["metadata"]
    for name in SYSTEM_FIELDS:
        metadata.pop(name, None)


def settle_namespace(resource: Resource, namespace: str, obj: Object) -> None:
    """The object is in the request's namespace, or says none. Raises 400."""
    metadata = obj["metadata"]
    if not resource.namespaced:
        metadata.pop("namespace", None)
        return
    said = metadata.get("namespace")
    if not said:
        metadata["namespace"] = namespace
    elif said != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")


def settle_name(resource: Resource, namespace: str, name: str, obj: Object) -> None:
    """The object has the name in the URL. Raises 400."""
    metadata = obj["metadata"]
    said = metadata.get("name")
    settle_namespace(resource, namespace, obj)
    if not said:
        raise bad_request(f"the name of the object ({name} based on URL) was undeterminable: name must be provided")
    if said != name:
        raise bad_request(f"the name of the object ({said}) does not match the name on the URL ({name})")


def is_number(text: str | None) -> bool:
    """Whether a resourceVersion says a revision: Go's uint64, and not 0."""
    return text is not None and text.isascii() and text.isdigit() and 0 < int(text) < 1 << 64


def given_revision(obj: Object) -> int:
    """The resourceVersion an object carries, 0 for none. Raises 422-worthy text as 400."""
    text = obj["metadata"].get("resourceVersion")
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise StatusError(
            400,
            "BadRequest",
            f'metadata.resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax',
        )
    return int(text)


__all__ = [
    "accept",
    "clear_system_fields",
    "expect_kind",
    "given_revision",
    "receive",
    "settle_name",
    "settle_namespace",
    "undecodable",
    "unrecognized",
]
