"""Fills the rules of ClusterRoles that have an aggregationRule: those of the roles it selects, by name, each once.

The authorizer follows the selectors itself; this is for those who read the role. From
pkg/controller/clusterroleaggregation.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from kubrick_api.equality import same
from kubrick_api.errors import StatusError
from kubrick_api.resource import Object
from kubrick_api.selectors import SelectorError, from_label_selector
from kubrick_api_rbac import CLUSTER_ROLES
from kubrick_controller import Context, Controller
from kubrick_kernel import Kernel, hookimpl


def aggregated_rules(role: Object, roles: Iterable[Object]) -> list[Any] | None:
    """The rules `role` should have, given all roles; None when it has them, or doesn't aggregate, or has a
    selector that can't be read."""
    rule = role.get("aggregationRule")
    if rule is None:
        return None
    by_name = sorted(roles, key=lambda other: str(other["metadata"]["name"]))
    rules: list[Any] = []
    for selector in rule.get("clusterRoleSelectors") or ():
        try:
            readable = from_label_selector(selector)
        except SelectorError:
            return None
        for other in by_name:
            metadata = other["metadata"]
            if metadata["name"] == role["metadata"]["name"] or not readable.matches(metadata.get("labels") or {}):
                continue
            for one in other.get("rules") or ():
                if not any(same(one, known) for known in rules):
                    rules.append(one)
    return None if same(rules, role.get("rules")) else rules


class ClusterRoleAggregation:
    """Keys are names of aggregating roles. Whatever happens to any role, they are all looked at again."""

    name = "clusterrole-aggregation-controller"
    workers = 1

    def setup(self, context: Context) -> None:
        self._client = context.client
        self._roles = context.informer(CLUSTER_ROLES)
        add = context.queue.add

        def changed(_: Object) -> None:
            for role in self._roles.list():
                if role.get("aggregationRule") is not None:
                    add(role["metadata"]["name"])

        self._roles.add_handler(added=changed, updated=lambda old, new: changed(new), deleted=changed)

    async def reconcile(self, key: str) -> None:
        role = self._roles.get("", key)
        rules = None if role is None else aggregated_rules(role, self._roles.list())
        if role is None or rules is None:
            return
        try:
            await self._client.update(CLUSTER_ROLES, {**role, "rules": rules})
        except StatusError as error:
            if error.reason != "NotFound":
                raise


@hookimpl
def kubrick_register_controllers(kernel: Kernel) -> Sequence[Controller]:
    return [ClusterRoleAggregation()]
