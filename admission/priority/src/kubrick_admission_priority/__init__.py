"""priorityClassName becomes a number; there is at most one default PriorityClass.

Brings the two system classes. Source: plugin/pkg/admission/priority.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from kubrick_api_scheduling.names import PRIORITY_CLASSES
from kubrick_apiserver.admission import refusal
from kubrick_kernel.hookspecs import hookimpl

if TYPE_CHECKING:
    from kubrick_api.storage import Reader
    from kubrick_apiserver.admission import AdmissionPlugin, Attributes
    from kubrick_kernel import Kernel

Object = dict[str, Any]
PREEMPT = "PreemptLowerPriority"
SYSTEM_CLASSES = (
    (
        "system-node-critical",
        2000001000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
    (
        "system-cluster-critical",
        2000000000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
)


class Priority:
    """For pods. `changed` gives a revision since which no PriorityClass has changed: the default one is looked
    for only when there are others."""

    name = "Priority"
    order = 60
    exact = True
    borrows = True

    def __init__(self, changed: Callable[[], int]) -> None:
        self._changed = changed
        self._known: tuple[int, Object | None] = (-1, None)

    def _default(self, reader: "Reader") -> Object | None:
        changed = self._changed()
        if changed != self._known[0]:
            self._known = changed, default_class(reader)
        return self._known[1]

    def handles(self, attributes: "Attributes") -> bool:
        resource = attributes.resource
        return (
            resource.resource == "pods"
            and not resource.group
            and not attributes.subresource
            and attributes.operation in ("CREATE", "UPDATE")
        )

    async def admit(self, attributes: "Attributes") -> None:
        assert attributes.object is not None
        spec = attributes.object.setdefault("spec", {})
        if attributes.operation == "CREATE":
            default = None if spec.get("priorityClassName") else self._default(attributes.reader)
            _resolve(attributes, spec, default)
        else:
            _keep(attributes, spec, (attributes.old_object or {}).get("spec") or {})


class OneDefault:
    """The plugin's other half, for PriorityClasses."""

    name = "Priority"
    order = 60

    def handles(self, attributes: "Attributes") -> bool:
        resource = attributes.resource
        return (
            resource.resource == "priorityclasses"
            and resource.group == "scheduling.k8s.io"
            and not attributes.subresource
            and attributes.operation in ("CREATE", "UPDATE")
        )

    async def validate(self, attributes: "Attributes") -> None:
        asked = attributes.object
        if asked is None or not asked.get("globalDefault"):
            return
        default = default_class(attributes.reader)
        if default is None:
            return
        name = default["metadata"]["name"]
        if attributes.operation == "CREATE" or name != attributes.name:
            raise refusal(attributes, f"PriorityClass {name} is already marked as default. Only one default can exist")


def default_class(reader: "Reader") -> Object | None:
    """The class of pods that name none; of several, the lowest."""
    defaults = [each for each in reader.list(PRIORITY_CLASSES) if each.get("globalDefault")]
    return min(defaults, key=lambda each: int(each["value"]), default=None)


def _resolve(attributes: "Attributes", spec: Object, default: Object | None) -> None:
    """Fill in priority and preemptionPolicy of a new pod; one that names no class has the default one, if there is
    one. Raises 403."""
    name = spec.get("priorityClassName")
    if name:
        found = attributes.reader.get(PRIORITY_CLASSES, "", name)
        if found is None:
            raise refusal(attributes, f"no PriorityClass with name {name} was found")
    else:
        found = default
        if found is not None:
            spec["priorityClassName"] = found["metadata"]["name"]
    priority = found["value"] if found is not None else 0
    policy = found.get("preemptionPolicy") if found is not None else PREEMPT
    asked = spec.get("priority")
    if asked is not None and asked != priority:
        raise refusal(
            attributes,
            f"the integer value of priority ({asked}) must not be provided in pod spec; priority admission "
            f"controller computed {priority} from the given PriorityClass name",
        )
    spec["priority"] = priority
    if policy is None:
        return
    wanted = spec.get("preemptionPolicy")
    if wanted is not None and wanted != policy:
        raise refusal(
            attributes,
            f"the string value of PreemptionPolicy ({wanted}) must not be provided in pod spec; priority admission "
            f"controller computed {policy} from the given PriorityClass name",
        )
    spec["preemptionPolicy"] = policy


def _keep(attributes: "Attributes", spec: Object, old: Object) -> None:
    """An update that leaves the resolved values out means the old ones."""
    if spec.get("priorityClassName") != old.get("priorityClassName"):
        return
    for name in ("priority", "preemptionPolicy"):
        if spec.get(name) is None and old.get(name) is not None:
            attributes.own("spec")[name] = old[name]


@hookimpl
def kubrick_register_admission(kernel: "Kernel") -> "Sequence[AdmissionPlugin]":
    classes = kernel.bus.topic(f"{PRIORITY_CLASSES.qualified}/".encode())
    return (Priority(lambda: classes.changed), OneDefault())


@hookimpl
def kubrick_register_bootstrap_objects(kernel: "Kernel") -> Sequence[dict[str, Any]]:
    return [
        {
            "kind": "PriorityClass",
            "apiVersion": "scheduling.k8s.io/v1",
            "metadata": {"name": name, "generation": 1},
            "value": value,
            "description": description,
            "preemptionPolicy": PREEMPT,
        }
        for name, value, description in SYSTEM_CLASSES
    ]


@hookimpl
def kubrick_register_health_checks(kernel: "Kernel") -> Sequence[tuple[str, Callable[[], Awaitable[None]]]]:
    """Unwell until the system classes were there once, under kube-apiserver's name for it."""
    seen = False

    async def bootstrapped() -> None:
        nonlocal seen
        from kubrick_api.storage import Reader

        reader = kernel.find(Reader)
        seen = seen or all(reader.get(PRIORITY_CLASSES, "", name) for name, _, _ in SYSTEM_CLASSES)
        if not seen:
            raise RuntimeError("not finished")

    return (("poststarthook/scheduling/bootstrap-system-priority-classes", bootstrapped),)
