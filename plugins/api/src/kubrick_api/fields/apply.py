"""Server-side apply: laying a manager's configuration over an object.

What the manager sets, it owns, together with others that set the same value; what it set last time and
doesn't any more goes away unless somebody else owns it; what others own it changes only by force.
(structured-merge-diff: merge.Updater.Apply; apimachinery: managedfields/internal.)
"""

from typing import Any

import orjson
from attrs import evolve, frozen

from kubrick_api.errors import bad_request
from kubrick_api.fields.conflict import Conflicts, allowed, conflict_error
from kubrick_api.fields.entries import Entries, Entry, Owner, applier, entry, fields_of, listed, stored
from kubrick_api.fields.leaves import Problem
from kubrick_api.fields.prune import pruned
from kubrick_api.fields.sets import EMPTY, Set, difference, intersection
from kubrick_api.fields.tracker import Tracker
from kubrick_api.fields.update import Write, capped, other_version, taken_over
from kubrick_api.names import GVK
from kubrick_api.resource import Object

BEFORE_FIRST_APPLY = "before-first-apply"
KUBECTL = "kubectl"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
ANNOTATIONS_LIMIT = 256 * 1024
GO_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}
"""What Go's JSON encoder writes so that its text may stand in HTML."""


@frozen
class Config:
    """What a manager applies: the object and the fields it sets. It is shared and never changed."""

    obj: Object
    fields: Set


@frozen
class Applied:
    """What came of it. `obj` is None when the apply changed nothing but, perhaps, who owns what."""

    obj: Object | None
    managed: list[Entry]


def config_of(tracker: Tracker, kind: GVK, obj: Object) -> Config:
    """A configuration, checked against its type. Raises StatusError 400 for an object that isn't of this kind, or
    that doesn't fit. (For the latter kube-apiserver says the same with 500, which makes clients try again; it is the
    body that is wrong.)"""
    found = GVK.of(obj)
    if found != kind:
        raise bad_request(f"invalid object type: {_shown(found)}")
    metadata = obj.get("metadata")
    if isinstance(metadata, dict) and metadata.get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")
    problems = [_problem(problem) for problem in tracker.check(obj)]
    if problems:
        why = problems[0] if len(problems) == 1 else "\n".join(("errors:", *(f"  {problem}" for problem in problems)))
        raise bad_request(f"failed to create typed patch object ({_named(obj, found)}): {why}")
    return Config(obj, tracker.fieldset(obj))


def _problem(problem: Problem) -> str:
    where, what = problem
    return f"{where}: {what}" if where else what


def _shown(kind: GVK) -> str:
    """As Go prints a GroupVersionKind: /v1, Kind=ConfigMap"""
    return f"{kind.group}/{kind.version}, Kind={kind.kind}"


def _named(obj: Object, kind: GVK) -> str:
    metadata = obj.get("metadata") or {}
    namespace, name = (metadata.get(key, "") if isinstance(metadata, dict) else "" for key in ("namespace", "name"))
    return f"{namespace}/{name}; {_shown(kind)}"


def created(write: Write, config: Config) -> list[Entry]:
    """The owners of an object that an apply creates."""
    fields = write.owned(config.fields)
    owner = applier(write.manager, write.subresource)
    return [entry(owner, write.tracker.api_version, fields, write.time)] if fields else []


def apply(write: Write, live: Object, config: Config, force: bool) -> Applied:
    """Lay `config` over `live`. Raises StatusError 409 for conflicts."""
    entries = stored(live["metadata"].get("managedFields"))
    if not entries:
        entries = _before(write, live)
    result = _attempt(write, live, config, entries, force)
    if isinstance(result, dict):
        result = _migrated(write, live, config, entries, result)
    if write.manager == KUBECTL:
        result = _noted(result, live, config)
    return result


def _before(write: Write, live: Object) -> Entries:
    """The owner of everything in an object that wasn't tracked."""
    tracker = write.tracker
    before = evolve(write, manager=BEFORE_FIRST_APPLY)
    fields = write.owned(tracker.created(live))
    return taken_over(before, {}, ({}, live), (fields or None, None))


