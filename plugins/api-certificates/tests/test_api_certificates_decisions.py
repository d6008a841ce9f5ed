"""Approving, denying and issuing: what each of a request's three doors lets through, and what is said of the rest."""

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from kubrick_api.errors import StatusError
from kubrick_api_certificates import CERTIFICATE_SIGNING_REQUESTS as CSRS
from kubrick_api_certificates.request_validation import EXCLUSIVE
from kubrick_api_certificates.requests import ApprovalStrategy, SigningRequestStrategy
from kubrick_testing import Cluster, run_cluster

Object = dict[str, Any]
AT = "status.conditions"


def pem() -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ann")])
    key = ec.generate_private_key(ec.SECP256R1())
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, SHA256())
    return base64.b64encode(made.public_bytes(Encoding.PEM)).decode()


def csr(*conditions: Object, **spec: Any) -> Object:
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": "c"},
        "spec": {"request": REQUEST, "signerName": "a.io/b", "usages": ["client auth"], **spec},
        "status": {"conditions": list(conditions)} if conditions else {},
    }


REQUEST = pem()
APPROVED, DENIED = {"type": "Approved", "status": "True"}, {"type": "Denied", "status": "True"}
FAILED, OTHER = {"type": "Failed", "status": "True"}, {"type": "Other", "status": "False"}


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ([], [APPROVED], []),
        ([], [DENIED], []),
        ([], [FAILED], []),
        ([APPROVED], [APPROVED, OTHER], []),
        ([APPROVED], [{**APPROVED, "reason": "other"}], []),
        ([], [APPROVED, DENIED], [f'{AT}: Invalid value: "Denied": {EXCLUSIVE}']),
        ([DENIED], [DENIED, APPROVED], [f'{AT}: Invalid value: "Approved": {EXCLUSIVE}']),
        ([APPROVED, DENIED], [APPROVED, DENIED, OTHER], []),
        ([], [APPROVED, APPROVED], [f'{AT}[1].type: Duplicate value: "Approved"']),
        ([OTHER, OTHER], [OTHER, OTHER, APPROVED], []),
        (
            [],
            [{**APPROVED, "status": "False"}],
            [f'{AT}[0].status: Unsupported value: "False": supported values: "True"'],
        ),
        ([], [{"type": "Other"}], [f"{AT}[0].status: Required value"]),
        ([], [{"status": "True"}], [f"{AT}[0].type: Required value"]),
        ([{"status": "True"}], [{"status": "True"}, APPROVED], []),
        ([APPROVED], [], [f'{AT}: Forbidden: updates may not remove a condition of type "Approved"']),
        ([DENIED], [], [f'{AT}: Forbidden: updates may not remove a condition of type "Denied"']),
        ([FAILED], [], [f'{AT}: Forbidden: updates may not remove a condition of type "Failed"']),
        ([OTHER], [], []),
    ],
)
def test_what_an_approver_may_do(old: list[Object], new: list[Object], wrong: list[str]) -> None:
    errors = ApprovalStrategy().validate_replacement(csr(*new), csr(*old))
    assert [str(error) for error in errors] == wrong


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ([APPROVED], [APPROVED, FAILED], []),
        ([], [APPROVED], [f'{AT}: Forbidden: updates may not add a condition of type "Approved"']),
        ([], [DENIED], [f'{AT}: Forbidden: updates may not add a condition of type "Denied"']),
        ([APPROVED], [], [f'{AT}: Forbidden: updates may not remove a condition of type "Approved"']),
        ([FAILED], [], [f'{AT}: Forbidden: updates may not remove a condition of type "Failed"']),
    ],
)
def test_what_a_signer_may_do(old: list[Object], new: list[Object], wrong: list[str]) -> None:
    errors = SigningRequestStrategy().validate_status_update(csr(*new), csr(*old))
    assert [str(error) for error in errors] == wrong


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("", "x", ["must contain at least one CERTIFICATE PEM block"]),
        ("eA==", "eQ==", ["updates may not modify existing certificate content"]),
        ("eA==", "", ["updates may not modify existing certificate content"]),
        ("eA==", "eA==", []),
    ],
)
def test_a_certificate_is_issued_once(old: str, new: str, wrong: list[str]) -> None:
    before, after = csr(APPROVED), csr(APPROVED)
    before["status"]["certificate"], after["status"]["certificate"] = old, new
    errors = SigningRequestStrategy().validate_status_update(after, before)
    assert [error.message.split(": ")[-1] for error in errors] == wrong
    assert {error.field for error in errors} <= {"status.certificate"}


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ({"signerName": "kubernetes.io/legacy-unknown"}, 0),
        ({"usages": ["no such"]}, 0),
        ({"usages": ["any", "any"]}, 0),
        ({"expirationSeconds": 599}, 1),
        ({"usages": []}, 1),
    ],
)
def test_what_an_old_request_got_away_with_stays(spec: Object, wrong: int) -> None:
    old = csr(**spec)
    assert SigningRequestStrategy().validate(old) != []
    assert len(ApprovalStrategy().validate_replacement(csr(APPROVED, **spec), old)) == wrong


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        (f"{'a' * 63}.io/x", []),
        (f"{'a' * 64}.io/x", ["must be no more than 63 bytes"]),
        ("a.io/" + ".".join(["b" * 253] * 2), []),
        (".".join(["a" * 60] * 5) + "/x", ["Too long: may not be more than 253 bytes"]),
        ("a.io/" + ".".join(["b" * 190] * 3), ["Too long: may not be more than 571 bytes"]),
        ("a.io/", ["subdomain"]),
        ("a.io/b/c", ["must be a fully qualified domain and path of the form 'example.com/signer-name'"]),
    ],
)
def test_a_signers_name(name: str, wrong: list[str]) -> None:
    errors = SigningRequestStrategy().validate(csr(signerName=name))
    assert len(errors) == len(wrong)
    assert all(text in error.message for text, error in zip(wrong, errors, strict=True))


