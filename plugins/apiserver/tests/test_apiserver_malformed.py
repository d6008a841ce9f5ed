"""Go's words for malformed JSON."""

import hypothesis
import hypothesis.strategies as st
import orjson
import pytest

from kubrick_apiserver.malformed import syntax_error


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "unexpected end of JSON input"),
        ("{", "unexpected end of JSON input"),
        ('{"a"', "unexpected end of JSON input"),
        ('{"a":1', "unexpected end of JSON input"),
        ('"abc', "unexpected end of JSON input"),
        ("x", "invalid character 'x' looking for beginning of value"),
        ("{,}", "invalid character ',' looking for beginning of object key string"),
        ('{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a":1 "b":2}', "invalid character '\"' after object key:value pair"),
        ("[1 2]", "invalid character '2' after array element"),
        ("[1,]", "invalid character ']' looking for beginning of value"),
        ("{} {}", "invalid character '{' after top-level value"),
        ("tru", "unexpected end of JSON input"),
        ("trux", "invalid character 'x' in literal true (expecting 'e')"),
        ("01", "invalid character '1' after top-level value"),
        ("-x", "invalid character 'x' in numeric literal"),
        ("1.x", "invalid character 'x' after decimal point in numeric literal"),
        ("1ex", "invalid character 'x' in exponent of numeric literal"),
        ('"\n"', "invalid character '\\n' in string literal"),
        ('"\\x"', "invalid character 'x' in string escape code"),
        ('"\\u00g0"', "invalid character 'g' in \\u hexadecimal character escape"),
    ],
)
def test_malformed_json_is_described_as_go_describes_it(text: str, message: str) -> None:
    assert syntax_error(text.encode()) == message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@hypothesis.given(JSON)
def test_well_formed_json_is_not_complained_of(value: object) -> None:
    assert syntax_error(orjson.dumps(value)) == ""


@hypothesis.given(JSON, st.data())
def test_what_orjson_refuses_is_always_explained(value: object, data: st.DataObject) -> None:
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2)
    at = data.draw(st.integers(0, len(text)))
    broken = text[:at] + data.draw(st.sampled_from((b"", b"x", b"}", b"]", b",", b'"', b"1"))) + text[at + 1 :]
    try:
        broken.decode()
        orjson.loads(broken)
    except UnicodeDecodeError:
        return
    except orjson.JSONDecodeError as error:
        # A number beyond a double's range is well-formed: that is for the decoder to refuse.
        explained = syntax_error(broken) or "number is infinity" in str(error)
    else:
        explained = True
    assert explained
