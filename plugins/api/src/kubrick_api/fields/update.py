"""What a create, an update or a patch (all but apply) makes of an object's owners.

The writer comes to own what it added or changed, and nobody else owns that any more; what it removed
nobody owns. An object that has no entries, because a client reset them, isn't tracked until somebody applies
to it. At most ten updaters are told apart: the oldest are put together as "ancient-changes".
"""

from typing import Any

from attrs import define

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
from kubrick_api.fields.sets import EMPTY, Set, contains, difference, union, within, without
from kubrick_api.fields.tracker import Tracker
from kubrick_api.resource import Object

MOST_UPDATERS = 10
ANCIENT = "ancient-changes"


class Versions:
    """The versions of one kind: none but the one that is written. `kubrick_apiserver` knows more."""

    def tracker(self, api_version: str) -> Tracker | None:
        """The kind in another version; None when that isn't served (any more)."""
        return None

    def convert(self, obj: Object, source: str, target: str) -> Object:
        """An object of the version `source` in the version `target`; both have trackers. `obj` isn't changed."""
        raise LookupError(f"no conversion from {source} to {target}")


SINGLE = Versions()


@define(eq=False)
class Write:
    """One write as the owners see it. `reset` are fields that the strategy puts back, or, where `only` is
    given, everything but that (see `reset`)."""

    tracker: Tracker
    manager: str
    time: str
    subresource: str = ""
    reset: Set = EMPTY
    only: Set | None = None
    versions: Versions = SINGLE

    @property
    def owner(self) -> Owner:
        return Owner(self.manager or "unknown", UPDATE, self.tracker.api_version, self.subresource)

    def owned(self, fields: Set | None) -> Set:
        """Of these fields, those that the write can own."""
        if not fields:
            return EMPTY
        if self.only is not None:
            return within(fields, self.only)
        return without(fields, self.reset) if self.reset else fields


def created(write: Write, obj: Object) -> None:
    """Set the owners of a new object."""
    metadata = obj["metadata"]
    asked = metadata.pop("managedFields", None)
    fields = write.owned(write.tracker.created(obj))
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
    change = (write.owned(change[0]), write.owned(change[1]))
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
    tracker = write.versions.tracker(api_version)
    if tracker is None:
        return None
    old, new = (write.versions.convert(obj, write.tracker.api_version, api_version) if obj else obj for obj in objects)
    return tracker.compare(old, new)


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
