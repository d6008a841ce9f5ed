"""OpenAPI: /openapi/v2, the index /openapi/v3, and one document per group-version.

`kubrick_api.openapi` makes the documents on first use; this answers requests for them. The v3 index names
each with a hash of its content, and a document asked for by its hash may be cached for good; with an
outdated hash the client is sent to the current one. Version 2 also comes as protobuf, the only form that
kubectl asks for.
"""

from typing import TYPE_CHECKING

from kubrick_api.catalog import Catalog
from kubrick_api.errors import not_acceptable
from kubrick_apiserver.negotiation import JSON
from kubrick_apiserver.version import GIT_VERSION
from kubrick_apiserver.web import Request, Response

if TYPE_CHECKING:
    from kubrick_api.openapi import Document, OpenAPI

ROOT = "/openapi/v3/"
FOREVER = ("Cache-Control", "public, immutable")
# Clients ask for the first, which is no well-formed media type; the answer is the second.
V2_PROTOBUF_ASKED = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"


class Specification:
    """Answers OpenAPI paths from `catalog`."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._made: OpenAPI | None = None

    def answer(self, request: Request) -> Response | None:
        """The document at a path, None when there is none. Raises 406."""
        accepted = _media_types(request.headers.get("accept", ""))
        path = request.path.rstrip("/")
        if path == "/openapi/v2":
            for media in accepted:
                if media in (V2_PROTOBUF, V2_PROTOBUF_ASKED):
                    return _tagged(request, self._documents.v2_protobuf(), V2_PROTOBUF)
                if media == JSON:
                    return _tagged(request, self._documents.v2(), JSON)
            raise not_acceptable((JSON, V2_PROTOBUF))
        if JSON not in accepted:
            raise not_acceptable((JSON,))
        if path == "/openapi/v3":
            return _tagged(request, self._documents.index(), JSON)
        name = path.removeprefix(ROOT)
        document = self._documents.v3(name)
        if document is None:
            return None
        asked = request.query.get("hash")
        if asked and asked != document.hash:
            return Response(301, "text/plain", b"", [("Location", f"{ROOT}{name}?hash={document.hash}")])
        response = _tagged(request, document, JSON)
        if asked:
            response.headers.append(FOREVER)
        return response

    @property
    def _documents(self) -> "OpenAPI":
        if self._made is None:
            from kubrick_api.openapi import OpenAPI

            self._made = OpenAPI(self._catalog, GIT_VERSION)
        return self._made


def _media_types(accept: str) -> list[str]:
    """The media types a client takes, in its order; wildcards mean JSON."""
    clauses = [clause.partition(";")[0].strip() for clause in accept.split(",")]
    return [JSON if clause in ("", "*/*", "application/*") else clause for clause in clauses]


def _tagged(request: Request, document: "Document", media: str) -> Response:
    tag = f'"{document.hash}"'
    headers = [("ETag", tag), ("Vary", "Accept")]
    if request.headers.get("if-none-match") == tag:
        return Response(304, media, b"", headers)
    return Response(200, media, document.body, headers)
