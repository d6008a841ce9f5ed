"""Responses as bytes: the head, the error answers, and the chunks of a streamed body.

Pure: what time it is comes in as the ready-made Date header.
"""

from http import HTTPStatus

import orjson

from kubrick_api.errors import StatusError
from kubrick_http.response import Response

STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
NO_BODY = frozenset((204, 304))


def head(response: Response, length: int | None, date: str, *, keep_alive: bool, http10: bool = False) -> bytes:
    """Status line and headers. `length` None announces a chunked body (for HTTP/1.0: one that ends with
    the connection). `date` is an HTTP date."""
    status = response.status
    text = STATUS_LINES.get(status) or f"HTTP/1.1 {status} \r\n"
    for name, value in response.headers:
        text += f"{name}: {value}\r\n"
    if status in NO_BODY:
        text += f"Date: {date}\r\n"
    elif length is not None:
        text += f"Content-Type: {response.content_type}\r\nDate: {date}\r\nContent-Length: {length}\r\n"
    elif http10:
        text += f"Content-Type: {response.content_type}\r\nDate: {date}\r\n"
    else:
        text += f"Content-Type: {response.content_type}\r\nDate: {date}\r\nTransfer-Encoding: chunked\r\n"
    if not keep_alive:
        text += "Connection: close\r\n"
    elif http10:
        text += "Connection: keep-alive\r\n"
    return f"{text}\r\n".encode("latin-1", "replace")


def upgrade_head(response: Response, date: str) -> bytes:
    """The head of a 101: from here on the connection speaks what the headers say."""
    text = "".join(f"{name}: {value}\r\n" for name, value in response.headers)
    return f"{STATUS_LINES[101]}{text}Date: {date}\r\n\r\n".encode("latin-1", "replace")


def chunk(piece: bytes) -> bytes:
    """One chunk of a streamed body; `piece` must not be empty."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def status_response(error: StatusError) -> Response:
    """The answer to a request that was refused."""
    return Response(error.code, body=orjson.dumps(error.status()) + b"\n", headers=list(error.headers))


NOT_FOUND = "404 page not found\n"
"""What Go says of a path that nobody serves."""


def text_response(status: int, text: str, *headers: tuple[str, str]) -> Response:
    """A plain text answer, as Go's http.Error gives it."""
    return Response(
        status,
        "text/plain; charset=utf-8",
        text.encode(),
        [("X-Content-Type-Options", "nosniff"), *headers],
    )
