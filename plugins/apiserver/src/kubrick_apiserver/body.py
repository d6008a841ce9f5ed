"""A request's body, readable more than once: a write that is tried again starts from a fresh copy."""

import json
import math
from typing import Any, Protocol

import orjson

from kubrick_api import codec
from kubrick_api.errors import StatusError
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


class Undecodable(Unreadable):
    """No JSON parser has seen it, or none complained: YAML becomes JSON before anything is looked for, protobuf
    never does, and numbers are only read when they are wanted."""

    @property
    def decoding(self) -> str:
        return str(self)


class Beyond(Undecodable):
    """Nothing is wrong with it, but there is a limit that only this server has."""


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
                raise Undecodable(str(error)) from None
        if self.media != JSON:
            return self._read_yaml()
        try:
            found = orjson.loads(self.data)
        except orjson.JSONDecodeError as error:
            found = _second_opinion(self.data, error)
        return _shallow(found, self.data)

    def _read_yaml(self) -> Any:
        try:
            data = orjson.dumps(load_yaml(self.data))
        except (ValueError, TypeError) as error:
            raise Undecodable(str(error)) from None
        return _shallow(orjson.loads(data), data)


def _shallow(found: Any, data: bytes) -> Any:
    try:
        codec.check_depth(found, data)
    except StatusError as error:
        raise Beyond(error.message) from None
    return found


def _second_opinion(data: bytes, error: orjson.JSONDecodeError) -> Any:
    """What orjson refused and Go does not. Go replaces bytes that are not UTF-8 and halves of characters."""
    if message := syntax_error(data):
        raise Unreadable(message) from None
    if b"\\u" not in data:
        try:
            return orjson.loads(data.decode("utf-8", "replace"))
        except orjson.JSONDecodeError:
            pass
    try:
        return _whole(json.loads(data.decode("utf-8", "replace"), parse_float=_finite, parse_int=_fitting))
    except RecursionError:
        raise Beyond(codec.TOO_DEEP) from None


def _finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise Beyond(f"json: cannot unmarshal number {text} into Go value of type float64")
    return number


def _fitting(text: str) -> int | float:
    return int(text) if len(text) < 20 else _finite(text)


def _whole(value: Any) -> Any:
    """`value` with halves of UTF-16 pairs replaced."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if not value.isascii() else value
    if isinstance(value, dict):
        return {_whole(key): _whole(member) for key, member in value.items()}
    return [_whole(member) for member in value] if isinstance(value, list) else value


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
