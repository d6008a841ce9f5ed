"""Names of signers."""

import pytest

from kubrick_api.signers import FORM, is_kubernetes_signer, signer_name
from kubrick_api.validation import LABEL_RULE, SUBDOMAIN_RULE


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("example.com/what.it-signs", []),
        ("", ["s: Required value"]),
        ("example.com", [f's: Invalid value: "example.com": {FORM}']),
        ("example.com/a/b", [f's: Invalid value: "example.com/a/b": {FORM}']),
        ("com/a", ['s: Invalid value: "com": should be a domain with at least two segments separated by dots']),
        ("Ex.Com/a", [f's: Invalid value: "Ex.Com": validating label "Ex": {LABEL_RULE}']),
        ("example.com/A.B", [f's: Invalid value: "A.B": validating label "A": {SUBDOMAIN_RULE}']),
        (f"{'a.' * 130}a/b", ["s: Too long: may not be more than 253 bytes"]),
    ],
)
def test_a_signers_name_is_refused_for_what_is_wrong_with_it(name: str, wanted: list[str]) -> None:
    assert [str(error) for error in signer_name(name, "s")] == wanted


@pytest.mark.parametrize(
    ("name", "own"),
    [("kubernetes.io/kubelet-serving", True), ("x.kubernetes.io/a", True), ("notkubernetes.io/a", False)],
)
def test_the_projects_own_signers_are_known_by_their_domain(name: str, own: bool) -> None:
    assert is_kubernetes_signer(name) is own
