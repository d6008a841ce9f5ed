"""Every verb, as clients see it: status, body, and what is stored afterwards."""

from typing import Any

import orjson
import pytest
import trio

from kubrick_api.errors import StatusError
from kubrick_kernel import StoreError

PODS = "/api/v1/namespaces/default/pods"
MAPS = "/api/v1/namespaces/default/configmaps"
MERGE = {"Content-Type": "application/merge-patch+json"}
STRATEGIC = {"Content-Type": "application/strategic-merge-patch+json"}
JSON_PATCH = {"Content-Type": "application/json-patch+json"}


def config(name: str = "c", **data: str) -> dict[str, Any]:
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}, "data": data}


def pod(name: str = "p", **spec: Any) -> dict[str, Any]:
    containers = [{"name": "c", "image": "nginx"}]
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name},
        "spec": {"containers": containers, **spec},
    }


async def test_a_created_object_can_be_read_back_byte_for_byte(web: Any) -> None:
    created = await web.respond("POST", MAPS, config(a="1"))
    assert created.status == 201
    read = await web.respond("GET", f"{MAPS}/c")
    assert read.body == created.body
    obj = orjson.loads(read.body)
    assert obj["metadata"]["namespace"] == "default"
    assert obj["metadata"]["uid"]
    assert obj["metadata"]["creationTimestamp"].endswith("Z")


async def test_the_creator_cannot_set_what_is_the_servers(web: Any) -> None:
    asked = config(a="1")
    asked["metadata"] |= {"uid": "mine", "creationTimestamp": "2001-01-01T00:00:00Z", "managedFields": [{}]}
    _, obj = await web("POST", MAPS, asked)
    assert obj["metadata"]["uid"] != "mine"
    assert not obj["metadata"]["creationTimestamp"].startswith("2001")
    assert [entry["manager"] for entry in obj["metadata"]["managedFields"]] == ["kubernetes-admin"]


async def test_a_name_is_generated_from_its_stem(web: Any) -> None:
    asked = config()
    asked["metadata"] = {"generateName": "web-"}
    status, obj = await web("POST", MAPS, asked)
    assert status == 201
    stem, letters = obj["metadata"]["name"][:4], obj["metadata"]["name"][4:]
    assert stem == "web-"
    assert len(letters) == 5
    assert set(letters) <= set("bcdfghjklmnpqrstvwxz2456789")


async def test_a_dry_run_answers_like_the_real_thing_and_stores_nothing(web: Any) -> None:
    status, obj = await web("POST", f"{MAPS}?dryRun=All", config())
    assert status == 201
    assert obj["metadata"]["name"] == "c"
    assert (await web("GET", f"{MAPS}/c"))[0] == 404


async def test_unknown_fields_are_warned_of_and_dropped(web: Any) -> None:
    response = await web.respond("POST", MAPS, {**config(), "foo": {"bar": 1}})
    assert ("Warning", '299 - "unknown field \\"foo\\""') in response.headers
    assert "foo" not in orjson.loads(response.body)
    quiet = await web.respond("POST", f"{MAPS}?fieldValidation=Ignore", {**config("d"), "foo": 1})
    assert not quiet.headers


async def test_an_update_that_changes_nothing_writes_nothing(web: Any) -> None:
    _, obj = await web("POST", MAPS, config(a="1"))
    before = web.registry.bus.revision
    status, same = await web("PUT", f"{MAPS}/c", obj)
    assert status == 200
    assert same == obj
    assert web.registry.bus.revision == before


