"""Protobuf says of every field of every kind what JSON says."""

import sys
from pathlib import Path

from kubrick_api.catalog import Catalog
from kubrick_api.protobuf import Protobuf
from kubrick_testing import Cluster

sys.path.insert(0, str(Path(__file__).parent))
from api_examples import everything


async def test_every_field_of_every_kind_survives_protobuf(cluster: Cluster) -> None:
    catalog = cluster.kernel.find(Catalog)
    protobuf = Protobuf(catalog)
    checked = 0
    for resource in catalog.resources():
        obj = everything(resource, catalog.schemas, "a")
        for template in obj.get("spec", {}).get("volumeClaimTemplates", ()):
            # Protobuf has no place for what an object inside another says it is.
            del template["apiVersion"], template["kind"]
        again = protobuf.decode(protobuf.encode(obj))
        assert again == obj, f"{resource.gvr}: {differences(obj, again)}"
        items = [protobuf.item(resource.kind, obj)] * 2
        head = {"kind": resource.list_kind, "apiVersion": resource.kind.api_version, "metadata": {"continue": "c"}}
        if resource.virtual is None:
            listed = protobuf.decode(protobuf.encode_list(head, items))
            kind = {"kind": resource.kind.kind, "apiVersion": resource.kind.api_version}
            assert [{**kind, **item} for item in listed["items"]] == [obj, obj]
        checked += 1
    assert checked > 60


def differences(one: object, other: object, path: str = "") -> list[str]:
    """Where they differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        return [
            found
            for key in sorted(one.keys() | other.keys())
            for found in differences(one.get(key), other.get(key), f"{path}.{key}")
        ]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [
            found
            for index, pair in enumerate(zip(one, other, strict=True))
            for found in differences(*pair, f"{path}[{index}]")
        ]
    return [] if one == other else [f"{path}: {one!r} came back as {other!r}"]
