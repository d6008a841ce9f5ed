"""Makes DNS messages: a question's bytes in, an answer's bytes out. dnslib does the wire format."""

from dnslib import AAAA, CNAME, EDNS0, PTR, QTYPE, RCODE, RR, SOA, SRV, TXT, A, DNSError, DNSRecord

from kubrick_dns.records import Answer, Record, Records

UDP_LIMIT = 512
EDNS_LIMIT = 1232
"""The size that DNS Flag Day 2020 recommends for UDP."""


class Malformed(ValueError):
    """Bytes that are no DNS question."""


def parse(data: bytes) -> DNSRecord:
    """A question. Raises Malformed."""
    try:
        message = DNSRecord.parse(data)
    except (DNSError, ValueError, IndexError) as error:
        raise Malformed(str(error)) from None
    if message.header.qr or len(message.questions) != 1:
        raise Malformed("not a question")
    return message


def name_of(message: DNSRecord) -> str:
    """The name asked for, lower case and without the final dot."""
    return str(message.q.qname).rstrip(".").lower()


def type_of(message: DNSRecord) -> str:
    kind: str = QTYPE.get(message.q.qtype, str(message.q.qtype))
    return kind


def refuse(message: DNSRecord, code: str) -> DNSRecord:
    """An answer that is only a code: REFUSED, SERVFAIL, NOTIMP."""
    reply = message.reply(ra=1, aa=0)
    reply.header.rcode = getattr(RCODE, code)
    return _with_edns(message, reply)


def reply_to(message: DNSRecord, answer: Answer, records: Records, ttl: int, serial: int) -> DNSRecord:
    """The cluster's answer, authoritative; an SOA says how long nothing may be remembered."""
    reply = message.reply(ra=1, aa=1)
    asked = message.q.qname
    for record in answer.records:
        reply.add_answer(_resource(record, ttl, asked if record.name == name_of(message) else None))
    for record in answer.additional:
        reply.add_ar(_resource(record, ttl, None))
    if not answer.exists:
        reply.header.rcode = RCODE.NXDOMAIN
    if not answer.records:
        zone = records.domain
        soa = SOA(f"ns.dns.{zone}", f"hostmaster.{zone}", (serial, 7200, 1800, 86400, ttl))
        reply.add_auth(RR(zone, QTYPE.SOA, rdata=soa, ttl=ttl))
    return _with_edns(message, reply)


def _resource(record: Record, ttl: int, name: object | None) -> RR:
    data = record.data
    made = {
        "A": lambda: A(data),
        "AAAA": lambda: AAAA(data),
        "CNAME": lambda: CNAME(data),
        "PTR": lambda: PTR(data),
        "TXT": lambda: TXT(data),
        "SRV": lambda: SRV(*data),
    }[record.type]()
    return RR(name or record.name, getattr(QTYPE, record.type), rdata=made, ttl=ttl)


def _edns(message: DNSRecord) -> RR | None:
    return next((extra for extra in message.ar if extra.rtype == QTYPE.OPT), None)


def _with_edns(message: DNSRecord, reply: DNSRecord) -> DNSRecord:
    if _edns(message) is not None:
        reply.add_ar(EDNS0(udp_len=EDNS_LIMIT))
    return reply


def udp_room(message: DNSRecord) -> int:
    """How many bytes the asker takes over UDP."""
    edns = _edns(message)
    return UDP_LIMIT if edns is None else max(UDP_LIMIT, min(int(edns.rclass), EDNS_LIMIT))


def packed(reply: DNSRecord, room: int) -> bytes:
    """The answer's bytes; cut to the bare question with the truncation bit when they don't fit."""
    data: bytes = reply.pack()
    if len(data) <= room:
        return data
    short = DNSRecord(reply.header, q=reply.q)
    short.header.tc = 1
    cut: bytes = short.pack()
    return cut
