"""OpenAPI paths: which operations a resource offers, with parameters, actions and answers.

Operations are made once in a neutral shape (`Operation`); `openapi` writes them as v2 or v3.
"""

from collections.abc import Iterator

from attrs import frozen

from kubrick_api.names import GVK, GVR
from kubrick_api.resource import APIGroup, Resource, Subresource

META = "io.k8s.apimachinery.pkg.apis.meta.v1."

# name -> (JSON type, description)
QUERY: dict[str, tuple[str, str]] = {
    "allowWatchBookmarks": ("boolean", "Whether the watch may send events of type BOOKMARK."),
    "continue": ("string", "The token of an earlier answer, to get the rest of the list."),
    "dryRun": ("string", 'With "All", everything is done except storing the result.'),
    "fieldManager": ("string", "The name of who makes these changes, at most 128 characters."),
    "fieldSelector": ("string", "Only objects whose fields match this selector."),
    "fieldValidation": (
        "string",
        "What to do about unknown or duplicate fields: Ignore drops them, Warn drops them and warns, Strict refuses.",
    ),
    "force": ("boolean", "Whether to take over fields that others own; for apply patches only."),
    "gracePeriodSeconds": ("integer", "Seconds until the object is removed; 0 means at once."),
    "labelSelector": ("string", "Only objects whose labels match this selector."),
    "limit": ("integer", "The largest number of objects to answer with."),
    "orphanDependents": ("boolean", "Deprecated: use propagationPolicy."),
    "pretty": ("string", 'With "true", the answer is indented.'),
    "propagationPolicy": ("string", "What happens to dependents: Orphan, Background or Foreground."),
    "resourceVersion": ("string", "Which state of the data to answer from."),
    "resourceVersionMatch": ("string", "How resourceVersion is meant: NotOlderThan or Exact."),
    "sendInitialEvents": ("boolean", "Whether the watch begins with an event for every object there is."),
    "timeoutSeconds": ("integer", "Seconds after which the list or watch ends."),
    "watch": ("boolean", "Whether to watch for changes instead of listing."),
}
PATH: dict[str, str] = {
    "name": "The object's name.",
    "namespace": "The namespace the object is in.",
    "path": "The rest of the path, handed on.",
}
LIST = (
    "allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion",
    "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch",
)  # fmt: skip
WRITE = ("dryRun", "fieldManager", "fieldValidation")
DELETE = ("dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy")
DELETE_COLLECTION = tuple(sorted({*LIST, *DELETE} - {"allowWatchBookmarks", "watch"}))
PATCHES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)
METHODS = {"create": "post", "get": "get", "update": "put", "patch": "patch", "delete": "delete"}
VERB_NAMES = {"create": "create", "get": "read", "update": "replace", "patch": "patch", "delete": "delete"}


@frozen
class Operation:
    """One method of one path. `body` and `answer` name types ("" for none)."""

    path: str
    method: str
    action: str
    id: str
    tag: str
    kind: GVK
    text: str
    path_parameters: tuple[str, ...]
    query: tuple[str, ...]
    body: str
    answer: str
    consumes: tuple[str, ...] = ("application/json",)
    created: bool = False


def group_tag(group: str, version: str) -> str:
    """core_v1, rbacAuthorization_v1"""
    name = _camel(group) or "Core"
    return f"{name[0].lower()}{name[1:]}_{version}"


def _camel(group: str) -> str:
    return "".join(part[0].upper() + part[1:] for part in group.removesuffix(".k8s.io").split(".") if part)


def _id(verb: str, gvr: GVR, rest: str) -> str:
    return f"{verb}{_camel(gvr.group) or 'Core'}{gvr.version[0].upper()}{gvr.version[1:]}{rest}"


def operations(group: APIGroup, type_of: dict[GVK, str]) -> Iterator[Operation]:
    """Everything a group-version offers. `type_of` names the type of each kind."""
    for resource in group.resources:
        yield from _collection(resource)
        yield from _single(resource)
        for subresource in resource.subresources.values():
            yield from _subresource(resource, subresource, type_of.get(subresource.kind, ""))


