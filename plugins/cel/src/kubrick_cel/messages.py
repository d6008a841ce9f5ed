"""Structs as protobuf messages: the only objects of known fields that the engine has.

Maps and lists within lists, which protobuf has no words for, are lists and maps of anything there.
"""

from collections.abc import Iterable

from google.protobuf import any_pb2, descriptor_pool, duration_pb2, struct_pb2, timestamp_pb2, wrappers_pb2
from google.protobuf.descriptor_pb2 import DescriptorProto as Message
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from google.protobuf.descriptor_pb2 import FileDescriptorProto as File

from kubrick_cel.shapes import ListOf, MapOf, Scalar, Shape, Struct

KNOWN = (struct_pb2, timestamp_pb2, duration_pb2, wrappers_pb2, any_pb2)
SCALARS = {
    "bool": Field.TYPE_BOOL,
    "int": Field.TYPE_INT64,
    "double": Field.TYPE_DOUBLE,
    "string": Field.TYPE_STRING,
    "bytes": Field.TYPE_BYTES,
}
NAMED = {
    "duration": ".google.protobuf.Duration",
    "timestamp": ".google.protobuf.Timestamp",
}
VALUE, LIST, MAP = (f".google.protobuf.{name}" for name in ("Value", "ListValue", "Struct"))


def pool(structs: Iterable[Struct]) -> descriptor_pool.DescriptorPool:
    """A pool that knows these structs, those within them, and protobuf's well-known types."""
    made = descriptor_pool.DescriptorPool()
    for module in KNOWN:
        made.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    known: dict[str, Struct] = {}
    for struct in structs:
        _collect(struct, known)
    packages: dict[str, File] = {}
    for name, struct in known.items():
        package, _, short = name.rpartition(".")
        if package not in packages:
            packages[package] = File(
                name=f"{package or 'root'}.proto",
                package=package,
                syntax="proto2",
                dependency=[module.DESCRIPTOR.name for module in KNOWN],
            )
        _message(packages[package].message_type.add(name=short), struct)
    for file in packages.values():
        made.AddSerializedFile(file.SerializeToString())
    return made


def _collect(shape: Shape, known: dict[str, Struct]) -> None:
    if isinstance(shape, ListOf):
        _collect(shape.item, known)
    elif isinstance(shape, MapOf):
        _collect(shape.value, known)
    elif isinstance(shape, Struct) and shape.name not in known:
        known[shape.name] = shape
        for part in shape.fields.values():
            _collect(part, known)


def _message(message: Message, struct: Struct) -> None:
    message.options.deprecated_legacy_json_field_conflicts = True  # a_b and aB are two fields
    entries: set[str] = set()
    for number, (name, shape) in enumerate(struct.fields.items(), 1):
        field = message.field.add(name=name, number=number, label=Field.LABEL_OPTIONAL, json_name=f"f{number}")
        if isinstance(shape, MapOf) and _plain(shape.value) and _entry_name(name) not in entries:
            entry = message.nested_type.add(name=_entry_name(name))
            entries.add(entry.name)
            entry.options.map_entry = True
            key = entry.field.add(name="key", number=1, label=Field.LABEL_OPTIONAL)
            key.type = Field.TYPE_STRING
            _typed(entry.field.add(name="value", number=2, label=Field.LABEL_OPTIONAL), shape.value)
            field.label, field.type = Field.LABEL_REPEATED, Field.TYPE_MESSAGE
            field.type_name = f".{struct.name}.{entry.name}"
        elif isinstance(shape, ListOf) and _plain(shape.item):
            field.label = Field.LABEL_REPEATED
            _typed(field, shape.item)
        else:
            _typed(field, shape)


def _plain(shape: Shape) -> bool:
    return isinstance(shape, (Scalar, Struct))


def _typed(field: Field, shape: Shape) -> None:
    if isinstance(shape, Scalar) and shape.name in SCALARS:
        field.type = SCALARS[shape.name]
        return
    field.type = Field.TYPE_MESSAGE
    if isinstance(shape, Struct):
        field.type_name = f".{shape.name}"
    elif isinstance(shape, Scalar):
        field.type_name = NAMED.get(shape.name, VALUE)
    else:
        field.type_name = LIST if isinstance(shape, ListOf) else MAP


def _entry_name(name: str) -> str:
    """What protobuf insists a map's entry is called."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_")) + "Entry"