async def test_an_update_of_a_stale_version_is_refused(web: Any) -> None:
    _, obj = await web("POST", MAPS, config(a="1"))
    await web("PUT", f"{MAPS}/c", {**obj, "data": {"a": "2"}})
    status, refusal = await web("PUT", f"{MAPS}/c", {**obj, "data": {"a": "3"}})
    assert status == 409
    assert refusal["message"] == (
        'Operation cannot be fulfilled on configmaps "c": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    _, obj = await web("GET", f"{MAPS}/c")
    assert obj["data"] == {"a": "2"}


async def test_an_update_without_a_version_overwrites(web: Any) -> None:
    await web("POST", MAPS, config(a="1"))
    status, obj = await web("PUT", f"{MAPS}/c", config(a="2"))
    assert status == 200
    assert obj["data"] == {"a": "2"}


async def test_put_creates_only_what_may_be_created_by_put(web: Any) -> None:
    assert (await web("PUT", f"{MAPS}/c", config()))[0] == 404
    lease = {"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}}
    status, obj = await web("PUT", "/apis/coordination.k8s.io/v1/namespaces/default/leases/l", lease)
    assert status == 201
    assert obj["kind"] == "Lease"


async def test_spec_and_status_are_kept_apart_and_generation_counts_specs(web: Any) -> None:
    path = "/apis/apps/v1/namespaces/default/deployments"
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod()["spec"]}
    asked = {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}
    _, obj = await web("POST", path, {**asked, "status": {"replicas": 9}})
    assert obj["metadata"]["generation"] == 1
    assert not obj.get("status", {}).get("replicas")
    _, obj = await web("PATCH", f"{path}/d/status", {"status": {"replicas": 3}, "spec": {"replicas": 7}}, MERGE)
    assert obj["status"]["replicas"] == 3
    assert obj["spec"]["replicas"] == 1
    assert obj["metadata"]["generation"] == 1
    _, obj = await web("PATCH", f"{path}/d", {"spec": {"replicas": 5}, "status": {"replicas": 8}}, MERGE)
    assert obj["spec"]["replicas"] == 5
    assert obj["status"]["replicas"] == 3
    assert obj["metadata"]["generation"] == 2


async def test_a_scale_is_read_updated_and_patched(web: Any) -> None:
    path = "/apis/apps/v1/namespaces/default/deployments"
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod()["spec"]}
    asked = {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}
    await web("POST", path, asked)
    status, scale = await web("GET", f"{path}/d/scale")
    assert (status, scale["kind"], scale["spec"]["replicas"]) == (200, "Scale", 1)
    status, scale = await web("PUT", f"{path}/d/scale", {**scale, "spec": {"replicas": 4}})
    assert (status, scale["spec"]["replicas"]) == (200, 4)
    status, scale = await web("PATCH", f"{path}/d/scale", {"spec": {"replicas": 2}}, MERGE)
    assert (status, scale["spec"]["replicas"]) == (200, 2)
    _, obj = await web("GET", f"{path}/d")
    assert obj["spec"]["replicas"] == 2


async def test_the_three_patches(web: Any) -> None:
    await web("POST", MAPS, config(a="1", b="2"))
    _, obj = await web("PATCH", f"{MAPS}/c", {"data": {"a": None, "c": "3"}}, MERGE)
    assert obj["data"] == {"b": "2", "c": "3"}
    _, obj = await web("PATCH", f"{MAPS}/c", [{"op": "add", "path": "/data/d", "value": "4"}], JSON_PATCH)
    assert obj["data"] == {"b": "2", "c": "3", "d": "4"}
    await web("POST", PODS, pod())
    patch = {"spec": {"containers": [{"name": "c", "image": "nginx:2"}]}}
    status, obj = await web("PATCH", f"{PODS}/p", patch, STRATEGIC)
    assert status == 200
    assert [c["image"] for c in obj["spec"]["containers"]] == ["nginx:2"]


async def test_patches_of_one_object_at_once_all_count(web: Any) -> None:
    await web("POST", MAPS, config())
    statuses = []

    async def patch(n: int) -> None:
        statuses.append((await web("PATCH", f"{MAPS}/c", {"data": {f"k{n}": "v"}}, MERGE))[0])

    async with trio.open_nursery() as nursery:
        for n in range(20):
            nursery.start_soon(patch, n)
    _, obj = await web("GET", f"{MAPS}/c")
    assert statuses == [200] * 20
    assert len(obj["data"]) == 20


async def test_an_apply_in_cbor_is_no_patch_this_server_knows(web: Any) -> None:
    await web("POST", MAPS, config())
    status, refusal = await web("PATCH", f"{MAPS}/c", config(), {"Content-Type": "application/apply-patch+cbor"})
    assert status == 415
    assert refusal["message"] == "415: Unsupported Media Type"


async def test_delete_answers_with_a_status_that_names_the_object(web: Any) -> None:
    _, obj = await web("POST", MAPS, config())
    status, answer = await web("DELETE", f"{MAPS}/c")
    assert status == 200
    assert answer == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {"name": "c", "kind": "configmaps", "uid": obj["metadata"]["uid"]},
    }
    assert (await web("GET", f"{MAPS}/c"))[0] == 404


