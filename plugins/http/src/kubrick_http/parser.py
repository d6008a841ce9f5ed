"""Bytes in, requests out: HTTP/1.1 as a server must read it, without sockets or clocks.

`feed` takes what arrived and returns the requests it completed, in order. Where the peer is not to be
trusted (malformed, too large, smuggling) it stops for good with a `Refusal`: the answer to send before
the connection is closed. Between calls, `state` says what is awaited, so that the caller can time it.

Rules beyond what the parser library checks: HTTP/1.1 needs exactly one Host header (RFC 9112 §3.2); a
head is at most 1 MiB as in Go's server; a body at most `max_body` bytes; the only expectation
known is 100-continue (RFC 9110 §10.1.1). After a request that wants to upgrade the connection nothing more
is parsed until the caller asks for it (`rest`): the bytes may be of another protocol (RFC 9110 §7.8).
"""

import re

import httptools
from attrs import define, field

from kubrick_api.errors import StatusError, bad_request, request_too_large

MAX_HEAD = 1024 * 1024
MAX_HEADERS = 1000
"""So many lines a head may have, lest a small head be much work."""
IDLE, HEAD, BODY, REFUSED = "idle", "head", "body", "refused"
MAX_KNOWN = 16
"""Blocks of header lines remembered by connection: clients send the same ones again and again."""
MAX_KNOWN_SIZE = 4096
PLAIN = re.compile(rb"(GET|POST|PUT|PATCH|DELETE) (/[!\"$-~]*) HTTP/1\.1").fullmatch
"""A request line without anything that takes thought."""
TRICKY = frozenset(("connection", "upgrade", "expect", "transfer-encoding"))
"""Headers that decide how a message goes on."""


