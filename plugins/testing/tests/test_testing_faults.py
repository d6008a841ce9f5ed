"""The server errors that property tests pass over: each with the request that leads to it, and with no other."""

import re
from collections.abc import Iterator

import pytest
from attrs import evolve

from kubrick_testing.faults import (
    BUDGETS,
    FAULTS,
    NOTHING,
    PARSE,
    PROTOBUF,
    STRATEGIC,
    UNREADABLE,
    YAML,
    Asked,
    body_of,
    known,
)

HEAD = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
SCHEME = "pkg/apis/meta/internalversion/scheme/register.go:27"
ORDERED = {"$setElementOrder/tags": ["a"], "tags": ["b"]}
Case = tuple[Asked, str]


def delete(body: object, media: str = "application/json") -> Asked:
    return Asked("DELETE", "pods", media=media, body=body)


def patch(body: object, stored: object = None) -> Asked:
    return Asked("PATCH", "pods", media=STRATEGIC, body=body, stored=stored)


def bind(target: object) -> Asked:
    return Asked("POST", "pods", "binding", body={"target": target})


def unmarshal(found: str, path: str, go: str) -> str:
    return f"json: cannot unmarshal {found} into Go struct field {path} of type {go}"


UNSUPPORTED = 'target.kind: Unsupported value: "Pod": supported values: "Node", "<empty>"'
CASES: list[Case] = [
    (
        Asked("GET", "pods", query={"resourceVersion": "9"}),
        "Timeout: Too large resource version: 9, current: 3",
    ),
    (
        Asked("POST", "pods", body={"metadata": {"resourceVersion": "5"}}),
        "resourceVersion should not be set on objects to be created",
    ),
    (delete(UNREADABLE), f"{PARSE}unexpected end of JSON input"),
    (delete(UNREADABLE, YAML), "yaml: line 1: did not find expected node content"),
    (delete(UNREADABLE, PROTOBUF), "field 3 is cut off"),
    (delete([]), f"{PARSE}json: cannot unmarshal array into Go value of type {HEAD}"),
    (delete({"kind": 1}), f"{PARSE}json: cannot unmarshal number into Go struct field .kind of type string"),
    (delete({"kind": "Pod"}), f'no kind "Pod" is registered for version "v1" in scheme "{SCHEME}"'),
    (
        delete({"gracePeriodSeconds": 1.5}),
        unmarshal("number 1.5", "DeleteOptions.gracePeriodSeconds", "int64"),
    ),
    (delete({"dryRun": ["All", 1]}), unmarshal("number", "DeleteOptions.dryRun", "string")),
    (
        delete({"preconditions": {"uid": []}}),
        unmarshal("array", "Preconditions.preconditions.uid", "types.UID"),
    ),
    (patch({"a": {"$patch": "x"}}), "unknown patch type: x in map: map[$patch:x]"),
    (patch({"a": [{"$patch": "merge"}]}), "merging lists cannot yet be specified in the patch"),
    (patch({"a": [{"b": 1}]}), "map: map[b:1] does not contain declared merge key: name"),
    (patch({"a": [{"name": 1}]}, {"a": [{}]}), "map: map[] does not contain declared merge key: name"),
    (patch({"a": [1]}), "list element types are not identical: [[x] [1]]"),
    (patch({"a": [{}]}), "cannot merge lists without merge key for string"),
    (patch(ORDERED), "The order in patch list:\n[b]\n doesn't match $setElementOrder list:\n[a]\n"),
    (patch({"$setElementOrder/a": {}}), "expected a []interface {}, but received a map[string]interface {}"),
    (patch({"$setElementOrder/a": [1]}), "value for key 0 is not a map"),
    (bind({}), "target.name: Required value"),
    (bind({"kind": "Pod", "name": "n"}), UNSUPPORTED),
    (bind({"kind": "Pod"}), f"[{UNSUPPORTED}, target.name: Required value]"),
    (Asked("POST", "bindings", body={}), "target.name: Required value"),
    (Asked("POST", "pods", "eviction", body={}), BUDGETS),
    (
        Asked("POST", "pods", "eviction", {"dryRun": "All"}, body={"deleteOptions": {"dryRun": ["x", "y"]}}),
        "Non-matching dry-run options in request and content: [All] and [x y]",
    ),
]


def answer(message: str) -> tuple[int, str]:
    return (504, "Timeout") if message.startswith("Timeout") else (500, "")


def others(asked: Asked) -> Iterator[Asked]:
    """Requests that don't lead there."""
    for method in ("POST", "GET", "PUT", "PATCH", "DELETE"):
        if method != asked.method and not ("resourceVersion" in asked.query and method == "DELETE"):
            yield evolve(asked, method=method)  # (a collection of a revision is deleted as it is listed)
    if "resourceVersion" in asked.query:
        yield evolve(asked, query={})
    elif asked.subresource == "eviction":
        yield evolve(asked, subresource="")
    else:
        yield evolve(asked, body={"metadata": {"name": "x"}, "target": {"name": "n"}})


@pytest.mark.parametrize(("asked", "message"), CASES, ids=[message[:50] for _, message in CASES])
def test_a_fault_is_known_by_its_words_and_by_the_request_that_leads_to_it(asked: Asked, message: str) -> None:
    code, reason = answer(message)
    assert known(asked, code, reason, message)
    assert not known(asked, 503, reason, message)
    assert not known(asked, code, "InternalError", message)
    assert not known(asked, code, reason, f"Internal error occurred: {message}")
    for other in others(asked):
        assert not known(other, code, reason, message), other


def test_every_fault_of_the_list_is_asked_for_here() -> None:
    asked = {fault.words for fault in FAULTS}
    for each, message in CASES:
        asked -= {fault.words for fault in FAULTS if known_as(fault.words, each, message)}
    assert not asked


def known_as(words: str, asked: Asked, message: str) -> bool:
    return bool(re.fullmatch(words, message, re.DOTALL)) and known(asked, *answer(message), message)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (delete({"gracePeriodSeconds": 3}), unmarshal("number 3", "DeleteOptions.gracePeriodSeconds", "int64")),
        (delete({"gracePeriodSeconds": "3"}), unmarshal("number", "DeleteOptions.gracePeriodSeconds", "int64")),
        (delete({"x": 1}), unmarshal("number", "DeleteOptions.x", "string")),
        (
            delete({"kind": "DeleteOptions"}),
            f'no kind "DeleteOptions" is registered for version "v1" in scheme "{SCHEME}"',
        ),
        (patch({"a": {"$patch": "x"}}), "unknown patch type: y in map: map[$patch:y]"),
        (patch({"a": [{"name": 1}]}), "map: map[b:1] does not contain declared merge key: name"),
        (bind({"name": "n"}), ""),
        (bind({"kind": "Pod"}), "target.name: Required value"),
        (
            Asked("GET", "pods", query={"resourceVersion": "9"}),
            "Timeout: Too large resource version: 9, current: 9",
        ),
    ],
)
def test_the_words_must_be_about_the_request(asked: Asked, message: str) -> None:
    assert not known(asked, *answer(message), message)


def test_a_body_is_read_as_go_reads_it() -> None:
    assert body_of(b"") is NOTHING
    assert body_of(b'{"a": "\xff", "b": ["\\ud800", "\\ud83d\\ude00"]}') == {
        "a": "\ufffd",
        "b": ["\ufffd", "\U0001f600"],
    }
    for data in (b"{", b"[NaN]", b"[1e400]", b"[" * 100_000):
        assert body_of(data) is UNREADABLE
