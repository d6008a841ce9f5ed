"""What to do with one object, given its finalizers, what became of its owners, and its dependents.

Pure. Kubernetes' rules (pkg/controller/garbagecollector, attemptToDeleteItem): an object with an
owner that stays is kept, and loses only its references to owners that don't; one whose owners are
all gone is deleted; one whose last owners wait for it to go is deleted before them.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from attrs import define, field

from kubrick_controller_garbage_collector.graph import FOREGROUND, ORPHAN, Node

Object = dict[str, Any]


class OwnerState(Enum):
    """What became of an owner."""

    SOLID = "solid"
    """It is there (or its kind is unknown here: nothing is deleted on a guess)."""
    ABSENT = "absent"
    """The API says that it is not there."""
    WAITING = "waiting"
    """It is being deleted in the foreground, and waits for its dependents."""
    INVALID = "invalid"
    """A cluster-scoped object can't have a namespaced owner: the object is left alone."""


@define
class Decision:
    """At most one of these is set. `owners` are the references to keep; `unblock` says that they must
    first stop blocking (a circle of foreground deletions); `delete` is the propagation policy."""

    owners: list[Object] | None = None
    unblock: list[Object] | None = None
    delete: str | None = None


@define
class Waiting:
    """What a foreground deletion comes to: nothing blocks it any more, or these dependents do."""

    free: bool
    blocked_by: list[str] = field(factory=list)


def decide(obj: Object, owners: Mapping[str, OwnerState], dependents: Sequence[Node]) -> Decision:
    """What to do with `obj`; `owners` says by uid what became of each owner."""
    references = obj["metadata"].get("ownerReferences") or []
    states = [owners[reference["uid"]] for reference in references]
    if not references or OwnerState.INVALID in states:
        return Decision()
    if OwnerState.SOLID in states:
        solid = [ref for ref, state in zip(references, states, strict=True) if state is OwnerState.SOLID]
        return Decision() if len(solid) == len(references) else Decision(owners=solid)
    if OwnerState.WAITING in states and dependents:
        if any(child.foreground for child in dependents):
            unblocked = [{**ref, "blockOwnerDeletion": False} for ref in references]
            if unblocked != references:
                return Decision(unblock=unblocked, delete="Foreground")
        return Decision(delete="Foreground")
    finalizers = obj["metadata"].get("finalizers") or ()
    if ORPHAN in finalizers:
        return Decision(delete="Orphan")
    return Decision(delete="Foreground" if FOREGROUND in finalizers else "Background")


def wait(node: Node, dependents: Sequence[Node]) -> Waiting:
    """Whether an object that is being deleted in the foreground may go."""
    blocking = []
    for child in dependents:
        reference = child.refers_to(node)
        if reference is not None and reference.blocks:
            blocking.append(child)
    return Waiting(not blocking, [child.uid for child in blocking if not child.foreground])


def without_owner(obj: Object, uid: str) -> list[Object]:
    """The owner references of `obj` that name another."""
    return [ref for ref in obj["metadata"].get("ownerReferences") or () if ref["uid"] != uid]


def without_finalizer(obj: Object, finalizer: str) -> list[str]:
    return [each for each in obj["metadata"].get("finalizers") or () if each != finalizer]
