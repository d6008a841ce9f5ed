"""Who owns what after creates, updates and applies: properties over random objects of a type that has
every kind of list and map."""

import sys
from contextlib import suppress
from copy import deepcopy
from pathlib import Path as File
from typing import Any

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kubrick_api.errors import StatusError
from kubrick_api.fields import apply, update
from kubrick_api.fields.entries import fields_of
from kubrick_api.fields.sets import contains, members
from kubrick_api.fields.update import Write
from kubrick_api.names import GVK

sys.path.insert(0, str(File(__file__).parent))
from fields_strategies import Object, exists, things, tracker, walk

KIND = GVK("example.io", "v1", "Thing")
TRACKER = tracker()
MANAGERS = st.sampled_from(("one", "two", "three"))


def write(manager: str, time: str = "2026-01-01T00:00:00Z", **more: Any) -> Write:
    return Write(TRACKER, manager, time, **more)


def created(obj: Object, manager: str = "creator") -> Object:
    made = deepcopy(obj)
    update.created(write(manager), made)
    made["metadata"]["uid"] = "u"
    return made


def updated(old: Object, obj: Object, manager: str) -> Object:
    made = deepcopy(obj)
    made["metadata"]["uid"] = "u"
    update.updated(write(manager), made, old)
    return made


def configured(obj: Object) -> apply.Config:
    return apply.config_of(TRACKER, KIND, obj)


def applied(live: Object | None, obj: Object, manager: str, force: bool = True) -> Object:
    if live is None:
        made = deepcopy(obj)
        made["metadata"]["managedFields"] = apply.created(write(manager), configured(obj))
    else:
        result = apply.apply(write(manager), live, configured(obj), force)
        made = deepcopy(live if result.obj is None else result.obj)
        made["metadata"]["managedFields"] = result.managed
    made["metadata"]["uid"] = "u"
    return made


def bare(obj: Object) -> Object:
    """What of an object anybody can own."""
    metadata = {key: value for key, value in obj["metadata"].items() if key == "labels" and value}
    rest = {key: obj[key] for key in ("spec", "status") if obj.get(key)}
    return {**rest, **({"metadata": metadata} if metadata else {})}


def owned(obj: Object, manager: str, operation: str = "Apply") -> Any:
    for entry in obj["metadata"].get("managedFields", ()):
        if (entry["manager"], entry["operation"]) == (manager, operation):
            return entry["fieldsV1"]
    return {}


@given(things())
def test_what_an_applied_object_sets_is_what_a_plain_walk_finds(obj: Object) -> None:
    assert set(members(TRACKER.fieldset(obj))) == walk(obj)


@given(things())
def test_a_creator_owns_all_that_a_plain_walk_finds(obj: Object) -> None:
    fields = set(members(owned(created(obj), "creator", "Update")))
    assert fields >= walk(obj)
    assert all(exists(obj, path) for path in fields)


@given(things(), things())
def test_an_update_takes_what_it_changes_and_nothing_it_leaves(old: Object, new: Object) -> None:
    assume(walk(old))  # an object without owners isn't tracked
    live = created(old, "one")
    changed = updated(live, new, "two")
    taken, kept = owned(changed, "two", "Update"), owned(changed, "one", "Update")
    for path in walk(new):
        before = path in walk(old) and _at(old, path) == _at(new, path)
        if before:
            assert path not in set(members(taken))
        elif not _has_below(new, path):
            assert path in set(members(taken))
            assert path not in set(members(kept))
    for found in (taken, kept):
        assert all(exists(new, path) for path in members(found))


