"""What goes away because a manager stopped applying it.

A field, or a list's or map's item, is removed if the manager applied it last time, doesn't now, and nobody
else owns it or anything in it. (structured-merge-diff: prune, addBackOwnedItems, addBackDanglingItems.)
"""

from kubrick_api.fields.entries import Entries, Entry, fields_of
from kubrick_api.fields.sets import EMPTY, Set, contains, difference, intersection, union
from kubrick_api.fields.tracker import IDENTITY, Tracker
from kubrick_api.fields.update import Write
from kubrick_api.resource import Object


def pruned(write: Write, merged: Object, entries: Entries, last: Entry, applied: Set) -> Object:
    """`merged` without what `last` alone owned. `entries` hold the manager's new fields already."""
    owned = fields_of(last)
    version = last["apiVersion"]
    home = write.tracker
    if version == home.api_version and contains(applied, owned):
        return merged
    if version == home.api_version:
        return _pruned(write, home, merged, entries, owned)
    tracker = write.versions.tracker(version)
    if tracker is None:
        return merged
    there = write.versions.convert(merged, home.api_version, version)
    return write.versions.convert(_pruned(write, tracker, there, entries, owned), version, home.api_version)


def _pruned(write: Write, tracker: Tracker, merged: Object, entries: Entries, owned: Set) -> Object:
    last = tracker.named(owned)
    left = tracker.remove(merged, last)
    before = tracker.named(tracker.fieldset(merged))
    held: dict[str, Set] = {tracker.api_version: EMPTY}
    for found in entries.values():
        version = found["apiVersion"]
        held[version] = union(held.get(version, EMPTY), fields_of(found))
    here = held.pop(tracker.api_version)
    left = _with_owned(tracker, merged, left, before, here)
    for version, fields in held.items():
        other = write.versions.tracker(version)
        if other is None:
            continue
        there, rest = (write.versions.convert(obj, tracker.api_version, version) for obj in (merged, left))
        kept = _with_owned(other, there, rest, other.named(other.fieldset(there)), fields)
        left = write.versions.convert(kept, version, tracker.api_version)
    after = union(tracker.named(tracker.fieldset(left)), IDENTITY)
    return tracker.remove(merged, intersection(difference(before, after), last))


def _with_owned(tracker: Tracker, merged: Object, left: Object, before: Set, held: Set) -> Object:
    """`left`, with what somebody owns put back from `merged`."""
    keep = union(tracker.named(tracker.fieldset(left)), union(tracker.named(held), IDENTITY))
    return tracker.remove(merged, difference(before, keep))
