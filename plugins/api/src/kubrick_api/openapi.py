"""OpenAPI documents from the catalog: v3 per group-version, v2 for everything, as JSON and protobuf.

Each document is built when it is first asked for and kept; `OpenAPI` is thrown away when the catalog
changes. Building is pure and takes tens to hundreds of milliseconds: call it in a worker thread.

    api = OpenAPI(catalog, "v1.36.0")
    api.index()            # GET /openapi/v3
    api.v3("apis/apps/v1") # GET /openapi/v3/apis/apps/v1, None when there is no such group-version
    api.v2(), api.v2_protobuf()
"""

import hashlib
from functools import cached_property
from typing import Any

import orjson
from attrs import frozen

from kubrick_api.catalog import Catalog
from kubrick_api.definitions import V2, V3, Definitions
from kubrick_api.names import GVK
from kubrick_api.operations import META, PATH, QUERY, Operation, group_tag, operations
from kubrick_api.resource import APIGroup

TITLE = "Kubrick"
SHARED = tuple(f"{META}{name}" for name in ("APIResourceList", "DeleteOptions", "Status", "WatchEvent"))
ANSWERS = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")


@frozen
class Document:
    """A document's bytes and the hash that goes into ETag and URLs."""

    body: bytes
    hash: str

    @classmethod
    def of(cls, body: bytes) -> "Document":
        return cls(body, digest(body))


def digest(data: bytes) -> str:
    return hashlib.sha512(data).hexdigest().upper()


class OpenAPI:
    """The documents of one state of the catalog. `version` is the server's, such as "v1.36.0"."""

    def __init__(self, catalog: Catalog, version: str) -> None:
        self._catalog = catalog
        self._info = {"title": TITLE, "version": version}
        self._v3: dict[str, Document] = {}
        self._index: dict[str, str] = {}

    def index(self) -> Document:
        """What GET /openapi/v3 answers: the URL of each group-version's document, with a hash of what it
        is made from, so that clients may keep it."""
        paths = {
            group_path(group): {"serverRelativeURL": f"/openapi/v3/{group_path(group)}?hash={self.hash(group)}"}
            for group in self._catalog.groups()
        }
        return Document.of(orjson.dumps({"paths": paths}))

    def hash(self, group: APIGroup) -> str:
        """Identifies a group-version's v3 document without building it."""
        path = group_path(group)
        if path not in self._index:
            shape = [
                self._info,
                {name: group.schemas[name] for name in group.schemas},
                dict(group.descriptions),
                [(r.gvr.resource, r.verbs, r.namespaced, sorted(r.subresources)) for r in group.resources],
            ]
            self._index[path] = digest(orjson.dumps(shape))
        return self._index[path]

    def v3(self, path: str) -> Document | None:
        """The document of a group-version, by its path without slashes around ("api/v1")."""
        if path not in self._v3:
            group = next((g for g in self._catalog.groups() if group_path(g) == path), None)
            if group is None:
                return None
            self._v3[path] = Document(orjson.dumps(self._build_v3(group)), self.hash(group))
        return self._v3[path]

    def v2(self) -> Document:
        """The v2 document of everything, as JSON."""
        return self._v2_json

    def v2_protobuf(self) -> Document:
        """The same as a gnostic openapi.v2.Document, which is what kubectl asks for."""
        return self._v2_protobuf

    @cached_property
    def _v2_json(self) -> Document:
        return Document.of(orjson.dumps(self._build_v2()))

    @cached_property
    def _v2_protobuf(self) -> Document:
        from kubrick_api.gnostic import document

        return Document.of(document(self._build_v2()))

    @cached_property
    def _type_of(self) -> dict[GVK, str]:
        """The type of each kind that any table has."""
        found = {}
        for table in self._catalog.schemas.tables():
            for name in table:
                gvk = table[name].get("gvk")
                if gvk:
                    found[GVK(*gvk)] = name
        return found

    def _build_v3(self, group: APIGroup) -> dict[str, Any]:
        definitions = Definitions(self._catalog.schemas, V3, self._catalog.descriptions())
        paths: dict[str, Any] = {group_root(group): v3_discovery(group, definitions)}
        names = set(SHARED)
        for operation in operations(group, self._type_of):
            names.update(name for name in (operation.body, operation.answer) if name)
            item = paths.setdefault(operation.path, v3_path_item(operation))
            item[operation.method] = v3_operation(operation, definitions)
        return {
            "openapi": "3.0.0",
            "info": self._info,
            "paths": dict(sorted(paths.items())),
            "components": {"schemas": definitions.reachable(names)},
        }

    def _build_v2(self) -> dict[str, Any]:
        definitions = Definitions(self._catalog.schemas, V2, self._catalog.descriptions())
        paths: dict[str, Any] = {}
        names = set(SHARED)
        for group in self._catalog.groups():
            for operation in operations(group, self._type_of):
                names.update(name for name in (operation.body, operation.answer) if name)
                item = paths.setdefault(operation.path, v2_path_item(operation))
                item[operation.method] = v2_operation(operation, definitions)
        return {
            "swagger": "2.0",
            "info": self._info,
            "paths": dict(sorted(paths.items())),
            "definitions": definitions.reachable(names),
            "parameters": {name: v2_query(name) for name in QUERY},
        }


