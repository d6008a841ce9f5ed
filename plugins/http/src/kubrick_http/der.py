"""What a certificate says about its owner, read straight from its DER bytes (X.509, RFC 5280 §4.1).

Certificates come here after TLS has verified them, or from our own files; all that is missing is a
reader. Importing one costs a twentieth of the time a cluster may take to start, so here are the few
fields the server needs.
"""

from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address

from attrs import frozen

COMMON_NAME = b"\x55\x04\x03"
ORGANIZATION = b"\x55\x04\x0a"
USER_ID = b"\x2b\x06\x01\x04\x01\x83\xc2\x53\x02"
"""1.3.6.1.4.1.57683.2: the attribute Kubernetes reads a user's uid from."""
SUBJECT_ALTERNATIVE_NAME = b"\x55\x1d\x11"
BMP_STRING = 0x1E


@frozen
class Certificate:
    """`names` are the subject's attributes in order, as (object identifier in DER, text)."""

    names: tuple[tuple[bytes, str], ...]
    not_before: datetime
    not_after: datetime
    dns_names: frozenset[str]
    addresses: frozenset[str]

    def attribute(self, identifier: bytes) -> list[str]:
        """All values of one kind of subject attribute."""
        return [text for found, text in self.names if found == identifier]


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The DER elements one after another: (tag, content). Raises ValueError for anything malformed."""
    position = 0
    while position < len(data):
        try:
            tag, length = data[position], data[position + 1]
            position += 2
            if length >= 0x80:
                count = length & 0x7F
                length = int.from_bytes(data[position : position + count], "big")
                position += count
        except IndexError:
            raise ValueError("truncated DER") from None
        if position + length > len(data):
            raise ValueError("truncated DER")
        yield tag, data[position : position + length]
        position += length


def _time(tag: int, content: bytes) -> datetime:
    text = content.decode("ascii")
    if tag == 0x17:  # UTCTime: years 50 to 99 are the last century's
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def parse(der: bytes) -> Certificate:
    """Reads a certificate. Raises ValueError when it is not one."""
    try:
        ((_, certificate),) = _elements(der)
        (_, body), *_ = _elements(certificate)
        fields = list(_elements(body))
        if fields[0][0] == 0xA0:  # version, absent in version 1
            fields = fields[1:]
        _, _, _, (_, validity), (_, subject), _, *extensions = fields
        (since, not_before), (until, not_after) = _elements(validity)
        dns_names, addresses = _alternative_names(extensions)
        return Certificate(
            tuple(_subject(subject)), _time(since, not_before), _time(until, not_after), dns_names, addresses
        )
    except (ValueError, IndexError) as error:
        raise ValueError(f"not a certificate: {error}") from error


def _subject(subject: bytes) -> Iterator[tuple[bytes, str]]:
    for _, relative in _elements(subject):
        for _, attribute in _elements(relative):
            (_, identifier), (tag, value) = _elements(attribute)
            yield identifier, value.decode("utf-16-be" if tag == BMP_STRING else "utf-8", "replace")


def _alternative_names(fields: list[tuple[int, bytes]]) -> tuple[frozenset[str], frozenset[str]]:
    dns_names, addresses = set(), set()
    for tag, content in fields:
        if tag != 0xA3:
            continue
        ((_, extensions),) = _elements(content)
        for _, extension in _elements(extensions):
            (_, identifier), *_, (_, value) = _elements(extension)
            if identifier != SUBJECT_ALTERNATIVE_NAME:
                continue
            ((_, names),) = _elements(value)
            for kind, name in _elements(names):
                if kind == 0x82:
                    dns_names.add(name.decode("ascii"))
                elif kind == 0x87:
                    addresses.add(str(ip_address(name)))
    return frozenset(dns_names), frozenset(addresses)


def from_pem(pem: bytes) -> bytes:
    """The first certificate of a PEM file, in DER. Raises ValueError."""
    _, begin, rest = pem.partition(b"-----BEGIN CERTIFICATE-----")
    body, end, _ = rest.partition(b"-----END CERTIFICATE-----")
    if not (begin and end):
        raise ValueError("not a certificate in PEM")
    return b64decode(body)
