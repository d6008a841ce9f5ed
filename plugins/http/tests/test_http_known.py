"""Header lines that were sent before are known again, and what is read is the same as if they weren't."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kubrick_http.parser import IDLE, MAX_KNOWN, Message, RequestParser

HOST = b"Host: x\r\n"
SHORT, LONG = HOST + b"\r\n", HOST + b"Content-Length: 3\r\nA: b\r\n\r\n"


def read(parser: RequestParser, data: bytes) -> tuple[list[tuple[Any, ...]], str, str, bytes]:
    """All there is to see of feeding `data`."""
    ready, refusal = parser.feed(data)
    return [contents(each) for each in ready], str(refusal or ""), parser.state, parser.rest


def contents(message: Message) -> tuple[Any, ...]:
    return (
        message.method,
        message.target,
        message.headers,
        message.body,
        message.keep_alive,
        message.http10,
        message.header_lists,
        message.upgrade,
    )


def forgetful(parser: RequestParser, data: bytes) -> tuple[list[tuple[Any, ...]], str, str, bytes]:
    parser._known.clear()
    return read(parser, data)


lines = st.one_of(
    st.sampled_from([b"GET /a HTTP/1.1", b"POST /b?c=d%20e HTTP/1.1", b"DELETE /x HTTP/1.1", b"GET /a#b HTTP/1.1"]),
    st.sampled_from(
        [b"get / HTTP/1.1", b"HEAD / HTTP/1.1", b"OPTIONS * HTTP/1.1", b"GET  / HTTP/1.1", b"GET / HTTP/1.0"]
    ),
    st.sampled_from(
        [b"CONNECT a:1 HTTP/1.1", b"PRI * HTTP/2.0", b"GET http://x/ HTTP/1.1", b"", b"\r\nGET / HTTP/1.1"]
    ),
    st.builds(b"%b %b HTTP/1.%d".__mod__, st.tuples(st.binary(max_size=5), st.binary(max_size=8), st.integers(0, 2))),
    st.builds(b"GET /%b HTTP/1.1".__mod__, st.binary(max_size=8)),
    st.binary(max_size=30),
)
blocks = st.one_of(
    st.sampled_from([SHORT, LONG, HOST + b"Content-Length: 3\r\n\r\n", HOST + b"Transfer-Encoding: chunked\r\n\r\n"]),
    st.sampled_from([HOST + b"Connection: close\r\n\r\n", HOST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"]),
    st.sampled_from([HOST + HOST + b"\r\n", HOST + b"A: 1\r\nA: 2\r\n\r\n", HOST + b"A: 1\n\r\n", b"\r\n", HOST]),
    st.sampled_from([HOST + b"Connection: Upgrade\r\nUpgrade: w\r\n\r\n", HOST + b"A: b\r\n c\r\n\r\n"]),
    st.builds((HOST + b"X: %b\r\n\r\n").__mod__, st.binary(max_size=6)),
)
bodies = st.sampled_from([b"", b"abc", b"ab", b"abcd", b"3\r\nabc\r\n0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"])
pieces = st.builds(lambda line, block, body: line + b"\r\n" + block + body, lines, blocks, bodies)


@given(st.lists(pieces, min_size=1, max_size=6))
@example([b"GET / HTTP/1.1\r\n" + SHORT, b"GET / HTTP/1.0\r\n" + SHORT])
@example([b"POST / HTTP/1.1\r\n" + LONG + b"abc", b"POST / HTTP/1.1\r\n" + LONG + b"ab", b"c"])
@example([b"POST / HTTP/1.1\r\n" + LONG + b"abc", b"POST / HTTP/1.1\r\n" + LONG + b"abcGET /"])
@example([b"GET / HTTP/1.1\r\n" + SHORT, b"\r\n", b"GET / HTTP/1.1\r\n" + SHORT])
@example([b"GET / HTTP/1.1\r\n" + SHORT, b"GET /", b" HTTP/1.1\r\n" + SHORT])
def test_a_parser_with_a_memory_reads_the_same(sent: list[bytes]) -> None:
    mindful, plain = RequestParser(1000), RequestParser(1000)
    for data in (*sent, *sent):
        seen = read(mindful, data)
        assert seen == forgetful(plain, data)
        mindful.rest = plain.rest = b""
        if seen[1]:
            break


@pytest.mark.parametrize(("block", "body"), [(SHORT, b""), (LONG, b"abc")])
def test_lines_that_were_sent_before_need_no_parser(block: bytes, body: bytes) -> None:
    parser = RequestParser(1000)
    (first,), _ = parser.feed(b"PUT /a HTTP/1.1\r\n" + block + body)
    parser._parser = None  # type: ignore[assignment]  # it would be missed
    (second,), refusal = parser.feed(b"PATCH /b?c HTTP/1.1\r\n" + block + body)
    assert refusal is None
    assert (second.method, second.target, second.body) == ("PATCH", "/b?c", body)
    assert second.headers == first.headers
    second.headers["authorization"] = "x"
    (third,), _ = parser.feed(b"PUT /a HTTP/1.1\r\n" + block + body)
    assert third.headers == first.headers
    assert parser.state is IDLE


def test_what_is_remembered_has_a_bound() -> None:
    parser = RequestParser(1000)
    for number in range(5 * MAX_KNOWN):
        parser.feed(b"GET / HTTP/1.1\r\n" + HOST + b"X: %d\r\n\r\n" % number)
        assert 1 <= len(parser._known) <= MAX_KNOWN
    parser.feed(b"GET / HTTP/1.1\r\n" + HOST + b"X: %b\r\n\r\n" % (b"x" * 5000))
    assert all(len(block) < 5000 for block in parser._known)
