"""Quantities: canonical spellings, arithmetic and errors are Kubernetes'."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubrick_api.quantity import MALFORMED, UNKNOWN_SUFFIX, Quantity, canonical, milli, value

SUFFIXES = ["", "n", "u", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti", "e3", "e-2", "E6"]
texts = st.builds(
    lambda sign, whole, decimals, suffix: f"{sign}{whole}{'.' + decimals if decimals else ''}{suffix}",
    st.sampled_from(["", "-", "+"]),
    st.integers(0, 10**6),
    st.sampled_from(["", "0", "5", "25", "123", "000000001"]),
    st.sampled_from(SUFFIXES),
)


@pytest.mark.parametrize(
    ("given_text", "stored"),
    [
        ("0.5", "500m"),
        ("1000m", "1"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Gi", "512Mi"),
        ("100Ki", "100Ki"),
        ("512", "512"),
        ("1000", "1k"),
        ("1500000", "1500k"),
        ("0", "0"),
        ("0Gi", "0"),
        ("1e3", "1e3"),
        ("100e1", "1e3"),
        ("12e0", "12"),
        ("0.1n", "1n"),
        ("-0.5", "-500m"),
        (".5", "500m"),
        ("5.", "5"),
        ("1Ki", "1Ki"),
        ("0.5Ki", "512"),
        ("1025", "1025"),
        ("100m", "100m"),
        ("10E", "9223372036854775807"),
    ],
)
def test_a_quantity_is_stored_in_its_canonical_form(given_text: str, stored: str) -> None:
    assert canonical(given_text) == stored


@pytest.mark.parametrize("text", ["", "abc", "1 Gi", "1.2.3", "-", "1gi m"])
def test_text_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        canonical(text)
    assert str(caught.value) != ""
    if text in ("", "abc", "1 Gi", "1.2.3"):
        assert str(caught.value) == MALFORMED


def test_an_unknown_suffix_is_named_as_such() -> None:
    with pytest.raises(ValueError, match=UNKNOWN_SUFFIX):
        canonical("1mi")


def test_milli_and_value_round_up() -> None:
    assert milli("100m") == 100
    assert milli("2") == 2000
    assert milli("1u") == 1
    assert value("1Ki") == 1024
    assert value("1500m") == 2


def test_equal_amounts_are_equal_whatever_their_spelling() -> None:
    assert Quantity("0.5") == Quantity("500m")
    assert hash(Quantity("1Gi")) == hash(Quantity("1024Mi"))
    assert Quantity("1Gi") > Quantity("1G")


@given(texts)
def test_the_canonical_form_is_its_own_canonical_form(text: str) -> None:
    once = canonical(text)
    assert canonical(once) == once


@given(texts)
def test_the_canonical_form_says_the_same_amount(text: str) -> None:
    assert Quantity(canonical(text)) == Quantity(text)


@given(texts, texts, texts)
def test_addition_is_exact(one: str, two: str, three: str) -> None:
    a, b, c = Quantity(one), Quantity(two), Quantity(three)
    assert (a + b).exact == a.exact + b.exact
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert (a + b) - b == a


@given(texts)
def test_milli_is_the_exact_amount_rounded_up(text: str) -> None:
    exact = Quantity(text).exact * 1000
    assert milli(text) - exact < 1
    assert Fraction(milli(text)) >= exact
