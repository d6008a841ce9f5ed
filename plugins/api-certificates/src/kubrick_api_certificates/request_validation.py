"""What can be wrong with a CertificateSigningRequest, with approving it and with issuing for it. Paths, order and
wording are those of pkg/apis/certificates/validation; what an old request got away with, its updates may too."""

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Sequence

from attrs import frozen

from kubrick_api.equality import same, unified_diff
from kubrick_api.errors import (
    FieldError,
    duplicate,
    forbidden_value,
    invalid_value,
    not_supported,
    required,
    too_long,
)
from kubrick_api.formats import invalids
from kubrick_api.resource import Object
from kubrick_api.validation import label, subdomain

Errors = Iterator[FieldError]

LEGACY = "kubernetes.io/legacy-unknown"
DECISIONS, FINAL = ("Approved", "Denied"), ("Approved", "Denied", "Failed")
USAGES = (
    "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment",
    "decipher only", "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel",
    "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime",
    "server auth", "signing", "timestamping",
)  # fmt: skip
NOT_PEM = "PEM block type must be CERTIFICATE REQUEST"
EXCLUSIVE = "Approved and Denied conditions are mutually exclusive"


@frozen
class Lenience:
    """What this update may do, and what the old object already did."""

    approves: bool = False
    issues: bool = False
    both_decisions: bool = False
    legacy_signer: bool = False
    repeated_conditions: bool = False
    untyped_conditions: bool = False
    any_certificate: bool = False
    repeated_usages: bool = False
    unknown_usages: bool = False


def lenience(obj: Object, old: Object, *, approves: bool = False, issues: bool = False) -> Lenience:
    spec, status = old.get("spec") or {}, old.get("status") or {}
    kinds, usages = [c.get("type") or "" for c in status.get("conditions") or ()], spec.get("usages") or []
    same_certificate = same((obj.get("status") or {}).get("certificate"), status.get("certificate"))
    return Lenience(
        approves=approves,
        issues=issues,
        both_decisions={*DECISIONS} <= {*kinds},
        legacy_signer=spec.get("signerName") == LEGACY,
        repeated_conditions=len(kinds) != len({*kinds}),
        untyped_conditions="" in kinds,
        any_certificate=same_certificate or bool(certificate_flaw(status.get("certificate"))),
        repeated_usages=len(usages) != len({*usages}),
        unknown_usages=not {*usages} <= {*USAGES},
    )


def validate_request(obj: Object, allow: Lenience) -> Errors:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    if why := request_flaw(spec.get("request") or ""):
        yield invalid_value("spec.request", spec.get("request") or "", why)
    yield from _usages(spec.get("usages") or [], allow)
    signer = spec.get("signerName") or ""
    if signer == LEGACY and not allow.legacy_signer:
        yield invalid_value("spec.signerName", signer, "the legacy signerName is not allowed via this API version")
    else:
        yield from validate_signer_name(signer, "spec.signerName")
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < 600:
        why = "may not specify a duration less than 600 seconds (10 minutes)"
        yield invalid_value("spec.expirationSeconds", seconds, why)
    yield from _conditions(status.get("conditions") or (), allow)
    if not allow.any_certificate and (why := certificate_flaw(status.get("certificate"))):
        yield invalid_value("status.certificate", "<certificate data>", why)


def _usages(usages: Sequence[str], allow: Lenience) -> Errors:
    if not usages:
        yield required("spec.usages")
    for i, usage in enumerate(usages if not allow.unknown_usages else ()):
        if usage not in USAGES:
            yield not_supported(f"spec.usages[{i}]", usage, USAGES)
    for i, usage in enumerate(usages if not allow.repeated_usages else ()):
        if usage in usages[:i]:
            yield duplicate(f"spec.usages[{i}]", usage)


def _conditions(conditions: Sequence[Object], allow: Lenience) -> Errors:
    seen: list[str] = []
    for i, condition in enumerate(conditions):
        at, kind, status = f"status.conditions[{i}]", condition.get("type") or "", condition.get("status") or ""
        if not kind and not allow.untyped_conditions:
            yield required(f"{at}.type")
        allowed = ("True",) if kind in FINAL else ("False", "True", "Unknown")
        if not status:
            yield required(f"{at}.status")
        elif status not in allowed:
            yield not_supported(f"{at}.status", status, allowed)
        other = {"Approved": "Denied", "Denied": "Approved"}.get(kind)
        if other in seen and not allow.both_decisions:
            yield invalid_value("status.conditions", kind, EXCLUSIVE)
        if kind in seen and not allow.repeated_conditions:
            yield duplicate(f"{at}.type", kind)
        seen.append(kind)


