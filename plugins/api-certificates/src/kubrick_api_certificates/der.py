"""The outer layers of DER, and what Go's encoding/asn1 says of them when they aren't what they should be."""

from attrs import frozen

SEQUENCE, INTEGER, BIT_STRING, VERSION = 0x30, 0x02, 0x03, 0xA0
LARGEST = 1 << 23
PARAMETERS = (
    "{optional:false explicit:false application:false private:false defaultValue:<nil> tag:<nil> stringType:0 "
    "timeType:0 set:false omitEmpty:false}"
)


@frozen
class Head:
    """An element's tag and length, and where its content starts."""

    first: int
    tag: int
    length: int
    start: int

    @property
    def end(self) -> int:
        return self.start + self.length

    def __str__(self) -> str:
        compound = "true" if self.first & 0x20 else "false"
        return f"{{class:{self.first >> 6} tag:{self.tag} length:{self.length} isCompound:{compound}}}"


class MalformedError(ValueError):
    """What Go says."""


def syntax(why: str) -> MalformedError:
    return MalformedError(f"asn1: syntax error: {why}")


def structure(why: str) -> MalformedError:
    return MalformedError(f"asn1: structure error: {why}")


def head(data: bytes) -> Head:
    """The first element's. Raises MalformedError."""
    if not data:
        raise syntax("sequence truncated")
    first, at = data[0], 1
    tag = first & 0x1F
    if tag == 0x1F:
        tag, at = _long_tag(data, at)
    length, start = _length(data, at)
    return Head(first, tag, length, start)


def _long_tag(data: bytes, at: int) -> tuple[int, int]:
    tag, start = 0, at
    while at < len(data):
        byte, at = data[at], at + 1
        if at - start == 1 and byte == 0x80:
            raise syntax("integer is not minimally encoded")
        tag = tag << 7 | byte & 0x7F
        if at - start > 5 or tag > 2**31 - 1:
            raise structure("base 128 integer too large")
        if not byte & 0x80:
            if tag < 0x1F:
                raise syntax("non-minimal tag")
            return tag, at
    raise syntax("truncated base 128 integer")


def _length(data: bytes, at: int) -> tuple[int, int]:
    if at >= len(data):
        raise syntax("truncated tag or length")
    byte, at = data[at], at + 1
    if not byte & 0x80:
        return byte, at
    if byte == 0x80:
        raise syntax("indefinite length found (not DER)")
    length = 0
    for _ in range(byte & 0x7F):
        if at >= len(data):
            raise syntax("truncated tag or length")
        if length >= LARGEST:
            raise structure("length too large")
        length, at = length << 8 | data[at], at + 1
        if length == 0:
            raise structure("superfluous leading zeros in length")
    if length < 0x80:
        raise structure("non-minimal length")
    return length, at


def sequence(data: bytes, name: str) -> Head:
    """The head of a SEQUENCE that Go reads into its type `name`. Raises MalformedError."""
    found = head(data)
    if found.first != SEQUENCE:
        raise structure(f"tags don't match (16 vs {found}) {PARAMETERS} {name} @{found.start}")
    if found.end > len(data):
        raise syntax("data truncated")
    return found


@frozen
class Read:
    """An element that is there, and what follows it."""

    content: bytes
    whole: bytes
    rest: bytes


def read(data: bytes, first: int, complaint: str) -> Read:
    """The element that starts with this byte. Raises MalformedError with the complaint."""
    try:
        found = head(data)
    except MalformedError:
        raise MalformedError(complaint) from None
    if found.first != first or found.end > len(data):
        raise MalformedError(complaint)
    return Read(data[found.start : found.end], data[: found.end], data[found.end :])
