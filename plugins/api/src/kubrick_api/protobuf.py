"""Kubernetes' protobuf, from and to JSON-shaped dicts.

The envelope is the four bytes ``k8s\\0`` and a runtime.Unknown message that holds the kind and the object's
own message. Field numbers stand in the tables of types (``pb``); a type may also have members whose
message exists in protobuf only (``pb_inline``, with the messages of ``messages.json``) while JSON has them
inline. A type is compiled into one codec per field when it is first met.

Decoding gives what JSON would have said: unset is absent, Time is RFC 3339, a Quantity is its text, bytes
are base64. What Go writes although it is empty (strings, false, 0) stays empty here too, and is dropped
by the schema engine as it is for JSON. Unknown fields are skipped, as protobuf says.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import frozen

from kubrick_api.names import GVK
from kubrick_api.resource import Object
from kubrick_api.wire import (
    BYTES,
    PLAIN,
    SPECIAL,
    STRING,
    VARINT,
    MalformedProtobuf,
    Scalar,
    bytes_field,
    numbers,
    packed,
    text,
    varint,
    wire_fields,
)

if TYPE_CHECKING:
    from kubrick_api.catalog import Catalog


MAGIC = b"k8s\x00"
LIST_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"
META_GROUP, PARTIAL, PARTIAL_LIST = "meta.k8s.io", "PartialObjectMetadata", "PartialObjectMetadataList"
PARTIALS: dict[str, dict[str, Any]] = {
    PARTIAL: {"metadata": {"ref": "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}},
    PARTIAL_LIST: {"metadata": {"ref": LIST_META}, "items": {"list": {"ref": PARTIAL}}},
}
"""Kinds that OpenAPI has no definition of, fields in the order of their numbers."""
DELETE_OPTIONS = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"


@frozen
class Field:
    """How one field number is read and written. `name` is the JSON field ("" for an inline message, whose
    members are the object's own). `read` takes the wire's value (int or bytes); `write` gives it back."""

    name: str
    number: int
    wire: int
    read: Callable[[Any], Any]
    write: Callable[[Any], Any]
    repeated: bool = False
    mapped: bool = False
    inline: "Message | None" = None


class Message:
    """One message type. `fields` is filled after construction, since types refer to each other."""

    def __init__(self) -> None:
        self.fields: dict[int, Field] = {}
        self.writers: dict[str, Callable[[bytearray, Any], None]] | None = None
        self.inlines: list[Field] = []

    def decode(self, data: bytes, into: Object | None = None) -> Object:
        """The object that `data` holds. Raises MalformedProtobuf."""
        obj: Object = {} if into is None else into
        for number, wire, value in wire_fields(data):
            field = self.fields.get(number)
            if field is None:
                continue
            if field.repeated and wire == BYTES and field.wire != BYTES:
                obj.setdefault(field.name, []).extend(field.read(v) for v in packed(value))
                continue
            if wire != field.wire:
                raise MalformedProtobuf(f"field {number} ({field.name}) has wire type {wire}, not {field.wire}")
            if field.inline is not None:
                field.inline.decode(value, obj)
            elif field.repeated:
                obj.setdefault(field.name, []).append(field.read(value))
            elif field.mapped:
                key, entry = field.read(value)
                obj.setdefault(field.name, {})[key] = entry
            else:
                obj[field.name] = field.read(value)
        return obj

    def encode(self, obj: Object) -> bytes:
        """The message that says what `obj` says; fields it doesn't know are left out."""
        writers = self.writers
        if writers is None:
            writers = self.writers = {field.name: writer(field) for field in self.fields.values() if not field.inline}
            self.inlines = [field for field in self.fields.values() if field.inline]
        out = bytearray()
        for name, value in obj.items():
            write = writers.get(name)
            if write is not None and value is not None:
                write(out, value)
        for field in self.inlines:
            if field.inline is not None and (inner := field.inline.encode(obj)):
                out += varint(field.number << 3 | BYTES) + varint(len(inner)) + inner
        return bytes(out)


def writer(field: Field) -> Callable[[bytearray, Any], None]:
    """Appends a field with its tag. Fields may come in any order; this one is the object's own."""
    tag, wire, write = varint(field.number << 3 | field.wire), field.wire, field.write

    def append(out: bytearray, value: Any) -> None:
        data = write(value)
        out += tag
        if wire == BYTES:
            out += varint(len(data))
            out += data
        elif wire == VARINT:
            out += varint(data)
        else:
            out += data

    def append_all(out: bytearray, values: Any) -> None:
        for value in values:
            append(out, value)

    def append_entries(out: bytearray, entries: Any) -> None:
        for key in sorted(entries):
            append(out, (key, entries[key]))

    return append_all if field.repeated else append_entries if field.mapped else append


_SCHEMA_PROPS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"


def envelope(kind: GVK, message: bytes) -> bytes:
    """A runtime.Unknown behind the prefix."""
    meta = bytes_field(1, kind.api_version.encode()) + bytes_field(2, kind.kind.encode())
    return MAGIC + bytes_field(1, meta) + bytes_field(2, message) + b"\x1a\x00\x22\x00"


class Protobuf:
    """Both directions, for all types of a catalog."""

    def __init__(self, catalog: "Catalog") -> None:
        self._catalog = catalog
        self._messages: dict[str, Message] = {}
        self._types: dict[GVK, str | None] = {}
        self._inline: Mapping[str, Any] | None = None

    def decode(self, data: bytes) -> Object:
        """The object in an envelope, kind and apiVersion included. Raises MalformedProtobuf."""
        if data[:4] != MAGIC:
            raise MalformedProtobuf("the data does not begin with the prefix k8s\\x00")
        unknown = {number: value for number, _, value in wire_fields(data[4:])}
        meta = {number: text(value) for number, _, value in wire_fields(unknown.get(1, b""))}
        head = {"kind": meta.get(2, ""), "apiVersion": meta.get(1, "")}
        name = self._type_of(GVK.of(head))
        if name is None:
            raise MalformedProtobuf(f'no kind "{head["kind"]}" is registered for version "{head["apiVersion"]}"')
        return self._message(name).decode(unknown.get(2, b""), dict(head))

    def encode(self, obj: Object) -> bytes:
        """The envelope of an object. Raises LookupError for a kind that has no message."""
        kind = GVK.of(obj)
        name = self._type_of(kind)
        if name is None:
            raise LookupError(f"no registered API group has a protobuf message for {kind}")
        return envelope(kind, self._message(name).encode(obj))

    def encode_list(self, obj: Object, items: Iterable[bytes]) -> bytes:
        """The envelope of a list whose items are messages already (see `item`); `obj` has its kind and metadata."""
        kind = GVK.of(obj)
        out = bytearray(bytes_field(1, self._message(LIST_META).encode(obj["metadata"])))
        for item in items:
            out += b"\x12"
            out += varint(len(item))
            out += item
        return envelope(kind, bytes(out))

    def item(self, kind: GVK, obj: Object) -> bytes:
        """The message of one item of a list, without an envelope. Raises LookupError."""
        name = self._type_of(kind)
        if name is None:
            raise LookupError(f"no registered API group has a protobuf message for {kind}")
        return self._message(name).encode(obj)

    def event(self, kind: str, obj: Object) -> bytes:
        """A frame of a watch: its length in four bytes, and a meta.v1.WatchEvent whose object is an envelope."""
        content = bytes_field(1, kind.encode()) + bytes_field(2, bytes_field(1, self.encode(obj)))
        return len(content).to_bytes(4, "big") + content

    def _type_of(self, kind: GVK) -> str | None:
        """The name of a kind's type. Options and other meta kinds belong to every group."""
        found = self._types.get(kind)
        if found is None:
            found = self._types[kind] = self._find_type(kind)
        return found

    def _find_type(self, kind: GVK) -> str | None:
        resource = self._catalog.by_kind(kind)
        if resource is not None:
            return resource.schema
        if kind.kind == "DeleteOptions":
            return DELETE_OPTIONS
        if kind.group == META_GROUP and kind.kind in (PARTIAL, PARTIAL_LIST):
            return kind.kind
        wanted = [kind.group, kind.version, kind.kind]
        for table in self._catalog.schemas.tables():
            for name, definition in table.items():
                if definition.get("gvk") == wanted:
                    return name
        return None

    def _message(self, name: str) -> Message:
        found = self._messages.get(name)
        if found is None:
            found = self._messages[name] = Message()
            if name in PARTIALS:
                for number, (field, shape) in enumerate(PARTIALS[name].items(), 1):
                    found.fields[number] = self._field(field, number, shape)
                return found
            definition = self._catalog.schemas.definition(name)
            shapes = definition.get("fields", {})
            for field, shape in shapes.items():
                if "pb" in shape:
                    found.fields[shape["pb"]] = self._field(field, shape["pb"], shape)
            self._add_inline(found, definition.get("pb_inline", {}), definition.get("pb_message", ""), shapes)
        return found

    def _add_inline(self, message: Message, members: Mapping[str, Any], owner: str, shapes: Mapping[str, Any]) -> None:
        """Members that protobuf has under other names, or in messages that JSON has inline."""
        # JSON's x-kubernetes-list-type and $ref are xKubernetesListType and ref.
        spelled = {field.lower().replace("-", "").removeprefix("$"): field for field in shapes}
        for member, (number, kind, *_) in members.items():
            field = spelled.get(member.lower())
            if field is not None:
                message.fields[number] = self._field(field, number, shapes[field])
                continue
            full = kind[1:] if kind.startswith(".") else f"{owner.rpartition('.')[0]}.{kind}"
            inner = Message()
            self._add_inline(inner, self._inline_messages().get(full, {}), full, shapes)
            message.fields[number] = Field("", number, BYTES, bytes, bytes, inline=inner)

    def _inline_messages(self) -> Mapping[str, Any]:
        if self._inline is None:
            self._inline = {name: m for group in self._catalog.groups() for name, m in group.messages.items()}
        return self._inline

    def _field(self, name: str, number: int, shape: Mapping[str, Any]) -> Field:
        if "list" in shape:
            wire, read, write = self._scalar(shape["list"])
            return Field(name, number, wire, read, write, repeated=True)
        if "map" in shape:
            read, write = self._entry(shape["map"])
            return Field(name, number, BYTES, read, write, mapped=True)
        wire, read, write = self._scalar(shape)
        return Field(name, number, wire, read, write)

    def _scalar(self, shape: Mapping[str, Any]) -> Scalar:
        """A value that is one field on the wire: plain, special, or a message."""
        ref = shape.get("ref")
        if ref is None:
            return PLAIN[shape["type"], shape.get("format", "")]
        if ref in SPECIAL:
            return SPECIAL[ref]
        if ref.startswith(_SCHEMA_PROPS + "Or"):
            return self._either(ref)
        message = self._message(ref)
        return BYTES, message.decode, message.encode

    def _either(self, ref: str) -> Scalar:
        """JSONSchemaPropsOrBool, OrArray and OrStringArray: a schema, or something else."""
        schema = self._message(_SCHEMA_PROPS)
        number = 2 if ref.endswith("OrBool") else 1

        def read(data: bytes) -> Any:
            found = list(wire_fields(data))
            schemas = [value for n, _, value in found if n == number]
            if schemas:
                return schema.decode(schemas[0])
            if number == 2:
                return any(value for n, _, value in found if n == 1)
            others = [value for n, _, value in found if n == 2]
            return [text(v) for v in others] if ref.endswith("OrStringArray") else [schema.decode(v) for v in others]

        def write(value: Any) -> bytes:
            if isinstance(value, dict):
                return (numbers({1: 1}) if number == 2 else b"") + bytes_field(number, schema.encode(value))
            if isinstance(value, bool):
                return numbers({1: int(value)})
            texts = (v.encode() if isinstance(v, str) else schema.encode(v) for v in value)
            return b"".join(bytes_field(2, text) for text in texts)

        return BYTES, read, write

    def _entry(self, shape: Mapping[str, Any]) -> tuple[Callable[[bytes], Any], Callable[[Any], bytes]]:
        """A map's entries: messages of a key (1) and a value (2). A value that is a list is a message whose
        field 1 is repeated."""
        inner = Message()
        inner.fields[1] = Field("key", 1, *STRING)
        if "list" in shape:
            items = Message()
            items.fields[1] = self._field("items", 1, shape)
            inner.fields[2] = Field(
                "value",
                2,
                BYTES,
                lambda data: items.decode(data).get("items", []),
                lambda value: items.encode({"items": value}),
            )
        else:
            inner.fields[2] = self._field("value", 2, shape)
        empty = inner.fields[2].read(b"" if inner.fields[2].wire == BYTES else 0)

        def read(data: bytes) -> tuple[str, Any]:
            entry = inner.decode(data)
            return entry.get("key", ""), entry.get("value", empty)

        return read, lambda pair: inner.encode({"key": pair[0], "value": pair[1]})
