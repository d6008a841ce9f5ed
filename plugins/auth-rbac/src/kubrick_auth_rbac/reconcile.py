"""How default roles and bindings are kept up to date: what is missing is added, what a user added stays.

A user who wants a default role left alone sets its annotation rbac.authorization.kubernetes.io/autoupdate
to "false". A binding whose role differs is replaced as a whole.
"""

from typing import Any

from kubrick_auth_rbac.rules import uncovered

Object = dict[str, Any]
AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"


def _protected(stored: Object) -> bool:
    return (stored["metadata"].get("annotations") or {}).get(AUTOUPDATE) == "false"


def _metadata(stored: Object, wanted: Object) -> Object:
    """The stored metadata with the wanted labels and annotations that it lacks."""
    metadata = dict(stored["metadata"])
    for key in ("labels", "annotations"):
        merged = {**wanted["metadata"].get(key, {}), **(metadata.get(key) or {})}
        if merged:
            metadata[key] = merged
    return metadata


def reconcile_role(stored: Object, wanted: Object) -> Object | None:
    """For Role and ClusterRole."""
    if _protected(stored):
        return None
    changed = {**stored, "metadata": _metadata(stored, wanted)}
    if "aggregationRule" in wanted:
        selectors = list((stored.get("aggregationRule") or {}).get("clusterRoleSelectors") or ())
        missing = [one for one in wanted["aggregationRule"]["clusterRoleSelectors"] if one not in selectors]
        if missing:
            changed["aggregationRule"] = {"clusterRoleSelectors": [*selectors, *missing]}
    else:
        rules = stored.get("rules") or []
        missing = [rule for rule in wanted.get("rules") or () if uncovered(rules, [rule])]
        if missing:
            changed["rules"] = [*rules, *missing]
    return None if changed == stored else changed


def reconcile_binding(stored: Object, wanted: Object) -> Object | None:
    """For RoleBinding and ClusterRoleBinding."""
    if _protected(stored):
        return None
    changed = {**stored, "metadata": _metadata(stored, wanted)}
    if stored.get("roleRef") != wanted["roleRef"]:
        changed["roleRef"] = wanted["roleRef"]
        changed["subjects"] = wanted.get("subjects")
        return changed
    subjects = stored.get("subjects") or []
    missing = [subject for subject in wanted.get("subjects") or () if subject not in subjects]
    if missing:
        changed["subjects"] = [*subjects, *missing]
    return None if changed == stored else changed