def _attempt(write: Write, live: Object, config: Config, entries: Entries, force: bool) -> Applied | Conflicts:
    tracker, version = write.tracker, write.tracker.api_version
    owner = applier(write.manager, write.subresource)
    last = entries.get(owner)
    fields = write.owned(config.fields)
    merged = tracker.merge(live, config.obj)
    mine = entry(owner, version, fields, last.get("time") if last else None)
    if last is not None and fields_of(last) == fields and last["apiVersion"] == version:
        mine = last
    after: Entries = {**entries, owner: mine}
    if last is not None and mine is not last:
        merged = pruned(write, merged, after, last, config.fields)
    same = merged == live
    if not same:
        found = _conflicts(write, after, owner, (live, merged))
        if found[0] and not force:
            return found[0]
        after = found[1]
        mine = after[owner] = entry(owner, version, fields, write.time)
    if not fields:
        del after[owner]
    return Applied(None if same else merged, listed(capped(after)))


def _conflicts(
    write: Write, entries: Entries, owner: Owner, objects: tuple[Object, Object]
) -> tuple[Conflicts, Entries]:
    """What the others would lose, and the entries without it."""
    taken, removed = write.tracker.compare(*objects)
    taken, removed = write.owned(taken), write.owned(removed)
    conflicts: Conflicts = {}
    after: Entries = {}
    for who, found in entries.items():
        if who == owner:
            after[who] = found
            continue
        version = found["apiVersion"]
        lost, gone = taken, removed
        if version != write.tracker.api_version:
            change = other_version(write, objects, version)
            if change is None:
                continue
            lost, gone = change[0] or EMPTY, change[1] or EMPTY
        fields = fields_of(found)
        clash = intersection(fields, lost)
        if clash:
            conflicts[who] = (version, clash)
        left = difference(difference(fields, clash), gone)
        if left is fields or left == fields:
            after[who] = found
        elif left:
            after[who] = entry(who, version, left, found.get("time"))
    return conflicts, after


# Migration from client-side apply


def _migrated(write: Write, live: Object, config: Config, entries: Entries, conflicts: Conflicts) -> Applied:
    """Conflicts about what kubectl itself applied client-side are none (apimachinery: lastappliedmanager)."""
    if write.manager != KUBECTL:
        raise conflict_error(conflicts)
    mine = _last_applied(write, live)
    if mine is None:
        raise conflict_error(conflicts)
    left = allowed(conflicts, mine)
    if left:
        raise conflict_error(left)
    result = _attempt(write, live, config, entries, True)
    if isinstance(result, dict):
        raise conflict_error(result)
    return result


def _last_applied(write: Write, live: Object) -> Set | None:
    """The fields that kubectl's annotation sets and that are still as it set them; None without one."""
    text = _annotation(live)
    if not text:
        return None
    try:
        obj = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    tracker = write.tracker
    if type(obj) is not dict or obj.get("apiVersion") != tracker.api_version or next(tracker.check(obj), None):
        return None
    taken, removed = tracker.compare(obj, live)
    return difference(difference(tracker.fieldset(obj), taken or EMPTY), removed or EMPTY)


def _annotation(obj: Object) -> Any:
    return (obj["metadata"].get("annotations") or {}).get(LAST_APPLIED)


def _noted(result: Applied, live: Object, config: Config) -> Applied:
    """kubectl's annotation, where there is one, follows what kubectl applies (lastappliedupdater)."""
    known = _annotation(live if result.obj is None else result.obj)
    if not known:
        return result
    metadata = dict(config.obj.get("metadata") or {})
    if metadata.get("annotations"):
        metadata["annotations"] = {key: v for key, v in metadata["annotations"].items() if key != LAST_APPLIED}
    text = orjson.dumps({**config.obj, "metadata": metadata}, option=orjson.OPT_SORT_KEYS).decode() + "\n"
    for character, escaped in GO_ESCAPES.items():
        text = text.replace(character, escaped)
    if text == known:
        return result
    obj = dict(live if result.obj is None else result.obj)
    annotations = {**obj["metadata"]["annotations"], LAST_APPLIED: text}
    if sum(len(key.encode()) + len(str(value).encode()) for key, value in annotations.items()) > ANNOTATIONS_LIMIT:
        del annotations[LAST_APPLIED]
    obj["metadata"] = {**obj["metadata"], "annotations": annotations}
    return Applied(obj, result.managed)
