"""What this brick serves: core events under their newer name."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from kubrick_api.errors import FieldError
from kubrick_api.groups import Conversion, Parts, load_groups
from kubrick_api.resource import APIGroup, Object
from kubrick_api.storage import WriteContext
from kubrick_api_core.events import EventStrategy, validate_event
from kubrick_api_core.names import EVENTS as CORE_EVENTS
from kubrick_api_events.conversion import from_core, to_core
from kubrick_api_events.strictness import REPORTER, changed, strict

if TYPE_CHECKING:
    from kubrick_kernel import Kernel


class NewEventStrategy(EventStrategy):
    """The same rules, seen through events.k8s.io, and stricter ones: nothing old-fashioned, and what happened
    doesn't change. Errors have core's paths, but for reportingController, as Kubernetes' have."""

    def default(self, obj: Object) -> None:
        for name in ("regarding", "deprecatedSource"):
            if obj.get(name) is None:
                obj[name] = {}

    def prepare_for_create(self, obj: Object, context: WriteContext) -> None:
        """Nothing to add."""

    def validate(self, obj: Object) -> list[FieldError]:
        core = to_core(obj)
        return [*validate_event(core, REPORTER), *strict(core)]

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        """An event that was written through core may stay as old-fashioned as it is."""
        core = to_core(obj)
        return [*validate_event(core, REPORTER), *changed(core, to_core(old))]

    def validate_metadata_update(self, obj: Object, old: Object) -> list[FieldError]:
        return list(validate_event(to_core(obj), REPORTER))

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        fields = super().selectable_fields(to_core(obj))
        renamed = {"involvedObject": "regarding", "reportingComponent": "reportingController"}
        again = {}
        for name, value in fields.items():
            head, dot, rest = name.partition(".")
            again[f"{renamed.get(head, head)}{dot}{rest}"] = value
        return again

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return super().row(to_core(obj), now)


def groups(kernel: "Kernel") -> tuple[APIGroup, ...]:
    parts = Parts(
        strategies={"events": NewEventStrategy()},
        conversions={"events": Conversion(CORE_EVENTS, to_core, from_core)},
    )
    return load_groups("kubrick_api_events", parts)
