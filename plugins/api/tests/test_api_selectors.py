"""Label and field selectors, in both forms, with apimachinery's errors."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubrick_api.selectors import FieldSelector, LabelSelector, SelectorError, from_label_selector, from_labels

KEYS = ["app", "tier", "example.com/role"]
VALUES = ["web", "db", "1", "a-b"]


@pytest.mark.parametrize(
    ("text", "labels", "selected"),
    [
        ("", {}, True),
        ("app=web", {"app": "web"}, True),
        ("app==web", {"app": "db"}, False),
        ("app!=web", {}, True),
        ("app!=web", {"app": "web"}, False),
        ("app in (web, db)", {"app": "db"}, True),
        ("app in (web,db)", {}, False),
        ("app notin (web)", {}, True),
        ("app", {"app": ""}, True),
        ("!app", {"app": "x"}, False),
        ("! app", {}, True),
        ("n>5", {"n": "6"}, True),
        ("n<5", {"n": "6"}, False),
        ("n>5", {"n": "x"}, False),
        ("app=", {"app": ""}, True),
        ("app in (,a)", {"app": ""}, True),
        ("app=web,tier in (a),!x", {"app": "web", "tier": "a"}, True),
        ("app=web,tier in (a),!x", {"app": "web", "tier": "a", "x": ""}, False),
    ],
)
def test_a_label_selector_selects(text: str, labels: dict[str, str], selected: bool) -> None:
    assert LabelSelector.parse(text).matches(labels) is selected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("app=web,", "found '', expected: identifier after ','"),
        (",", "found ',', expected: !, identifier, or 'end of string'"),
        ("app in web", "unable to parse requirement: found 'web' expected: '('"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("app=a=b", "found '=', expected: ',' or 'end of string'"),
        (
            "n>x",
            "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, "
            "the value must be an integer",
        ),
    ],
)
def test_a_bad_label_selector_is_refused_in_kubernetes_words(text: str, message: str) -> None:
    with pytest.raises(SelectorError) as caught:
        LabelSelector.parse(text)
    assert str(caught.value) == message
    assert caught.value.status().code == 400


def test_a_bad_label_value_says_which() -> None:
    with pytest.raises(SelectorError, match=r'values\[0\]\[app\]: Invalid value: "-": a valid label must be'):
        LabelSelector.parse("app=-")


requirements = st.one_of(
    st.builds("{}={}".format, st.sampled_from(KEYS), st.sampled_from(VALUES)),
    st.builds("{}!={}".format, st.sampled_from(KEYS), st.sampled_from(VALUES)),
    st.builds("{} in ({},{})".format, st.sampled_from(KEYS), st.sampled_from(VALUES), st.sampled_from(VALUES)),
    st.builds("{} notin ({})".format, st.sampled_from(KEYS), st.sampled_from(VALUES)),
    st.sampled_from([*KEYS, *(f"!{key}" for key in KEYS), "app>3", "tier<7"]),
)


@given(st.lists(requirements, max_size=4), st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES)))
def test_a_selector_written_and_parsed_again_selects_the_same(parts: list[str], labels: dict[str, str]) -> None:
    selector = LabelSelector.parse(",".join(parts))
    again = LabelSelector.parse(str(selector))
    assert str(again) == str(selector)
    assert again.matches(labels) == selector.matches(labels)


def test_the_object_form_means_the_same() -> None:
    selector = from_label_selector(
        {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["x"]}]}
    )
    assert selector.matches({"app": "web"})
    assert not selector.matches({"app": "web", "tier": "x"})


def test_no_selector_selects_nothing_and_an_empty_one_everything() -> None:
    assert not from_label_selector(None).matches({})
    assert from_label_selector({}).matches({"any": "thing"})
    assert from_labels({"a": "b"}).matches({"a": "b", "c": "d"})


def test_an_unknown_operator_of_the_object_form_is_named() -> None:
    with pytest.raises(SelectorError, match='"Is" is not a valid label selector operator'):
        from_label_selector({"matchExpressions": [{"key": "a", "operator": "Is"}]})


@pytest.mark.parametrize(
    ("text", "fields", "selected"),
    [
        ("", {}, True),
        ("status.phase=Running", {"status.phase": "Running"}, True),
        ("status.phase!=Running,spec.nodeName=n", {"status.phase": "Failed", "spec.nodeName": "n"}, True),
        ("spec.nodeName=", {"spec.nodeName": ""}, True),
        ("a==b", {"a": "b"}, True),
        (r"a=b\,c", {"a": "b,c"}, True),
    ],
)
def test_a_field_selector_selects(text: str, fields: dict[str, Any], selected: bool) -> None:
    selector = FieldSelector.parse(text)
    assert selector.matches(fields) is selected
    assert FieldSelector.parse(str(selector)).matches(fields) is selected


def test_a_bad_field_selector_is_refused() -> None:
    with pytest.raises(SelectorError, match="invalid selector: 'foo'; can't understand 'foo'"):
        FieldSelector.parse("foo")
    with pytest.raises(SelectorError, match=r"field label not supported: spec\.foo"):
        FieldSelector.parse("spec.foo=1").check(lambda name: name == "metadata.name")


def test_an_exact_field_is_found_for_index_look_ups() -> None:
    assert FieldSelector.parse("spec.nodeName=n1,a!=b").exact("spec.nodeName") == "n1"
    assert FieldSelector.parse("spec.nodeName!=n1").exact("spec.nodeName") is None