def validate_signer_name(name: str, at: str) -> Errors:
    """example.com/purpose."""
    if not name:
        yield required(at)
        return
    parts = name.split("/")
    if len(parts) != 2:
        yield invalid_value(at, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'")
        return
    domain, path = parts
    if len(domain) > 253:
        yield too_long(at, 253)
    yield from _labels(domain, label, at)
    if "." not in domain:
        yield invalid_value(at, domain, "should be a domain with at least two segments separated by dots")
    yield from _labels(path, subdomain, at)
    if len(name) > 571:
        yield too_long(at, 571)


def _labels(text: str, check: Callable[[str], list[str]], at: str) -> Errors:
    """What is wrong with the first label that isn't right."""
    wrong = next(((part, errors) for part in text.split(".") if (errors := check(part))), None)
    if wrong is not None:
        yield from invalids(at, text, [f'validating label "{wrong[0]}": {why}' for why in wrong[1]])


def validate_change(obj: Object, old: Object, allow: Lenience) -> Errors:
    """Decisions are final, and made where decisions are made; certificates are issued once."""
    new, was = ((each.get("status") or {}) for each in (obj, old))

    def of(status: Object, kind: str) -> list[Object]:
        return [c for c in status.get("conditions") or () if c.get("type") == kind]

    at = "status.conditions"
    for kind in FINAL:
        if len(of(new, kind)) < len(of(was, kind)):
            yield forbidden_value(at, f'updates may not remove a condition of type "{kind}"')
    for kind in DECISIONS if not allow.approves else ():
        if len(of(new, kind)) > len(of(was, kind)):
            yield forbidden_value(at, f'updates may not add a condition of type "{kind}"')
        elif len(of(new, kind)) == len(of(was, kind)) and not same(of(new, kind), of(was, kind)):
            difference = unified_diff(of(was, kind), of(new, kind))
            yield forbidden_value(at, f'updates may not modify a condition of type "{kind}"\n{difference}')
    if not same(new.get("certificate"), was.get("certificate")):
        if not allow.issues:
            yield forbidden_value("status.certificate", "updates may not set certificate content")
        elif was.get("certificate"):
            yield forbidden_value("status.certificate", "updates may not modify existing certificate content")


# What is in PEM

_BLOCK = re.compile(r"-----BEGIN ([^-\n]+)-----[ \t]*\r?\n(.*?)-----END \1-----[ \t]*(?:\r?\n|\Z)", re.DOTALL)


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return None


def request_flaw(request: str) -> str:
    """Why this isn't a signed PKCS#10 request in PEM in base64; "" if it is."""
    found = _BLOCK.search((_decoded(request) or b"").decode("latin-1"))
    if found is None or found[1] != "CERTIFICATE REQUEST":
        return NOT_PEM
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        parsed = x509.load_der_x509_csr(_decoded("".join(found[2].split())) or b"")
        return "" if parsed.is_signature_valid else "x509: invalid signature"
    except (ValueError, UnsupportedAlgorithm):
        return "asn1: structure error: malformed certificate request"


def certificate_flaw(certificate: str | None) -> str:
    """Why this isn't a chain of certificates in PEM in base64; "" if it is, or isn't there."""
    if not certificate:
        return ""
    from cryptography import x509

    blocks = list(_BLOCK.finditer((_decoded(certificate) or b"").decode("latin-1")))
    for block in blocks:
        if block[1] != "CERTIFICATE":
            return f'only CERTIFICATE PEM blocks are allowed, found "{block[1]}"'
        if ":" in block[2]:
            return "no PEM block headers are permitted"
        der = _decoded("".join(block[2].split()))
        if not der:
            return "found CERTIFICATE PEM block containing 0 certificates"
        try:
            x509.load_der_x509_certificate(der)
        except ValueError:
            return "x509: malformed certificate"
    return "" if blocks else "must contain at least one CERTIFICATE PEM block"
