"""Stored bytes: the revision's place is known beforehand, and nothing is lost."""

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from kubrick_api.codec import copy, decode, encode, glance, restamp, revision_of, stamp_offset
from kubrick_api.names import GVK, GVR
from kubrick_api.resource import Resource
from kubrick_kernel.store import Item

PODS = Resource(GVR("", "v1", "pods"), GVK("", "v1", "Pod"), True, ("get",), "pod", "io.k8s.api.core.v1.Pod")
keys = st.text("abc", min_size=1, max_size=3)
values = st.recursive(
    st.sampled_from([None, True, 1, 1.5, "", "x", '"resourceVersion":"']),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)
objects = st.builds(
    lambda rest, metadata: {**rest, "metadata": metadata, "apiVersion": "v1", "kind": "Pod"},
    st.dictionaries(keys, values, max_size=4),
    st.dictionaries(keys, values, max_size=4),
)


def stamped(value: bytes, offset: int, revision: int) -> bytes:
    return value[:offset] + str(revision).encode() + value[offset:]


@given(objects, st.integers(1, 10**12))
def test_what_was_encoded_is_decoded_with_its_revision(obj: dict[str, Any], revision: int) -> None:
    value, offset = encode(obj, PODS)
    found = decode(Item(b"k", stamped(value, offset, revision), revision, revision))
    assert found["metadata"].pop("resourceVersion") == str(revision)
    assert found == obj


@given(objects)
def test_the_offset_depends_on_the_kind_only(obj: dict[str, Any]) -> None:
    value, offset = encode(obj, PODS)
    assert offset == stamp_offset(GVK("", "v1", "Pod"))
    assert value[:offset].endswith(b'"metadata":{"resourceVersion":"')
    assert list(orjson.loads(value))[:3] == ["kind", "apiVersion", "metadata"]


@given(objects, st.integers(1, 10**6), st.integers(1, 10**9))
def test_restamping_changes_the_revision_only(obj: dict[str, Any], old: int, new: int) -> None:
    value, offset = encode(obj, PODS)
    again = restamp(stamped(value, offset, old), new)
    assert again == stamped(value, offset, new)
    assert revision_of(again) == new


def test_the_objects_own_revision_is_not_stored() -> None:
    obj = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a", "resourceVersion": "7"}}
    value, offset = encode(obj, PODS)
    assert b"7" not in value
    assert obj["metadata"] == {"name": "a", "resourceVersion": "7"}
    assert revision_of(value) == 0
    assert orjson.loads(stamped(value, offset, 12))["metadata"] == {"resourceVersion": "12", "name": "a"}


def test_an_object_is_decoded_once() -> None:
    value, offset = encode({"kind": "Pod", "apiVersion": "v1", "metadata": {}}, PODS)
    item = Item(b"k", stamped(value, offset, 1), 1, 1)
    assert decode(item) is decode(item)


@given(values)
def test_a_copy_is_equal_and_shares_no_container(value: Any) -> None:
    other = copy(value)
    assert other == value
    if isinstance(value, (dict, list)):
        assert other is not value


def test_a_glance_keeps_nothing_and_sees_what_was_kept() -> None:
    value, offset = encode({"metadata": {"name": "a"}}, PODS)
    item = Item(b"k", stamped(value, offset, 7), 7, 7)
    assert glance(item) == orjson.loads(item.value)
    assert item.memo is None
    assert glance(item) is not glance(item)
    assert decode(item) is glance(item)


class Text(str):
    pass


def test_what_is_no_json_is_copied_all_the_same() -> None:
    value = {1: ["a", {"b": Text("c")}], "set": {1}}
    made = copy(value)
    assert made == value
    assert made[1] is not value[1]
    assert made[1][1] is not value[1][1]  # type: ignore[index]
