"""The schema engine: pruning, type errors in the decoder's words, normalising, defaulting."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubrick_api.catalog import Catalog
from kubrick_api.duplication import duplicate_fields
from kubrick_api.errors import StatusError
from kubrick_api.names import GVK
from kubrick_api.schema import Type, strict_error

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
SCHEMAS = Catalog().schemas
SCHEMAS.add("example.com", "v1", {
    "com.example.v1.Thing": {"gvk": ["example.com", "v1", "Thing"], "fields": {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"ref": f"{META}ObjectMeta"},
        "spec": {"ref": "com.example.v1.ThingSpec", "required": True},
    }},
    "com.example.v1.ThingSpec": {"fields": {
        "replicas": {"type": "integer", "format": "int32"},
        "paused": {"type": "boolean", "omit-zero": True},
        "note": {"type": "string"},
        "class": {"type": "string", "keep-empty": True},
        "ratio": {"type": "number", "format": "double"},
        "data": {"type": "string", "format": "byte"},
        "when": {"ref": f"{META}MicroTime"},
        "surge": {"ref": "io.k8s.apimachinery.pkg.util.intstr.IntOrString"},
        "limits": {"map": {"ref": "io.k8s.apimachinery.pkg.api.resource.Quantity"}},
        "names": {"list": {"type": "string"}},
        "ports": {"list": {"ref": "com.example.v1.Port"}, "list-type": "map", "list-map-keys": ["port"]},
        "byName": {"map": {"ref": "com.example.v1.Port"}},
        "raw": {"ref": "io.k8s.apimachinery.pkg.runtime.RawExtension"},
        "empty": {"ref": "com.example.v1.Port"},
    }},
    "com.example.v1.Port": {"fields": {
        "port": {"type": "integer", "format": "int32", "required": True},
        "protocol": {"type": "string", "default": "TCP"},
        "name": {"type": "string"},
    }},
})  # fmt: skip
THING: Type = SCHEMAS["com.example.v1.Thing"]


def thing(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": spec}


def accepted(**spec: Any) -> Any:
    obj = thing(**spec)
    assert THING.accept(obj) == []
    return obj["spec"]


def refusal(**spec: Any) -> str:
    with pytest.raises(StatusError) as caught:
        THING.accept(thing(**spec))
    assert (caught.value.code, caught.value.reason) == (400, "BadRequest")
    head = 'Thing in version "v1" cannot be handled as a Thing: '
    assert caught.value.message.startswith(head)
    return caught.value.message.removeprefix(head)


def test_unknown_fields_are_removed_and_named_with_their_paths() -> None:
    obj = thing(foo=1, ports=[{"port": 1, "prt": 2}], byName={"x": {"port": 1, "bar": {}}})
    assert THING.accept(obj) == [
        'unknown field "spec.foo"',
        'unknown field "spec.ports[0].prt"',
        'unknown field "spec.byName.x.bar"',
    ]
    assert "foo" not in obj["spec"]
    assert THING.accept(obj) == []


def test_strict_validation_refuses_with_the_decoders_words() -> None:
    error = strict_error(GVK("example.com", "v1", "Thing"), ['unknown field "spec.foo"', 'unknown field "spec.bar"'])
    assert error.message == (
        'Thing in version "v1" cannot be handled as a Thing: strict decoding error: '
        'unknown field "spec.foo", unknown field "spec.bar"'
    )


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"replicas": "3"}, "json: cannot unmarshal string into Go struct field ThingSpec.spec.replicas of type int32"),
        (
            {"replicas": 1.5},
            "json: cannot unmarshal number 1.5 into Go struct field ThingSpec.spec.replicas of type int32",
        ),
        (
            {"replicas": 2**31},
            "json: cannot unmarshal number 2147483648 into Go struct field ThingSpec.spec.replicas of type int32",
        ),
        ({"replicas": True}, "json: cannot unmarshal bool into Go struct field ThingSpec.spec.replicas of type int32"),
        ({"note": 1}, "json: cannot unmarshal number into Go struct field ThingSpec.spec.note of type string"),
        ({"names": "x"}, "json: cannot unmarshal string into Go struct field ThingSpec.spec.names of type []string"),
        ({"names": [1]}, "json: cannot unmarshal number into Go struct field ThingSpec.spec.names of type string"),
        ({"ports": {}}, "json: cannot unmarshal object into Go struct field ThingSpec.spec.ports of type []v1.Port"),
        ({"ports": [[]]}, "json: cannot unmarshal array into Go struct field ThingSpec.spec.ports of type v1.Port"),
        (
            {"ports": [{"port": "x"}]},
            "json: cannot unmarshal string into Go struct field Port.spec.ports.port of type int32",
        ),
        ({"empty": "x"}, "json: cannot unmarshal string into Go struct field ThingSpec.spec.empty of type v1.Port"),
        ({"surge": True}, "json: cannot unmarshal bool into Go value of type int32"),
        (
            {"limits": {"cpu": "x"}},
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        (
            {"when": "soon"},
            'parsing time "soon" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "soon" as "2006"',
        ),
        ({"when": 5}, "json: cannot unmarshal number into Go value of type string"),
        ({"data": "a$b="}, "illegal base64 data at input byte 1"),
    ],
)
def test_a_wrong_type_is_worded_as_by_the_decoder_of_kube_apiserver(spec: dict[str, Any], message: str) -> None:
    assert refusal(**spec) == message


def test_labels_must_be_strings() -> None:
    obj = thing()
    obj["metadata"]["labels"] = {"a": 1}
    with pytest.raises(StatusError) as caught:
        THING.accept(obj)
    assert caught.value.message.endswith(
        "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string"
    )


def test_null_is_absent() -> None:
    assert accepted(replicas=None, names=None, empty=None) == {}


def test_null_members_become_zero_values() -> None:
    assert accepted(names=[None, "a"], ports=[None]) == {"names": ["", "a"], "ports": [{}]}


def test_empty_values_are_dropped_where_go_drops_them() -> None:
    spec = accepted(note="", names=[], limits={}, paused=False, replicas=0, **{"class": ""}, empty={})
    assert spec == {"replicas": 0, "class": "", "empty": {"protocol": "TCP"}}


def test_quantities_times_and_numbers_are_normalised() -> None:
    spec = accepted(
        limits={"cpu": "0.5", "memory": 1024, "disk": 0.1},
        when="2026-01-01T01:00:00.5+01:00",
        ratio=1,
        surge="25%",
    )
    assert spec["limits"] == {"cpu": "500m", "memory": "1024", "disk": "100m"}
    assert spec["when"] == "2026-01-01T00:00:00.500000Z"


def test_static_defaults_fill_what_is_absent_or_empty() -> None:
    assert accepted(ports=[{"port": 1}, {"port": 2, "protocol": ""}, {"port": 3, "protocol": "UDP"}])["ports"] == [
        {"port": 1, "protocol": "TCP"},
        {"port": 2, "protocol": "TCP"},
        {"port": 3, "protocol": "UDP"},
    ]


def test_raw_values_are_left_alone() -> None:
    raw: dict[str, Any] = {"kind": "X", "a": None, "b": [], "c": {"d": ""}}
    assert accepted(raw=copy.deepcopy(raw))["raw"] == raw


def test_missing_and_duplicate_entries_are_found_on_request() -> None:
    errors = THING.missing({"spec": {"ports": [{"name": "x"}]}})
    assert errors == []
    assert [str(e) for e in THING.missing({})] == ["spec: Required value"]
    duplicates = THING.duplicates(thing(ports=[{"port": 1}, {"port": 2}, {"port": 1}]))
    assert [str(e) for e in duplicates] == ['spec.ports[2]: Duplicate value: {"port":1}']


def test_keys_given_twice_are_found_with_their_paths() -> None:
    text = b'{"spec":{"replicas":1,"replicas":2,"ports":[{"port":1,"port":1}]},"metadata":{"name":"a:b"}}'
    parsed = {"spec": {"replicas": 2, "ports": [{"port": 1}]}, "metadata": {"name": "a:b"}}
    assert duplicate_fields(text, parsed) == ['duplicate field "spec.replicas"', 'duplicate field "spec.ports[0].port"']
    assert duplicate_fields(b'{"a": "x:y", "b:c": 1}', {"a": "x:y", "b:c": 1}) == []
    assert duplicate_fields(b'{"a":"\\u003a","a" : 1}', {"a": 1}) == ['duplicate field "a"']


specs = st.fixed_dictionaries(
    {},
    optional={
        "replicas": st.integers(-5, 5) | st.none(),
        "note": st.sampled_from(["", "x", None]),
        "names": st.lists(st.sampled_from(["a", "", None]), max_size=3),
        "limits": st.dictionaries(st.sampled_from(["cpu", "memory"]), st.sampled_from(["0.5", "1024Mi", 1, "1e3"])),
        "ports": st.lists(
            st.fixed_dictionaries({"port": st.integers(1, 9)}, optional={"protocol": st.just("UDP"), "bad": st.none()}),
            max_size=3,
        ),
        "unknown": st.integers(),
    },
)


@given(specs)
def test_accepting_twice_is_accepting_once(spec: dict[str, Any]) -> None:
    obj = thing(**spec)
    THING.accept(obj)
    once = copy.deepcopy(obj)
    assert THING.accept(obj) == []
    assert obj == once


def test_a_type_nobody_defines_is_named() -> None:
    with pytest.raises(LookupError, match="no registered API group defines the type io\\.nowhere\\.v1\\.X"):
        SCHEMAS["io.nowhere.v1.X"]
