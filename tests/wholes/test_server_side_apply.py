"""Server-side apply against a whole API server: several managers, one object."""

import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from kubrick_api.catalog import Catalog
from kubrick_api.errors import StatusError
from kubrick_api.fields.sets import members
from kubrick_api.fields.shape import Shapes
from kubrick_api.fields.tracker import Tracker
from kubrick_api.names import GVR
from kubrick_api.storage import Call, UserInfo
from kubrick_testing import Cluster, run_cluster

sys.path.insert(0, str(Path(__file__).parent))
from api_examples import everything, example

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
DEPLOYMENTS = GVR("apps", "v1", "deployments")
CONFIG_MAPS = GVR("", "v1", "configmaps")
PODS = GVR("", "v1", "pods")
SERVICES = GVR("", "v1", "services")
V1 = GVR("autoscaling", "v1", "horizontalpodautoscalers")
V2 = GVR("autoscaling", "v2", "horizontalpodautoscalers")
ADMIN = UserInfo("kubernetes-admin", groups=("system:masters", "system:authenticated"))
Object = dict[str, Any]


class Server:
    """The verbs, with a manager's name as the first argument."""

    def __init__(self, cluster: Cluster) -> None:
        self._transport = cluster.client.transport

    async def call(
        self, verb: str, gvr: GVR, name: str, body: Any = None, namespace: str = "default", **more: Any
    ) -> Object:
        params = {key: value for key, value in more.pop("params", {}).items() if value}
        return await self._transport.call(Call(verb, gvr, namespace, name, body=body, params=params, **more))

    async def get(self, gvr: GVR, name: str) -> Object:
        return await self.call("get", gvr, name)

    async def apply(
        self,
        manager: str,
        gvr: GVR,
        obj: Object,
        *,
        force: bool = False,
        subresource: str = "",
        namespace: str = "default",
        **params: str,
    ) -> Object:
        asked = {"fieldManager": manager, "force": "true" if force else "", **params}
        where = {"namespace": namespace, "subresource": subresource}
        return await self.call("patch", gvr, obj["metadata"]["name"], obj, params=asked, content_type=APPLY, **where)

    async def create(self, manager: str, gvr: GVR, obj: Object) -> Object:
        return await self.call("create", gvr, "", obj, params={"fieldManager": manager})

    async def update(self, manager: str, gvr: GVR, obj: Object, subresource: str = "") -> Object:
        name = obj["metadata"]["name"]
        return await self.call("update", gvr, name, obj, params={"fieldManager": manager}, subresource=subresource)

    async def patch(
        self, manager: str, gvr: GVR, name: str, patch: Any, media: str = MERGE, subresource: str = ""
    ) -> Object:
        return await self.call(
            "patch", gvr, name, patch, params={"fieldManager": manager}, content_type=media, subresource=subresource
        )


@pytest.fixture
def server(cluster: Cluster) -> Server:
    return Server(cluster)


def owners(obj: Object) -> dict[tuple[str, str, str], Object]:
    """fieldsV1 by manager, operation and subresource."""
    return {
        (entry["manager"], entry["operation"], entry.get("subresource", "")): entry["fieldsV1"]
        for entry in obj["metadata"].get("managedFields", ())
    }


def config(**data: str) -> Object:
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "c"}, "data": data}


def deployment(replicas: int | None = 3, image: str = "nginx:1", **metadata: Any) -> Object:
    spec: Object = {
        "selector": {"matchLabels": {"app": "x"}},
        "template": {
            "metadata": {"labels": {"app": "x"}},
            "spec": {"containers": [{"name": "web", "image": image, "ports": [{"containerPort": 80}]}]},
        },
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "d", **metadata}, "spec": spec}


async def test_an_apply_creates_what_isnt_there_and_owns_just_what_it_said(server: Server) -> None:
    obj = await server.apply("me", DEPLOYMENTS, deployment())
    assert obj["spec"]["strategy"]["type"] == "RollingUpdate"
    (entry,) = obj["metadata"]["managedFields"]
    assert list(entry) == ["manager", "operation", "apiVersion", "time", "fieldsType", "fieldsV1"]
    assert entry["apiVersion"] == "apps/v1"
    assert entry["fieldsV1"] == {
        "f:spec": {
            "f:replicas": {},
            "f:selector": {},
            "f:template": {
                "f:metadata": {"f:labels": {"f:app": {}}},
                "f:spec": {
                    "f:containers": {
                        'k:{"name":"web"}': {
                            ".": {},
                            "f:image": {},
                            "f:name": {},
                            "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}},
                        }
                    }
                },
            },
        }
    }


