"""Leases: who leads, and which nodes live. From pkg/apis/coordination."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from kubrick_api.cells import age
from kubrick_api.errors import FieldError, forbidden_value, invalid_value, not_supported
from kubrick_api.formats import invalids
from kubrick_api.resource import Object, Strategy
from kubrick_api.storage import WriteContext
from kubrick_api.validation import qualified_name

CHOSEN = ("strategy", "preferredHolder")
STRATEGIES = ("OldestEmulationVersion",)


class LeaseStrategy(Strategy):
    allow_create_on_update = True
    allow_unconditional_update = False

    def default(self, obj: Object) -> None:
        obj.setdefault("spec", {})

    def prepare_for_create(self, obj: Object, context: WriteContext) -> None:
        """CoordinatedLeaderElection (leaders that the server chooses) is off in 1.36; its fields are dropped, unless
        the lease has them already."""
        for name in CHOSEN:
            obj["spec"].pop(name, None)

    def prepare_for_update(self, obj: Object, old: Object, context: WriteContext) -> None:
        for name in CHOSEN:
            if (old.get("spec") or {}).get(name) is None:
                obj["spec"].pop(name, None)

    def validate(self, obj: Object) -> list[FieldError]:
        return list(_validate(obj.get("spec") or {}))

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"]["name"], (obj.get("spec") or {}).get("holderIdentity") or "", age(obj, now)]


def _validate(spec: Object) -> Iterator[FieldError]:
    seconds, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if seconds is not None and seconds <= 0:
        yield invalid_value("spec.leaseDurationSeconds", seconds, "must be greater than 0")
    if transitions is not None and transitions < 0:
        yield invalid_value("spec.leaseTransitions", transitions, "must be greater than or equal to 0")
    strategy = spec.get("strategy")
    if strategy is not None:
        yield from _strategy(strategy, "spec.strategy.strategy")  # the path that Kubernetes gives
    if spec.get("preferredHolder") and not strategy:
        yield forbidden_value("spec.preferredHolder", "may only be specified if `strategy` is defined")


def _strategy(strategy: str, path: str) -> Iterator[FieldError]:
    """One of Kubernetes' own, or someone's with a prefix."""
    if "/" in strategy:
        yield from invalids(path, strategy, qualified_name(strategy))
    elif strategy not in STRATEGIES:
        yield not_supported(path, strategy, STRATEGIES)