@define(eq=False)
class Message:
    """One complete request. Header names are lower case; `headers` keeps the last value of each name
    and `header_lists` all values of those that came more than once."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    keep_alive: bool
    http10: bool = False
    header_lists: dict[str, tuple[str, ...]] = field(factory=dict)
    upgrade: bool = False
    """The peer offers to speak another protocol on this connection."""


class Refusal(Exception):  # a verdict, not a fault
    """What to answer to a peer that is not understood, before closing."""

    def __init__(self, error: StatusError) -> None:
        super().__init__(error.message)
        self.error = error


_names: dict[bytes, str] = {}


def _header_name(raw: bytes) -> str:
    """Lower case, and the same object each time for the names clients really send."""
    name = _names.get(raw)
    if name is None:
        name = raw.decode("latin-1").lower()
        if len(_names) < 256 and len(raw) < 64:
            _names[raw] = name
    return name


class RequestParser:
    """Reads one connection's requests. The methods named on_* are httptools' callbacks."""

    def __init__(self, max_body: int, max_head: int = MAX_HEAD) -> None:
        self.state = IDLE
        self.wants_continue = False
        """The peer waits for "100 Continue" before it sends the body it announced."""
        self.rest = b""
        """What followed a request to upgrade: to be fed again if the connection stays HTTP."""
        self._max_body = max_body
        self._max_head = max_head
        self._parser = httptools.HttpRequestParser(self)
        self._known: dict[bytes, tuple[dict[str, str], int]] = {}
        """Header lines as they were sent, the empty line included, and what they say: headers, length of the body."""
        self._ready: list[Message] = []
        self._head_bytes = 0
        self._refused: Refusal | None = None
        self._reset()

    def _reset(self) -> None:
        self._target = b""
        self._headers: dict[str, str] = {}
        self._lists: dict[str, list[str]] = {}
        self._count = 0
        self._body: list[bytes] = []
        self._body_bytes = 0

    def feed(self, data: bytes) -> tuple[list[Message], Refusal | None]:
        """The requests `data` completes, and after them perhaps why no more will be read."""
        fresh = self.state is IDLE and not self._head_bytes
        if fresh and self._known:
            message = self._recognized(data)
            if message is not None:
                return [message], None
        if self._refused is None:
            if self.state is not BODY:
                self._head_bytes += len(data)
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                self._parser = httptools.HttpRequestParser(self)
                self._ready[-1].upgrade = True
                self.rest = data[upgrade.args[0] :]
            except httptools.HttpParserError as error:
                if self._refused is None:
                    self._refused = Refusal(bad_request(f"malformed HTTP request: {error}"))
            if self._refused is None and self.state is HEAD and self._head_bytes > self._max_head:
                self._refused = Refusal(head_too_large(self._max_head))
            if self._refused is not None:
                self.state = REFUSED
                self.wants_continue = False
        ready, self._ready = self._ready, []
        if ready and not ready[-1].keep_alive:
            self._known.clear()  # nothing may follow
        elif fresh and len(ready) == 1 and self.state is IDLE:
            self._remember(data, ready[0])
        return ready, self._refused

    def _recognized(self, data: bytes) -> Message | None:
        """`data` as a request, if it is exactly one, its header lines are known and nothing is special about it."""
        line_end = data.find(b"\r\n")
        head_end = data.find(b"\r\n\r\n", line_end) + 4
        known = self._known.get(data[line_end + 2 : head_end])
        if known is None:
            return None
        headers, length = known
        line = PLAIN(data, 0, line_end)
        if line is None or len(data) - head_end != length:
            return None
        method, target = line.groups()
        return Message(method.decode("latin-1"), target.decode("latin-1"), headers.copy(), data[head_end:], True)

    def _remember(self, data: bytes, message: Message) -> None:
        """Know the header lines again, if `data` was this message, whole and alone, and they hold no surprise."""
        if message.http10 or message.header_lists or message.upgrade:
            return
        line_end = data.find(b"\r\n")
        head_end = data.find(b"\r\n\r\n", line_end) + 4
        block = data[line_end + 2 : head_end]
        headers = message.headers
        if (
            head_end > 3
            and len(block) <= MAX_KNOWN_SIZE
            and block.count(b"\n") == block.count(b"\r\n")
            and len(data) - head_end == len(message.body) == int(headers.get("content-length", "0"))
            and not TRICKY & headers.keys()
        ):
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[block] = headers.copy(), len(message.body)

    def _refuse(self, error: StatusError) -> None:
        self._refused = Refusal(error)
        raise self._refused

    def on_message_begin(self) -> None:
        self.state = HEAD

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        key = _header_name(name)
        text = value.decode("latin-1")
        if key in self._headers:
            self._count += 1
            if key in self._lists:
                self._lists[key].append(text)
            else:
                self._lists[key] = [self._headers[key], text]
        self._headers[key] = text
        if len(self._headers) + self._count > MAX_HEADERS:
            self._refuse(StatusError(431, "", f"Too many request header fields: limit is {MAX_HEADERS}"))

    def on_headers_complete(self) -> None:
        headers = self._headers
        if self._head_bytes > self._max_head + 65536:
            self._refuse(head_too_large(self._max_head))
        version = self._parser.get_http_version()
        if version not in ("1.1", "1.0"):
            self._refuse(StatusError(505, "", f"HTTP version {version} is not supported"))
        if version == "1.1" and "host" not in headers:
            self._refuse(bad_request("missing required Host header"))
        if "host" in self._lists:
            self._refuse(bad_request("too many Host headers"))
        if int(headers.get("content-length", "0")) > self._max_body:
            self._refuse(request_too_large(self._max_body))
        expect = headers.get("expect")
        if expect is not None:
            if expect.lower() != "100-continue":
                self._refuse(StatusError(417, "", f"unknown expectation: {expect}"))
            self.wants_continue = version == "1.1"
        self.state = BODY
        self._head_bytes = 0

    def on_body(self, body: bytes) -> None:
        self.wants_continue = False
        self._body_bytes += len(body)
        if self._body_bytes > self._max_body:
            self._refuse(request_too_large(self._max_body))
        self._body.append(body)

    def on_message_complete(self) -> None:
        parser = self._parser
        body = self._body
        self._ready.append(
            Message(
                parser.get_method().decode("latin-1"),
                self._target.decode("latin-1"),
                self._headers,
                b"" if not body else body[0] if len(body) == 1 else b"".join(body),
                parser.should_keep_alive(),
                parser.get_http_version() == "1.0",
                {key: tuple(values) for key, values in self._lists.items()} if self._lists else {},
            )
        )
        self.state = IDLE
        self.wants_continue = False
        self._reset()


def head_too_large(limit: int) -> StatusError:
    return StatusError(431, "", f"Request header fields too large: limit is {limit}")