async def test_a_create_owns_the_defaults_too(server: Server) -> None:
    obj = await server.create("kubectl-create", DEPLOYMENTS, deployment(labels={"app": "x"}))
    fields = owners(obj)["kubectl-create", "Update", ""]
    assert list(fields) == ["f:metadata", "f:spec"]
    assert fields["f:metadata"] == {"f:labels": {".": {}, "f:app": {}}}
    assert fields["f:spec"]["f:strategy"] == {
        "f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}},
        "f:type": {},
    }
    container = fields["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"web"}']
    assert container["f:resources"] == {}
    assert container["f:ports"] == {
        ".": {},
        'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}, "f:protocol": {}},
    }


async def test_what_admission_adds_belongs_to_nobody(server: Server) -> None:
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    obj = await server.create("me", PODS, pod)
    fields = owners(obj)["me", "Update", ""]["f:spec"]
    assert "f:dnsPolicy" in fields
    assert "serviceAccountName" in obj["spec"]
    assert "f:serviceAccountName" not in fields
    assert "f:volumes" not in fields


async def test_a_conflict_names_who_and_what(server: Server) -> None:
    await server.create("kubectl-create", DEPLOYMENTS, deployment())
    with pytest.raises(StatusError) as refused:
        await server.apply("me", DEPLOYMENTS, deployment(5))
    assert refused.value.code == 409
    assert refused.value.message == (
        'Apply failed with 1 conflict: conflict with "kubectl-create" using apps/v1: .spec.replicas'
    )
    assert refused.value.status()["details"]["causes"] == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "kubectl-create" using apps/v1',
            "field": ".spec.replicas",
        }
    ]
    assert (await server.get(DEPLOYMENTS, "d"))["spec"]["replicas"] == 3


async def test_several_conflicts_are_listed_by_manager(server: Server) -> None:
    await server.apply("one", DEPLOYMENTS, deployment(3))
    await server.patch("two", DEPLOYMENTS, "d", {"metadata": {"labels": {"a": "b"}}})
    with pytest.raises(StatusError) as refused:
        await server.apply("me", DEPLOYMENTS, deployment(5, "nginx:2", labels={"a": "c"}))
    assert refused.value.message == (
        "Apply failed with 3 conflicts: "
        'conflicts with "one":\n'
        "- .spec.replicas\n"
        '- .spec.template.spec.containers[name="web"].image\n'
        'conflicts with "two" using apps/v1:\n'
        "- .metadata.labels.a"
    )


async def test_force_takes_the_field_away_from_the_other(server: Server) -> None:
    await server.apply("one", DEPLOYMENTS, deployment(3))
    obj = await server.apply("two", DEPLOYMENTS, deployment(5), force=True)
    assert obj["spec"]["replicas"] == 5
    found = owners(obj)
    assert "f:replicas" not in found["one", "Apply", ""]["f:spec"]
    assert "f:replicas" in found["two", "Apply", ""]["f:spec"]
    assert "f:template" in found["one", "Apply", ""]["f:spec"]


async def test_the_same_value_is_shared_and_removed_with_its_last_owner(server: Server) -> None:
    await server.apply("one", CONFIG_MAPS, config(a="1", b="2"))
    obj = await server.apply("two", CONFIG_MAPS, config(a="1"))
    assert set(owners(obj)) == {("one", "Apply", ""), ("two", "Apply", "")}
    obj = await server.apply("one", CONFIG_MAPS, config(b="2"))
    assert obj["data"] == {"a": "1", "b": "2"}
    obj = await server.apply("two", CONFIG_MAPS, {**config(), "data": None})
    assert obj["data"] == {"b": "2"}
    assert set(owners(obj)) == {("one", "Apply", ""), ("two", "Apply", "")}


async def test_a_list_item_goes_when_it_is_applied_no_more(server: Server) -> None:
    two = deployment()
    two["spec"]["template"]["spec"]["containers"].append({"name": "side", "image": "s"})
    await server.apply("me", DEPLOYMENTS, two)
    obj = await server.apply("me", DEPLOYMENTS, deployment())
    assert [container["name"] for container in obj["spec"]["template"]["spec"]["containers"]] == ["web"]


async def test_an_item_stays_while_another_owns_a_field_in_it(server: Server) -> None:
    two = deployment()
    two["spec"]["template"]["spec"]["containers"].append({"name": "side", "image": "s"})
    await server.apply("me", DEPLOYMENTS, two)
    other = deployment()
    other["spec"] = {"template": {"spec": {"containers": [{"name": "side", "workingDir": "/w"}]}}}
    await server.apply("other", DEPLOYMENTS, other)
    with pytest.raises(StatusError) as refused:  # its image is gone, and containers need one
        await server.apply("me", DEPLOYMENTS, deployment())
    assert "spec.template.spec.containers[1].image: Required value" in refused.value.message


