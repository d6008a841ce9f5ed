"""Nobody grants more than they have: a check on every write of a role or binding.

Who writes a role must hold all its permissions already, or be allowed to "escalate" it; who binds one
must hold its permissions, or be allowed to "bind" it. Aggregated roles take cluster-admin's. Members of
system:masters are exempt. Runs with validating admission, where the object is final.
"""

from typing import Any

from kubrick_api.errors import forbidden, not_found
from kubrick_api.names import GVR
from kubrick_api.storage import UserInfo
from kubrick_apiserver.access import MASTERS
from kubrick_apiserver.admission import Attributes
from kubrick_apiserver.auth import Access
from kubrick_auth_rbac.authorizer import RBAC
from kubrick_auth_rbac.index import GROUP, aggregate
from kubrick_auth_rbac.rules import Rule, describe, uncovered

ROLES = frozenset(("roles", "clusterroles"))
BINDINGS = frozenset(("rolebindings", "clusterrolebindings"))
EVERYTHING: list[Rule] = [
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
    {"nonResourceURLs": ["*"], "verbs": ["*"]},
]
GC_FIELDS = ("ownerReferences", "finalizers", "managedFields", "resourceVersion")


class EscalationCheck:
    """Validating admission plugin."""

    name = "RBACEscalation"
    order = 5

    def __init__(self, rbac: RBAC) -> None:
        self._rbac = rbac

    def handles(self, attributes: Attributes) -> bool:
        resource = attributes.resource
        return (
            resource.group == GROUP
            and (resource.resource in ROLES or resource.resource in BINDINGS)
            and attributes.operation in ("CREATE", "UPDATE")
            and MASTERS not in attributes.user.groups
        )

    async def validate(self, attributes: Attributes) -> None:
        """Raises StatusError: 403, or 404 when the role to bind is not there."""
        obj, old = attributes.object, attributes.old_object
        assert obj is not None
        if old is not None and _but_for_gc(obj) == _but_for_gc(old):
            return
        if attributes.resource.resource in ROLES:
            self._check_role(attributes, obj)
        else:
            self._check_binding(attributes, obj)

    def _check_role(self, attributes: Attributes, role: dict[str, Any]) -> None:
        if self._may(attributes.user, "escalate", attributes.resource.resource, attributes.namespace, attributes.name):
            return
        if role.get("aggregationRule"):
            if uncovered(self._rbac.rules_for(attributes.user, attributes.namespace), EVERYTHING):
                why = "must have cluster-admin privileges to use an aggregationRule"
                raise forbidden(attributes.resource, attributes.name, why)
            return
        self._check_rules(attributes, role.get("rules") or [])

    def _check_binding(self, attributes: Attributes, binding: dict[str, Any]) -> None:
        reference = binding.get("roleRef") or {}
        kind, name = reference.get("kind", ""), reference.get("name", "")
        plural = "clusterroles" if kind == "ClusterRole" else "roles"
        if self._may(attributes.user, "bind", plural, attributes.namespace, name):
            return
        self._rbac.update()
        rules = self._rbac.index.rules_of(kind, (attributes.namespace, name))
        if rules is None:
            raise not_found(GVR(GROUP, "v1", plural), name)
        self._check_rules(attributes, rules)

    def _check_rules(self, attributes: Attributes, rules: list[Rule]) -> None:
        user = attributes.user
        missing = uncovered(self._rbac.rules_for(user, attributes.namespace), rules)
        if not missing:
            return
        groups = " ".join(f'"{group}"' for group in user.groups)
        why = (
            f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:\n'
            + "\n".join(describe(missing))
        )
        grants = self._rbac.grants(user)
        errors = [*grants.cluster_errors, *grants.errors.get(attributes.namespace, ())]
        if errors:
            why += f"; resolution errors: {aggregate(errors)}"
        raise forbidden(attributes.resource, attributes.name, why)

    def _may(self, user: UserInfo, verb: str, plural: str, namespace: str, name: str) -> bool:
        allowed, _ = self._rbac.authorize(Access(user, verb, True, GROUP, "v1", plural, "", namespace, name))
        return bool(allowed)


def _but_for_gc(obj: dict[str, Any]) -> dict[str, Any]:
    """Without the metadata that the garbage collector changes."""
    metadata = {key: value for key, value in obj["metadata"].items() if key not in GC_FIELDS}
    return {**obj, "metadata": metadata}
