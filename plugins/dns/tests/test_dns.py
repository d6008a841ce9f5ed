"""The cluster's names, asked and answered."""

import socket

import pytest
import trio
from dnslib import QTYPE, RCODE, RR, DNSRecord

from kubrick_api_core import SERVICES
from kubrick_dns.component import ClusterDNS
from kubrick_dns.forward import Forwarder, servers
from kubrick_dns.records import Records, address_of
from kubrick_dns.replies import Malformed, packed, parse, udp_room
from kubrick_dns.server import Server
from kubrick_kernel import ConfigurationError
from kubrick_kernel.clock import Random
from kubrick_testing import Cluster, build


def named(name, namespace="default"):
    return {"name": name, "namespace": namespace}


def make_service(name="web", cluster_ip="10.96.0.5", **spec):
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    return {"metadata": named(name), "spec": {"clusterIP": cluster_ip, "ports": ports, **spec}}


def make_slice(service="db", *endpoints):
    metadata = {**named(f"{service}-x"), "labels": {"kubernetes.io/service-name": service}}
    ports = [{"name": "http", "port": 8080, "protocol": "TCP"}]
    return {"metadata": metadata, "addressType": "IPv4", "endpoints": list(endpoints), "ports": ports}


def endpoint(address, ready=True, hostname=""):
    made = {"addresses": [address], "conditions": {"ready": ready}}
    return {**made, "hostname": hostname} if hostname else made


@pytest.fixture
def records():
    known = Records("cluster.local")
    known.put_namespace({"metadata": {"name": "default"}})
    known.put_service(make_service())
    known.put_service(make_service("db", "None"))
    known.put_slice(
        make_slice("db", endpoint("10.0.0.1", hostname="db-0"), endpoint("10.0.0.2"), endpoint("10.0.0.3", False))
    )
    known.put_service(make_service("out", "", type="ExternalName", externalName="example.com"))
    return known


def data(records, name, kind="A"):
    return sorted(str(record.data) for record in records.answer(name, kind).records)


def test_a_service_has_its_cluster_ip(records):
    assert data(records, "web.default.svc.cluster.local") == ["10.96.0.5"]
    assert records.answer("web.default.svc.cluster.local", "AAAA") == records.answer("default.svc.cluster.local", "A")


def test_a_headless_service_has_its_ready_endpoints(records):
    assert data(records, "db.default.svc.cluster.local") == ["10.0.0.1", "10.0.0.2"]
    assert data(records, "db-0.db.default.svc.cluster.local") == ["10.0.0.1"]
    assert data(records, "10-0-0-2.db.default.svc.cluster.local") == ["10.0.0.2"]
    records.put_service(make_service("db", "None", publishNotReadyAddresses=True))
    assert len(data(records, "db.default.svc.cluster.local")) == 3


def test_ports_have_srv_records_with_the_addresses_beside_them(records):
    answer = records.answer("_http._tcp.web.default.svc.cluster.local", "SRV")
    assert [r.data for r in answer.records] == [(0, 100, 80, "web.default.svc.cluster.local")]
    assert [r.data for r in answer.additional] == ["10.96.0.5"]
    headless = records.answer("_http._tcp.db.default.svc.cluster.local", "SRV")
    assert {r.data[3] for r in headless.records} == {
        "db-0.db.default.svc.cluster.local",
        "10-0-0-2.db.default.svc.cluster.local",
    }
    assert not records.answer("_nope._tcp.web.default.svc.cluster.local", "SRV").exists


def test_an_external_name_is_an_alias(records):
    assert [(r.type, r.data) for r in records.answer("out.default.svc.cluster.local", "A").records] == [
        ("CNAME", "example.com")
    ]


def test_addresses_have_names(records):
    assert data(records, "5.0.96.10.in-addr.arpa", "PTR") == ["web.default.svc.cluster.local"]
    assert data(records, "1.0.0.10.in-addr.arpa", "PTR") == ["db-0.db.default.svc.cluster.local"]
    assert not records.owns("9.9.9.9.in-addr.arpa")
    assert address_of("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa") == "fd00::1"


@pytest.mark.parametrize(
    ("name", "exists"),
    [
        ("cluster.local", True),
        ("svc.cluster.local", True),
        ("default.svc.cluster.local", True),
        ("nowhere.svc.cluster.local", False),
        ("nobody.default.svc.cluster.local", False),
        ("x.web.default.svc.cluster.local", False),
        ("other.cluster.local", False),
        ("10-1-2-3.default.pod.cluster.local", True),
        ("10-1-2-3.nowhere.pod.cluster.local", False),
        ("hello.default.pod.cluster.local", False),
    ],
)
def test_names_exist_or_do_not(records, name, exists):
    assert records.answer(name, "A").exists is exists


def test_the_schema_has_a_version(records):
    assert data(records, "dns-version.cluster.local", "TXT") == ["1.1.0"]


def test_what_goes_leaves_no_name(records):
    records.drop_service(make_service())
    assert not records.answer("web.default.svc.cluster.local", "A").exists
    assert not records.owns("5.0.96.10.in-addr.arpa")
    records.drop_slice(make_slice("db"))
    assert not records.answer("db.default.svc.cluster.local", "A").exists


def make_server(records, forwarder=None):
    return Server(records, forwarder, 30, lambda: 7, Random(1))