async def test_an_update_takes_ownership_and_a_removal_releases_it(server: Server) -> None:
    obj = await server.apply("me", CONFIG_MAPS, config(a="1", b="2"))
    obj = await server.update("editor", CONFIG_MAPS, {**obj, "data": {"a": "9"}})
    found = owners(obj)
    assert found == {("editor", "Update", ""): {"f:data": {"f:a": {}}}}


async def test_an_unchanged_apply_writes_nothing(server: Server, cluster: Cluster) -> None:
    first = await server.apply("me", DEPLOYMENTS, deployment())
    second = await server.apply("me", DEPLOYMENTS, deployment())
    assert second == first


async def test_an_applied_quantity_in_another_spelling_writes_nothing_again(server: Server) -> None:
    asked = deployment()
    asked["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "1000m"}}
    first = await server.apply("me", DEPLOYMENTS, asked)
    assert first["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"] == "1"
    second = await server.apply("me", DEPLOYMENTS, asked)
    assert second == first


async def test_a_dry_run_shows_owners_and_stores_nothing(server: Server) -> None:
    first = await server.apply("me", CONFIG_MAPS, config(a="1"))
    shown = await server.apply("you", CONFIG_MAPS, config(b="1"), dryRun="All")
    assert set(owners(shown)) == {("me", "Apply", ""), ("you", "Apply", "")}
    assert await server.get(CONFIG_MAPS, "c") == first


async def test_status_is_another_entry_and_the_main_resource_owns_none_of_it(server: Server) -> None:
    obj = await server.apply("me", DEPLOYMENTS, {**deployment(), "status": {"replicas": 9}})
    assert "f:status" not in owners(obj)["me", "Apply", ""]
    assert "replicas" not in obj.get("status", {})
    condition = {"type": "Available", "status": "True"}
    changed = {**obj, "spec": {**obj["spec"], "replicas": 7}, "status": {"replicas": 3, "conditions": [condition]}}
    obj = await server.update("controller", DEPLOYMENTS, changed, "status")
    assert obj["spec"]["replicas"] == 3
    fields = owners(obj)["controller", "Update", "status"]
    assert list(fields) == ["f:status"]
    assert fields["f:status"]["f:conditions"] == {
        ".": {},
        'k:{"type":"Available"}': {".": {}, "f:status": {}, "f:type": {}},
    }
    applied = {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": {"name": "d"},
        "status": {"conditions": [{"type": "Mine", "status": "True"}]},
    }
    obj = await server.apply("me", DEPLOYMENTS, applied, subresource="status")
    assert [condition["type"] for condition in obj["status"]["conditions"]] == ["Available", "Mine"]
    assert ("me", "Apply", "status") in owners(obj)
    assert ("me", "Apply", "") in owners(obj)


async def test_a_scale_owns_the_replicas_of_what_it_scales(server: Server) -> None:
    await server.apply("me", DEPLOYMENTS, deployment(3))
    await server.patch("scaler", DEPLOYMENTS, "d", {"spec": {"replicas": 6}}, subresource="scale")
    obj = await server.get(DEPLOYMENTS, "d")
    found = owners(obj)
    assert found["scaler", "Update", "scale"] == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in found["me", "Apply", ""]["f:spec"]
    with pytest.raises(StatusError) as refused:
        await server.apply("me", DEPLOYMENTS, deployment(3))
    assert refused.value.message == (
        'Apply failed with 1 conflict: conflict with "scaler" with subresource "scale" using apps/v1: .spec.replicas'
    )


async def test_a_scale_is_applied_to(server: Server) -> None:
    await server.apply("me", DEPLOYMENTS, deployment(3))
    scale = {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {"name": "d"}, "spec": {"replicas": 4}}
    with pytest.raises(StatusError) as refused:
        await server.apply("scaler", DEPLOYMENTS, scale, subresource="scale")
    assert refused.value.message == 'Apply failed with 1 conflict: conflict with "me": .spec.replicas'
    answer = await server.apply("scaler", DEPLOYMENTS, scale, subresource="scale", force=True)
    assert (answer["kind"], answer["spec"]) == ("Scale", {"replicas": 4})
    obj = await server.get(DEPLOYMENTS, "d")
    assert obj["spec"]["replicas"] == 4
    assert owners(obj)["scaler", "Apply", "scale"] == {"f:spec": {"f:replicas": {}}}


async def test_entries_are_reset_by_an_empty_one(server: Server) -> None:
    await server.apply("me", CONFIG_MAPS, config(a="1"))
    reset = [{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]
    obj = await server.patch("me", CONFIG_MAPS, "c", reset, JSON_PATCH)
    assert "managedFields" not in obj["metadata"]
    obj = await server.patch("editor", CONFIG_MAPS, "c", {"data": {"b": "2"}})
    assert "managedFields" not in obj["metadata"], "an object without owners stays so until somebody applies"
    obj = await server.apply("me", CONFIG_MAPS, config(a="1"))
    assert owners(obj) == {
        ("me", "Apply", ""): {"f:data": {"f:a": {}}},
        ("before-first-apply", "Update", ""): {"f:data": {".": {}, "f:a": {}, "f:b": {}}},
    }


async def test_a_client_that_drops_the_entries_loses_none(server: Server) -> None:
    obj = await server.apply("me", CONFIG_MAPS, config(a="1"))
    bare = {**obj, "metadata": {key: v for key, v in obj["metadata"].items() if key != "managedFields"}}
    again = await server.update("editor", CONFIG_MAPS, bare)
    assert again == obj


async def test_what_kubectl_applied_client_side_is_kubectls_own(server: Server) -> None:
    annotation = "kubectl.kubernetes.io/last-applied-configuration"
    text = '{"apiVersion":"v1","data":{"a":"1"},"kind":"ConfigMap","metadata":{"annotations":{},"name":"c"}}\n'
    made = config(a="1")
    made["metadata"]["annotations"] = {annotation: text}
    await server.create("kubectl-client-side-apply", CONFIG_MAPS, made)
    with pytest.raises(StatusError):
        await server.apply("somebody", CONFIG_MAPS, config(a="2"))
    obj = await server.apply("kubectl", CONFIG_MAPS, config(a="2"))
    assert obj["data"] == {"a": "2"}
    assert '"a":"2"' in obj["metadata"]["annotations"][annotation]


async def test_no_more_than_ten_updaters_are_told_apart(server: Server) -> None:
    await server.create("creator", CONFIG_MAPS, config(a="1"))
    for number in range(12):
        obj = await server.patch(f"updater-{number:02}", CONFIG_MAPS, "c", {"data": {f"k{number}": "v"}})
    found = [entry["manager"] for entry in obj["metadata"]["managedFields"]]
    assert len(found) == 10
    assert "ancient-changes" in found
    assert "updater-11" in found


async def test_an_apply_needs_a_manager(server: Server) -> None:
    with pytest.raises(StatusError) as refused:
        await server.apply("", CONFIG_MAPS, config(a="1"))
    assert refused.value.code == 422
    assert refused.value.message == (
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
    )


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (
            {"spec": {"foo": 1}},
            400,
            "failed to create typed patch object (/d; apps/v1, Kind=Deployment): .spec.foo: "
            "field not declared in schema",
        ),
        (
            {"spec": {"replicas": "3"}},
            400,
            "failed to create typed patch object (/d; apps/v1, Kind=Deployment): .spec.replicas: "
            "expected numeric (int or float), got string",
        ),
        (
            {"spec": {"template": {"spec": {"containers": [{"name": "a"}, {"name": "a"}]}}}},
            400,
            "failed to create typed patch object (/d; apps/v1, Kind=Deployment): .spec.template.spec.containers: "
            'duplicate entries for key [name="a"]',
        ),
        ({"apiVersion": "apps/v2"}, 400, "invalid object type: apps/v2, Kind=Deployment"),
        (
            {"metadata": {"name": "d", "managedFields": [{"manager": "x"}]}},
            400,
            "metadata.managedFields must be nil",
        ),
    ],
)
async def test_what_cannot_be_applied(server: Server, change: Object, code: int, message: str) -> None:
    with pytest.raises(StatusError) as refused:
        await server.apply("me", DEPLOYMENTS, {**deployment(), **change})
    assert (refused.value.code, refused.value.message) == (code, message)