def group_path(group: APIGroup) -> str:
    return f"apis/{group.group}/{group.version}" if group.group else f"api/{group.version}"


def group_root(group: APIGroup) -> str:
    return f"/{group_path(group)}/"


def extensions(operation: Operation) -> dict[str, Any]:
    kind = operation.kind
    return {
        "x-kubernetes-action": operation.action,
        "x-kubernetes-group-version-kind": {"group": kind.group, "kind": kind.kind, "version": kind.version},
    }


# Version 3


def v3_discovery(group: APIGroup, definitions: Definitions) -> dict[str, Any]:
    schema = definitions.reference(f"{META}APIResourceList")
    return {
        "get": {
            "tags": [group_tag(group.group, group.version)],
            "description": "Lists the resources of this group-version.",
            "operationId": f"get{group_tag(group.group, group.version)}APIResources",
            "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": schema}}}},
        }
    }


def v3_path_item(operation: Operation) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "description": PATH[name], "required": True, "schema": {"type": "string"}}
        for name in operation.path_parameters
    ]
    return {"parameters": [*parameters, v3_query("pretty")]}


def v3_query(name: str) -> dict[str, Any]:
    kind, text = QUERY[name]
    return {"name": name, "in": "query", "description": text, "schema": {"type": kind, "uniqueItems": True}}


def v3_operation(operation: Operation, definitions: Definitions) -> dict[str, Any]:
    result: dict[str, Any] = {
        "tags": [operation.tag],
        "description": operation.text,
        "operationId": operation.id,
    }
    if operation.query:
        result["parameters"] = [v3_query(name) for name in operation.query]
    if operation.body:
        schema = {"schema": definitions.reference(operation.body)}
        result["requestBody"] = {"content": {media: schema for media in operation.consumes}}  # noqa: C420
        if operation.method in ("post", "put"):
            result["requestBody"]["required"] = True
    answer: dict[str, Any] = {"description": "OK"}
    if operation.answer:
        content = {"schema": definitions.reference(operation.answer)}
        answer["content"] = {media: content for media in ANSWERS}  # noqa: C420 - shared, and only written out
    result["responses"] = {"200": answer, "401": {"description": "Unauthorized"}}
    if operation.created:
        result["responses"]["201"] = {**answer, "description": "Created"}
    return result | extensions(operation)


# Version 2


def v2_path_item(operation: Operation) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "description": PATH[name], "required": True, "type": "string"}
        for name in operation.path_parameters
    ]
    return {"parameters": [*parameters, {"$ref": "#/parameters/pretty"}]}


def v2_query(name: str) -> dict[str, Any]:
    kind, text = QUERY[name]
    return {"name": name, "in": "query", "description": text, "type": kind, "uniqueItems": True}


def v2_operation(operation: Operation, definitions: Definitions) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = []
    if operation.body:
        schema = definitions.reference(operation.body)
        must = operation.method in ("post", "put")
        parameters.append({"name": "body", "in": "body", "schema": schema, **({"required": True} if must else {})})
    # kubectl before 1.27 looks for dryRun itself and follows no reference.
    parameters += [v2_query(n) if n == "dryRun" else {"$ref": f"#/parameters/{n}"} for n in operation.query]
    answer: dict[str, Any] = {"description": "OK"}
    if operation.answer:
        answer["schema"] = definitions.reference(operation.answer)
    responses = {"200": answer, "401": {"description": "Unauthorized"}}
    if operation.created:
        responses["201"] = {**answer, "description": "Created"}
    result: dict[str, Any] = {
        "tags": [operation.tag],
        "description": operation.text,
        "operationId": operation.id,
        "consumes": list(operation.consumes),
        "produces": ["application/json", "application/yaml"],
        "responses": responses,
    }
    if parameters:
        result["parameters"] = parameters
    return result | extensions(operation)