async def test_a_bound_pod_is_deleted_gracefully_and_may_be_hurried(web: Any) -> None:
    await web("POST", PODS, pod(nodeName="n", terminationGracePeriodSeconds=20))
    status, obj = await web("DELETE", f"{PODS}/p")
    assert status == 200
    assert obj["metadata"]["deletionGracePeriodSeconds"] == 20
    assert obj["metadata"]["generation"] == 2
    later = obj["metadata"]["deletionTimestamp"]
    _, same = await web("DELETE", f"{PODS}/p?gracePeriodSeconds=25")
    assert same == obj
    _, obj = await web("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 5})
    assert obj["metadata"]["deletionGracePeriodSeconds"] == 5
    assert obj["metadata"]["deletionTimestamp"] < later
    await web("DELETE", f"{PODS}/p?gracePeriodSeconds=0")
    assert (await web("GET", f"{PODS}/p"))[0] == 404


async def test_finalizers_hold_an_object_until_the_last_is_gone(web: Any) -> None:
    asked = config()
    asked["metadata"]["finalizers"] = ["example.com/hold"]
    await web("POST", MAPS, asked)
    status, obj = await web("DELETE", f"{MAPS}/c")
    assert status == 200
    assert obj["metadata"]["deletionTimestamp"]
    assert obj["metadata"]["deletionGracePeriodSeconds"] == 0
    status, same = await web("DELETE", f"{MAPS}/c")
    assert (status, same) == (200, obj)
    status, last = await web("PATCH", f"{MAPS}/c", {"metadata": {"finalizers": None}}, MERGE)
    assert status == 200
    assert last["metadata"]["name"] == "c"
    assert (await web("GET", f"{MAPS}/c"))[0] == 404


async def test_propagation_policies_become_finalizers(web: Any) -> None:
    for policy, finalizer in (("Foreground", "foregroundDeletion"), ("Orphan", "orphan")):
        name = policy.lower()
        await web("POST", MAPS, config(name))
        _, obj = await web("DELETE", f"{MAPS}/{name}", {"propagationPolicy": policy})
        assert obj["metadata"]["finalizers"] == [finalizer]
        assert obj["metadata"]["deletionTimestamp"]
    await web("POST", MAPS, config("background"))
    await web("DELETE", f"{MAPS}/background", {"propagationPolicy": "Background"})
    assert (await web("GET", f"{MAPS}/background"))[0] == 404


async def test_preconditions_protect_what_was_not_meant(web: Any) -> None:
    _, obj = await web("POST", MAPS, config())
    status, refusal = await web("DELETE", f"{MAPS}/c", {"preconditions": {"uid": "other"}})
    assert status == 409
    assert "the UID in the precondition (other) does not match the UID in record" in refusal["message"]
    status, _ = await web("DELETE", f"{MAPS}/c", {"preconditions": {"resourceVersion": "1"}})
    assert status == 409
    right = {"uid": obj["metadata"]["uid"], "resourceVersion": obj["metadata"]["resourceVersion"]}
    assert (await web("DELETE", f"{MAPS}/c", {"preconditions": right}))[0] == 200


async def test_deletecollection_takes_what_is_selected_and_lists_it(web: Any) -> None:
    for n in range(3):
        asked = config(f"c{n}")
        asked["metadata"]["labels"] = {"even": str(n % 2 == 0)}
        await web("POST", MAPS, asked)
    status, gone = await web("DELETE", f"{MAPS}?labelSelector=even%3DTrue")
    assert (status, gone["kind"]) == (200, "ConfigMapList")
    assert [item["metadata"]["name"] for item in gone["items"]] == ["c0", "c2"]
    _, left = await web("GET", MAPS)
    assert [item["metadata"]["name"] for item in left["items"]] == ["c1"]


async def test_a_namespace_goes_in_two_steps(web: Any) -> None:
    await web("POST", "/api/v1/namespaces", {"metadata": {"name": "team"}})
    status, obj = await web("DELETE", "/api/v1/namespaces/team")
    assert status == 200
    assert obj["status"]["phase"] == "Terminating"
    assert obj["metadata"]["deletionTimestamp"]
    assert obj["spec"]["finalizers"] == ["kubernetes"]
    status, refusal = await web("POST", "/api/v1/namespaces/team/configmaps", config())
    assert status == 403
    assert refusal["message"] == (
        'configmaps "c" is forbidden: unable to create new content in namespace team because it is being terminated'
    )
    assert refusal["details"]["causes"] == [
        {
            "reason": "NamespaceTerminating",
            "message": "namespace team is being terminated",
            "field": "metadata.namespace",
        }
    ]
    done = {**obj, "spec": {}}
    status, _ = await web("PUT", "/api/v1/namespaces/team/finalize", done)
    assert status == 200
    assert (await web("GET", "/api/v1/namespaces/team"))[0] == 404


async def test_binding_sets_the_node_once(web: Any) -> None:
    await web("POST", PODS, pod())
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}}
    status, answer = await web("POST", f"{PODS}/p/binding", binding)
    assert (status, answer["status"]) == (201, "Success")
    _, obj = await web("GET", f"{PODS}/p")
    assert obj["spec"]["nodeName"] == "n1"
    assert obj["status"]["conditions"][0]["type"] == "PodScheduled"
    assert (await web("POST", f"{PODS}/p/binding", binding))[0] == 409