async def test_entries_of_another_version_follow_the_conversion(server: Server) -> None:
    asked = {
        "kind": "HorizontalPodAutoscaler",
        "apiVersion": "autoscaling/v1",
        "metadata": {"name": "h"},
        "spec": {
            "maxReplicas": 5,
            "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"},
            "targetCPUUtilizationPercentage": 50,
        },
    }
    await server.apply("old", V1, asked)
    obj = await server.patch("new", V2, "h", {"spec": {"maxReplicas": 9}})
    entries = {entry["manager"]: entry for entry in obj["metadata"]["managedFields"]}
    assert entries["old"]["apiVersion"] == "autoscaling/v1"
    assert set(entries["old"]["fieldsV1"]["f:spec"]) == {"f:scaleTargetRef", "f:targetCPUUtilizationPercentage"}
    assert entries["new"]["apiVersion"] == "autoscaling/v2"
    assert entries["new"]["fieldsV1"] == {"f:spec": {"f:maxReplicas": {}}}


async def test_a_services_allocated_address_survives_an_apply(server: Server) -> None:
    asked = {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {"name": "s"},
        "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]},
    }
    first = await server.apply("me", SERVICES, asked)
    asked["spec"]["ports"] = [{"port": 80}, {"name": "two", "port": 81}]  # type: ignore[index]
    asked["spec"]["ports"][0]["name"] = "one"  # type: ignore[index]
    second = await server.apply("me", SERVICES, asked)
    assert second["spec"]["clusterIP"] == first["spec"]["clusterIP"]
    assert [port["port"] for port in second["spec"]["ports"]] == [80, 81]


