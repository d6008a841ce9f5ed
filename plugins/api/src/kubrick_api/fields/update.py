"""What a create, an update or a patch (all but apply) makes of an object's owners.

The writer comes to own what it added or changed, and nobody else owns that any more; what it removed
nobody owns. An object that has no entries, because a client reset them, isn't tracked until somebody applies
to it. At most ten updaters are told apart: the oldest are put together as "ancient-changes".
"""

from collections.abc import Callable
from typing import Any

from attrs import frozen

from kubrick_api.fields.entries import (
    RESET,
    UPDATE,
    Entries,
    Owner,
    entry,
    fields_of,
    given,
    listed,
    stored,
)
from kubrick_api.fields.leaves import NO_CHANGE, Delta
from kubrick_api.fields.sets import EMPTY, Set, contains, difference, union, without
from kubrick_api.fields.tracker import Tracker
from kubrick_api.resource import Object

MOST_UPDATERS = 10
ANCIENT = "ancient-changes"

Versions = Callable[[str], "tuple[Tracker, Callable[[Object], Object]] | None"]
"""versions(api_version): the tracker of the same kind in another version, and how objects get there;
None when that version isn't served (any more)."""


def no_versions(api_version: str) -> "tuple[Tracker, Callable[[Object], Object]] | None":
    """For kinds with one version."""
    return None


@frozen
class Write:
    """One write as the owners see it. `reset` are fields that the strategy puts back (see `reset`)."""

    tracker: Tracker
    manager: str
    time: str
    subresource: str = ""
    reset: Set = EMPTY
    versions: Versions = no_versions

    @property
    def owner(self) -> Owner:
        return Owner(self.manager or "unknown", UPDATE, self.tracker.api_version, self.subresource)


def created(write: Write, obj: Object) -> None:
    """Set the owners of a new object."""
    metadata = obj["metadata"]
    asked = metadata.pop("managedFields", None)
    fields = write.tracker.created(obj)
    if write.reset:
        fields = without(fields, write.reset)
    if asked and asked != RESET:
        entries = _asked(asked)
        if entries:
            metadata["managedFields"] = listed(taken_over(write, entries, ({}, obj), (fields or None, None)))
            return
    if fields:
        metadata["managedFields"] = [entry(write.owner, write.tracker.api_version, fields, write.time)]


def updated(write: Write, obj: Object, old: Object) -> None:
    """Set the owners of a changed object. `obj` may bring managedFields of its own: none (a client that
    doesn't know them) means those of `old`, and a subresource's are not heard."""
    metadata = obj["metadata"]
    asked = metadata.pop("managedFields", None)
    before = old["metadata"].get("managedFields")
    entries: Entries | None = None
    if asked and asked is not before and not write.subresource and asked != before:
        if asked == RESET:
            return
        entries = _asked(asked)
        before = None if entries else before
    if not entries:
        if not before:
            return
        entries = stored(before)
    change = write.tracker.compare(old, obj)
    if change is NO_CHANGE and before:
        metadata["managedFields"] = before
        return
    taken, removed = change
    if write.reset:
        change = (without(taken or EMPTY, write.reset) or None, without(removed or EMPTY, write.reset) or None)
    owned = listed(taken_over(write, entries, (old, obj), change))
    if owned:
        metadata["managedFields"] = owned


def _asked(asked: Any) -> Entries:
    """The entries a client sent; none when they can't be read, which isn't held against it."""
    try:
        return given(asked)
    except (ValueError, TypeError, AttributeError):
        return {}


def taken_over(write: Write, entries: Entries, objects: tuple[Object, Object], change: Delta) -> Entries:
    """The entries after an update by `write.owner`."""
    taken, removed = change[0] or EMPTY, change[1] or EMPTY
    owner = write.owner
    version = write.tracker.api_version
    after: Entries = {}
    for who, found in entries.items():
        fields = fields_of(found)
        if found["apiVersion"] == version:
            lost, gone = (EMPTY if who == owner else taken), removed
        else:
            elsewhere = other_version(write, objects, found["apiVersion"])
            if elsewhere is None:
                continue
            lost, gone = elsewhere[0] or EMPTY, elsewhere[1] or EMPTY
        left = difference(difference(fields, lost), gone)
        if left is fields or left == fields:
            after[who] = found
        elif left:
            after[who] = entry(who, found["apiVersion"], left, found.get("time"))
    if taken:
        known = after.get(owner)
        fields = taken if known is None else fields_of(known)
        if known is not None and not contains(fields, taken):
            fields = union(fields, taken)
        after[owner] = entry(owner, version, fields, write.time)
    return capped(after)


def other_version(write: Write, objects: tuple[Object, Object], api_version: str) -> Delta | None:
    """What changed, seen in another version; None when it isn't served."""
    found = write.versions(api_version)
    if found is None:
        return None
    tracker, convert = found
    old, new = objects
    return tracker.compare(convert(old) if old else {}, convert(new))


def capped(entries: Entries) -> Entries:
    """With at most ten updaters: the oldest of each version become one (apimachinery: capmanagers)."""
    if len(entries) <= MOST_UPDATERS:
        return entries
    updaters = [owner for owner in entries if owner.operation == UPDATE]
    excess = len(updaters) - MOST_UPDATERS
    if excess <= 0:
        return entries
    updaters.sort(key=lambda owner: (entries[owner].get("time") or "", owner))
    capped = dict(entries)
    first: dict[str, Owner] = {}
    for owner in updaters:
        if excess <= 0:
            break
        found = entries[owner]
        version = found["apiVersion"]
        if version not in first:
            first[version] = owner
            continue
        bucket = Owner(ANCIENT, UPDATE, version)
        if bucket not in capped:
            capped[bucket] = capped.pop(first[version])
        fields = union(fields_of(capped[bucket]), fields_of(found))
        if owner != bucket:
            del capped[owner]
        capped[bucket] = entry(bucket, version, fields, found.get("time"))
        excess -= 1
    return capped