async def test_yaml_is_understood_and_spoken(web: Any) -> None:
    text = b"metadata:\n  name: y\n  annotations:\n    day: '2020-01-01'\ndata:\n  when: 2020-01-01\n"
    status, obj = await web("POST", MAPS, text, {"Content-Type": "application/yaml"})
    assert status == 201
    assert obj["data"] == {"when": "2020-01-01"}
    response = await web.respond("GET", f"{MAPS}/y", headers={"Accept": "application/yaml"})
    assert response.content_type == "application/yaml"
    assert b"kind: ConfigMap" in response.body


async def test_a_table_is_made_of_an_object_and_of_a_list(web: Any) -> None:
    await web("POST", PODS, pod())
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
    for path in (PODS, f"{PODS}/p"):
        _, table = await web("GET", path, headers=accept)
        assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
        assert table["rows"][0]["cells"][0] == "p"
        assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    _, table = await web("GET", f"{PODS}?includeObject=Object", headers=accept)
    assert table["rows"][0]["object"]["kind"] == "Pod"


async def test_metadata_alone_can_be_asked_for(web: Any) -> None:
    await web("POST", MAPS, config(a="1"))
    accept = {"Accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}
    _, found = await web("GET", MAPS, headers=accept)
    assert found["kind"] == "PartialObjectMetadataList"
    assert "data" not in found["items"][0]
    accept = {"Accept": "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}
    _, one = await web("GET", f"{MAPS}/c", headers=accept)
    assert (one["kind"], one["metadata"]["name"]) == ("PartialObjectMetadata", "c")


async def test_events_of_both_groups_are_the_same_objects(web: Any) -> None:
    event = {
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
        "reason": "Because",
        "message": "it happened",
        "type": "Normal",
    }
    status, _ = await web("POST", "/api/v1/namespaces/default/events", event)
    assert status == 201
    status, other = await web("GET", "/apis/events.k8s.io/v1/namespaces/default/events/e")
    assert (status, other["apiVersion"]) == (200, "events.k8s.io/v1")
    assert other["regarding"]["name"] == "p"
    assert other["note"] == "it happened"
    _, listed = await web("GET", "/apis/events.k8s.io/v1/events")
    assert listed["items"][0]["note"] == "it happened"


@pytest.mark.parametrize("verb", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_store_that_cannot_write_is_the_servers_fault_and_forgiven(web: Any, verb: str) -> None:
    """Components live in the server's process: anything else than a refusal would end them."""
    await web("POST", MAPS, config("there"))
    store, target = web.registry.bus.store, MAPS if verb == "POST" else f"{MAPS}/there"
    body = {"POST": config("c"), "PUT": config("there", a="1"), "PATCH": {"data": {"a": "1"}}, "DELETE": b""}[verb]
    headers = MERGE if verb == "PATCH" else {}

    async def full(operations: Any) -> Any:
        raise StoreError("not committed: database or disk is full")

    works, store.commit = store.commit, full
    status, said = await web(verb, target, body, headers)
    assert (status, said["reason"]) == (500, "InternalError")
    assert said["message"] == "Internal error occurred: not committed: database or disk is full"
    store.commit = works
    status, _ = await web(verb, target, body, headers)
    assert status in (200, 201)


async def test_what_goes_out_of_use_says_so_with_every_answer(web: Any) -> None:
    said = ("Warning", '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"')
    path = "/api/v1/namespaces/default/endpoints"
    made = await web.respond("POST", path, {"metadata": {"name": "e"}})
    assert said in made.headers
    assert said in (await web.respond("GET", f"{path}/e")).headers
    assert said in (await web.respond("GET", f"{path}?watch=true")).headers
    with pytest.raises(StatusError) as refused:
        await web.respond("GET", f"{path}/missing")
    assert said in refused.value.headers
    assert not (await web.respond("GET", "/api/v1/namespaces/default/services")).headers
