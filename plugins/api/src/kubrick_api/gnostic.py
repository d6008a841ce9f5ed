"""An OpenAPI v2 document as protobuf: gnostic's openapi.v2.Document, written by hand.

kubectl asks for nothing else. Only the fields that our documents use are written; numbers are those of
gnostic's OpenAPIv2.proto. Values of extensions and defaults are YAML text there; JSON is YAML.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

Json = Mapping[str, Any]


def varint(number: int) -> bytes:
    if number < 0x80:
        return bytes((number,))
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def message(field: int, content: bytes) -> bytes:
    """A length-delimited field: a message or text."""
    return varint(field << 3 | 2) + varint(len(content)) + content


def text(field: int, value: str | None) -> bytes:
    return message(field, value.encode()) if value else b""


def texts(field: int, values: Iterable[str]) -> bytes:
    return b"".join(message(field, value.encode()) for value in values)


def flag(field: int, value: Any) -> bytes:
    return varint(field << 3) + b"\x01" if value else b""


def any_value(value: Any) -> bytes:
    return message(2, orjson.dumps(value) + b"\n")


def named(field: int, name: str, content: bytes) -> bytes:
    """One entry of gnostic's Named* lists: name = 1, value = 2."""
    return message(field, text(1, name) + message(2, content))


def vendor(field: int, source: Json) -> bytes:
    return b"".join(named(field, key, any_value(value)) for key, value in source.items() if key.startswith("x-"))


def document(source: Json) -> bytes:
    """The whole document."""
    info = text(1, source["info"]["title"]) + text(2, source["info"]["version"])
    paths = b"".join(named(2, path, path_item(item)) for path, item in source["paths"].items())
    definitions = b"".join(named(1, name, schema(item)) for name, item in source["definitions"].items())
    parameters = b"".join(named(1, name, parameter(item)) for name, item in source["parameters"].items())
    return (
        text(1, source["swagger"])
        + message(2, info)
        + message(8, paths)
        + message(9, definitions)
        + message(10, parameters)
    )


METHODS = {"get": 2, "put": 3, "post": 4, "delete": 5, "patch": 8}


def path_item(source: Json) -> bytes:
    operations = b"".join(message(METHODS[key], operation(value)) for key, value in source.items() if key in METHODS)
    return operations + b"".join(message(9, parameters_item(item)) for item in source.get("parameters", ()))


def operation(source: Json) -> bytes:
    answers = b"".join(named(1, code, message(1, response(item))) for code, item in source["responses"].items())
    return (
        texts(1, source["tags"])
        + text(3, source["description"])
        + text(5, source["operationId"])
        + texts(6, source["produces"])
        + texts(7, source["consumes"])
        + b"".join(message(8, parameters_item(item)) for item in source.get("parameters", ()))
        + message(9, answers)
        + vendor(13, source)
    )


def response(source: Json) -> bytes:
    content = message(2, message(1, schema(source["schema"]))) if "schema" in source else b""
    return text(1, source["description"]) + content


def parameters_item(source: Json) -> bytes:
    if "$ref" in source:
        return message(2, text(1, source["$ref"]))
    return message(1, parameter(source))


def parameter(source: Json) -> bytes:
    if source["in"] == "body":
        body = text(2, source["name"]) + text(3, "body") + flag(4, source.get("required"))
        return message(1, body + message(5, schema(source["schema"])))
    shared = (
        flag(1, source.get("required"))
        + text(2, source["in"])
        + text(3, source.get("description"))
        + text(4, source["name"])
    )
    if source["in"] == "query":
        return message(2, message(3, shared + text(6, source["type"]) + flag(20, source.get("uniqueItems"))))
    return message(2, message(4, shared + text(5, source["type"])))


def schema(source: Json) -> bytes:
    """A Schema, recursively."""
    parts = [text(1, source.get("$ref")), text(2, source.get("format")), text(4, source.get("description"))]
    if "default" in source:
        parts.append(message(5, any_value(source["default"])))
    parts.append(texts(19, source.get("required", ())))
    if "additionalProperties" in source:
        parts.append(message(21, message(1, schema(source["additionalProperties"]))))
    if "type" in source:
        parts.append(message(22, text(1, source["type"])))
    if "items" in source:
        parts.append(message(23, message(1, schema(source["items"]))))
    if "properties" in source:
        properties = b"".join(named(1, name, schema(item)) for name, item in source["properties"].items())
        parts.append(message(25, properties))
    parts.append(vendor(31, source))
    return b"".join(parts)
