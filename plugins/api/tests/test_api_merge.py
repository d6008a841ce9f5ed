"""Patches: strategic merge with each directive, JSON merge, JSON Patch."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubrick_api.catalog import Catalog
from kubrick_api.errors import StatusError
from kubrick_api.jsonpatch import json_patch
from kubrick_api.merge import (
    MERGE_PATCH,
    STRATEGIC_PATCH,
    apply_patch,
    borrow,
    json_merge,
    strategic_merge,
    unpatchable,
)
from kubrick_api.schema import Type

SCHEMAS = Catalog().schemas
SCHEMAS.add("test", "v1", {
    "io.test.v1.Thing": {"fields": {
        "metadata": {"ref": "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"},
        "spec": {"ref": "io.test.v1.ThingSpec"},
    }},
    "io.test.v1.ThingSpec": {"fields": {
        "containers": {"list": {"ref": "io.test.v1.Container"}, "patch-strategy": "merge", "patch-merge-key": "name"},
        "tags": {"list": {"type": "string"}, "patch-strategy": "merge"},
        "args": {"list": {"type": "string"}},
        "strategy": {"ref": "io.test.v1.Strategy", "patch-strategy": "retainKeys"},
        "replicas": {"type": "integer"},
    }},
    "io.test.v1.Strategy": {"fields": {"type": {"type": "string"}, "rolling": {"map": {"type": "integer"}}}},
    "io.test.v1.Container": {"fields": {
        "name": {"type": "string"}, "image": {"type": "string"},
        "env": {"list": {"ref": "io.test.v1.Env"}, "patch-strategy": "merge", "patch-merge-key": "name"},
    }},
    "io.test.v1.Env": {"fields": {"name": {"type": "string"}, "value": {"type": "string"}}},
})  # fmt: skip
THING: Type = SCHEMAS["io.test.v1.Thing"]


def thing(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "a", "labels": {"x": "1"}}, "spec": spec}


def merged(original: dict[str, Any], patch: dict[str, Any]) -> Any:
    return strategic_merge(THING, original, {"spec": patch})["spec"]


keys = st.text("abc", min_size=1, max_size=2)
json_values = st.recursive(
    st.sampled_from([None, True, 0, 1, "", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=10,
)
json_objects = st.dictionaries(keys, json_values, max_size=4)


@given(json_objects)
def test_an_empty_patch_changes_nothing(obj: dict[str, Any]) -> None:
    assert strategic_merge(None, obj, {}) == obj
    assert json_merge(obj, {}) == obj
    assert json_patch(obj, []) == obj


@given(json_objects, json_objects)
def test_a_json_merge_patch_applied_twice_is_applied_once(obj: dict[str, Any], patch: dict[str, Any]) -> None:
    once = json_merge(obj, patch)
    assert json_merge(once, patch) == once


@given(json_objects, json_objects)
def test_without_a_schema_a_strategic_merge_without_lists_of_nulls_is_a_json_merge(
    obj: dict[str, Any], patch: dict[str, Any]
) -> None:
    if "[" not in repr(patch):
        assert strategic_merge(None, obj, patch) == json_merge(obj, patch)


@given(json_objects, json_objects)
def test_merging_leaves_the_original_and_the_patch_alone(obj: dict[str, Any], patch: dict[str, Any]) -> None:
    before = repr(obj), repr(patch)
    strategic_merge(None, obj, patch)
    json_merge(obj, patch)
    assert (repr(obj), repr(patch)) == before


@given(json_objects, json_objects, json_objects, st.sampled_from([STRATEGIC_PATCH, MERGE_PATCH]))
def test_borrowing_makes_the_same_and_copies_only_what_is_patched(
    obj: dict[str, Any], metadata: dict[str, Any], patch: dict[str, Any], media: str
) -> None:
    obj = {**obj, "metadata": {**metadata, "managedFields": [{"manager": "m"}]}}
    before = repr(obj), repr(patch)
    made = borrow(None, obj, patch, media)
    assert repr(made) == repr(apply_patch(None, obj, patch, media))
    assert made["metadata"] is not obj["metadata"]
    for key, value in obj.items():
        assert key in patch or key == "metadata" or made[key] is value
    _scribble({key: value for key, value in made.items() if key in patch or key == "metadata"})
    assert (repr(obj), repr(patch)) == before


def _scribble(value: Any) -> None:
    """Change everything in place, but for the entries of managedFields."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key != "managedFields":
                _scribble(inner)
        value["scribbled"] = True
    elif isinstance(value, list):
        for inner in value:
            _scribble(inner)
        value.append("scribbled")


