"""Formats that apiextensions-apiserver knows of: what a text of each looks like. Other names mean nothing."""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from datetime import date, datetime
from uuid import UUID

MAC = re.compile(r"([0-9a-fA-F]{2}[:-]){5}([0-9a-fA-F]{2}[:-][0-9a-fA-F]{2}[:-])?[0-9a-fA-F]{2}")
MONTHS = re.compile(r"\d{4}-\d{2}-\d{2}")
STAMP = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})")
HOST = re.compile(r"[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?)*\.?")
SPAN = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)(([0-9.]+)(ns|us|µs|μs|ms|s|m|h))*|[-+]?0")
WORDS = re.compile(
    r"\d+\s*(ns|nano|us|µs|micro|ms|milli|s|sec|second|m|min|minute|h|hr|hour|d|day|w|week|wk)s?", re.IGNORECASE
)
COLOR = re.compile("#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
UUIDS = re.compile(r"[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}")


def fits_format(form: str, text: str) -> bool:
    check = FORMATS.get(form.replace("-", ""))
    if check is None:
        return True
    try:
        return bool(check(text))
    except (ValueError, binascii.Error):
        return False


def _version(text: str, number: int) -> bool:
    return ipaddress.ip_address(text).version == number


def _uuid(text: str, version: int = 0) -> bool:
    return bool(UUIDS.fullmatch(text)) and (not version or UUID(text).version == version)


FORMATS: dict[str, Callable[[str], object]] = {
    "byte": lambda text: base64.b64decode(text, validate=True) is not None,
    "date": lambda text: MONTHS.fullmatch(text) and date.fromisoformat(text),
    "datetime": lambda text: STAMP.fullmatch(text) and datetime.fromisoformat(text[:10]),
    "duration": lambda text: SPAN.fullmatch(text) or WORDS.fullmatch(text.strip()),
    "hostname": lambda text: len(text) <= 255 and HOST.fullmatch(text),
    "ipv4": lambda text: _version(text, 4),
    "ipv6": lambda text: _version(text, 6),
    "cidr": lambda text: "/" in text and ipaddress.ip_interface(text) is not None,
    "mac": MAC.fullmatch,
    "uuid": _uuid,
    "uuid3": lambda text: _uuid(text, 3),
    "uuid4": lambda text: _uuid(text, 4),
    "uuid5": lambda text: _uuid(text, 5),
    "hexcolor": COLOR.fullmatch,
}
