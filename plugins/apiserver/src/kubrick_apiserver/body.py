"""A request's body, readable more than once: a write that is tried again starts from a fresh copy."""

from typing import Any, Protocol

import orjson

from kubrick_api.protobuf import Protobuf
from kubrick_api.wire import MalformedProtobuf
from kubrick_apiserver.malformed import syntax_error
from kubrick_apiserver.negotiation import JSON, PROTOBUF, load_yaml


class Unreadable(Exception):
    """The bytes are not what they say they are. Carries the parser's message."""

    @property
    def decoding(self) -> str:
        """The message as the decoder of objects gives it: it looks for the kind first."""
        return f"couldn't get version/kind; json parse error: {self}"


class UnreadableYAML(Unreadable):
    """YAML becomes JSON before anything is looked for."""

    @property
    def decoding(self) -> str:
        return str(self)


class Body(Protocol):
    """What came with a request."""

    @property
    def data(self) -> bytes:
        """The bytes, for error messages."""
        ...

    def read(self) -> Any:
        """A private copy, decoded; None when there is no body. Raises Unreadable."""
        ...


class WebBody:
    """Bytes from a client, in JSON, YAML or protobuf."""

    __slots__ = ("_protobuf", "data", "media")

    def __init__(self, data: bytes, media: str, protobuf: Protobuf) -> None:
        self.data = data
        self.media = media
        self._protobuf = protobuf

    def read(self) -> Any:
        if not self.data:
            return None
        if self.media == PROTOBUF:
            try:
                return self._protobuf.decode(self.data)
            except MalformedProtobuf as error:
                raise Unreadable(str(error)) from None
        if self.media != JSON:
            return self._read_yaml()
        try:
            return orjson.loads(self.data)
        except orjson.JSONDecodeError as error:
            return _second_opinion(self.data, error)

    def _read_yaml(self) -> Any:
        try:
            loaded = load_yaml(self.data)
            return orjson.loads(orjson.dumps(loaded))
        except (ValueError, TypeError) as error:
            raise UnreadableYAML(str(error)) from None


def _second_opinion(data: bytes, error: orjson.JSONDecodeError) -> Any:
    """Go replaces bytes that are not UTF-8; orjson refuses them. Everything else both refuse."""
    message = syntax_error(data)
    if message:
        raise Unreadable(message) from None
    try:
        return orjson.loads(data.decode("utf-8", "replace"))
    except orjson.JSONDecodeError:
        raise Unreadable(str(error)) from None


class DictBody:
    """A dict of this process. It is never changed: every read is a copy."""

    __slots__ = ("_data", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self._data: bytes | None = None

    @property
    def data(self) -> bytes:
        if self._data is None:
            self._data = orjson.dumps(self.value)
        return self._data

    def read(self) -> Any:
        return None if self.value is None else orjson.loads(self.data)
