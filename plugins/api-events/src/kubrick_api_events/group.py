"""What this brick serves: core events under their newer name."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from kubrick_api.errors import FieldError
from kubrick_api.groups import Conversion, Parts, load_groups
from kubrick_api.resource import APIGroup, Object
from kubrick_api.storage import WriteContext
from kubrick_api_core.events import EventStrategy
from kubrick_api_core.names import EVENTS as CORE_EVENTS
from kubrick_api_events.conversion import from_core, to_core
from kubrick_api_events.strictness import changed, legacy_errors, strict

if TYPE_CHECKING:
    from kubrick_kernel import Kernel


class NewEventStrategy(EventStrategy):
    """The same rules, seen through events.k8s.io, and stricter ones: nothing old-fashioned, and what happened
    doesn't change. Errors have core's paths, as Kubernetes' have."""

    def default(self, obj: Object) -> None:
        if obj.get("regarding") is None:
            obj["regarding"] = {}

    def prepare_for_create(self, obj: Object, context: WriteContext) -> None:
        """Nothing to add."""

    def validate(self, obj: Object) -> list[FieldError]:
        core = to_core(obj)
        return [*legacy_errors(super().validate(core)), *strict(core)]

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        return list(changed(to_core(obj), to_core(old)))

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
