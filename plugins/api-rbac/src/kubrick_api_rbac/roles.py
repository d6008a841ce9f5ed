"""Roles and bindings: defaults, validation and rows. From pkg/apis/rbac.

That nobody grants more than they have is the authorizer's affair, not the schema's.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from kubrick_api.cells import age
from kubrick_api.errors import FieldError, invalid_value, not_supported, required
from kubrick_api.resource import Object, Strategy
from kubrick_api.selectors import SelectorError, from_label_selector
from kubrick_api.validation import IMMUTABLE, label_selector, name_is_dns_subdomain, name_is_path_segment

GROUP = "rbac.authorization.k8s.io"


class RoleStrategy(Strategy):
    def __init__(self, namespaced: bool) -> None:
        self.namespaced = namespaced

    def default(self, obj: Object) -> None:
        if obj.get("rules") is None:
            obj["rules"] = []

    def validate_name(self, name: str, prefix: bool) -> list[str]:
        return name_is_path_segment(name, prefix)

    def validate(self, obj: Object) -> list[FieldError]:
        return self._errors(obj)

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        """Values that were no labels' values aren't told again one by one; the selector is refused all the same."""
        selectors = (old.get("aggregationRule") or {}).get("clusterRoleSelectors") or ()
        return self._errors(obj, any_value=any(label_selector(selector, "") for selector in selectors))

    def _errors(self, obj: Object, *, any_value: bool = False) -> list[FieldError]:
        rules = obj.get("rules") or ()
        errors = [error for i, rule in enumerate(rules) for error in _rule(rule, f"rules[{i}]", self.namespaced)]
        if not self.namespaced and (aggregation := obj.get("aggregationRule")) is not None:
            errors += _aggregation(aggregation.get("clusterRoleSelectors") or (), any_value=any_value)
        return errors

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"]["name"], obj["metadata"].get("creationTimestamp")]


def _aggregation(selectors: Sequence[Object], *, any_value: bool) -> Iterator[FieldError]:
    at = "aggregationRule.clusterRoleSelectors"
    if not selectors:
        yield required(at, "at least one clusterRoleSelector required if aggregationRule is non-nil")
    for i, selector in enumerate(selectors):
        yield from label_selector(selector, f"{at}[{i}]", any_value=any_value)
        try:
            from_label_selector(selector)
        except SelectorError:
            yield invalid_value(f"{at}[{i}]", None, "invalid label selector.")


def _rule(rule: Object, at: str, namespaced: bool) -> Iterator[FieldError]:
    if not rule.get("verbs"):
        yield required(f"{at}.verbs", "verbs must contain at least one value")
    if rule.get("nonResourceURLs"):
        if namespaced:
            yield invalid_value(
                f"{at}.nonResourceURLs", rule["nonResourceURLs"], "namespaced rules cannot apply to non-resource URLs"
            )
        if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
            yield invalid_value(
                f"{at}.nonResourceURLs",
                rule["nonResourceURLs"],
                "rules cannot apply to both regular resources and non-resource URLs",
            )
        return
    if not rule.get("apiGroups"):
        yield required(f"{at}.apiGroups", "resource rules must supply at least one api group")
    if not rule.get("resources"):
        yield required(f"{at}.resources", "resource rules must supply at least one resource")


class BindingStrategy(Strategy):
    def __init__(self, namespaced: bool) -> None:
        self.namespaced = namespaced

    def default(self, obj: Object) -> None:
        reference = obj.setdefault("roleRef", {})
        if not reference.get("apiGroup"):
            reference["apiGroup"] = GROUP
        for subject in obj.get("subjects") or ():
            if not subject.get("apiGroup") and subject.get("kind") in ("User", "Group"):
                subject["apiGroup"] = GROUP

    def validate_name(self, name: str, prefix: bool) -> list[str]:
        return name_is_path_segment(name, prefix)

    def validate(self, obj: Object) -> list[FieldError]:
        return list(_binding(obj, self.namespaced))

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        reference = obj.get("roleRef", {})
        if reference == old.get("roleRef"):
            return []
        # Kubernetes shows its internal type here, whose fields have their names in Go.
        shown = {"APIGroup": reference.get("apiGroup", "")}
        shown |= {name.title(): reference.get(name, "") for name in ("kind", "name")}
        return [invalid_value("roleRef", shown, IMMUTABLE)]

    def row(self, obj: Object, now: datetime) -> list[Any]:
        subjects = obj.get("subjects") or ()
        reference = obj.get("roleRef") or {}
        accounts = [
            f"{subject.get('namespace', '')}/{subject.get('name', '')}"
            for subject in subjects
            if subject.get("kind") == "ServiceAccount"
        ]
        return [
            obj["metadata"]["name"],
            f"{reference.get('kind', '')}/{reference.get('name', '')}",
            age(obj, now),
            ", ".join(subject.get("name", "") for subject in subjects if subject.get("kind") == "User"),
            ", ".join(subject.get("name", "") for subject in subjects if subject.get("kind") == "Group"),
            ", ".join(accounts),
        ]


def _binding(obj: Object, namespaced: bool) -> Iterator[FieldError]:
    reference = obj.get("roleRef") or {}
    if reference.get("apiGroup") != GROUP:
        yield not_supported("roleRef.apiGroup", reference.get("apiGroup") or "", (GROUP,))
    kinds = ("Role", "ClusterRole") if namespaced else ("ClusterRole",)
    if reference.get("kind") not in kinds:
        yield not_supported("roleRef.kind", reference.get("kind") or "", kinds)
    if not reference.get("name"):
        yield required("roleRef.name")
    else:
        for message in name_is_path_segment(reference["name"], False):
            yield invalid_value("roleRef.name", reference["name"], message)
    for i, subject in enumerate(obj.get("subjects") or ()):
        yield from _subject(subject, namespaced, f"subjects[{i}]")


def _subject(subject: Object, namespaced: bool, at: str) -> Iterator[FieldError]:
    name, kind, group = (subject.get(key) or "" for key in ("name", "kind", "apiGroup"))
    if not name:
        yield required(f"{at}.name")
    if kind == "ServiceAccount":
        for message in name_is_dns_subdomain(name, False) if name else ():
            yield invalid_value(f"{at}.name", name, message)
        if group:
            yield not_supported(f"{at}.apiGroup", group, ("",))
        if not namespaced and not subject.get("namespace"):
            yield required(f"{at}.namespace")
    elif kind in ("User", "Group"):
        if group != GROUP:
            yield not_supported(f"{at}.apiGroup", group, (GROUP,))
    else:
        yield not_supported(f"{at}.kind", kind, ("ServiceAccount", "User", "Group"))
