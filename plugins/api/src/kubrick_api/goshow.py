"""Values as Go prints them inside error messages: texts by %q, numbers by %v, everything else by encoding/json.

From apimachinery's util/validation/field (ErrorBody), strconv and encoding/json.
"""

from decimal import Decimal
from typing import Any

ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}
HEXED = "".join(map(chr, range(0x20))) + "<>&\u2028\u2029"
IN_JSON = {letter: f"\\u{ord(letter):04x}" for letter in HEXED} | {
    letter: text for letter, text in ESCAPES.items() if letter not in "\a\v"
}


def quoted(text: str) -> str:
    """%q: in quotes; what can't be seen is escaped."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(letter: str) -> str:
    if (known := ESCAPES.get(letter)) is not None:
        return known
    if letter.isprintable():
        return letter
    code = ord(letter)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def number(value: float) -> str:
    """%v of a float: 1.5, 1e+06."""
    digits, exponent = _digits(value)
    if value and not -4 <= exponent < 6:
        return _scientific(value, digits, exponent)
    return _plain(value)


def encoded(value: Any) -> str:
    """encoding/json: the keys' order is the caller's; <, > and & are escaped."""
    if isinstance(value, dict):
        return f"{{{','.join(f'{_text(key)}:{encoded(entry)}' for key, entry in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(encoded, value))}]"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        tiny = value != 0 and not 1e-6 <= abs(value) < 1e21
        return _scientific(value, *_digits(value)).replace("e-0", "e-") if tiny else _plain(value)
    return "null" if value is None else str(value)


def _text(text: str) -> str:
    return f'"{"".join(IN_JSON.get(letter, letter) for letter in text)}"'


def _digits(value: float) -> tuple[str, int]:
    """The fewest digits that mean this number, and its exponent of ten."""
    _, digits, exponent = Decimal(repr(value)).as_tuple()
    text = "".join(map(str, digits))
    shown = text.rstrip("0") or "0"
    return shown, len(text) - 1 + int(exponent)


def _plain(value: float) -> str:
    return format(Decimal(repr(value)), "f").removesuffix(".0")


def _scientific(value: float, digits: str, exponent: int) -> str:
    mantissa = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "")
    return f"{'-' if value < 0 else ''}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
