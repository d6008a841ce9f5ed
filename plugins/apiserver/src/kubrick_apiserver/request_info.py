"""What a method and a URL ask for, by the rules of Kubernetes' RequestInfo.

A path under /api or /apis with enough parts is a resource request; everything else is a plain path.
The answer decides what is authorized, so handlers must go by it and not by the path.
"""

from collections.abc import Mapping
from functools import lru_cache

from kubrick_apiserver.web import RequestInfo
from kubrick_http.target import split_target

VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
NAMESPACE_SUBRESOURCES = frozenset(("status", "finalize"))
LONG_RUNNING_VERBS = frozenset(("watch", "proxy"))
LONG_RUNNING_SUBRESOURCES = frozenset(("attach", "exec", "proxy", "log", "portforward"))


def request_info(method: str, path: str, query: Mapping[str, str]) -> RequestInfo:
    """The meaning of one request; `path` is percent-decoded."""
    parts = path.strip("/").split("/")
    root = parts[0]
    if len(parts) < 3 or root not in ("api", "apis") or (root == "apis" and len(parts) < 4):
        return RequestInfo(False, path, method.lower())
    group = ""
    if root == "apis":
        group = parts[1]
        parts = parts[1:]
    version = parts[1]
    parts = parts[2:]
    verb = VERBS.get(method, "")
    if parts[0] in ("watch", "proxy"):
        if len(parts) < 2:
            return RequestInfo(False, path, method.lower())
        verb = parts[0]
        parts = parts[1:]
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 1:
        namespace = parts[1]
        if len(parts) > 2 and parts[2] not in NAMESPACE_SUBRESOURCES:
            parts = parts[2:]
    resource = parts[0]
    name = parts[1] if len(parts) > 1 else ""
    subresource = parts[2] if len(parts) > 2 and verb != "proxy" else ""
    if not name:
        if verb == "get":
            verb = "watch" if is_true(query, "watch") else "list"
        elif verb == "delete":
            verb = "deletecollection"
        if verb in ("list", "watch", "deletecollection") and "fieldSelector" in query:
            name = _name_selected(query["fieldSelector"])
    return RequestInfo(True, path, verb, group, version, namespace, resource, subresource, name)


def is_true(query: Mapping[str, str], key: str) -> bool:
    """A boolean parameter: absent, "false" and "0" are false; all else, "" included, is true."""
    return key in query and query[key] != "0" and query[key].lower() != "false"


def _name_selected(selector: str) -> str:
    """The name a field selector pins down, or ""."""
    for term in selector.split(","):
        key, equals, value = term.partition("=")
        if equals and key.strip() == "metadata.name":
            name = value.removeprefix("=").strip()
            return "" if name in (".", "..") or "/" in name or "%" in name else name
    return ""


def is_long_running(info: RequestInfo) -> bool:
    """Whether a request may take as long as it likes (watches, followed logs, tunnels)."""
    return info.verb in LONG_RUNNING_VERBS or info.subresource in LONG_RUNNING_SUBRESOURCES


Target = tuple[str, Mapping[str, str], Mapping[str, tuple[str, ...]], RequestInfo]


def parse_target(method: str, target: str) -> Target:
    """Path, query (last values), query (repeated ones) and meaning of a request target. Raises
    ValueError for a malformed one. The result is cached and shared: never change it."""
    return _cached(method, target) if len(target) < 512 else _parse(method, target)


def _parse(method: str, target: str) -> Target:
    path, query, repeated = split_target(target)
    return path, query, repeated, request_info(method, path, query)


_cached = lru_cache(maxsize=4096)(_parse)
