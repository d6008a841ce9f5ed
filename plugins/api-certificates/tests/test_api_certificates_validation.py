"""Each rule of CertificateSigningRequests: a valid one, changed, and exactly what is said of it."""

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from kubrick_api.merge import json_merge
from kubrick_api.validation import LABEL_RULE
from kubrick_api_certificates import CERTIFICATE_SIGNING_REQUESTS
from kubrick_api_certificates.flaws import NOT_PEM
from kubrick_api_certificates.request_validation import EXCLUSIVE, USAGES
from kubrick_api_certificates.requests import ApprovalStrategy, SigningRequestStrategy
from kubrick_testing import run_cluster

Object = dict[str, Any]


def pem() -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ann")])
    made = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(name)
        .sign(ec.generate_private_key(ec.SECP256R1()), SHA256())
    )
    return base64.b64encode(made.public_bytes(Encoding.PEM)).decode()


REQUEST = pem()
CSR: Object = {
    "metadata": {"name": "c"},
    "spec": {"request": REQUEST, "signerName": "a.io/b", "usages": ["client auth"]},
    "status": {},
}


def said(patch: Object) -> list[str]:
    return [str(error) for error in SigningRequestStrategy().validate(json_merge(CSR, patch))]


LISTED = ", ".join(f'"{usage}"' for usage in USAGES)


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ({}, []),
        ({"request": "eA=="}, [f'spec.request: Invalid value: "eA==": {NOT_PEM}']),
        (
            {"usages": ["x", "any", "any"], "expirationSeconds": 599},
            [
                f'spec.usages[0]: Unsupported value: "x": supported values: {LISTED}',
                'spec.usages[2]: Duplicate value: "any"',
                "spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 600 seconds (10 "
                "minutes)",
            ],
        ),
        ({"usages": []}, ["spec.usages: Required value"]),
        ({"signerName": None}, ["spec.signerName: Required value"]),
        (
            {"signerName": "kubernetes.io/legacy-unknown"},
            [
                'spec.signerName: Invalid value: "kubernetes.io/legacy-unknown": the legacy signerName is not allowed '
                "via this API version"
            ],
        ),
        (
            {"signerName": "a"},
            [
                'spec.signerName: Invalid value: "a": must be a fully qualified domain and path of the form '
                "'example.com/signer-name'"
            ],
        ),
        (
            {"signerName": "A/b"},
            [
                f'spec.signerName: Invalid value: "A": validating label "A": {LABEL_RULE}',
                'spec.signerName: Invalid value: "A": should be a domain with at least two segments separated by dots',
            ],
        ),
    ],
)
def test_a_request(spec: Object, wrong: list[str]) -> None:
    assert said({"spec": spec}) == wrong


def condition(kind: str, status: str = "True") -> Object:
    return {"type": kind, "status": status}


@pytest.mark.parametrize(
    ("status", "wrong"),
    [
        (
            {
                "conditions": [
                    condition("Approved"),
                    condition("Denied", "False"),
                    condition("x", "x"),
                    {},
                    condition("x"),
                ]
            },
            [
                'status.conditions[1].status: Unsupported value: "False": supported values: "True"',
                f'status.conditions: Invalid value: "Denied": {EXCLUSIVE}',
                'status.conditions[2].status: Unsupported value: "x": supported values: "False", "True", "Unknown"',
                "status.conditions[3].type: Required value",
                "status.conditions[3].status: Required value",
                'status.conditions[4].type: Duplicate value: "x"',
            ],
        ),
        (
            {"certificate": "eA=="},
            [
                'status.certificate: Invalid value: "<certificate data>": must contain at least one CERTIFICATE PEM '
                "block"
            ],
        ),
        (
            {"certificate": REQUEST},
            [
                'status.certificate: Invalid value: "<certificate data>": only CERTIFICATE PEM blocks are allowed, '
                'found "CERTIFICATE REQUEST"'
            ],
        ),
    ],
)
def test_a_status(status: Object, wrong: list[str]) -> None:
    assert said({"status": status}) == wrong


def test_decisions_are_made_where_decisions_are_made_and_are_final() -> None:
    approved = json_merge(CSR, {"status": {"conditions": [condition("Approved")]}})
    assert ApprovalStrategy().validate_replacement(approved, CSR) == []
    (error,) = SigningRequestStrategy().validate_status_update(approved, CSR)
    assert str(error) == 'status.conditions: Forbidden: updates may not add a condition of type "Approved"'
    (error,) = ApprovalStrategy().validate_replacement(CSR, approved)
    assert str(error) == 'status.conditions: Forbidden: updates may not remove a condition of type "Approved"'


def test_a_certificate_is_set_once_and_through_the_status() -> None:
    issued = json_merge(CSR, {"status": {"certificate": "eA=="}})
    (_, error) = SigningRequestStrategy().validate_replacement(issued, CSR)
    assert str(error) == "status.certificate: Forbidden: updates may not set certificate content"
    again = json_merge(CSR, {"status": {"certificate": "eQ=="}})
    (error,) = SigningRequestStrategy().validate_status_update(again, issued)
    assert str(error) == "status.certificate: Forbidden: updates may not modify existing certificate content"


async def test_approval_through_the_api_stamps_the_condition() -> None:
    async with run_cluster("api") as cluster:
        made = await cluster.client.create(
            CERTIFICATE_SIGNING_REQUESTS, {key: CSR[key] for key in ("metadata", "spec")}
        )
        made = {**made, "status": {"conditions": [{**condition("Approved"), "reason": "r"}]}}
        after = await cluster.client.update(CERTIFICATE_SIGNING_REQUESTS, made, subresource="approval")
        (stamped,) = after["status"]["conditions"]
        assert stamped["lastUpdateTime"] == stamped["lastTransitionTime"] != ""