def test_lists_with_a_merge_key_are_merged_by_it() -> None:
    old = thing(containers=[{"name": "a", "image": "1"}, {"name": "b", "image": "1"}])
    assert merged(old, {"containers": [{"name": "b", "image": "2"}, {"name": "c", "image": "3"}]})["containers"] == [
        {"name": "a", "image": "1"},
        {"name": "b", "image": "2"},
        {"name": "c", "image": "3"},
    ]


def test_lists_without_a_strategy_are_replaced() -> None:
    assert merged(thing(args=["a"]), {"args": ["b"]}) == {"args": ["b"]}


def test_scalar_lists_with_strategy_merge_are_united() -> None:
    assert merged(thing(tags=["a", "b"]), {"tags": ["b", "c"]})["tags"] == ["a", "b", "c"]


def test_null_removes_a_field_and_labels_merge() -> None:
    out = strategic_merge(THING, thing(replicas=1), {"metadata": {"labels": {"x": None, "y": "2"}}})
    assert out["metadata"] == {"name": "a", "labels": {"y": "2"}}


def test_patch_delete_in_a_list_removes_the_item_with_that_key() -> None:
    old = thing(containers=[{"name": "a"}, {"name": "b"}])
    assert merged(old, {"containers": [{"$patch": "delete", "name": "a"}]})["containers"] == [{"name": "b"}]


def test_patch_replace_in_a_list_replaces_the_whole_list() -> None:
    old = thing(containers=[{"name": "a"}, {"name": "b"}])
    new = {"containers": [{"$patch": "replace"}, {"name": "c"}]}
    assert merged(old, new)["containers"] == [{"name": "c"}]


def test_patch_replace_and_delete_in_a_map() -> None:
    old = thing(strategy={"type": "x", "rolling": {"a": 1}})
    assert merged(old, {"strategy": {"$patch": "replace", "type": "y"}})["strategy"] == {"type": "y"}
    assert merged(old, {"strategy": {"$patch": "delete"}})["strategy"] == {}


def test_an_unknown_directive_is_an_error_of_the_server_as_in_kubernetes() -> None:
    with pytest.raises(StatusError) as caught:
        merged(thing(strategy={}), {"strategy": {"$patch": "explode"}})
    assert caught.value.message.startswith("unknown patch type: explode in map:")


def test_retain_keys_drops_every_other_key() -> None:
    old = thing(strategy={"type": "Rolling", "rolling": {"a": 1}})
    assert merged(old, {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}})["strategy"] == {"type": "Recreate"}


def test_retain_keys_must_be_a_list() -> None:
    with pytest.raises(StatusError) as caught:
        merged(thing(strategy={"type": "x"}), {"strategy": {"$retainKeys": "type"}})
    assert (caught.value.code, caught.value.message) == (400, "invalid patch format of retainKeys")


def test_delete_from_primitive_list_drops_those_values() -> None:
    assert merged(thing(tags=["a", "b", "c"]), {"$deleteFromPrimitiveList/tags": ["b"]})["tags"] == ["a", "c"]


def test_set_element_order_orders_and_keeps_what_only_the_server_knows_in_place() -> None:
    old = thing(containers=[{"name": "a"}, {"name": "side"}, {"name": "b"}])
    new = {
        "$setElementOrder/containers": [{"name": "b"}, {"name": "c"}, {"name": "a"}],
        "containers": [{"name": "c"}],
    }
    names = [c["name"] for c in merged(old, new)["containers"]]
    assert names == ["side", "b", "c", "a"]