async def asked(server, name, kind="A", room=65535):
    reply = await server.answer(DNSRecord.question(name, kind).pack(), room)
    return DNSRecord.parse(reply)


async def test_nothing_found_says_how_long_that_may_be_remembered(records):
    reply = await asked(make_server(records), "nobody.default.svc.cluster.local")
    assert RCODE[reply.header.rcode] == "NXDOMAIN"
    assert reply.auth[0].rtype == QTYPE.SOA
    assert reply.auth[0].ttl == 30
    empty = await asked(make_server(records), "web.default.svc.cluster.local", "AAAA")
    assert (RCODE[empty.header.rcode], len(empty.rr), len(empty.auth)) == ("NOERROR", 0, 1)


async def test_the_name_comes_back_as_it_was_spelled(records):
    reply = await asked(make_server(records), "WEB.default.svc.Cluster.local")
    assert str(reply.rr[0].rname) == "WEB.default.svc.Cluster.local."


async def test_answers_that_do_not_fit_are_cut_and_say_so(records):
    many = make_slice("db", *(endpoint(f"10.0.1.{n}") for n in range(1, 60)))
    records.put_slice(many)
    question = DNSRecord.question("db.default.svc.cluster.local")
    short = DNSRecord.parse(await make_server(records).answer(question.pack(), None))
    assert (short.header.tc, len(short.rr)) == (1, 0)
    assert len((await asked(make_server(records), "db.default.svc.cluster.local")).rr) == 59
    assert udp_room(question) == 512
    assert packed(short, 10) == packed(short, 512)


async def test_an_alias_inside_the_cluster_is_followed(records):
    records.put_service(make_service("alias", "", type="ExternalName", externalName="web.default.svc.cluster.local."))
    reply = await asked(make_server(records), "alias.default.svc.cluster.local")
    assert [QTYPE[r.rtype] for r in reply.rr] == ["CNAME", "A"]


@pytest.mark.parametrize("bad", [b"", b"\x00", b"\xff" * 40, DNSRecord.question("a").reply().pack()])
async def test_bytes_that_are_no_question_get_no_answer(records, bad):
    assert await make_server(records).answer(bad, None) is None
    with pytest.raises(Malformed):
        parse(bad)


async def test_other_names_are_refused_without_an_upstream_server(records):
    reply = await asked(make_server(records), "example.com")
    assert RCODE[reply.header.rcode] == "REFUSED"


async def test_other_names_are_asked_upstream_once_and_remembered(records):
    with trio.socket.socket(type=socket.SOCK_DGRAM) as upstream:
        await upstream.bind(("127.0.0.1", 0))
        count = 0

        async def answer_upstream():
            nonlocal count
            while True:
                question, address = await upstream.recvfrom(4096)
                count += 1
                reply = DNSRecord.parse(question).reply()
                reply.add_answer(*RR.fromZone("example.com. 20 A 192.0.2.1"))
                await upstream.sendto(reply.pack(), address)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer_upstream)
            server = make_server(records, Forwarder([upstream.getsockname()]))
            for _ in range(3):
                reply = await asked(server, "example.com")
                assert str(reply.rr[0].rdata) == "192.0.2.1"
            nursery.cancel_scope.cancel()
        assert count == 1


async def test_silent_upstream_servers_are_a_server_failure(records, autojump_clock):
    with trio.socket.socket(type=socket.SOCK_DGRAM) as silent:
        await silent.bind(("127.0.0.1", 0))
        reply = await asked(make_server(records, Forwarder([silent.getsockname()])), "example.com")
    assert RCODE[reply.header.rcode] == "SERVFAIL"


def test_upstream_servers_are_read_from_the_setting_or_a_file(tmp_path):
    assert servers("192.0.2.1, 192.0.2.2:5353, fd00::1") == [("192.0.2.1", 53), ("192.0.2.2", 5353), ("fd00::1", 53)]
    file = tmp_path / "resolv.conf"
    file.write_text("# comment\nnameserver 192.0.2.9\nsearch example.com\n")
    assert servers(str(file)) == [("192.0.2.9", 53)]
    with pytest.raises(ConfigurationError, match="No such file"):
        servers(str(tmp_path / "missing"))
    with pytest.raises(ConfigurationError, match="is not HOST"):
        servers("host:port")


@pytest.mark.kubrick(enable=["dns"], settings={"dns": {"listen": "127.0.0.1:0", "upstream": ""}})
async def test_a_new_service_is_served_over_udp_and_tcp(cluster: Cluster):
    made = await cluster.client.create(SERVICES, build.service(), "default")
    (address,) = cluster.kernel.find(ClusterDNS).addresses
    question = DNSRecord.question("web.default.svc.cluster.local").pack()
    with trio.socket.socket(type=socket.SOCK_DGRAM) as udp:
        await udp.connect(address)
        await udp.send(question)
        reply = DNSRecord.parse(await udp.recv(4096))
    assert str(reply.rr[0].rdata) == made["spec"]["clusterIP"]
    stream = await trio.open_tcp_stream(*address)
    async with stream:
        await stream.send_all(2 * (len(question).to_bytes(2) + question))
        received = b""
        while len(received) < 2 * (2 + len(reply.pack())):
            received += await stream.receive_some()
    assert int.from_bytes(received[:2]) == len(reply.pack())
