"""Which controller an object belongs to, and how objects change hands.

An object has at most one owner reference with ``controller: true``. A controller takes (adopts) what
matches its selector and has no controller, and gives up (releases) what no longer matches.
"""

from collections.abc import Callable, Iterable
from typing import Any

from attrs import define, field

Object = dict[str, Any]
CONTROLLER_INDEX = "controller"


def controller_reference(obj: Object) -> Object | None:
    """The owner reference of the object's controller."""
    reference: Object
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return reference
    return None


def by_controller(obj: Object) -> list[str]:
    """Index function: the controller's uid, or "orphan/<namespace>" for an object without one."""
    reference = controller_reference(obj)
    return [reference["uid"] if reference else orphans_of(obj["metadata"].get("namespace", ""))]


def orphans_of(namespace: str) -> str:
    """The value under which `by_controller` files objects of a namespace that have no controller."""
    return f"orphan/{namespace}"


def make_reference(owner: Object) -> Object:
    """An owner reference that makes `owner` (which says its kind) the controller."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def adoption(owner: Object, obj: Object) -> Object:
    """The strategic merge patch that gives `obj` to `owner`; it fails if `obj` was replaced meanwhile."""
    return {"metadata": {"ownerReferences": [make_reference(owner)], "uid": obj["metadata"]["uid"]}}


def release(owner: Object, obj: Object) -> Object:
    """The strategic merge patch that takes `obj` from `owner`."""
    gone = {"$patch": "delete", "uid": owner["metadata"]["uid"]}
    return {"metadata": {"ownerReferences": [gone], "uid": obj["metadata"]["uid"]}}


@define
class Claim:
    """What `claim` decided: `kept` belongs to the owner already, the others have to be patched first."""

    kept: list[Object] = field(factory=list)
    adopt: list[Object] = field(factory=list)
    release: list[Object] = field(factory=list)


def claim(
    owner: Object, owned: Iterable[Object], orphans: Iterable[Object], matches: Callable[[dict[str, str]], bool]
) -> Claim:
    """Sort objects by what `owner` has to do with them. An owner being deleted neither takes nor gives."""
    decided = Claim()
    leaving = "deletionTimestamp" in owner["metadata"]
    for obj in owned:
        if matches(obj["metadata"].get("labels") or {}):
            decided.kept.append(obj)
        elif not leaving:
            decided.release.append(obj)
    if leaving:
        return decided
    for obj in orphans:
        metadata = obj["metadata"]
        if "deletionTimestamp" not in metadata and matches(metadata.get("labels") or {}):
            decided.adopt.append(obj)
    return decided
