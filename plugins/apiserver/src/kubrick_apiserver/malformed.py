"""What is wrong with JSON that orjson refused, in the words of Go's encoding/json.

Clients show these texts to people, and scripts match them, so the scanner here walks the same states as
Go's and stops where Go stops. It only runs on bodies that are already known to be bad.
"""

import re
from typing import Any

from kubrick_api.trouble import describe

NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
SPACE = b" \t\r\n"
END = "unexpected end of JSON input"
NO_KIND = "couldn't get version/kind; json parse error: "
DEPTH = 10_000


class Malformed(Exception):
    """Carries Go's message."""


def untyped(value: Any) -> str:
    """Go's message for JSON that isn't an object with a text as its kind and another as its apiVersion, if they are
    there at all; "" where it is."""
    if value is None:
        return f"{NO_KIND}{END}"
    if not isinstance(value, dict):
        return (
            f"{NO_KIND}json: cannot unmarshal {describe(value, '')} into Go value of type "
            'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
        )
    for name in ("kind", "apiVersion"):
        if value.get(name) is not None and not isinstance(value[name], str):
            found = describe(value[name], "")
            return f"{NO_KIND}json: cannot unmarshal {found} into Go struct field .{name} of type string"
    return ""


def syntax_error(data: bytes) -> str:
    """Go's message for malformed `data`; "" when Go would have accepted it."""
    try:
        position = _skip(data, _document(data))
    except Malformed as error:
        return str(error)
    if position < len(data):
        return _character(data, position, "after top-level value")
    return ""


def _document(data: bytes) -> int:
    """Walk one value without recursion; returns where it ends."""
    stack: list[int] = []
    position = 0
    while True:
        position, opened = _value(data, position, stack)
        if opened:
            continue
        while True:
            if not stack:
                return position
            position = _skip(data, position)
            mapping = stack[-1] == 0x7B
            where = "after object key:value pair" if mapping else "after array element"
            byte = _byte(data, position)
            if byte == 0x2C:
                position += 1
                if mapping:
                    position = _key(data, _skip(data, position))
                break
            if byte != (0x7D if mapping else 0x5D):
                raise Malformed(_character(data, position, where))
            stack.pop()
            position += 1


def _value(data: bytes, position: int, stack: list[int]) -> tuple[int, bool]:
    """Step over a scalar or an empty container, or into a container (True)."""
    position = _skip(data, position)
    byte = _byte(data, position)
    if byte in (0x7B, 0x5B):
        if len(stack) >= DEPTH:
            raise Malformed("exceeded max depth")
        inside = _skip(data, position + 1)
        if _byte(data, inside) == byte + 2:
            return inside + 1, False
        stack.append(byte)
        return (_key(data, inside), True) if byte == 0x7B else (inside, True)
    if byte == 0x22:
        return _string(data, position), False
    if byte == 0x2D or 0x30 <= byte <= 0x39:
        return _number(data, position), False
    for word in (b"true", b"false", b"null"):
        if byte == word[0]:
            return _literal(data, position, word), False
    raise Malformed(_character(data, position, "looking for beginning of value"))


def _key(data: bytes, position: int) -> int:
    if _byte(data, position) != 0x22:
        raise Malformed(_character(data, position, "looking for beginning of object key string"))
    position = _skip(data, _string(data, position))
    if _byte(data, position) != 0x3A:
        raise Malformed(_character(data, position, "after object key"))
    return position + 1


def _string(data: bytes, position: int) -> int:
    position += 1
    while True:
        byte = _byte(data, position)
        if byte == 0x22:
            return position + 1
        if byte < 0x20:
            raise Malformed(_character(data, position, "in string literal"))
        if byte == 0x5C:
            position += 1
            escape = _byte(data, position)
            if escape == 0x75:
                for _ in range(4):
                    position += 1
                    if chr(_byte(data, position)) not in "0123456789abcdefABCDEF":
                        raise Malformed(_character(data, position, "in \\u hexadecimal character escape"))
            elif chr(escape) not in '"\\/bfnrt':
                raise Malformed(_character(data, position, "in string escape code"))
        position += 1


def _number(data: bytes, position: int) -> int:
    match = NUMBER.match(data, position)
    if match is None:
        raise Malformed(_character(data, position + 1, "in numeric literal") if position + 1 < len(data) else END)
    end = match.end()
    following = data[end : end + 1]
    if following == b".":
        raise Malformed(_character(data, end + 1, "after decimal point in numeric literal"))
    if following in (b"e", b"E"):
        at = end + 2 if data[end + 1 : end + 2] in (b"+", b"-") else end + 1
        raise Malformed(_character(data, at, "in exponent of numeric literal"))
    return end


def _literal(data: bytes, position: int, word: bytes) -> int:
    for offset in range(1, len(word)):
        if _byte(data, position + offset) != word[offset]:
            where = f"in literal {word.decode()} (expecting {chr(word[offset])!r})"
            raise Malformed(_character(data, position + offset, where))
    return position + len(word)


def _skip(data: bytes, position: int) -> int:
    while position < len(data) and data[position] in SPACE:
        position += 1
    return position


def _byte(data: bytes, position: int) -> int:
    if position >= len(data):
        raise Malformed(END)
    return data[position]


def _character(data: bytes, position: int, where: str) -> str:
    if position >= len(data):
        return END
    character = chr(data[position])
    quoted = {"'": "'\\''", '"': "'\"'", "\n": "'\\n'", "\t": "'\\t'", "\r": "'\\r'", "\\": "'\\\\'"}.get(character)
    if quoted is None:
        quoted = f"'{character}'" if character.isprintable() else f"'\\x{ord(character):02x}'"
    return f"invalid character {quoted} {where}"