def _base(resource: Resource) -> tuple[str, tuple[str, ...], str]:
    """Path of the collection, its parameters, and the infix of operation ids."""
    root = resource.gvr.root
    if resource.namespaced:
        return f"{root}/namespaces/{{namespace}}/{resource.gvr.resource}", ("namespace",), "Namespaced"
    return f"{root}/{resource.gvr.resource}", (), ""


def _collection(resource: Resource) -> Iterator[Operation]:
    gvr, kind = resource.gvr, resource.kind
    path, parameters, infix = _base(resource)
    tag = group_tag(gvr.group, gvr.version)
    list_type = f"{resource.schema}List"
    if "list" in resource.verbs:
        text = f"Lists or watches objects of kind {kind.kind}."
        yield Operation(
            path, "get", "list", _id("list", gvr, infix + kind.kind), tag, kind, text, parameters, LIST, "", list_type
        )
        if resource.namespaced:
            rest = f"{kind.kind}ForAllNamespaces"
            everywhere = f"{gvr.root}/{gvr.resource}"
            yield Operation(everywhere, "get", "list", _id("list", gvr, rest), tag, kind, text, (), LIST, "", list_type)
    if "create" in resource.verbs:
        text = f"Creates an object of kind {kind.kind}."
        name = _id("create", gvr, infix + kind.kind)
        schema = resource.schema
        yield Operation(path, "post", "post", name, tag, kind, text, parameters, WRITE, schema, schema, created=True)
    if "deletecollection" in resource.verbs:
        text = f"Deletes a collection of objects of kind {kind.kind}."
        name = _id("delete", gvr, f"Collection{infix}{kind.kind}")
        yield Operation(
            path, "delete", "deletecollection", name, tag, kind, text, parameters, DELETE_COLLECTION,
            f"{META}DeleteOptions", f"{META}Status",
        )  # fmt: skip


def _single(resource: Resource) -> Iterator[Operation]:
    path, parameters, infix = _base(resource)
    for verb in ("get", "update", "patch", "delete"):
        if verb in resource.verbs:
            yield _one(
                resource, f"{path}/{{name}}", (*parameters, "name"), infix, verb, "", resource.kind, resource.schema
            )


def _subresource(resource: Resource, subresource: Subresource, schema: str) -> Iterator[Operation]:
    path, parameters, infix = _base(resource)
    suffix = subresource.name[0].upper() + subresource.name[1:]
    streams = subresource.kind.kind.endswith("Options") or not schema
    for verb in ("create", "get", "update", "patch", "delete"):
        if verb not in subresource.verbs:
            continue
        where = f"{path}/{{name}}/{subresource.name}"
        yield _one(
            resource, where, (*parameters, "name"), infix, verb, suffix, subresource.kind, "" if streams else schema
        )


def _one(
    resource: Resource,
    path: str,
    parameters: tuple[str, ...],
    infix: str,
    verb: str,
    suffix: str,
    kind: GVK,
    schema: str,
) -> Operation:
    """An operation on one object, or on its subresource (`suffix`). Without `schema` it is a connection."""
    gvr = resource.gvr
    what = f"the {suffix[0].lower()}{suffix[1:]} of the" if suffix else "the"
    said = {"create": "Creates", "get": "Reads", "update": "Replaces", "patch": "Changes parts of", "delete": "Deletes"}
    text = f"{said[verb]} {what} named {resource.kind.kind}."
    connects = not schema and suffix != "Log"
    name = f"connect{METHODS[verb].capitalize()}" if connects else VERB_NAMES[verb]
    query: tuple[str, ...] = ()
    body, answer = "", schema
    if verb in ("create", "update"):
        body, query = schema, WRITE
    elif verb == "patch":
        body, query = f"{META}Patch", ("dryRun", "fieldManager", "fieldValidation", "force")
    elif verb == "delete":
        body, query, answer = f"{META}DeleteOptions", DELETE, f"{META}Status"
    return Operation(
        path,
        METHODS[verb],
        "connect" if connects else METHODS[verb],
        _id(name, gvr, f"{infix}{resource.kind.kind}{suffix}"),
        group_tag(gvr.group, gvr.version),
        kind,
        text,
        parameters,
        () if connects else query,
        "" if connects else body,
        "" if connects else answer,
        PATCHES if verb == "patch" and not connects else ("application/json",),
        created=verb == "create",
    )
