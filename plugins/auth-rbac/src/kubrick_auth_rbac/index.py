"""The roles and bindings there are, found by subject; fed with objects one by one as they change."""

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import define, field

from kubrick_api.selectors import from_label_selector
from kubrick_api.storage import UserInfo
from kubrick_auth_rbac.rules import Grant, Rule

Object = Mapping[str, Any]
Key = tuple[str, str]
"""(namespace, name); the namespace is "" for cluster-wide objects."""
Subject = tuple[str, str]
"""("User", name) or ("Group", name)."""
GROUP = "rbac.authorization.k8s.io"


@define(eq=False)
class UserGrants:
    """What one user may do: everywhere, and in single namespaces. `errors` name roles that are missing."""

    cluster: Grant = field(factory=Grant)
    namespaces: dict[str, Grant] = field(factory=dict)
    cluster_errors: list[str] = field(factory=list)
    errors: dict[str, list[str]] = field(factory=dict)


class Index:
    """See the module. `revision` counts changes."""

    def __init__(self) -> None:
        self.revision = 0
        self._roles: dict[Key, Object] = {}
        self._bindings: dict[Key, Object] = {}
        self._by_subject: dict[Subject, dict[Key, Mapping[str, Any]]] = {}

    def clear(self) -> None:
        self.revision += 1
        self._roles.clear()
        self._bindings.clear()
        self._by_subject.clear()

    def role(self, key: Key, role: Object | None) -> None:
        """A Role or ClusterRole is now this, or gone."""
        self.revision += 1
        if role is None:
            self._roles.pop(key, None)
        else:
            self._roles[key] = role

    def binding(self, key: Key, binding: Object | None) -> None:
        """A RoleBinding or ClusterRoleBinding is now this, or gone."""
        self.revision += 1
        previous = self._bindings.pop(key, None)
        for subject in (previous or {}).get("subjects") or ():
            self._by_subject.get(_subject(subject, key[0]), {}).pop(key, None)
        if binding is not None:
            self._bindings[key] = binding
            for subject in binding.get("subjects") or ():
                self._by_subject.setdefault(_subject(subject, key[0]), {}).setdefault(key, subject)

    def rules_of(self, kind: str, key: Key) -> list[Rule] | None:
        """The rules of a role, those of the roles it aggregates included; None if there is no such role."""
        if kind == "ClusterRole":
            key = ("", key[1])
        role = self._roles.get(key)
        if role is None:
            return None
        return self._rules(role, {key})

    def _rules(self, role: Object, seen: set[Key]) -> list[Rule]:
        rules = list(role.get("rules") or ())
        for selector in (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or ():
            matcher = from_label_selector(selector)
            for key, other in self._roles.items():
                if key[0] or key in seen or not matcher.matches(other["metadata"].get("labels")):
                    continue
                seen.add(key)
                rules += self._rules(other, seen)
        return rules

    def grants(self, user: UserInfo) -> UserGrants:
        """Compile everything bound to `user` and the groups they are in."""
        grants = UserGrants()
        for subject in (("User", user.name), *(("Group", group) for group in user.groups)):
            for key, stated in self._by_subject.get(subject, {}).items():
                self._grant(grants, key, self._bindings[key], stated)
        return grants

    def _grant(self, grants: UserGrants, key: Key, binding: Object, subject: Mapping[str, Any]) -> None:
        namespace, name = key
        reference = binding["roleRef"]
        kind, role = reference["kind"], reference["name"]
        rules = self.rules_of(kind, (namespace, role))
        if rules is None:
            errors = grants.errors.setdefault(namespace, []) if namespace else grants.cluster_errors
            errors.append(f'{kind.lower()}.{GROUP} "{role}" not found')
            return
        where = f'RoleBinding "{name}/{namespace}"' if namespace else f'ClusterRoleBinding "{name}"'
        source = f'{where} of {kind} "{role}" to {_describe(subject)}'
        grant = grants.namespaces.setdefault(namespace, Grant()) if namespace else grants.cluster
        grant.add(rules, source)


def _subject(subject: Mapping[str, Any], namespace: str) -> Subject:
    kind = subject.get("kind", "")
    if kind == "ServiceAccount":
        return "User", f"system:serviceaccount:{subject.get('namespace') or namespace}:{subject.get('name', '')}"
    return kind, subject.get("name", "")


def _describe(subject: Mapping[str, Any]) -> str:
    if subject["kind"] == "ServiceAccount":
        return f'ServiceAccount "{subject["name"]}/{subject.get("namespace", "")}"'
    return f'{subject["kind"]} "{subject["name"]}"'


def aggregate(errors: Iterable[str]) -> str:
    """Several errors as Go prints them together."""
    texts = list(dict.fromkeys(errors))
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
