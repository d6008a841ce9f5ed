"""Status conditions in the shape of metav1.Condition: what must hold of each, and of the list.

From apimachinery's meta/v1/validation.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kubrick_api.errors import FieldError, duplicate, invalid_value, not_supported, required, too_long
from kubrick_api.formats import invalids, regex_text
from kubrick_api.validation import qualified_name

STATUSES = ("False", "True", "Unknown")
REASON_LIMIT, MESSAGE_LIMIT = 1024, 32 * 1024
_REASON = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?"
REASON_RULE = regex_text(
    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric "
    "characters or '_,:', and must end with an alphanumeric character or '_'",
    _REASON,
    "my_name",
    "MY_NAME",
    "MyName",
    "ReasonA,ReasonB",
    "ReasonA:ReasonB",
)

Condition = Mapping[str, Any]


def validate_conditions(conditions: Sequence[Condition] | None, path: str) -> Iterator[FieldError]:
    seen: set[str] = set()
    for i, condition in enumerate(conditions or ()):
        kind = condition.get("type") or ""
        if kind in seen:
            yield duplicate(f"{path}[{i}].type", kind)
        seen.add(kind)
        yield from validate_condition(condition, f"{path}[{i}]")


def validate_condition(condition: Condition, path: str) -> Iterator[FieldError]:
    kind, status = condition.get("type") or "", condition.get("status") or ""
    yield from invalids(f"{path}.type", kind, qualified_name(kind))
    if status not in STATUSES:
        yield not_supported(f"{path}.status", status, STATUSES)
    generation = condition.get("observedGeneration") or 0
    if generation < 0:
        yield invalid_value(f"{path}.observedGeneration", generation, "must be greater than or equal to zero")
    if not condition.get("lastTransitionTime"):
        yield required(f"{path}.lastTransitionTime", "must be set")
    reason = condition.get("reason") or ""
    if not reason:
        yield required(f"{path}.reason", "must be set")
    else:
        if not re.fullmatch(_REASON, reason):
            yield invalid_value(f"{path}.reason", reason, REASON_RULE)
        if len(reason) > REASON_LIMIT:
            yield too_long(f"{path}.reason", REASON_LIMIT)
    if len((condition.get("message") or "").encode()) > MESSAGE_LIMIT:
        yield too_long(f"{path}.message", MESSAGE_LIMIT)


def condition_is(conditions: Sequence[Condition] | None, kind: str, status: str = "True") -> bool:
    """Whether the condition of this type has this status."""
    return any(c.get("type") == kind and c.get("status") == status for c in conditions or ())
