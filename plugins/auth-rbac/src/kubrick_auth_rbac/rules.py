"""What RBAC rules allow, and whether one set of rules covers another. Pure; rules are dicts as stored.

`Grant` is the compiled form: most rules name everything exactly and become entries of one dictionary, so
that a decision is two or three look-ups; the few with wildcards or resource names are tried in turn.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import define, field

Rule = Mapping[str, Any]


def _list(rule: Rule, key: str) -> list[str]:
    return rule.get(key) or []


@define(eq=False)
class Grant:
    """What a user may do at one scope. Values say which binding it was that allowed."""

    exact: dict[tuple[str, str, str], str] = field(factory=dict)
    """(verb, group, resource) → who allowed. The resource includes the subresource: pods/log."""
    wildcard: list[tuple[Rule, str]] = field(factory=list)
    """Resource rules with a "*" somewhere, or with resource names."""
    paths: list[tuple[Rule, str]] = field(factory=list)
    rules: list[Rule] = field(factory=list)
    """All of them, as they stand in the roles."""

    def add(self, rules: Iterable[Rule], source: str) -> None:
        """Allow what `rules` allow."""
        for rule in rules:
            self.rules.append(rule)
            if _list(rule, "nonResourceURLs"):
                self.paths.append((rule, source))
            verbs, groups, resources = _list(rule, "verbs"), _list(rule, "apiGroups"), _list(rule, "resources")
            if not resources:
                continue
            if _list(rule, "resourceNames") or "*" in verbs or "*" in groups or any("*" in name for name in resources):
                self.wildcard.append((rule, source))
                continue
            for verb in verbs:
                for group in groups:
                    for resource in resources:
                        self.exact.setdefault((verb, group, resource), source)

    def resource(self, verb: str, group: str, resource: str, subresource: str, name: str) -> str | None:
        """Who allows a resource request; None if nobody."""
        full = f"{resource}/{subresource}" if subresource else resource
        found = self.exact.get((verb, group, full))
        if found is not None:
            return found
        for rule, source in self.wildcard:
            if (
                _has(rule["verbs"], verb)
                and _has(_list(rule, "apiGroups"), group)
                and _resource_matches(rule["resources"], full, subresource)
                and _name_matches(rule, name)
            ):
                return source
        return None

    def path(self, verb: str, path: str) -> str | None:
        """Who allows a request to a path that is no resource."""
        for rule, source in self.paths:
            if _has(rule["verbs"], verb) and any(_path_covers(url, path) for url in rule["nonResourceURLs"]):
                return source
        return None


def _has(allowed: list[str], wanted: str) -> bool:
    return wanted in allowed or "*" in allowed


def _resource_matches(allowed: list[str], full: str, subresource: str) -> bool:
    return "*" in allowed or full in allowed or (bool(subresource) and f"*/{subresource}" in allowed)


def _name_matches(rule: Rule, name: str) -> bool:
    names = _list(rule, "resourceNames")
    return not names or name in names


def _path_covers(allowed: str, path: str) -> bool:
    """ "*" covers all, "/x/*" everything below, anything else itself."""
    return allowed in ("*", path) or (allowed.endswith("*") and path.startswith(allowed.rstrip("*")))


def uncovered(owned: Iterable[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """The parts of `wanted` that `owned` do not cover: one verb of one thing each."""
    rules = list(owned)
    return [part for rule in wanted for part in _broken_down(rule) if not any(_covers(own, part) for own in rules)]


def _broken_down(rule: Rule) -> Iterator[Rule]:
    for group in _list(rule, "apiGroups"):
        for resource in _list(rule, "resources"):
            for verb in _list(rule, "verbs"):
                single = {"verbs": [verb], "apiGroups": [group], "resources": [resource]}
                names = _list(rule, "resourceNames")
                if not names:
                    yield single
                for name in names:
                    yield {**single, "resourceNames": [name]}
    for url in _list(rule, "nonResourceURLs"):
        for verb in _list(rule, "verbs"):
            yield {"verbs": [verb], "nonResourceURLs": [url]}


def _covers(own: Rule, part: Rule) -> bool:
    """Whether a rule covers a broken-down one."""
    if not _has(_list(own, "verbs"), part["verbs"][0]):
        return False
    if "nonResourceURLs" in part:
        return any(_path_covers(url, part["nonResourceURLs"][0]) for url in _list(own, "nonResourceURLs"))
    resource = part["resources"][0]
    subresource = resource.partition("/")[2]
    names = _list(own, "resourceNames")
    return (
        _has(_list(own, "apiGroups"), part["apiGroups"][0])
        and _resource_matches(_list(own, "resources"), resource, subresource)
        and (not names or (bool(_list(part, "resourceNames")) and part["resourceNames"][0] in names))
    )


def describe(parts: Iterable[Rule]) -> list[str]:
    """Broken-down rules as kube-apiserver lists them: verbs of the same thing together, sorted."""
    together: dict[tuple[tuple[str, tuple[str, ...]], ...], list[str]] = {}
    for part in parts:
        key = tuple(
            (title, tuple(part[name]))
            for title, name in (
                ("APIGroups", "apiGroups"),
                ("Resources", "resources"),
                ("NonResourceURLs", "nonResourceURLs"),
                ("ResourceNames", "resourceNames"),
            )
            if name in part
        )
        together.setdefault(key, []).extend(part["verbs"])
    return sorted(
        "{" + ", ".join(f"{title}:{_quoted(values)}" for title, values in (*key, ("Verbs", verbs))) + "}"
        for key, verbs in together.items()
    )


def _quoted(values: Iterable[str]) -> str:
    """A list of strings as Go's %q prints it."""
    return "[" + " ".join(f'"{value}"' for value in values) + "]"
