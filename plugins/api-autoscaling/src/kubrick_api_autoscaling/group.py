"""What this brick serves: two versions of one resource, stored as v2."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from kubrick_api.errors import FieldError
from kubrick_api.groups import Conversion, Parts, load_groups
from kubrick_api.resource import APIGroup, Object, Strategy
from kubrick_api.storage import WriteContext
from kubrick_api_autoscaling.autoscalers import CPU_TARGET, AutoscalerStrategy
from kubrick_api_autoscaling.conversion import METRICS, to_v1, to_v2
from kubrick_api_autoscaling.names import HORIZONTAL_POD_AUTOSCALERS

if TYPE_CHECKING:
    from kubrick_kernel import Kernel


class AutoscalerV1Strategy(AutoscalerStrategy):
    """The same rules, seen through v1."""

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if spec.get("minReplicas") is None:
            spec["minReplicas"] = 1
        carried = METRICS in (obj["metadata"].get("annotations") or {})
        if spec.get("targetCPUUtilizationPercentage") is None and not carried:
            spec["targetCPUUtilizationPercentage"] = CPU_TARGET

    def validate(self, obj: Object) -> list[FieldError]:
        return super().validate(to_v2(obj))

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        return super().validate_replacement(to_v2(obj), to_v2(old))

    def prepare_for_create(self, obj: Object, context: WriteContext) -> None:
        """In v1 the annotations carry what it has no fields for."""
        obj.pop("status", None)

    def prepare_for_update(self, obj: Object, old: Object, context: WriteContext) -> None:
        Strategy.prepare_for_update(self, obj, old, context)

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return super().row(to_v2(obj), now)


def groups(kernel: "Kernel") -> tuple[APIGroup, ...]:
    parts = Parts(
        strategies={
            "v1/horizontalpodautoscalers": AutoscalerV1Strategy(),
            "v2/horizontalpodautoscalers": AutoscalerStrategy(),
        },
        conversions={"v1/horizontalpodautoscalers": Conversion(HORIZONTAL_POD_AUTOSCALERS, to_v2, to_v1)},
    )
    return load_groups("kubrick_api_autoscaling", parts)
