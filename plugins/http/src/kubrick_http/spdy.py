"""SPDY/3.1 framing: bytes in, frames out; frames in, bytes out. Pure.

kubectl before 1.31, real kubelets and CRI runtimes speak SPDY for exec, attach and port-forward. Theory of
operation: a connection is a sequence of frames, control or data, each with a length. Headers are
compressed with zlib, one context per direction for the whole connection, primed with a dictionary that
the specification gives. Data frames are handed on piece by piece as they arrive, so that a peer's
16 MB frame costs no memory; control frames are small or refused.

Flow control is left to TCP: moby/spdystream, which is at the other end of nearly every such connection,
ignores windows in both directions.
"""

import struct
import zlib
from collections.abc import Mapping

from attrs import frozen

VERSION = 3
SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FIN, UNIDIRECTIONAL = 1, 2
PROTOCOL_ERROR, INVALID_STREAM, REFUSED_STREAM, CANCEL, INTERNAL_ERROR = 1, 2, 3, 5, 6
MAX_CONTROL = 64 * 1024
MAX_HEADERS = 256 * 1024
MAX_DATA = (1 << 24) - 1

_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie "
    "keep-alive origin"
)
_TEXT = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
    "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = (
    b"".join(
        struct.pack(">I", len(word)) + word for word in (each.replace("_", " ").encode() for each in _WORDS.split(" "))
    )
    + _TEXT.encode()
)
"""The specification's, §2.6.10.1: words with their lengths, then plain text. Its Adler-32 is 0xe3c6a7c2."""


class ProtocolError(Exception):
    """The peer does not speak SPDY/3.1; the connection is of no more use."""


@frozen
class SynStream:
    """A new stream; `fin`: its opener will send no data."""

    stream: int
    headers: Mapping[str, str]
    fin: bool = False
    unidirectional: bool = False


@frozen
class SynReply:
    stream: int
    headers: Mapping[str, str]
    fin: bool = False


@frozen
class Headers:
    """Further headers of a stream."""

    stream: int
    headers: Mapping[str, str]
    fin: bool = False


@frozen
class Data:
    """Data of a stream: a frame, or a piece of one."""

    stream: int
    data: bytes
    fin: bool = False


@frozen
class Reset:
    """The stream is over, both ways."""

    stream: int
    code: int


@frozen
class Ping:
    number: int


@frozen
class GoAway:
    """No further streams will be accepted; `last` is the last one that was."""

    last: int
    code: int = 0


Frame = SynStream | SynReply | Headers | Data | Reset | Ping | GoAway


