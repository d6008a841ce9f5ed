"""Sets of field paths: their algebra against Python's own sets of paths, their text and their order."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubrick_api.fields import sets
from kubrick_api.fields.sets import Path, Set

PARTS = st.sampled_from(("f:a", "f:b", 'k:{"name":"x"}', 'k:{"port":80}', 'k:{"port":443}', 'v:"x"', "v:9", "v:10"))
PATHS = st.sets(st.lists(PARTS, min_size=1, max_size=3).map(tuple), max_size=6)


def of(paths: set[Path]) -> Set:
    return sets.of_paths(*paths)


def paths_of(found: Set) -> set[Path]:
    return set(sets.members(found))


@given(PATHS)
def test_a_set_holds_the_paths_it_was_made_of(paths: set[Path]) -> None:
    found = of(paths)
    assert paths_of(found) == paths
    assert all(sets.has(found, path) for path in paths)
    assert not sets.has(found, ("f:nowhere",))


@given(PATHS, PATHS)
def test_union_intersection_and_difference_are_those_of_sets(a: set[Path], b: set[Path]) -> None:
    assert paths_of(sets.union(of(a), of(b))) == a | b
    assert paths_of(sets.intersection(of(a), of(b))) == a & b
    assert paths_of(sets.difference(of(a), of(b))) == a - b
    assert sets.contains(of(a), of(b)) == (b <= a)


@given(PATHS, PATHS)
def test_results_have_the_one_true_form(a: set[Path], b: set[Path]) -> None:
    assert sets.union(of(a), of(b)) == of(a | b)
    assert sets.intersection(of(a), of(b)) == of(a & b)
    assert sets.difference(of(a), of(b)) == of(a - b)


@given(PATHS, PATHS)
def test_without_leaves_out_what_is_below_a_member_too(a: set[Path], b: set[Path]) -> None:
    below = {path for path in a if any(path[: len(other)] == other for other in b)}
    assert paths_of(sets.without(of(a), of(b))) == a - below


@given(PATHS, PATHS)
def test_the_arguments_stay_as_they_are(a: set[Path], b: set[Path]) -> None:
    one, two = of(a), of(b)
    before = orjson.dumps([one, two])
    for operation in (sets.union, sets.intersection, sets.difference, sets.without, sets.within):
        operation(one, two)
    assert orjson.dumps([one, two]) == before


@given(PATHS)
def test_what_is_encoded_is_decoded_to_the_same_in_the_same_order(paths: set[Path]) -> None:
    text = orjson.dumps(of(paths))
    assert orjson.dumps(sets.canonical(orjson.loads(text))) == text
    shuffled = orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS)
    assert orjson.dumps(sets.canonical(orjson.loads(shuffled))) == text


def test_the_order_is_fields_then_keys_then_values_and_numbers_count_as_numbers() -> None:
    parts = ['v:"b"', "v:10", "v:9", 'k:{"port":443}', 'k:{"port":80}', "f:b", "f:a", ".", "i:2", "v:true"]
    assert list(sets.ordered({part: {} for part in parts})) == [
        *(".", "f:a", "f:b"),
        *('k:{"port":80}', 'k:{"port":443}'),
        *("v:9", "v:10", 'v:"b"', "v:true", "i:2"),
    ]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("f:spec", "f:replicas"), ".spec.replicas"),
        (("f:spec", 'k:{"name":"web"}', "f:image"), '.spec[name="web"].image'),
        (('k:{"protocol":"TCP","containerPort":80}',), '[containerPort=80,protocol="TCP"]'),
        (("f:finalizers", 'v:"a.b/c"'), '.finalizers[="a.b/c"]'),
        (("f:list", "i:3"), ".list[3]"),
        (("f:metadata", "f:annotations", "f:a.b/c"), ".metadata.annotations.a.b/c"),
    ],
)
def test_a_path_reads_as_in_kubernetes_messages(path: Path, text: str) -> None:
    assert sets.text(path) == text


@pytest.mark.parametrize("junk", [[], "x", {"f:a": 1}, {"spec": {}}, {"k:{": {}}, {"i:x": {}}, {"v:": {}}])
def test_what_is_no_set_is_refused(junk: Any) -> None:
    with pytest.raises(ValueError, match=r"set of fields|path element"):
        sets.canonical(junk)


def test_within_keeps_what_is_below_a_pattern() -> None:
    fields = sets.of_paths(
        ("f:spec", "f:containers", 'k:{"name":"a"}', "f:resources", "f:limits"),
        ("f:spec", "f:containers", 'k:{"name":"a"}', "f:image"),
        ("f:spec", "f:nodeName"),
    )
    only = {"f:spec": {"f:containers": {"*": {"f:resources": {}}}}}
    assert paths_of(sets.within(fields, only)) == {
        ("f:spec", "f:containers", 'k:{"name":"a"}', "f:resources", "f:limits")
    }
