"""Refusals read exactly as Kubernetes' do."""

from typing import Any

import pytest

from kubrick_api import errors as e
from kubrick_api.names import GVK, GVR

PODS = GVR("", "v1", "pods")
DEPLOYMENTS = GVR("apps", "v1", "deployments")


def test_not_found_names_the_group_resource() -> None:
    assert e.not_found(PODS, "a").message == 'pods "a" not found'
    status = e.not_found(DEPLOYMENTS, "a").status()
    assert status == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'deployments.apps "a" not found',
        "reason": "NotFound",
        "details": {"name": "a", "group": "apps", "kind": "deployments"},
        "code": 404,
    }


def test_invalid_joins_errors_once_each_and_keeps_all_causes() -> None:
    one, two = e.required("spec.a"), e.invalid_value("spec.b", "x", "must be y")
    assert e.invalid(GVK("", "v1", "Pod"), "p", [one]).message == 'Pod "p" is invalid: spec.a: Required value'
    error = e.invalid(GVK("apps", "v1", "Deployment"), "d", [one, two, one])
    assert error.message == (
        'Deployment.apps "d" is invalid: [spec.a: Required value, spec.b: Invalid value: "x": must be y]'
    )
    assert error.details is not None
    assert [cause["field"] for cause in error.details["causes"]] == ["spec.a", "spec.b", "spec.a"]


def test_field_errors_read_like_field_errors() -> None:
    assert str(e.not_supported("a", "x", ["y", "z"])) == 'a: Unsupported value: "x": supported values: "y", "z"'
    assert str(e.duplicate("a[1]", {"k": 1})) == 'a[1]: Duplicate value: {"k":1}'
    assert str(e.too_long("a", 5)) == "a: Too long: may not be more than 5 bytes"
    assert str(e.too_many("a", 7, 5)) == "a: Too many: 7: must have at most 5 items"
    assert str(e.forbidden_value("a", "no")) == "a: Forbidden: no"
    assert str(e.not_found_value("a", "b")) == 'a: Not found: "b"'


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("x", '"x"'),
        ('a"b\\', '"a\\"b\\\\"'),
        ("<é>&", '"<é>&"'),
        ("\x01\a\b\f\n\r\t\v\x7f", '"\\x01\\a\\b\\f\\n\\r\\t\\v\\x7f"'),
        ("\u200b\xa0\U000e0001", '"\\u200b\\u00a0\\U000e0001"'),
        (None, "null"),
        (e.NIL, "null"),
        (True, "true"),
        (-3, "-3"),
        (1.0, "1"),
        (-0.5, "-0.5"),
        (123456.0, "123456"),
        (1234567.0, "1.234567e+06"),
        (1e6, "1e+06"),
        (0.0001, "0.0001"),
        (-0.00001, "-1e-05"),
        ([], "[]"),
        ({"a": None, "b": [1e6, 1e21, 1e-7, 2.5, 0.0, False]}, '{"a":null,"b":[1000000,1e+21,1e-7,2.5,0,false]}'),
        ({"k<": "a>&\u2028\v\n\x7f"}, '{"k\\u003c":"a\\u003e\\u0026\\u2028\\u000b\\n\x7f"}'),
    ],
)
def test_values_are_shown_as_go_shows_them(value: Any, shown: str) -> None:
    assert str(e.invalid_value("a", value, "no")) == f"a: Invalid value: {shown}: no"


def test_one_is_not_many() -> None:
    assert str(e.too_long("a", 1)) == "a: Too long: may not be more than 1 byte"
    assert str(e.too_many("a", 2, 1)) == "a: Too many: 2: must have at most 1 item"


def test_a_conflict_asks_to_try_again() -> None:
    assert e.conflict(PODS, "a").message == (
        'Operation cannot be fulfilled on pods "a": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )


def test_a_revision_of_the_future_times_out_with_its_cause() -> None:
    error = e.too_large_resource_version(9, 5)
    assert (error.code, error.message) == (504, "Timeout: Too large resource version: 9, current: 5")
    assert error.headers == (("Retry-After", "1"),)


def test_an_error_knows_whether_it_names_a_cause() -> None:
    causes = {"causes": [{"reason": "NamespaceTerminating", "message": "namespace team is being terminated"}]}
    assert e.StatusError(403, "Forbidden", "no", causes).has_cause(e.NAMESPACE_TERMINATING)
    assert not e.StatusError(403, "Forbidden", "no", causes).has_cause("FieldValueInvalid")
    assert not e.StatusError(403, "Forbidden", "no").has_cause(e.NAMESPACE_TERMINATING)
