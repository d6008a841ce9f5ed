"""What a patch left as it was isn't looked at again: that must make no difference."""

import copy
from importlib.resources import files
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from kubrick_api.catalog import Catalog
from kubrick_api.merge import apply_patch
from kubrick_apiserver.patching import _decode

POD: dict[str, Any] = {
    "kind": "Pod",
    "apiVersion": "v1",
    "metadata": {"name": "a", "labels": {"a": "b"}},
    "spec": {
        "containers": [{"name": "main", "image": "busybox", "ports": [{"containerPort": 80, "protocol": "TCP"}]}],
        "hostNetwork": True,
        "terminationGracePeriodSeconds": 1,
    },
    "status": {"phase": "Pending"},
}
WRONG = st.sampled_from([None, True, 1, 0, 1.0, "", "x", [], {}, [1], {"name": 1}, {"strange": None}])
FIELDS = st.sampled_from(
    ["containers", "hostNetwork", "terminationGracePeriodSeconds", "nodeName", "volumes", "strange", "resources"]
)
PATCHES = st.fixed_dictionaries(
    {},
    optional={
        "metadata": WRONG | st.fixed_dictionaries({"labels": st.dictionaries(st.sampled_from("ab"), WRONG)}),
        "spec": WRONG | st.dictionaries(FIELDS, WRONG, max_size=3),
        "status": WRONG | st.fixed_dictionaries({"phase": WRONG}),
        "strange": WRONG,
    },
)


SCHEMAS = Catalog().schemas
SCHEMAS.add("", "v1", orjson.loads(files("kubrick_api_core").joinpath("schemas.json").read_bytes()))


@given(PATCHES, st.booleans())
def test_a_patched_object_is_decoded_as_if_all_of_it_were_new(change: dict[str, Any], told: bool) -> None:
    schema = SCHEMAS["io.k8s.api.core.v1.Pod"]
    patched = apply_patch(schema, copy.deepcopy(POD), change, "application/merge-patch+json")
    anew = copy.deepcopy(patched)
    expected = schema.decode(anew)
    found = _decode(schema, patched, copy.deepcopy(POD), change if told else patched)
    assert str(found[0]) == str(expected[0])
    assert found[1] == expected[1]
    if expected[0] is None:
        assert orjson.dumps(patched) == orjson.dumps(anew)  # the order is the same, and true isn't 1
