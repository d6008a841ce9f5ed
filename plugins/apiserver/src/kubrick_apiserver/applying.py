"""Server-side apply: what the body of such a PATCH says, and what it makes of an object.

The body is YAML, of which JSON is a part; JSON is tried first, being a hundred times faster. A controller
applies the same text over and over, so what a text says is remembered.
"""

from typing import Any

import orjson
from attrs import frozen

from kubrick_api import codec
from kubrick_api.duplication import duplicate_fields
from kubrick_api.errors import StatusError, bad_request
from kubrick_api.fields import apply
from kubrick_api.fields.apply import Config
from kubrick_api.fields.tracker import Tracker
from kubrick_api.fields.update import Write
from kubrick_api.merge import APPLY_PATCH
from kubrick_api.names import GVK
from kubrick_api.resource import Object
from kubrick_api.schema import Type
from kubrick_api.trouble import describe
from kubrick_apiserver.negotiation import load_yaml, yaml_repetitions
from kubrick_apiserver.options import WriteOptions

REMEMBERED = 256
LARGE = 64 * 1024
NO_MAP = "into Go value of type map[string]interface {}"
NOT_JSON = "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal"
NOT_YAML = "error converting YAML to JSON"


def is_apply(content_type: str) -> bool:
    """Whether a PATCH is an apply."""
    return content_type.partition(";")[0].strip().lower() == APPLY_PATCH


@frozen
class Text:
    """What a body says, and what is wrong with how it says it."""

    obj: Any
    repeated: str


class Configurations:
    """Bodies as configurations of one kind, the most recent ones remembered."""

    def __init__(self, tracker: Tracker, kind: GVK) -> None:
        self._tracker = tracker
        self._kind = kind
        self._known: dict[bytes, tuple[Config, str]] = {}

    def read(self, data: bytes, options: WriteOptions, warnings: list[str]) -> Config:
        """The configuration in a body. Raises StatusError."""
        known = self._known.get(data)
        if known is None:
            text = decoded(data)
            if type(text.obj) is not dict:
                raise _undecodable(f"{NOT_JSON} {describe(text.obj, '')} {NO_MAP}")
            known = apply.config_of(self._tracker, self._kind, text.obj), text.repeated
            if len(data) <= LARGE:
                if len(self._known) >= REMEMBERED:
                    self._known.clear()
                self._known[data] = known
        config, repeated = known
        if repeated and options.field_validation == "Strict":
            raise bad_request(f"error strict decoding YAML: {repeated}")
        if repeated and options.field_validation == "Warn":
            warnings.append(repeated)
        return config


def decoded(data: bytes) -> Text:
    """Raises 400."""
    try:
        obj = orjson.loads(data)
    except orjson.JSONDecodeError:
        try:
            loaded = load_yaml(data)
            # Dates and the like become what they are in JSON.
            obj = orjson.loads(orjson.dumps(loaded))
        except (ValueError, TypeError) as error:
            raise _undecodable(f"{NOT_YAML}: {error}") from None
        repeated = yaml_repetitions(data)
    else:
        repeated = yaml_repetitions(data) if duplicate_fields(data, obj) else []
    if obj is None:
        obj = {}
    head = f"{NOT_YAML}: yaml: unmarshal errors:"
    return Text(obj, "\n  ".join((head, *repeated)) if repeated else "")


def _undecodable(why: str) -> StatusError:
    return bad_request(f"error decoding YAML: {why}")


def created(write: Write, config: Config, schema: Type) -> Object:
    """The object that an apply makes where there is none."""
    obj = _accepted(codec.copy(config.obj), schema, write)
    managed = apply.created(write, config)
    if managed:
        obj["metadata"]["managedFields"] = managed
    return obj


def applied(write: Write, live: Object, config: Config, schema: Type, force: bool) -> Object:
    """The object that an apply makes of `live`. Raises StatusError 409."""
    result = apply.apply(write, live, config, force)
    if result.obj is None:
        obj: Object = codec.copy(live)
    else:
        obj = _accepted(codec.copy(result.obj), schema, write)
    if result.managed:
        obj["metadata"]["managedFields"] = result.managed
    else:
        obj["metadata"].pop("managedFields", None)
    return obj


def _accepted(obj: Object, schema: Type, write: Write) -> Object:
    """The object, pruned and defaulted. Raises 400 (kube-apiserver: 500) for values that its type can't hold."""
    obj.setdefault("metadata", {})
    wrong, _ = schema.decode(obj)
    if wrong is not None:
        metadata = obj.get("metadata") or {}
        named = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"
        version = f"{write.tracker.api_version}, Kind={obj.get('kind')}"
        raise bad_request(f"failed to convert new typed object ({named}; {version}) to object: {wrong}")
    obj.setdefault("metadata", {})
    return obj
