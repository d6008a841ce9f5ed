"""CRI's messages, built from the table in cri.json when this module is imported.

protobuf's runtime makes a class of every descriptor, so no generated code is needed. A field of the table
is "number name type", with "[]" behind the type when it is repeated; `map<K,V>` is a map. Enum values are
numbers, by name in `ENUMS`. Next to CRI stand the two messages of containerd's own event stream.
"""

import json
from importlib import resources
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_SCALARS: dict[str, int] = {
    "double": 1,
    "int64": 3,
    "uint64": 4,
    "int32": 5,
    "bool": 8,
    "string": 9,
    "bytes": 12,
    "uint32": 13,
}
_MESSAGE, _ENUM = 11, 14
_ONE, _MANY = 1, 3

CONTAINERD_EVENTS: dict[str, Any] = {
    "package": "containerd.services.events.v1",
    "enums": {},
    "messages": {
        "SubscribeRequest": ["1 filters string[]"],
        "Envelope": ["2 namespace string", "3 topic string"],
    },
    "services": {"Events": {"Subscribe": ["SubscribeRequest", "Envelope", "stream"]}},
}


class Method:
    """One RPC: its path, and the classes of what is sent and received."""

    __slots__ = ("path", "request", "response")

    def __init__(self, path: str, request: Any, response: Any) -> None:
        self.path = path
        self.request = request
        self.response = response


class Messages:
    """The classes, enums and methods of one package's table."""

    def __init__(self, table: dict[str, Any]) -> None:
        package = table["package"]
        self.enums: dict[str, dict[str, int]] = table["enums"]
        pool = descriptor_pool.DescriptorPool()
        pool.Add(_file(table))
        self._classes = {
            name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
            for name in table["messages"]
        }
        self._methods = {
            name: Method(f"/{package}.{service}/{name}", self._classes[entry[0]], self._classes[entry[1]])
            for service, methods in table["services"].items()
            for name, entry in methods.items()
        }

    def message(self, name: str) -> Any:
        """A message's class. Its constructor takes nested dicts; None leaves a field unset."""
        return self._classes[name]

    def method(self, name: str) -> Method:
        return self._methods[name]


def _file(table: dict[str, Any]) -> Any:
    package = table["package"]
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    messages = {}
    for name in table["messages"]:
        messages[name] = file.message_type.add(name=name)
    for name, values in table["enums"].items():
        outer, _, inner = name.rpartition(".")
        enum = messages[outer].enum_type.add(name=inner) if outer else file.enum_type.add(name=name)
        for value, number in values.items():
            enum.value.add(name=value, number=number)
    for name, fields in table["messages"].items():
        for field in fields:
            number, field_name, kind = field.split(" ")
            _add_field(messages[name], table, f".{package}.{name}", field_name, int(number), kind)
    return file


def _add_field(message: Any, table: dict[str, Any], full_name: str, name: str, number: int, kind: str) -> None:
    label = _ONE
    if kind.startswith("map<"):
        entry = message.nested_type.add(name="".join(part.capitalize() for part in name.split("_")) + "Entry")
        entry.options.map_entry = True
        for index, part in enumerate(kind[4:-1].split(",")):
            _add_field(entry, table, "", ("key", "value")[index], index + 1, part)
        message.field.add(name=name, number=number, label=_MANY, type=_MESSAGE, type_name=f"{full_name}.{entry.name}")
        return
    if kind.endswith("[]"):
        label, kind = _MANY, kind[:-2]
    if kind in _SCALARS:
        message.field.add(name=name, number=number, label=label, type=_SCALARS[kind])
        return
    # A nested enum is named without its message.
    inner = f"{full_name.rpartition('.')[2]}.{kind}"
    found = inner if inner in table["enums"] else kind
    type_ = _ENUM if found in table["enums"] else _MESSAGE
    message.field.add(name=name, number=number, label=label, type=type_, type_name=f".{table['package']}.{found}")


CRI = Messages(json.loads(resources.files(__package__ or "kubrick_runtime_cri").joinpath("cri.json").read_bytes()))
EVENTS = Messages(CONTAINERD_EVENTS)
ENUMS = CRI.enums