def exists(obj: Any, path: tuple[str, ...]) -> bool:
    """Whether an object has something at a path."""
    for part in path:
        kind, _, rest = part.partition(":")
        if kind == "f":
            if not isinstance(obj, dict) or rest not in obj:
                return False
            obj = obj[rest]
        elif kind == "k":
            keys = orjson.loads(rest).items()
            found = [item for item in obj if all(item.get(key) == value for key, value in keys)]
            if not found:
                return False
            obj = found[0]
        elif orjson.loads(rest) not in obj:
            return False
    return True


async def test_every_kind_is_applied_and_applied_again_without_a_write() -> None:
    async with run_cluster(
        "api", disable=("admission-service-account", "admission-taint-nodes-by-condition")
    ) as cluster:
        server = Server(cluster)
        for index, resource in enumerate(cluster.kernel.find(Catalog).resources()):
            if resource.virtual is not None or not {"create", "patch"} <= set(resource.verbs):
                continue
            obj = example(resource, f"example-{index}")
            obj["metadata"]["labels"] = {"owned": "yes"}
            namespace = "default" if resource.namespaced else ""
            first = await server.apply("me", resource.gvr, obj, namespace=namespace)
            assert await server.apply("me", resource.gvr, obj, namespace=namespace) == first, resource.gvr
            assert set(owners(first)) <= {("me", "Apply", "")}
            for fields in owners(first).values():
                assert [path for path in members(fields) if not exists(first, path)] == [], resource.gvr


async def test_every_field_of_every_kind_can_be_applied(cluster: Cluster) -> None:
    catalog = cluster.kernel.find(Catalog)
    shapes = Shapes(catalog.schemas)
    for resource in catalog.resources():
        if resource.virtual is not None or resource.kind.kind == "CustomResourceDefinition":
            continue  # a schema's schema has no end, and where the example ends it lacks keys
        obj = everything(resource, catalog.schemas, "all")
        tracker = Tracker(shapes, resource.schema, resource.kind.api_version)
        assert list(tracker.check(obj)) == [], resource.gvr
        for fields in (tracker.fieldset(obj), tracker.created(obj)):
            assert [path for path in members(fields) if not exists(obj, path)] == [], resource.gvr
        assert tracker.merge(obj, obj) == obj


async def test_what_one_version_applied_another_stops_applying(server: Server) -> None:
    target = {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}
    asked: Object = {"kind": "HorizontalPodAutoscaler", "apiVersion": "autoscaling/v1", "metadata": {"name": "h"}}
    asked["spec"] = {"maxReplicas": 5, "minReplicas": 2, "scaleTargetRef": target}
    asked["metadata"]["labels"] = {"a": "b"}
    await server.apply("me", V1, asked)
    newer = {**asked, "apiVersion": "autoscaling/v2", "metadata": {"name": "h"}}
    newer["spec"] = {"maxReplicas": 5, "scaleTargetRef": target}
    obj = await server.apply("me", V2, newer)
    assert "labels" not in obj["metadata"]
    assert obj["spec"]["minReplicas"] == 1
    (entry,) = obj["metadata"]["managedFields"]
    assert entry["apiVersion"] == "autoscaling/v2"
    assert entry["fieldsV1"] == {
        "f:spec": {"f:maxReplicas": {}, "f:scaleTargetRef": {"f:apiVersion": {}, "f:kind": {}, "f:name": {}}}
    }
