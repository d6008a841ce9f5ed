"""The channels of an exec or attach session, and how a WebSocket carries them. Pure.

A message begins with its channel's number: as a byte, or, in the base64 protocols, as a digit before the
encoded rest. From v4 on the error channel holds a Status in JSON, before it plain text. v5 adds a message
that closes one channel, which is how the end of stdin gets across (KEP-4006).
"""

from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Sequence

import orjson
from attrs import frozen

STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
CLOSE = 255
MAX_TEXT = 1024 * 1024
"""The longest base64 message: it can't be decoded before it is whole."""

Piece = tuple[int, bytes]
"""A channel and what came on it. b"" on STDIN is its end."""


@frozen
class Protocol:
    """What a subprotocol's name means."""

    name: str
    version: int
    text: bool = False


WEBSOCKET = {
    protocol.name: protocol
    for protocol in (
        Protocol("v5.channel.k8s.io", 5),
        Protocol("v4.channel.k8s.io", 4),
        Protocol("v4.base64.channel.k8s.io", 4, text=True),
        Protocol("channel.k8s.io", 1),
        Protocol("base64.channel.k8s.io", 1, text=True),
        Protocol("", 1),
    )
}
SPDY = {
    protocol.name: protocol
    for protocol in (
        Protocol("v5.channel.k8s.io", 5),
        Protocol("v4.channel.k8s.io", 4),
        Protocol("v3.channel.k8s.io", 3),
        Protocol("v2.channel.k8s.io", 2),
        Protocol("channel.k8s.io", 1),
        Protocol("", 1),
    )
}


def choose(offered: Sequence[str], known: dict[str, Protocol]) -> Protocol | None:
    """The first of the client's protocols that is known; the nameless one when it names none."""
    return next((known[name] for name in offered or ("",) if name in known), None)


class MalformedMessage(ValueError):
    """A message that the protocol has no meaning for."""


def encode(protocol: Protocol, channel: int, data: bytes) -> bytes:
    """A message's payload."""
    if protocol.text:
        return b"%d%b" % (channel, b64encode(data))
    return bytes((channel,)) + data


class Decoder:
    """Reads messages, piece by piece as they come."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._channel = -1
        self._text = b""

    def feed(self, data: bytes, first: bool, last: bool) -> Piece | None:
        """What a piece of a message brings, if anything. Raises MalformedMessage."""
        if self._protocol.text:
            self._text += data
            if len(self._text) > MAX_TEXT:
                raise MalformedMessage("a message of more than 1 MiB in base64")
            if not last:
                return None
            text, self._text = self._text, b""
            if not text:
                return None
            return self._numbered(text[0] - ord("0"), decoded(text[1:]))
        if first:
            if not data:
                if not last:
                    raise MalformedMessage("a message that begins with nothing")
                return None
            self._channel, data = data[0], data[1:]
            if self._channel == CLOSE and self._protocol.version >= 5:
                if len(data) != 1:
                    raise MalformedMessage("a close message must name one channel")
                return (data[0], b"") if data[0] == STDIN else None
        return self._numbered(self._channel, data)

    def _numbered(self, channel: int, data: bytes) -> Piece | None:
        if channel not in (STDIN, RESIZE):
            raise MalformedMessage(f"nothing may be sent on channel {channel}")
        return (channel, data) if data else None


def decoded(text: bytes) -> bytes:
    """Raises MalformedMessage."""
    try:
        return b64decode(text, validate=True)
    except Error:
        raise MalformedMessage("a message that is not base64") from None


SUCCESS = orjson.dumps({"metadata": {}, "status": "Success"})


def exit_status(code: int) -> bytes:
    """The Status with which a command's end is told."""
    if code == 0:
        return SUCCESS
    return orjson.dumps(
        {
            "metadata": {},
            "status": "Failure",
            "message": f"command terminated with non-zero exit code: exit status {code}",
            "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
        }
    )


def exit_code(status: bytes) -> int | None:
    """The exit code that a Status tells; None when the session ended in another way."""
    try:
        told = orjson.loads(status)
    except orjson.JSONDecodeError:
        return None
    if told.get("status") == "Success":
        return 0
    for cause in (told.get("details") or {}).get("causes") or ():
        if cause.get("reason") == "ExitCode" and cause.get("message", "").isdigit():
            return int(cause["message"])
    return None


def failure_status(message: str) -> bytes:
    """The Status of a session that could not go on."""
    return orjson.dumps(
        {
            "metadata": {},
            "status": "Failure",
            "message": f"Internal error occurred: {message}",
            "reason": "InternalError",
            "details": {"causes": [{"message": message}]},
            "code": 500,
        }
    )


def as_text(status: bytes) -> bytes:
    """A Status as protocols before v4 tell it: nothing of success, and the message of a failure."""
    try:
        told = orjson.loads(status)
    except orjson.JSONDecodeError:
        return status
    return b"" if told.get("status") == "Success" else str(told.get("message", "")).encode()