async def test_each_door_through_the_api() -> None:
    async with run_cluster("api") as cluster:
        with pytest.raises(StatusError) as caught:
            await cluster.client.create(CSRS, csr(usages=None))
        assert caught.value.message.endswith('"c" is invalid: spec.usages: Required value')
        await cluster.client.create(CSRS, csr())
        await decide(cluster)
        await issue(cluster)


async def decide(cluster: Cluster) -> None:
    both = {"status": {"conditions": [APPROVED, DENIED]}}
    error = await refused(cluster, both, "approval")
    assert error.message == (
        f'CertificateSigningRequest.certificates.k8s.io "c" is invalid: {AT}: Invalid value: "Denied": {EXCLUSIVE}'
    )
    error = await refused(cluster, {"status": {"conditions": [APPROVED]}}, "status")
    assert error.message.endswith(f'{AT}: Forbidden: updates may not add a condition of type "Approved"')
    stamped = {**APPROVED, "lastTransitionTime": "2026-01-01T00:00:00Z", "lastUpdateTime": "2026-01-01T00:00:00Z"}
    after = await patched(cluster, {"status": {"conditions": [stamped], "certificate": "eA=="}}, "approval")
    assert after["status"] == {"conditions": [stamped]}, "an approver issues nothing"
    after = await patched(cluster, {"status": {"conditions": [{**APPROVED, "reason": "again"}]}}, "approval")
    (condition,) = after["status"]["conditions"]
    assert condition["lastTransitionTime"] == stamped["lastTransitionTime"]
    assert condition["lastUpdateTime"] > stamped["lastUpdateTime"]


async def issue(cluster: Cluster) -> None:
    changed = {"status": {"conditions": [{**APPROVED, "reason": "mine"}, FAILED]}}
    after = await patched(cluster, changed, "status")
    assert [condition["type"] for condition in after["status"]["conditions"]] == ["Approved", "Failed"]
    assert after["status"]["conditions"][0]["reason"] == "again", "a signer decides nothing"
    error = await refused(cluster, {"status": {"conditions": [FAILED]}}, "status")
    assert error.message.endswith(f'{AT}: Forbidden: updates may not remove a condition of type "Approved"')
    error = await refused(cluster, {"status": {"certificate": REQUEST}}, "status")
    assert error.message.endswith(
        'status.certificate: Invalid value: "<certificate data>": only CERTIFICATE PEM blocks are allowed, found '
        '"CERTIFICATE REQUEST"'
    )
    for subresource in ("status", "approval"):
        patch = {"metadata": {"labels": {"by": subresource}}, "spec": {"signerName": "x"}}
        after = await patched(cluster, patch, subresource)
        assert (after["metadata"]["labels"], after["spec"]["signerName"]) == ({"by": subresource}, "a.io/b")
    after = await patched(cluster, {"spec": {"signerName": "x"}, "status": {"certificate": "eA=="}}, "")
    assert (after["spec"]["signerName"], "certificate" in after["status"]) == ("a.io/b", False)


async def patched(cluster: Cluster, patch: Object, subresource: str) -> Object:
    return await cluster.client.patch(CSRS, "c", patch, subresource=subresource)


async def refused(cluster: Cluster, patch: Object, subresource: str) -> StatusError:
    with pytest.raises(StatusError) as caught:
        await patched(cluster, patch, subresource)
    assert caught.value.code == 422
    return caught.value