class Framer:
    """One side of a connection. Headers must be encoded in the order they are sent."""

    def __init__(self) -> None:
        self._packer = zlib.compressobj(zlib.Z_BEST_SPEED, zlib.DEFLATED, zlib.MAX_WBITS, zdict=DICTIONARY)
        self._unpacker = zlib.decompressobj(zlib.MAX_WBITS, zdict=DICTIONARY)
        self._buffer = b""
        self._stream = 0
        self._fin = False
        self._left = 0
        """Bytes still to come of the data frame under way (of `_stream`, ending it if `_fin`)."""

    # Out

    def encode(self, frame: Frame) -> bytes:
        """The bytes of a frame."""
        match frame:
            case Data():
                return data_head(frame.stream, len(frame.data), frame.fin) + frame.data
            case SynStream():
                body = struct.pack(">IIH", frame.stream, 0, 0) + self._pack(frame.headers)
                return _control(SYN_STREAM, FIN * frame.fin | UNIDIRECTIONAL * frame.unidirectional, body)
            case SynReply():
                body = struct.pack(">I", frame.stream) + self._pack(frame.headers)
                return _control(SYN_REPLY, FIN * frame.fin, body)
            case Headers():
                body = struct.pack(">I", frame.stream) + self._pack(frame.headers)
                return _control(HEADERS, FIN * frame.fin, body)
            case Reset():
                return _control(RST_STREAM, 0, struct.pack(">II", frame.stream, frame.code))
            case Ping():
                return _control(PING, 0, struct.pack(">I", frame.number))
            case GoAway():
                return _control(GOAWAY, 0, struct.pack(">II", frame.last, frame.code))

    def _pack(self, headers: Mapping[str, str]) -> bytes:
        parts = [struct.pack(">I", len(headers))]
        for name, value in headers.items():
            for text in (name.lower().encode("latin-1"), value.encode("latin-1")):
                parts += [struct.pack(">I", len(text)), text]
        return self._packer.compress(b"".join(parts)) + self._packer.flush(zlib.Z_SYNC_FLUSH)

    # In

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes, and the pieces of data it brings. Raises ProtocolError."""
        self._buffer += data
        frames: list[Frame] = []
        while True:
            if self._left:
                piece, self._buffer = self._buffer[: self._left], self._buffer[self._left :]
                if not piece:
                    return frames
                self._left -= len(piece)
                frames.append(Data(self._stream, piece, self._fin and not self._left))
                continue
            if len(self._buffer) < 8:
                return frames
            first, second = struct.unpack_from(">II", self._buffer)
            flags, length = second >> 24, second & 0xFFFFFF
            if not first >> 31:
                self._buffer = self._buffer[8:]
                self._stream, self._fin, self._left = first, bool(flags & FIN), length
                if not length:
                    frames.append(Data(first, b"", self._fin))
                continue
            if length > MAX_CONTROL:
                raise ProtocolError(f"a control frame of {length} bytes; the limit is {MAX_CONTROL}")
            if len(self._buffer) < 8 + length:
                return frames
            body, self._buffer = self._buffer[8 : 8 + length], self._buffer[8 + length :]
            if first >> 16 & 0x7FFF != VERSION:
                raise ProtocolError(f"version {first >> 16 & 0x7FFF} of SPDY, not {VERSION}")
            try:
                frame = self._control(first & 0xFFFF, flags, body)
            except (struct.error, zlib.error) as error:
                raise ProtocolError(f"a malformed control frame: {error}") from error
            if frame is not None:
                frames.append(frame)

    def _control(self, kind: int, flags: int, body: bytes) -> Frame | None:
        """A control frame; None for those that say nothing to us (settings, windows)."""
        fin = bool(flags & FIN)
        if kind == SYN_STREAM:
            stream = _number(body, 0)
            return SynStream(stream, self._unpack(body[10:]), fin, bool(flags & UNIDIRECTIONAL))
        if kind == SYN_REPLY:
            return SynReply(_number(body, 0), self._unpack(body[4:]), fin)
        if kind == HEADERS:
            return Headers(_number(body, 0), self._unpack(body[4:]), fin)
        if kind == RST_STREAM:
            return Reset(_number(body, 0), _number(body, 4, 0xFFFFFFFF))
        if kind == PING:
            return Ping(_number(body, 0, 0xFFFFFFFF))
        if kind == GOAWAY:
            return GoAway(_number(body, 0), _number(body, 4, 0xFFFFFFFF))
        return None

    def _unpack(self, packed: bytes) -> dict[str, str]:
        """A block of headers; the values of one that comes more than once are separated by NUL."""
        block = self._unpacker.decompress(packed, MAX_HEADERS)
        if self._unpacker.unconsumed_tail:
            raise ProtocolError(f"headers of more than {MAX_HEADERS} bytes")
        headers = {}
        at = 4
        for _ in range(_number(block, 0, 0xFFFFFFFF)):
            texts = []
            for _ in range(2):
                length = _number(block, at, 0xFFFFFFFF)
                at += 4
                if at + length > len(block):
                    raise ProtocolError("a header longer than its block")
                texts.append(block[at : at + length].decode("latin-1"))
                at += length
            headers[texts[0].lower()] = texts[1]
        return headers


def data_head(stream: int, length: int, fin: bool = False) -> bytes:
    """What comes before the data in a data frame."""
    return struct.pack(">II", stream, FIN * fin << 24 | length)


def _control(kind: int, flags: int, body: bytes) -> bytes:
    return struct.pack(">HHI", 0x8000 | VERSION, kind, flags << 24 | len(body)) + body


def _number(body: bytes, at: int, mask: int = 0x7FFFFFFF) -> int:
    number: int = struct.unpack_from(">I", body, at)[0]
    return number & mask
