"""What requests mean, who may make them, and the certificates: pure parts of the serving side."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from kubrick_api.names import GVR
from kubrick_api.storage import Call, UserInfo
from kubrick_apiserver import pki, tls
from kubrick_apiserver.access import AccessControl, access_of_call, refusal, trusted
from kubrick_apiserver.auth import Access
from kubrick_apiserver.authentication import impersonated
from kubrick_apiserver.request_info import is_long_running, parse_target
from kubrick_apiserver.warning import warning_headers
from kubrick_http import der
from kubrick_kernel import ConfigurationError

BOB = UserInfo("bob")
LEAVES = {f"{name}.{kind}" for name in ("apiserver", "admin", "apiserver-kubelet-client") for kind in ("crt", "key")}


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/api/v1/pods", "list  v1  pods  "),
        ("GET", "/api/v1/pods?watch=1", "watch  v1  pods  "),
        ("GET", "/api/v1/pods?watch", "watch  v1  pods  "),
        ("GET", "/api/v1/pods?watch=false", "list  v1  pods  "),
        ("GET", "/api/v1/watch/pods", "watch  v1  pods  "),
        ("GET", "/api/v1/namespaces", "list  v1  namespaces  "),
        ("GET", "/api/v1/namespaces/x", "get  v1 x namespaces  x"),
        ("PUT", "/api/v1/namespaces/x/finalize", "update  v1 x namespaces finalize x"),
        ("GET", "/api/v1/namespaces/x/pods", "list  v1 x pods  "),
        ("GET", "/api/v1/namespaces/x/pods/p", "get  v1 x pods  p"),
        ("HEAD", "/api/v1/namespaces/x/pods/p", "get  v1 x pods  p"),
        ("GET", "/api/v1/namespaces/x/pods/p/log", "get  v1 x pods log p"),
        ("POST", "/api/v1/namespaces/x/pods", "create  v1 x pods  "),
        ("DELETE", "/api/v1/namespaces/x/pods", "deletecollection  v1 x pods  "),
        ("DELETE", "/api/v1/namespaces/x/pods/p", "delete  v1 x pods  p"),
        ("PATCH", "/apis/apps/v1/namespaces/x/deployments/d/scale", "patch apps v1 x deployments scale d"),
        ("GET", "/apis/apps/v1/deployments?fieldSelector=metadata.name%3Dd", "list apps v1  deployments  d"),
        ("GET", "/apis/apps/v1/deployments/", "list apps v1  deployments  "),
    ],
)
def test_a_resource_request_is_recognised(method: str, target: str, expected: str) -> None:
    info = parse_target(method, target)[3]
    assert info.resource_request
    found = (info.verb, info.group, info.version, info.namespace, info.resource, info.subresource, info.name)
    assert " ".join(found) == expected


@pytest.mark.parametrize("target", ["/", "/api", "/api/v1", "/apis", "/apis/apps/v1", "/healthz", "/version", "/x/y/z"])
def test_other_paths_are_paths(target: str) -> None:
    info = parse_target("GET", target)[3]
    assert (info.resource_request, info.verb, info.path) == (False, "get", target)


def test_query_parameters_keep_their_last_value_and_all_where_there_are_several() -> None:
    path, query, lists, _ = parse_target("GET", "http://host/readyz?exclude=a&exclude=b&x=%20+y&verbose")
    assert path == "/readyz"
    assert query == {"exclude": "b", "x": "  y", "verbose": ""}
    assert lists == {"exclude": ("a", "b")}


@given(st.text(max_size=60))
def test_any_target_is_understood_or_refused(target: str) -> None:
    try:
        parse_target("GET", target)
    except ValueError:
        pass


def test_watches_and_logs_are_long_running() -> None:
    for target in ("/api/v1/pods?watch=true", "/api/v1/namespaces/x/pods/p/log", "/api/v1/namespaces/x/pods/p/exec"):
        assert is_long_running(parse_target("GET", target)[3])
    assert not is_long_running(parse_target("GET", "/api/v1/pods")[3])


@pytest.mark.parametrize(
    ("access", "message"),
    [
        (
            Access(BOB, "list", resource="pods", namespace="default"),
            'pods is forbidden: User "bob" cannot list resource "pods" in API group "" in the namespace "default"',
        ),
        (
            Access(BOB, "get", group="apps", resource="deployments", subresource="scale", namespace="x", name="d"),
            'deployments.apps "d" is forbidden: User "bob" cannot get resource "deployments/scale" in API group "apps" '
            'in the namespace "x"',
        ),
        (
            Access(BOB, "watch", resource="nodes"),
            'nodes is forbidden: User "bob" cannot watch resource "nodes" in API group "" at the cluster scope',
        ),
        (Access(BOB, "get", False, path="/a<b>"), 'forbidden: User "bob" cannot get path "/a&lt;b&gt;"'),
    ],
)
def test_refusals_are_worded_like_kubernetes(access: Access, message: str) -> None:
    assert refusal(access).message == message
    assert refusal(access, "why").message == f"{message}: why"


def test_only_the_connector_makes_the_server_itself_a_master() -> None:
    loopback = UserInfo("system:apiserver")
    access = access_of_call(Call("get", GVR("", "v1", "namespaces"), name="x"), loopback)
    assert access.namespace == "x"
    control = AccessControl()
    assert control.authorize(access) == (None, "")
    assert control.authorize(access_of_call(Call("get", GVR("", "v1", "pods")), trusted(loopback))) == (True, "")
    assert trusted(BOB) is BOB


def test_impersonated_users_are_in_the_groups_that_follow_from_their_name() -> None:
    assert impersonated("bob", "", (), {}).groups == ("system:authenticated",)
    assert impersonated("system:anonymous", "", (), {}).groups == ("system:unauthenticated",)
    account = impersonated("system:serviceaccount:ns:a", "", (), {})
    assert account.groups == ("system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated")


def test_warnings_are_quoted_said_once_and_kept_short() -> None:
    assert warning_headers(['a "b"', 'a "b"', "c\nd"]) == [
        ("Warning", '299 - "a \\"b\\""'),
        ("Warning", '299 - "c d"'),
    ]
    assert sum(len(value) for _, value in warning_headers(str(number) * 300 for number in range(100))) < 5000


NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
NAMES = {"127.0.0.1", "::1", "localhost", "kubernetes.default.svc"}


def test_certificates_are_made_once(tmp_path: Path) -> None:
    made = pki.ensure(tmp_path, NAMES, "https://127.0.0.1:6443", NOW)
    before = {path.name: path.read_bytes() for path in made.directory.iterdir()}
    pki.ensure(tmp_path, NAMES - {"localhost"}, "https://127.0.0.1:6443", NOW + timedelta(days=200))
    assert before == {path.name: path.read_bytes() for path in made.directory.iterdir()}
    assert tls.server_context(made).verify_mode == ssl.CERT_OPTIONAL


@pytest.mark.parametrize(
    ("names", "later", "renewed"),
    [
        (NAMES | {"new.example"}, timedelta(0), {"apiserver.crt", "apiserver.key"}),
        (NAMES, timedelta(days=340), LEAVES),
        (NAMES, timedelta(days=3640), LEAVES | {"ca.crt", "ca.key"}),
    ],
)
def test_what_is_outdated_is_renewed(tmp_path: Path, names: set[str], later: timedelta, renewed: set[str]) -> None:
    made = pki.ensure(tmp_path, NAMES, "https://127.0.0.1:6443", NOW)
    before = {path.name: path.read_bytes() for path in made.directory.iterdir()}
    kubeconfig = made.kubeconfig.read_bytes()
    pki.ensure(tmp_path, names, "https://127.0.0.1:6443", NOW + later)
    assert {name for name, content in before.items() if (made.directory / name).read_bytes() != content} == renewed
    assert (made.kubeconfig.read_bytes() != kubeconfig) == ("admin.crt" in renewed)


def test_our_reader_of_certificates_agrees_with_cryptography(tmp_path: Path) -> None:
    made = pki.ensure(tmp_path, NAMES, "https://127.0.0.1:6443", NOW)
    pem = made.serving[0].read_bytes()
    theirs = x509.load_pem_x509_certificate(pem)
    ours = der.parse(der.from_pem(pem))
    assert (ours.not_before, ours.not_after) == (theirs.not_valid_before_utc, theirs.not_valid_after_utc)
    alternatives = theirs.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert ours.dns_names == set(alternatives.get_values_for_type(x509.DNSName))
    assert ours.addresses == {str(address) for address in alternatives.get_values_for_type(x509.IPAddress)}
    admin = der.parse(der.from_pem((made.directory / "admin.crt").read_bytes()))
    assert admin.attribute(der.COMMON_NAME) == ["kubernetes-admin"]
    assert admin.attribute(der.ORGANIZATION) == ["system:masters"]


@given(st.binary(max_size=200))
def test_bytes_that_are_no_certificate_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a certificate"):
        der.parse(data)


def test_a_data_directory_that_is_none_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot keep certificates under"):
        pki.ensure(tmp_path / "file", NAMES, "https://127.0.0.1:6443", NOW)
