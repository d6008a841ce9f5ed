"""When two values say the same."""

from typing import Any

import pytest

from kubrick_api.equality import differences, identical, same, unified_diff


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({"a": [1, {"b": True}]}, {"a": [1, {"b": True}]}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"a": 1, "b": []}, {"a": 1}),
        ({"a": 1, "b": {"c": ""}}, {"a": 1, "b": None}),
        ([{"a": 1, "b": {}}], [{"a": 1}]),
        (None, ""),
    ],
)
def test_what_is_empty_is_the_same_as_what_is_absent(a: Any, b: Any) -> None:
    assert same(a, b)
    assert same(b, a)
    assert differences(a, b) == []


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({"a": True}, {"a": 1}),
        ({"a": [0]}, {"a": [False]}),
        ({"a": 0}, {}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": "1"}, {"a": 1}),
        ([1], [1, 1]),
    ],
)
def test_what_differs_is_not_the_same(a: Any, b: Any) -> None:
    assert not same(a, b)
    assert not identical(a, b)
    assert differences(a, b)


def test_identical_values_may_differ_in_order_only() -> None:
    assert identical({"a": 1, "b": [True]}, {"b": [True], "a": 1})
    assert not identical({"a": 1, "b": []}, {"a": 1})
    assert not identical({"a": 1, "b": True}, {"b": 1, "a": 1})
    assert not identical(None, "")


def test_differences_name_the_path_and_both_values() -> None:
    before = {"spec": {"containers": [{"image": "a"}], "gone": 1}}
    after = {"spec": {"containers": [{"image": "b"}], "new": [2]}}
    assert differences(before, after) == [
        '-spec.containers[0].image: "a"',
        '+spec.containers[0].image: "b"',
        "-spec.gone: 1",
        "+spec.new: [2]",
    ]


def test_a_unified_diff_shows_the_lines_around_and_leaves_out_what_says_nothing() -> None:
    before = {"a": 1, "b": {"c": [], "d": None}, "e": "x", "list": [{"k": "v"}]}
    assert unified_diff(before, {**before, "e": "y"}) == (
        '@@ -1,6 +1,6 @@\n {\n  "a": 1,\n- "e": "x",\n+ "e": "y",\n  "list": [\n   {\n    "k": "v"\n'
    )
    assert unified_diff(before, before) == ""