def test_set_element_order_alone_reorders() -> None:
    old = thing(tags=["a", "b", "c"])
    assert merged(old, {"$setElementOrder/tags": ["c", "b", "a"]})["tags"] == ["c", "b", "a"]


def test_set_element_order_works_with_a_deletion_from_the_same_list() -> None:
    old = thing(tags=["a", "b", "c"])
    new = {"$setElementOrder/tags": ["c", "a"], "$deleteFromPrimitiveList/tags": ["b"]}
    assert merged(old, new)["tags"] == ["c", "a"]


def test_an_item_without_its_merge_key_is_refused() -> None:
    with pytest.raises(StatusError, match="does not contain declared merge key: name"):
        merged(thing(containers=[{"name": "a"}]), {"containers": [{"image": "x"}]})


def test_nested_lists_merge_too() -> None:
    old = thing(containers=[{"name": "a", "env": [{"name": "X", "value": "1"}]}])
    new = {"containers": [{"name": "a", "env": [{"name": "X", "value": "2"}, {"name": "Y", "value": "3"}]}]}
    assert merged(old, new)["containers"][0]["env"] == [{"name": "X", "value": "2"}, {"name": "Y", "value": "3"}]


def test_what_only_the_patch_has_comes_first_without_an_order() -> None:
    old = thing(containers=[{"name": "old"}])
    assert [c["name"] for c in merged(old, {"containers": [{"name": "new"}]})["containers"]] == ["new", "old"]


def test_directives_in_what_is_new_do_not_get_stored() -> None:
    new = {"containers": [{"name": "a", "$retainKeys": ["name"], "image": None}, {"$patch": "delete", "name": "z"}]}
    assert merged(thing(), new)["containers"] == [{"name": "a"}]


@pytest.mark.parametrize(
    ("operations", "result"),
    [
        ([{"op": "add", "path": "/l/-", "value": 3}], {"l": [1, 2, 3], "m": {"a/b": 1}}),
        ([{"op": "add", "path": "/l/0", "value": 0}], {"l": [0, 1, 2], "m": {"a/b": 1}}),
        ([{"op": "remove", "path": "/l/0"}], {"l": [2], "m": {"a/b": 1}}),
        ([{"op": "replace", "path": "/m/a~1b", "value": 2}], {"l": [1, 2], "m": {"a/b": 2}}),
        ([{"op": "move", "from": "/l", "path": "/k"}], {"k": [1, 2], "m": {"a/b": 1}}),
        ([{"op": "copy", "from": "/l", "path": "/m/l"}], {"l": [1, 2], "m": {"a/b": 1, "l": [1, 2]}}),
        ([{"op": "test", "path": "/l", "value": [1, 2]}], {"l": [1, 2], "m": {"a/b": 1}}),
        ([{"op": "test", "path": "/absent", "value": None}], {"l": [1, 2], "m": {"a/b": 1}}),
    ],
)
def test_json_patch_operations(operations: list[Any], result: dict[str, Any]) -> None:
    assert json_patch({"l": [1, 2], "m": {"a/b": 1}}, operations) == result


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/a", "value": 2},
        {"op": "test", "path": "/a", "value": True},
        {"op": "remove", "path": "/nope"},
        {"op": "replace", "path": "/nope", "value": 1},
        {"op": "add", "path": "/nope/x", "value": 1},
        {"op": "add", "path": "/l/7", "value": 1},
        {"op": "explode", "path": "/a"},
        {"op": "add", "path": "/a"},
        {"op": "move", "path": "/a"},
    ],
)
def test_a_json_patch_that_does_not_apply_is_unprocessable(operation: dict[str, Any]) -> None:
    with pytest.raises(StatusError) as caught:
        json_patch({"a": 1, "l": []}, [operation])
    assert (caught.value.code, caught.value.reason) == (422, "Invalid")
    assert caught.value.message == "the server rejected our request due to an error in our request"


