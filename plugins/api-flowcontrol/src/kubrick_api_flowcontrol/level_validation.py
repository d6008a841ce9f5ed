"""What can be wrong with a priority level. Paths, order and wording are those of pkg/apis/flowcontrol/validation."""

import math
from collections.abc import Iterator

from kubrick_api.equality import same
from kubrick_api.errors import FieldError, forbidden_value, invalid_value, not_supported, required
from kubrick_api.resource import Object
from kubrick_api_flowcontrol.flow_validation import validate_condition_types
from kubrick_api_flowcontrol.mandatory import PRIORITY_LEVELS

Errors = Iterator[FieldError]

MAX_QUEUES, MAX_HASH_BITS = 10_000_000, 60
KEEP_ZERO = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares"


def validate_priority_level(obj: Object) -> Errors:
    name, spec = obj["metadata"].get("name") or "", obj.get("spec") or {}
    if KEEP_ZERO in (obj["metadata"].get("annotations") or {}):
        yield forbidden_value("metadata.annotations", f"annotation '{KEEP_ZERO}' is forbidden")
    yield from _spec(name, spec)
    yield from _mandatory(name, spec)
    yield from validate_condition_types(obj.get("status") or {})


def _mandatory(name: str, spec: Object) -> Errors:
    """`exempt` may change its shares, and nothing else; the others nothing at all."""
    wanted = PRIORITY_LEVELS.get(name)
    if wanted is None:
        return
    if name == "exempt":
        if not same({**spec, "exempt": None}, {**wanted, "exempt": None}):
            why = f"spec of '{name}' except the 'spec.exempt' field must equal the fixed value"
            yield invalid_value("spec", spec, why)
    elif not same(spec, wanted):
        yield invalid_value("spec", spec, f"spec of '{name}' must equal the fixed value")


def _spec(name: str, spec: Object) -> Errors:
    kind, limited, exempt = spec.get("type") or "", spec.get("limited"), spec.get("exempt")
    if (name == "exempt") != (kind == "Exempt"):
        yield invalid_value("spec.type", kind, "must be 'Exempt' if and only if `name` is 'exempt'")
    if kind == "Exempt":
        if limited is not None:
            yield forbidden_value("spec.limited", "must be nil if the type is not Limited")
        if exempt is not None:
            yield from _shares(exempt, "spec.exempt")
            yield from _lendable(exempt, "spec.exempt")
    elif kind == "Limited":
        if exempt is not None:
            yield forbidden_value("spec.exempt", "must be nil if the type is Limited")
        if limited is None:
            yield required("spec.limited", "must not be empty when type is Limited")
        else:
            yield from _limited(limited, "spec.limited")
    elif not kind:
        yield required("spec.type")
    else:
        yield not_supported("spec.type", kind, ("Exempt", "Limited"))


def _shares(limits: Object, at: str) -> Errors:
    shares = limits.get("nominalConcurrencyShares") or 0
    if shares < 0:
        yield invalid_value(f"{at}.nominalConcurrencyShares", shares, "must be a non-negative integer")


def _lendable(limits: Object, at: str) -> Errors:
    percent = limits.get("lendablePercent")
    if percent is not None and not 0 <= percent <= 100:
        yield invalid_value(f"{at}.lendablePercent", percent, "must be between 0 and 100, inclusive")


def _limited(limits: Object, at: str) -> Errors:
    yield from _shares(limits, at)
    yield from _response(limits.get("limitResponse") or {}, f"{at}.limitResponse")
    yield from _lendable(limits, at)
    borrowing = limits.get("borrowingLimitPercent")
    if borrowing is not None and borrowing < 0:
        why = "if specified, must be a non-negative integer"
        yield invalid_value(f"{at}.borrowingLimitPercent", borrowing, why)


def _response(response: Object, at: str) -> Errors:
    kind, queuing = response.get("type") or "", response.get("queuing")
    if kind == "Reject":
        if queuing is not None:
            why = "must be nil if limited.limitResponse.type is not Limited"
            yield forbidden_value(f"{at}.queuing", why)
    elif kind == "Queue":
        if queuing is None:
            yield required(f"{at}.queuing", "must not be empty if limited.limitResponse.type is Limited")
        else:
            yield from _queuing(queuing, f"{at}.queuing")
    elif not kind:
        yield required(f"{at}.type")
    else:
        yield not_supported(f"{at}.type", kind, ("Queue", "Reject"))


def _queuing(queuing: Object, at: str) -> Errors:
    limit, queues, hand = (queuing.get(name) or 0 for name in ("queueLengthLimit", "queues", "handSize"))
    if limit <= 0:
        yield invalid_value(f"{at}.queueLengthLimit", limit, "must be positive")
    if queues <= 0:
        yield invalid_value(f"{at}.queues", queues, "must be positive")
    elif queues > MAX_QUEUES:
        yield invalid_value(f"{at}.queues", queues, f"must not be greater than {MAX_QUEUES}")
    if hand <= 0:
        yield invalid_value(f"{at}.handSize", hand, "must be positive")
    elif hand > queues:
        yield invalid_value(f"{at}.handSize", hand, f"should not be greater than queues ({queues})")
    elif entropy_bits(queues, hand) > MAX_HASH_BITS:
        why = (
            f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {MAX_HASH_BITS}"
        )
        yield invalid_value(f"{at}.handSize", hand, why)


def entropy_bits(queues: int, hand: int) -> int:
    """How much of a hash it takes to deal a hand out of so many queues."""
    return math.ceil(sum(math.log2(queues - i) for i in range(hand)))
