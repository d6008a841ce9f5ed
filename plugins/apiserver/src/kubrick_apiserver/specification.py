"""OpenAPI: /openapi/v2, the index /openapi/v3, and one document per group-version.

Documents are made from the catalog on first use and kept as bytes. The v3 index names each with a hash
of its content, and a document asked for by its hash may be cached for good; with an outdated hash the
client is sent to the current one.
"""

from hashlib import sha512

import orjson

from kubrick_api.catalog import Catalog
from kubrick_api.errors import not_acceptable
from kubrick_apiserver.negotiation import JSON
from kubrick_apiserver.web import Request, Response

ROOT = "/openapi/v3/"
FOREVER = ("Cache-Control", "public, immutable")


class Specification:
    """Answers OpenAPI paths from `catalog`."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._made: dict[str, tuple[bytes, str]] = {}

    def answer(self, request: Request) -> Response | None:
        """The document at a path, None when there is none. Raises 406."""
        if not _takes_json(request.headers.get("accept", "")):
            raise not_acceptable((JSON,))
        path = request.path.rstrip("/")
        if path == "/openapi/v2":
            return _tagged(request, *self._v2())
        if path == "/openapi/v3":
            body = orjson.dumps({"paths": self._index()})
            return _tagged(request, body, _hash(body))
        name = path.removeprefix(ROOT)
        if name not in self._names():
            return None
        body, digest = self._v3(name)
        asked = request.query.get("hash")
        if asked and asked != digest:
            return Response(301, "text/plain", b"", [("Location", f"{ROOT}{name}?hash={digest}")])
        response = _tagged(request, body, digest)
        if asked:
            response.headers.append(FOREVER)
        return response

    def _names(self) -> dict[str, tuple[str, str]]:
        """Group and version by the path of their document."""
        return {
            f"apis/{each.group}/{each.version}" if each.group else f"api/{each.version}": (each.group, each.version)
            for each in self._catalog.groups()
        }

    def _index(self) -> dict[str, dict[str, str]]:
        return {name: {"serverRelativeURL": f"{ROOT}{name}?hash={self._v3(name)[1]}"} for name in self._names()}

    def _v2(self) -> tuple[bytes, str]:
        from kubrick_api import openapi

        if "v2" not in self._made:
            body = orjson.dumps(openapi.v2(self._catalog))
            self._made["v2"] = body, _hash(body)
        return self._made["v2"]

    def _v3(self, name: str) -> tuple[bytes, str]:
        from kubrick_api import openapi

        if name not in self._made:
            group, version = self._names()[name]
            body = orjson.dumps(openapi.v3(self._catalog, group, version))
            self._made[name] = body, _hash(body)
        return self._made[name]


def _hash(body: bytes) -> str:
    return sha512(body).hexdigest().upper()


def _takes_json(accept: str) -> bool:
    if not accept:
        return True
    return any(clause.partition(";")[0].strip() in (JSON, "*/*", "application/*") for clause in accept.split(","))


def _tagged(request: Request, body: bytes, digest: str) -> Response:
    tag = f'"{digest}"'
    headers = [("ETag", tag), ("Vary", "Accept")]
    if request.headers.get("if-none-match") == tag:
        return Response(304, JSON, b"", headers)
    return Response(200, JSON, body, headers)
