"""Protobuf's wire format, and how scalars and Kubernetes' special types stand on it.

A `Scalar` is a wire type with a reader (of the wire's int or bytes) and a writer (which gives them back).
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from struct import pack, unpack_from
from typing import Any

import orjson

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class MalformedProtobuf(ValueError):
    """Bytes that are no message of the type they should be."""


SMALL = [bytes((number,)) for number in range(128)]


def varint(value: int) -> bytes:
    """`value` as a varint; negative ones take ten bytes, as protobuf's int32 and int64 do."""
    if 0 <= value < 128:
        return SMALL[value]
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise MalformedProtobuf("a number does not end")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def wire_fields(data: bytes) -> Iterable[tuple[int, int, Any]]:
    """(number, wire type, value) of every field in order; value is an int for varints, else bytes."""
    at, end = 0, len(data)
    while at < end:
        tag, at = read_varint(data, at)
        number, wire = tag >> 3, tag & 7
        value: Any
        if wire == VARINT:
            value, at = read_varint(data, at)
        elif wire in (BYTES, FIXED64, FIXED32):
            length = 8 if wire == FIXED64 else 4
            if wire == BYTES:
                length, at = read_varint(data, at)
            if at + length > end:
                raise MalformedProtobuf(f"field {number} is cut off")
            value = data[at : at + length]
            at += length
        else:
            raise MalformedProtobuf(f"field {number} has the unknown wire type {wire}")
        yield number, wire, value


def packed(data: bytes) -> list[int]:
    values, at = [], 0
    while at < len(data):
        value, at = read_varint(data, at)
        values.append(value)
    return values


# Scalars: (wire type, read, write).


def signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise MalformedProtobuf("a string is not UTF-8") from None


def json(value: bytes) -> Any:
    try:
        return orjson.loads(value) if value else None
    except orjson.JSONDecodeError as error:
        raise MalformedProtobuf(f"embedded JSON: {error}") from None


def seconds_and_nanos(data: bytes) -> tuple[int, int]:
    found = {number: value for number, wire, value in wire_fields(data) if wire == VARINT}
    return signed(found.get(1, 0)), signed(found.get(2, 0))


def _read_time(data: bytes) -> str | None:
    """metav1.Time: whole seconds; the zero time is an empty message and means unset."""
    if not data:
        return None
    return _moment(seconds_and_nanos(data)[0]).strftime("%Y-%m-%dT%H:%M:%SZ")


def _read_micro_time(data: bytes) -> str | None:
    if not data:
        return None
    seconds, nanos = seconds_and_nanos(data)
    return _moment(seconds).strftime("%Y-%m-%dT%H:%M:%S") + f".{nanos // 1000:06d}Z"


def _moment(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        raise MalformedProtobuf(f"{seconds} s since 1970 is no time") from None


def _write_time(text: str) -> bytes:
    moment = datetime.fromisoformat(text)
    return numbers({1: int(moment.timestamp() // 1), 2: moment.microsecond * 1000})


def numbers(values: Mapping[int, int]) -> bytes:
    return b"".join(varint(number << 3) + varint(value) for number, value in values.items())


def first(data: bytes, number: int) -> Any:
    return next((value for found, _, value in wire_fields(data) if found == number), b"")


def bytes_field(number: int, value: bytes) -> bytes:
    return varint(number << 3 | BYTES) + varint(len(value)) + value


def _read_int_or_string(data: bytes) -> int | str:
    found = {number: value for number, _, value in wire_fields(data)}
    return text(found.get(3, b"")) if found.get(1, 0) else signed(found.get(2, 0))


def _write_int_or_string(value: int | str) -> bytes:
    if isinstance(value, str):
        return numbers({1: 1, 2: 0}) + bytes_field(3, value.encode())
    return numbers({1: 0, 2: value}) + bytes_field(3, b"")


Scalar = tuple[int, Callable[[Any], Any], Callable[[Any], Any]]

STRING: Scalar = (BYTES, text, str.encode)
BASE64: Scalar = (BYTES, lambda value: b64encode(value).decode(), b64decode)
INTEGER: Scalar = (VARINT, signed, int)
BOOLEAN: Scalar = (VARINT, bool, int)
DOUBLE: Scalar = (FIXED64, lambda value: unpack_from("<d", value)[0], lambda value: pack("<d", value))
RAW: Scalar = (BYTES, lambda value: json(first(value, 1)), lambda value: bytes_field(1, orjson.dumps(value)))

SPECIAL: dict[str, Scalar] = {
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": (BYTES, _read_time, _write_time),
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": (BYTES, _read_micro_time, _write_time),
    "io.k8s.apimachinery.pkg.api.resource.Quantity": (
        BYTES,
        lambda value: text(first(value, 1)),
        lambda value: bytes_field(1, str(value).encode()),
    ),
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": (BYTES, _read_int_or_string, _write_int_or_string),
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": RAW,
    "io.k8s.apimachinery.pkg.runtime.RawExtension": RAW,
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON": RAW,
}
PLAIN: dict[tuple[str, str], Scalar] = {
    ("string", ""): STRING,
    ("string", "byte"): BASE64,
    ("integer", "int32"): INTEGER,
    ("integer", "int64"): INTEGER,
    ("boolean", ""): BOOLEAN,
    ("number", "double"): DOUBLE,
}
