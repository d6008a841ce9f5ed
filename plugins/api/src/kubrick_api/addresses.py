"""IP addresses and CIDRs as the API accepts them.

New values must be written the way Go's net/netip writes them: no leading zeros, no IPv4 inside IPv6, no bits
beyond a prefix. What older objects already hold may stay. From apimachinery's util/validation (ip.go, with
StrictIPCIDRValidation on).
"""

import ipaddress
import re
from collections.abc import Collection, Sequence
from functools import lru_cache

from kubrick_api.errors import FieldError, invalid_value

IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_octet_zeros = re.compile(r"(?<![0-9a-fA-F:])0+(?=[0-9])|(?<=\.)0+(?=[0-9])")


@lru_cache(maxsize=4096)
def parse(text: str) -> Address | None:
    """The address, leading zeros of its octets forgiven; None for what is no address."""
    if "%" in text or "/" in text:
        return None
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        if "." not in text:
            return None
    try:
        return ipaddress.ip_address(_octet_zeros.sub("", text))
    except ValueError:
        return None


def family(text: str) -> str:
    """ "IPv4" or "IPv6"; "" for what is no address."""
    address = parse(text)
    return "" if address is None else "IPv4" if _unmapped(address).version == 4 else "IPv6"


def _unmapped(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address if mapped is None else mapped


@lru_cache(maxsize=4096)
def complaints(text: str) -> tuple[str, ...]:
    """What is wrong with an address."""
    address = parse(text)
    if address is None:
        return (IP,)
    errors = []
    try:
        ipaddress.ip_address(text)
    except ValueError:
        errors.append("must not have leading 0s")
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        errors.append("must not be an IPv4-mapped IPv6 address")
    return tuple(errors)


def check(text: str, path: str, known: Collection[str] = ()) -> list[FieldError]:
    """An address; `known` are those that were stored before and may stay."""
    if text in known:
        return []
    return [invalid_value(path, text, why) for why in complaints(text)]


def parse_cidr(text: str) -> tuple[Address, int] | None:
    """Address and prefix length, leading zeros forgiven; None for what is no CIDR."""
    host, slash, length = text.partition("/")
    address = parse(host)
    if not slash or address is None or not (length.isascii() and length.isdigit()):
        return None
    return (address, int(length)) if int(length) <= address.max_prefixlen else None


def network(address: Address, length: int) -> str:
    """The network an address is in: 10.1.2.3, 16 → "10.1.0.0/16"."""
    return str(ipaddress.ip_network((address, length), strict=False))


def check_cidr(text: str, path: str, known: Collection[str] = ()) -> list[FieldError]:
    """A CIDR; `known` are those that were stored before and may stay."""
    if text in known:
        return []
    parsed = parse_cidr(text)
    if parsed is None:
        return [invalid_value(path, text, CIDR)]
    address, length = parsed
    errors = []
    host, _, digits = text.partition("/")
    if digits != str(length) or "must not have leading 0s" in complaints(host):
        errors.append("must not have leading 0s in IP or prefix length")
    elif isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        errors.append("must not have an IPv4-mapped IPv6 address")
    if network(address, length) != f"{address}/{length}":
        errors.append("must not have bits set beyond the prefix length")
    return [invalid_value(path, text, why) for why in errors]


def dual_stack(families: Sequence[str]) -> bool:
    """Whether both families are there."""
    return "IPv4" in families and "IPv6" in families


def spelling_warnings(text: str, path: str) -> list[str]:
    """Warnings for an address that is spelt unusually."""
    address = parse(text)
    if address is None:
        return []
    if complaints(text):
        plain = _unmapped(address)
        return [
            f'{path}: non-standard IP address "{text}" will be considered invalid in a future Kubernetes release: '
            f'use "{plain}"'
        ]
    if address.version == 6 and str(address) != text:
        return [f'{path}: IPv6 address "{text}" should be in RFC 5952 canonical format ("{address}")']
    return []


def cidr_spelling_warnings(text: str, path: str) -> list[str]:
    """Warnings for a CIDR that is ambiguous or spelt unusually."""
    parsed = parse_cidr(text)
    if parsed is None:
        return []
    address, length = parsed
    whole = network(address, length)
    warnings = []
    if whole != f"{address}/{length}":
        single = f"{address}/{address.max_prefixlen}"
        warnings.append(
            f'{path}: CIDR value "{text}" is ambiguous in this context (should be "{whole}" or "{single}"?)'
        )
    if complaints(text.partition("/")[0]) or text.partition("/")[2] != str(length):
        warnings.append(
            f'{path}: non-standard CIDR value "{text}" will be considered invalid in a future Kubernetes release: '
            f'use "{whole}"'
        )
    if not warnings and address.version == 6 and whole != text:
        warnings.append(f'{path}: IPv6 CIDR value "{text}" should be in RFC 5952 canonical format ("{whole}")')
    return warnings
