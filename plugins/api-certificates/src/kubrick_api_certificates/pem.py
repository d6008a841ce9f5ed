"""PEM as Go's encoding/pem reads it, which is how Kubernetes does: what isn't a block is skipped."""

import base64
import re

from attrs import frozen

_GROUPS = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
BEGIN, END, DASHES = b"-----BEGIN ", b"-----END ", b"-----"


@frozen
class Block:
    type: str
    headers: dict[str, str]
    data: bytes


def decode(text: bytes) -> tuple[Block, bytes] | None:
    """The first block and what follows it; None if there is none."""
    rest = text
    while True:
        at = 0 if rest.startswith(BEGIN) else rest.find(b"\n" + BEGIN) + 1
        if not rest.startswith(BEGIN, at):
            return None
        kind, rest = _line(rest[at + len(BEGIN) :])
        if not kind.endswith(DASHES):
            continue
        kind = kind.removesuffix(DASHES)
        headers, body = _headers(rest)
        if not body:
            return None
        rest = body
        end = 0 if not headers and body.startswith(END) else body.find(b"\n" + END) + 1
        if not body.startswith(END, end):
            continue
        closing, after = _line(body[end + len(END) :])
        data = _base64(body[:end])
        if closing == kind + DASHES and data is not None:
            return Block(kind.decode("latin-1"), headers, data), after


def _line(text: bytes) -> tuple[bytes, bytes]:
    """A line without what ends it, and the rest."""
    line, newline, rest = text.partition(b"\n")
    return (line.removesuffix(b"\r") if newline else line).rstrip(b" \t"), rest


def _headers(text: bytes) -> tuple[dict[str, str], bytes]:
    found: dict[str, str] = {}
    while text:
        line, rest = _line(text)
        key, colon, value = line.partition(b":")
        if not colon:
            break
        found[key.strip().decode("latin-1")] = value.strip().decode("latin-1")
        text = rest
    return found, text


def _base64(text: bytes) -> bytes | None:
    """Whole groups, with as much padding as they need: Python alone lets more pass."""
    compact = re.sub(rb"[ \t\r\n]", b"", text)
    return base64.b64decode(compact) if _GROUPS.fullmatch(compact) else None