def test_apply_patch_goes_by_media_type() -> None:
    assert apply_patch(None, {"a": 1}, {"a": None}, "application/merge-patch+json") == {}
    assert apply_patch(None, {"a": 1}, [{"op": "remove", "path": "/a"}], "application/json-patch+json") == {}
    with pytest.raises(StatusError) as caught:
        apply_patch(None, {}, {}, "text/plain")
    assert caught.value.code == 415


def test_what_a_patch_makes_undecodable_is_reported_on_the_patch() -> None:
    error = unpatchable("{}", "json: cannot unmarshal")
    assert error.message == ' "" is invalid: patch: Invalid value: "{}": json: cannot unmarshal'


def test_object_metadata_merges_finalizers_and_owners() -> None:
    kind = SCHEMAS["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"]
    old = {"finalizers": ["a/x", "b/y"], "ownerReferences": [{"uid": "1", "name": "n"}]}
    out = strategic_merge(kind, old, {"finalizers": ["c/z"], "ownerReferences": [{"uid": "2", "name": "m"}]})
    assert out["finalizers"] == ["c/z", "a/x", "b/y"]
    assert [reference["uid"] for reference in out["ownerReferences"]] == ["2", "1"]


@pytest.mark.parametrize(
    ("patch", "code", "message"),
    [
        ({"$patch": "what", "a": 1}, 500, "unknown patch type: what in map: map[$patch:what a:1]"),
        ({"$patch": 1}, 500, "unknown patch type: %!s(int64=1) in map: map[$patch:1]"),
        ({"$patch": [None, "a"]}, 500, "unknown patch type: [%!s(<nil>) a] in map: map[$patch:[<nil> a]]"),
        (
            {"spec": {"containers": [{"$patch": None, "name": "a"}]}},
            500,
            "unknown patch type: %!s(<nil>) in map: map[$patch:<nil> name:a]",
        ),
        (
            {"spec": {"containers": [{"$patch": "replace"}, {"image": "x"}]}},
            500,
            "map: map[image:x] does not contain declared merge key: name",
        ),
        (
            {"spec": {"$setElementOrder/containers": [{"name": "a"}], "containers": ["a"]}},
            500,
            "expected a map[string]interface {}, but received a string",
        ),
        (
            {"spec": {"$setElementOrder/containers": ["a"]}},
            500,
            "value for key 0 is not a map",
        ),
        ({"metadata": {"finalizers": [1]}}, 500, "list element types are not identical: [[x] [1]]"),
        ({"metadata": {"finalizers": [["x"]]}}, 500, "list element types are not identical: [[x] [[x]]]"),
        (
            {"spec": {"containers": [{"image": "x"}]}},
            500,
            "map: map[image:x] does not contain declared merge key: name",
        ),
        (
            {"spec": {"containers": [{"$patch": "delete"}]}},
            500,
            "map: map[$patch:delete] does not contain declared merge key: name",
        ),
        (
            {"spec": {"containers": [{"$patch": "merge", "name": "a"}]}},
            500,
            "merging lists cannot yet be specified in the patch",
        ),
        (
            {"spec": {"containers": [1]}},
            500,
            "list element types are not identical: [[map[image:i name:a]] [1]]",
        ),
        ({"spec": {"$retainKeys": "containers"}}, 400, "invalid patch format of retainKeys"),
        ({"spec": {"$setElementOrder/containers": {}}}, 500, "expected a []interface {}, but received a "
         "map[string]interface {}"),
        ({"spec": {"$setElementOrdercontainers": []}}, 400, "invalid patch format of setElementOrder list"),
        ({"metadata": {"$deleteFromPrimitiveListfinalizers": []}}, 400, "invalid patch format of primitive list"),
        (
            {"spec": {"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "b"}]}},
            500,
            "The order in patch list:\n[map[name:b]]\n doesn't match $setElementOrder list:\n[map[name:a]]\n",
        ),
    ],
)  # fmt: skip
def test_a_strategic_patch_is_refused_in_gos_words(patch: dict[str, Any], code: int, message: str):
    pod = {"metadata": {"name": "p", "finalizers": ["x"]}, "spec": {"containers": [{"name": "a", "image": "i"}]}}
    with pytest.raises(StatusError) as refused:
        strategic_merge(THING, pod, patch)
    assert (refused.value.code, refused.value.message) == (code, message)


def test_what_retain_keys_leaves_out_may_not_be_patched_but_other_directives_may():
    old = thing(strategy={"type": "Rolling", "rolling": {"x": 1}})
    kept = {"$retainKeys": ["type"], "type": "Recreate"}
    assert strategic_merge(THING, old, {"spec": {"strategy": kept}})["spec"]["strategy"] == {"type": "Recreate"}
    with pytest.raises(StatusError) as refused:
        strategic_merge(THING, old, {"spec": {"strategy": {**kept, "rolling": {"y": 1}}}})
    assert (refused.value.code, refused.value.message) == (400, "invalid patch format of retainKeys")
    labelled = {"metadata": {"finalizers": ["a", "b"], "name": "p"}}
    patch = {"$retainKeys": ["finalizers"], "$deleteFromPrimitiveList/finalizers": ["a"]}
    assert strategic_merge(THING, labelled, {"metadata": patch})["metadata"] == {"finalizers": ["b"]}


def test_values_that_nothing_stored_can_be_merged_with_lose_what_a_directive_is_about():
    old = thing(strategy="all")
    assert "strategy" not in strategic_merge(THING, old, {"spec": {"strategy": {"$patch": "replace", "a": 1}}})["spec"]
    patch = {"new": {"$patch": "delete"}, "list": [{"$patch": "replace", "a": 1}, {"b": 1}]}
    assert strategic_merge(THING, old, {"spec": patch})["spec"] == {"strategy": "all", "list": [{"b": 1}]}


def test_a_list_of_deletions_is_about_any_list_and_nothing_else():
    old = {"metadata": {"finalizers": "x"}, "spec": {"words": ["a", "b"]}}
    patch = {
        "metadata": {"$deleteFromPrimitiveList/finalizers": ["x"], "$deleteFromPrimitiveList/absent": ["x"]},
        "spec": {"$deleteFromPrimitiveList/words": ["a"]},
    }
    assert strategic_merge(THING, old, patch) == {"metadata": {"finalizers": "x"}, "spec": {"words": ["b"]}}


def test_an_order_of_nothing_leaves_the_patch_alone():
    old = thing(containers=[{"name": "a"}])
    patch = {"$setElementOrder/containers": [], "containers": [{"name": "b"}]}
    merged_names = [item["name"] for item in strategic_merge(THING, old, {"spec": patch})["spec"]["containers"]]
    assert sorted(merged_names) == ["a", "b"]


def test_minus_one_adds_at_the_end_and_names_the_last_item():
    assert json_patch({"a": [1, 2]}, [{"op": "add", "path": "/a/-1", "value": 3}]) == {"a": [1, 2, 3]}
    assert json_patch({"a": [1, 2]}, [{"op": "remove", "path": "/a/-1"}]) == {"a": [1]}


@pytest.mark.parametrize("index", ["1_0", " 1", "٣", "9" * 30, "-3", "3", ""])
def test_what_is_no_index_is_rejected(index: str):
    with pytest.raises(StatusError) as refused:
        json_patch({"a": [1, 2]}, [{"op": "replace", "path": f"/a/{index}", "value": 3}])
    assert refused.value.code == 422


def test_copies_that_double_what_is_there_come_to_an_end():
    grow = [{"op": "copy", "from": "/a", "path": f"/a/x{n}"} for n in range(200)]
    with pytest.raises(StatusError) as refused:
        json_patch({"a": {"b": "c" * 100}}, grow)
    assert refused.value.code == 422