def _at(obj: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        kind, _, rest = part.partition(":")
        if kind == "f":
            obj = obj[rest]
        elif kind == "k":
            keys = orjson.loads(rest)
            obj = next(item for item in obj if all(item.get(key, "TCP") == value for key, value in keys.items()))
        else:
            return orjson.loads(rest)
    return obj


def _has_below(obj: Object, path: tuple[str, ...]) -> bool:
    return any(other[: len(path)] == path and other != path for other in walk(obj))


@given(things(), things())
def test_an_apply_makes_everything_as_it_says(live: Object, config: Object) -> None:
    after = applied(created(live), config, "me")
    for path in walk(config):
        assert exists(after, path)
        if not _has_below(config, path):
            found, wanted = _at(after, path), _at(config, path)
            assert found == wanted or (isinstance(found, dict) and path not in walk(after))
    assert set(members(owned(after, "me"))) == walk(config)


@given(things(), things())
def test_to_apply_twice_is_to_apply_once(live: Object, config: Object) -> None:
    once = applied(created(live), config, "me")
    assert apply.apply(write("me"), once, configured(config), False).obj is None
    assert applied(once, config, "me", force=False) == once


@given(things(), things())
def test_what_is_applied_no_more_goes(first: Object, second: Object) -> None:
    after = applied(applied(None, first, "me"), second, "me")
    assert bare(_sorted(after)) == bare(_sorted(second))


def _sorted(value: Any) -> Any:
    """Without the order of lists whose items are told apart by their keys."""
    if isinstance(value, dict):
        made = {key: _sorted(entry) for key, entry in value.items()}
        for key in ("items", "ports", "merged", "tags"):
            if isinstance(made.get(key), list):
                made[key] = sorted(made[key], key=lambda found: orjson.dumps(found, option=orjson.OPT_SORT_KEYS))
        return made
    return [_sorted(entry) for entry in value] if isinstance(value, list) else value


@given(things(), things(), things())
def test_what_another_applied_stays_when_one_stops(first: Object, second: Object, other: Object) -> None:
    live = applied(applied(None, first, "me"), other, "other")
    after = applied(live, second, "me", force=True)
    for path in set(members(owned(after, "other"))):
        assert exists(after, path)


@given(things(), things())
def test_without_force_nobody_loses_anything(live: Object, config: Object) -> None:
    before = created(live, "creator")
    forced = applied(before, config, "me")
    if not contains(owned(forced, "creator", "Update"), owned(before, "creator", "Update")):
        with pytest.raises(StatusError) as refused:
            applied(before, config, "me", force=False)
        assert refused.value.code == 409
        causes = refused.value.status()["details"]["causes"]
        assert {cause["reason"] for cause in causes} == {"FieldManagerConflict"}
        return
    after = applied(before, config, "me", force=False)
    assert after == forced
    assert contains(owned(after, "creator", "Update"), owned(before, "creator", "Update"))


STEPS = st.lists(st.tuples(st.sampled_from(("apply", "update")), MANAGERS, things()), min_size=1, max_size=5)


@given(STEPS)
def test_whatever_happens_the_entries_tell_of_nothing_that_is_not_there(
    steps: list[tuple[str, str, Object]],
) -> None:
    live: Object | None = None
    for verb, manager, obj in steps:
        before = orjson.dumps(live)
        if verb == "apply":
            after = applied(live, obj, manager)
        elif live is None:
            after = created(obj, manager)
        else:
            after = updated(live, obj, manager)
        assert orjson.dumps(live) == before, "what is stored is shared"
        live = after
        for entry in live["metadata"].get("managedFields", ()):
            assert fields_of(entry), "an entry that owns nothing is none"
            assert all(exists(live, path) for path in members(fields_of(entry)))


@given(things(), things())
def test_an_update_is_timed_only_when_it_takes_something(old: Object, new: Object) -> None:
    live = created(old, "one")
    changed = deepcopy(new)
    changed["metadata"]["uid"] = "u"
    update.updated(write("one", "2026-01-02T00:00:00Z"), changed, live)
    times = {entry["time"] for entry in changed["metadata"].get("managedFields", ())}
    took = not walk(new) <= walk(old) or any(
        _at(old, path) != _at(new, path) for path in walk(new) if not _has_below(new, path)
    )
    if took:
        assert times <= {"2026-01-02T00:00:00Z"}
    elif walk(old) and not any(path for path in walk(old) if _is_shrunk_whole(old, new, path)):
        assert times <= {"2026-01-01T00:00:00Z"}


def _is_shrunk_whole(old: Object, new: Object, path: tuple[str, ...]) -> bool:
    return exists(new, path) and not _has_below(old, path) and _at(old, path) != _at(new, path)


JUNK: tuple[Any, ...] = (None, "", 0, -1, 1.5, True, [], {}, [None], [[]], [{}], ["a", "a"], {"": None}, {"a": []})


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a JSON value."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = []
    for key, member in members:
        found += [(value, key), *places(member)]
    return found


@given(things(), things(), st.lists(st.tuples(st.integers(0, 99), st.sampled_from(JUNK)), min_size=1, max_size=3))
def test_junk_is_refused_or_applied_but_breaks_nothing(
    live: Object, config: Object, changes: list[tuple[int, Any]]
) -> None:
    asked = deepcopy(config)
    for number, junk in changes:
        found = places(asked)
        if found:
            container, key = found[number % len(found)]
            container[key] = deepcopy(junk)
    before = created(live)
    wanted = None
    with suppress(StatusError):
        wanted = configured(asked)
    if wanted is None:
        return
    result = apply.apply(write("me"), before, wanted, True)
    again = deepcopy(before if result.obj is None else result.obj)
    again["metadata"]["managedFields"] = result.managed
    assert apply.apply(write("me"), again, wanted, False).managed == result.managed
