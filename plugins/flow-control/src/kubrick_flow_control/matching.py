"""Which FlowSchema a request belongs to, and which of its flows. Pure; the rules are those of
apiserver/pkg/util/flowcontrol/rule.go.

Schemas are asked in order of precedence, then name; the first that matches decides. What a request
touches is in its RequestInfo, who asks in its user.
"""

from collections.abc import Iterable
from typing import Any

from attrs import frozen

from kubrick_api.storage import UserInfo
from kubrick_apiserver.web import RequestInfo

Object = dict[str, Any]
SERVICE_ACCOUNT = "system:serviceaccount:"
SERVICE_ACCOUNTS = "system:serviceaccounts"


@frozen
class Schema:
    """A FlowSchema, ready to be asked."""

    name: str
    uid: str
    level: str
    precedence: int
    method: str
    """How its flows are told apart: ByUser, ByNamespace, or "" for one flow."""
    rules: tuple[Object, ...]

    def matches(self, info: RequestInfo, user: UserInfo) -> bool:
        return any(
            any(_is_subject(subject, user) for subject in rule.get("subjects") or ()) and _covers(rule, info)
            for rule in self.rules
        )

    def distinguisher(self, info: RequestInfo, user: UserInfo) -> str:
        """Of the flow a matching request belongs to."""
        if self.method == "ByUser":
            return user.name
        return info.namespace if self.method == "ByNamespace" else ""


def compile_schema(obj: Object) -> Schema:
    metadata, spec = obj["metadata"], obj.get("spec") or {}
    return Schema(
        metadata["name"],
        metadata.get("uid", ""),
        (spec.get("priorityLevelConfiguration") or {}).get("name", ""),
        spec.get("matchingPrecedence") or 0,
        (spec.get("distinguisherMethod") or {}).get("type", ""),
        tuple(spec.get("rules") or ()),
    )


def in_order(schemas: Iterable[Schema]) -> list[Schema]:
    return sorted(schemas, key=lambda schema: (schema.precedence, schema.name))


def find(schemas: Iterable[Schema], info: RequestInfo, user: UserInfo) -> Schema | None:
    """The first of `schemas` that matches."""
    return next((schema for schema in schemas if schema.matches(info, user)), None)


def _is_subject(subject: Object, user: UserInfo) -> bool:
    kind = subject.get("kind")
    if kind == "User":
        name = (subject.get("user") or {}).get("name", "")
        return bool(name in ("*", user.name))
    if kind == "Group":
        name = (subject.get("group") or {}).get("name", "")
        return name == "*" or name in user.groups
    account = subject.get("serviceAccount") or {}
    namespace, name = account.get("namespace", ""), account.get("name", "")
    if name == "*":
        return f"{SERVICE_ACCOUNTS}:{namespace}" in user.groups
    return user.name == f"{SERVICE_ACCOUNT}{namespace}:{name}"


def _covers(rule: Object, info: RequestInfo) -> bool:
    if info.resource_request:
        return any(_covers_resource(each, info) for each in rule.get("resourceRules") or ())
    return any(_covers_path(each, info) for each in rule.get("nonResourceRules") or ())


def _covers_resource(rule: Object, info: RequestInfo) -> bool:
    if not (_has(rule, "verbs", info.verb) and _has(rule, "apiGroups", info.group)):
        return False
    resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    if not _has(rule, "resources", resource):
        return False
    if not info.namespace:
        return bool(rule.get("clusterScope"))
    return _has(rule, "namespaces", info.namespace)


def _covers_path(rule: Object, info: RequestInfo) -> bool:
    if not _has(rule, "verbs", info.verb):
        return False
    return any(_path_fits(pattern, info.path) for pattern in rule.get("nonResourceURLs") or ())


def _path_fits(pattern: str, path: str) -> bool:
    if pattern in ("*", path):
        return True
    return pattern.endswith("/*") and path.startswith(pattern.rstrip("*"))


def _has(rule: Object, key: str, value: str) -> bool:
    values = rule.get(key) or ()
    return "*" in values or value in values
