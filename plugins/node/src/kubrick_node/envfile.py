"""Files that containers leave to each other as environment (fileKeyRef, KEP-3721). Pure.

A strict part of the shell's syntax: one NAME='value' after the other, a value between single quotes and over as many
lines as it takes, comments at lines' beginnings and behind values.
"""


class BadFile(ValueError):
    """A file that is no such thing; the message says where."""


def value_of(text: str, key: str) -> str:
    """The value of `key`, the first there is; "" when there is none. Lines after it are not looked at. Raises
    `BadFile`."""
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        first = number
        line = lines[number].lstrip(" \t")
        number += 1
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        _check_name(name, equals, number)
        if value[:1] in (" ", "\t"):
            if name == key:
                return ""  # as in a shell: what stands behind the blank is another word
            continue
        if not value.startswith("'"):
            raise _bad(number, "value must be enclosed in single quotes")
        value = value[1:]
        while "'" not in value:
            if number == len(lines):
                raise BadFile(
                    f"invalid environment variable format starting at line {first + 1}: unclosed single quote"
                )
            value = f"{value}\n{lines[number]}"
            number += 1
        value, _, rest = value.partition("'")
        rest = rest.lstrip(" \t")
        if rest and not rest.startswith("#"):
            raise _bad(number, "unexpected content after closing quote")
        if name == key:
            return value
    return ""


def _check_name(name: str, equals: str, number: int) -> None:
    if not equals:
        raise _bad(number, "missing '='")
    if not name.strip(" \t"):
        raise _bad(number, "empty variable name")
    if name != name.rstrip(" \t"):
        raise _bad(number, "whitespace before '=' is not allowed")


def _bad(number: int, what: str) -> BadFile:
    return BadFile(f"invalid environment variable format at line {number}: {what}")
