"""JSON values as Go prints them, for messages that quote them with %T, %v and %#v."""

from typing import Any

import orjson

NAMES = {str: "string", bool: "bool", int: "int64", float: "float64"}
LIST, MAP = "[]interface {}", "map[string]interface {}"


def type_name(value: Any) -> str:
    """%T: the type of a decoded JSON value."""
    if value is None:
        return "<nil>"
    return NAMES.get(type(value)) or (LIST if isinstance(value, list) else MAP)


def value_text(value: Any) -> str:
    """%v: map[a:1 b:[x y]]"""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{value_text(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(value_text, value))}]"
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def string_text(value: Any) -> str:
    """%s: like %v where there are texts only; all else shows that it is none: %!s(int64=1)"""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{string_text(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(string_text, value))}]"
    return "%!s(<nil>)" if value is None else f"%!s({type_name(value)}={value_text(value)})"


def literal(value: Any) -> str:
    """%#v: map[string]interface {}{"a":1}"""
    if isinstance(value, dict):
        return f"{MAP}{{{', '.join(f'{literal(key)}:{literal(value[key])}' for key in sorted(value))}}}"
    if isinstance(value, list):
        return f"{LIST}{{{', '.join(map(literal, value))}}}"
    if isinstance(value, str):
        return orjson.dumps(value).decode()
    return "interface {}(nil)" if value is None else value_text(value)
