"""What can be wrong with a CertificateSigningRequest, with approving it and with issuing for it. Paths, order and
wording are those of pkg/apis/certificates/validation; what an old request got away with, its updates may too."""

from collections.abc import Iterator, Sequence

from attrs import frozen

from kubrick_api.equality import same, unified_diff
from kubrick_api.errors import (
    FieldError,
    duplicate,
    forbidden_value,
    invalid_value,
    not_supported,
    required,
)
from kubrick_api.resource import Object
from kubrick_api.signers import signer_name
from kubrick_api_certificates.flaws import certificate_flaw, request_flaw

Errors = Iterator[FieldError]

LEGACY = "kubernetes.io/legacy-unknown"
DECISIONS, FINAL = ("Approved", "Denied"), ("Approved", "Denied", "Failed")
USAGES = (
    "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment",
    "decipher only", "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel",
    "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime",
    "server auth", "signing", "timestamping",
)  # fmt: skip
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
        yield from signer_name(signer, "spec.signerName")
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
