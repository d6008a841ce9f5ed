"""Typed classes: both ways, nothing lost."""

from datetime import UTC, datetime

from kubrick_api.quantity import Quantity
from kubrick_api.typed import json_name, structure, unstructure
from kubrick_api.types import LabelSelector, ObjectMeta, Status, StatusDetails


def test_an_object_goes_in_and_comes_out_the_same() -> None:
    obj = {
        "name": "a",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"app": "web"},
        "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "controller": True}],
    }
    meta = structure(ObjectMeta, obj)
    assert meta.creation_timestamp == datetime(2026, 1, 1, tzinfo=UTC)
    assert meta.owner_references[0].controller is True
    assert meta.finalizers == []
    assert unstructure(meta) == obj


def test_unknown_fields_are_kept_at_every_level() -> None:
    obj = {"name": "a", "future": {"x": [1]}, "ownerReferences": [{"name": "p", "kind": "K", "new": 1}]}
    out = unstructure(structure(ObjectMeta, obj))
    assert out["future"] == {"x": [1]}
    assert out["ownerReferences"][0]["new"] == 1


def test_a_kind_knows_its_name_and_omits_what_is_empty() -> None:
    assert unstructure(Status(message="x", details=StatusDetails(name="n"))) == {
        "apiVersion": "v1",
        "kind": "Status",
        "message": "x",
        "details": {"name": "n"},
        "metadata": {},
    }
    assert unstructure(LabelSelector()) == {}


def test_names_follow_json_where_camel_case_cannot_be_guessed() -> None:
    from kubrick_api.types import OwnerReference, ServerAddressByClientCIDR

    assert json_name(ServerAddressByClientCIDR, "client_cidr") == "clientCIDR"
    assert json_name(OwnerReference, "block_owner_deletion") == "blockOwnerDeletion"


def test_quantities_are_numbers() -> None:
    assert Quantity("500m") + Quantity("0.5") == Quantity(1)
