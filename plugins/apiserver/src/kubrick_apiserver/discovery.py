"""Discovery: which groups, versions and resources there are, in the old documents and the aggregated ones.

/api, /apis, /api/v1, /apis/<group>, /apis/<group>/<version>; and /api and /apis as APIGroupDiscoveryList
(apidiscovery.k8s.io v2 and v2beta1) with an ETag. All are made once from the catalog and kept as bytes.
"""

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256, sha512
from typing import Any

import orjson

from kubrick_api.catalog import Catalog
from kubrick_api.names import GVK
from kubrick_api.resource import APIGroup, Object, Resource
from kubrick_apiserver.negotiation import JSON, discovery_version, dump, representation
from kubrick_apiserver.web import Request, Response


class Discovery:
    """Answers discovery paths from `catalog`. A group registered later is seen at once."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._made_of = -1
        self._aggregated: dict[tuple[str, str], tuple[bytes, str]] = {}

    def answer(self, request: Request) -> Response | None:
        """The document at a path, None when there is none."""
        path = request.path.rstrip("/")
        version = discovery_version(request.headers.get("accept", ""))
        if version and path in ("/api", "/apis"):
            return self._aggregate(request, path, version)
        obj = self._document(path, request)
        if obj is None:
            return None
        form = representation(request.headers, request.query, transforms=False)
        return Response(200, form.media, dump(obj, form))

    def _document(self, path: str, request: Request) -> Object | None:
        if path == "/api":
            return self._core_versions(request)
        if path == "/apis":
            groups = [self._group(name) for name in self._names()]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_untyped(group) for group in groups]}
        parts = path[1:].split("/")
        if parts[0] == "api" and len(parts) == 2:
            return self._resources("", parts[1])
        if parts[0] == "apis" and len(parts) == 2:
            return self._group(parts[1]) if parts[1] in self._names() else None
        if parts[0] == "apis" and len(parts) == 3:
            return self._resources(parts[1], parts[2])
        return None

    def _names(self) -> list[str]:
        """Named groups, in order."""
        return list(dict.fromkeys(group.group for group in self._catalog.groups() if group.group))

    def _versions(self, name: str) -> list[APIGroup]:
        return [group for group in self._catalog.groups() if group.group == name]

    def _core_versions(self, request: Request) -> Object:
        address = request.headers.get("host", "127.0.0.1:6443")
        return {
            "kind": "APIVersions",
            "versions": [group.version for group in self._versions("")],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
        }

    def _group(self, name: str) -> Object:
        versions = [
            {"groupVersion": f"{group.group}/{group.version}", "version": group.version}
            for group in self._versions(name)
        ]
        return {
            "kind": "APIGroup",
            "apiVersion": "v1",
            "name": name,
            "versions": versions,
            "preferredVersion": versions[0],
        }

    def _resources(self, name: str, version: str) -> Object | None:
        group = self._catalog.group(name, version)
        if group is None:
            return None
        resources: list[Object] = []
        for resource in sorted(group.resources, key=lambda each: each.gvr.resource):
            resources += _entries(resource)
        group_version = f"{name}/{version}" if name else version
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}

    def _aggregate(self, request: Request, path: str, version: str) -> Response:
        if self._made_of != len(self._catalog.groups()):
            self._made_of = len(self._catalog.groups())
            self._aggregated.clear()
        made = self._aggregated.get((path, version))
        if made is None:
            names = [""] if path == "/api" else self._names()
            body = orjson.dumps(
                {
                    "kind": "APIGroupDiscoveryList",
                    "apiVersion": f"apidiscovery.k8s.io/{version}",
                    "metadata": {},
                    "items": [_group_discovery(name, self._versions(name)) for name in names],
                }
            )
            made = self._aggregated[path, version] = body, f'"{sha512(body).hexdigest().upper()}"'
        body, tag = made
        headers = [("ETag", tag), ("Vary", "Accept"), ("Cache-Control", "public")]
        content_type = f"{JSON};g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
        if request.headers.get("if-none-match") == tag:
            return Response(304, content_type, b"", headers)
        return Response(200, content_type, body, headers)


def _untyped(group: Object) -> Object:
    return {key: value for key, value in group.items() if key not in ("kind", "apiVersion")}


def storage_version_hash(kind: GVK) -> str:
    """How kube-apiserver names the version a kind is stored in."""
    return b64encode(sha256(f"{kind.group}/{kind.version}/{kind.kind}".encode()).digest()[:8]).decode()


def _entries(resource: Resource) -> list[Object]:
    """APIResources: the resource and its subresources."""
    entry: Object = {
        "name": resource.gvr.resource,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind.kind,
        "verbs": sorted(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.virtual is None:
        entry["storageVersionHash"] = storage_version_hash(resource.kind)
    entries = [entry]
    for sub in sorted(resource.subresources.values(), key=lambda each: each.name):
        about: Object = {
            "name": f"{resource.gvr.resource}/{sub.name}",
            "singularName": "",
            "namespaced": resource.namespaced,
        }
        if (sub.kind.group, sub.kind.version) != (resource.kind.group, resource.kind.version):
            about |= {"group": sub.kind.group, "version": sub.kind.version}
        entries.append({**about, "kind": sub.kind.kind, "verbs": sorted(sub.verbs)})
    return entries


def _group_discovery(name: str, versions: Sequence[APIGroup]) -> Object:
    """An APIGroupDiscovery."""
    return {
        "metadata": {"name": name} if name else {},
        "versions": [
            {
                "version": group.version,
                "resources": [
                    _resource_discovery(resource)
                    for resource in sorted(group.resources, key=lambda each: each.gvr.resource)
                ],
                "freshness": "Current",
            }
            for group in versions
        ],
    }


def _resource_discovery(resource: Resource) -> Object:
    """An APIResourceDiscovery."""
    found: Object = {
        "resource": resource.gvr.resource,
        "responseKind": _kind(resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": sorted(resource.verbs),
    }
    if resource.short_names:
        found["shortNames"] = list(resource.short_names)
    if resource.categories:
        found["categories"] = list(resource.categories)
    subresources: list[dict[str, Any]] = [
        {"subresource": sub.name, "responseKind": _kind(sub.kind), "verbs": sorted(sub.verbs)}
        for sub in sorted(resource.subresources.values(), key=lambda each: each.name)
    ]
    if subresources:
        found["subresources"] = subresources
    return found


def _kind(kind: GVK) -> dict[str, str]:
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}
