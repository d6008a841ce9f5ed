"""Nothing new in namespaces that are missing or going away; the system's own can't be deleted.

Source: apiserver's plugin/namespace/lifecycle.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kubrick_api.errors import NAMESPACE_TERMINATING, forbidden, not_found
from kubrick_api_core.names import NAMESPACES
from kubrick_apiserver.admission import refusal
from kubrick_kernel.hookspecs import hookimpl

if TYPE_CHECKING:
    from kubrick_apiserver.admission import AdmissionPlugin, Attributes
    from kubrick_kernel import Kernel

IMMORTAL = frozenset(("default", "kube-system", "kube-public"))


class NamespaceLifecycle:
    """Mutating by phase only: it must refuse before anything else looks. `changed` gives a revision since which no
    namespace has changed."""

    name = "NamespaceLifecycle"
    order = 10
    exact = True
    borrows = True

    def __init__(self, changed: Callable[[], int]) -> None:
        self._changed = changed
        self._looked = -1
        self._found: dict[str, dict[str, Any]] = {}
        """Namespaces as they were at the revision `_looked`."""

    def handles(self, attributes: "Attributes") -> bool:
        resource = attributes.resource
        if resource.resource == "namespaces" and not resource.group:
            return attributes.operation == "DELETE"
        if not attributes.namespace or attributes.operation not in ("CREATE", "UPDATE"):
            return False
        # Access reviews tell nothing about a namespace, not even that it is missing.
        return resource.resource != "localsubjectaccessreviews"

    async def admit(self, attributes: "Attributes") -> None:
        if attributes.resource == NAMESPACES:
            if attributes.name in IMMORTAL:
                raise forbidden(NAMESPACES, attributes.name, "this namespace may not be deleted")
            return
        name = attributes.namespace
        changed = self._changed()
        if changed != self._looked:
            self._looked, self._found = changed, {}
        namespace = self._found.get(name) or attributes.reader.get(NAMESPACES, "", name)
        if namespace is None:
            raise not_found(NAMESPACES, name)
        self._found[name] = namespace
        if attributes.operation != "CREATE" or namespace.get("status", {}).get("phase") != "Terminating":
            return
        error = refusal(attributes, f"unable to create new content in namespace {name} because it is being terminated")
        cause = {
            "reason": NAMESPACE_TERMINATING,
            "message": f"namespace {name} is being terminated",
            "field": "metadata.namespace",
        }
        error.details = {**(error.details or {}), "causes": [cause]}
        raise error


@hookimpl
def kubrick_register_admission(kernel: "Kernel") -> "Sequence[AdmissionPlugin]":
    namespaces = kernel.bus.topic(f"{NAMESPACES.qualified}/".encode())
    return (NamespaceLifecycle(lambda: namespaces.changed),)
