"""The gRPC health protocol's one question, over h2 on a trio stream.

grpc.health.v1.Health/Check has messages of one field each, so the frames are made by hand.
"""

from collections.abc import Iterator
from typing import Any

import trio
from attrs import define, field

SERVING = 1
STATUS = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
UNIMPLEMENTED = "12"


class HealthFailure(Exception):
    """No answer, or none that can be understood; the message says what came. `code` is gRPC's ("" if none)."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


async def check_health(stream: trio.abc.Stream, authority: str, service: str, agent: str) -> int:
    """The serving status of `service` ("" is the whole server). Raises HealthFailure, OSError."""
    from h2.config import H2Configuration
    from h2.connection import H2Connection
    from h2.exceptions import ProtocolError

    connection = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    connection.initiate_connection()
    number = connection.get_next_available_stream_id()
    connection.send_headers(
        number,
        [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/grpc.health.v1.Health/Check"),
            (":authority", authority),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", agent),
        ],
    )
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    connection.send_data(number, b"\x00" + len(message).to_bytes(4, "big") + message, end_stream=True)
    await stream.send_all(connection.data_to_send())
    answer = _Answer()
    while not answer.ended:
        try:
            data = await stream.receive_some(16384)
            if not data:
                raise HealthFailure("connection closed before the answer")
            for event in connection.receive_data(data):
                answer.take(event, connection)
        except (ProtocolError, trio.BrokenResourceError) as error:
            raise HealthFailure(f"not an HTTP/2 server: {error}") from None
        await stream.send_all(connection.data_to_send())
    return answer.status()


@define
class _Answer:
    body: bytearray = field(factory=bytearray)
    headers: dict[str, str] = field(factory=dict)
    ended: bool = False

    def take(self, event: Any, connection: Any) -> None:
        from h2 import events

        if isinstance(event, events.ResponseReceived | events.TrailersReceived):
            self.headers.update((str(name), str(value)) for name, value in event.headers)
        elif isinstance(event, events.DataReceived):
            self.body += event.data
            connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, events.StreamEnded | events.StreamReset | events.ConnectionTerminated):
            self.ended = True

    def status(self) -> int:
        code = self.headers.get("grpc-status", "")
        if code != "0":
            raise HealthFailure(self.headers.get("grpc-message", "no grpc-status"), code)
        return dict(_fields(bytes(self.body[5:]))).get(1, 0)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _fields(message: bytes) -> Iterator[tuple[int, int]]:
    """Number and value of the varint fields of a message (there are no others in this one)."""
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        value, at = _read_varint(message, at)
        yield key >> 3, value


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while at < len(data):
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            break
    return number, at
