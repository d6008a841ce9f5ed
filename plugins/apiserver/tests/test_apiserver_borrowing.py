"""A patch of labels leaves the rest of a pod in common with the stored one, and nobody can spoil that."""

from typing import Any

import orjson
import pytest
from attrs import define, field

from kubrick_admission_default_toleration_seconds import DefaultTolerationSeconds, Settings
from kubrick_api.codec import text
from kubrick_api.resource import Object, Resource
from kubrick_api_apps import DEPLOYMENTS
from kubrick_api_core import PODS
from kubrick_apiserver.admission import Attributes
from kubrick_apiserver.chain import AdmissionChain

POD = "/api/v1/namespaces/default/pods/p"
DEPLOYMENT = "/apis/apps/v1/namespaces/default/deployments/d"
STRATEGIC = {"Content-Type": "application/strategic-merge-patch+json"}
MERGE = {"Content-Type": "application/merge-patch+json"}
LABELS = {"metadata": {"labels": {"a": "b"}}}
SPEC = {"containers": [{"name": "c", "image": "i"}]}


@define
class Watcher:
    """Sees what admission is given, and does `change` to it."""

    change: Any = None
    name: str = "watcher"
    order: int = 200
    exact: bool = True
    borrows: bool = True
    shared: list[set[str]] = field(factory=list)
    spoilt: list[bool] = field(factory=list)

    def handles(self, attributes: Attributes) -> bool:
        return attributes.operation == "UPDATE" and attributes.resource in (PODS, DEPLOYMENTS)

    async def admit(self, attributes: Attributes) -> None:
        obj, old = attributes.object, attributes.old_object
        assert obj is not None
        assert old is not None
        self.shared.append({key for key, value in obj.items() if type(value) is dict and value is old.get(key)})
        before = text(old)
        if self.change is not None:
            self.change(attributes)
        self.spoilt.append(text(old) != before)


def install(web: Any, *plugins: Any) -> None:
    web.registry.chain = AdmissionChain(plugins)


def stored(web: Any, resource: Any, name: str) -> tuple[Resource, Any]:
    found = web.registry.resource(resource)
    return found, web.registry.topic(found).get(found.key("default", name))


async def make(web: Any) -> None:
    await web("POST", POD.rpartition("/")[0], {"metadata": {"name": "p", "finalizers": ["e.x/y"]}, "spec": SPEC})
    template = {"metadata": {"labels": {"a": "b"}}, "spec": SPEC}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    status, answer = await web("POST", DEPLOYMENT.rpartition("/")[0], {"metadata": {"name": "d"}, "spec": spec})
    assert status == 201, answer


@pytest.mark.parametrize("headers", [STRATEGIC, MERGE])
async def test_a_patch_of_labels_copies_nothing_else_of_a_pod(web: Any, headers: dict[str, str]) -> None:
    await make(web)
    watcher = Watcher()
    install(web, watcher)
    _, before = await web("GET", POD)
    status, after = await web("PATCH", POD, LABELS, headers)
    assert status == 200
    assert watcher.shared == [{"spec", "status"}]
    assert after["metadata"]["labels"] == {"a": "b"}
    assert after["spec"] == before["spec"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"] == 1


async def test_a_patch_of_the_spec_copies_all(web: Any) -> None:
    await make(web)
    watcher = Watcher()
    install(web, watcher)
    patch = {"spec": {"containers": [{"name": "c", "image": "other"}]}}
    status, after = await web("PATCH", POD, patch, STRATEGIC)
    assert (status, after["metadata"]["generation"]) == (200, 2)
    assert watcher.shared == [set()]


async def test_kinds_that_do_not_say_so_are_given_copies(web: Any) -> None:
    await make(web)
    watcher = Watcher()
    install(web, watcher)
    assert (await web("PATCH", DEPLOYMENT, LABELS, STRATEGIC))[0] == 200
    assert watcher.shared == [set()]


async def test_defaults_of_such_kinds_do_not_reach_the_stored_object(web: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await make(web)
    resource, item = stored(web, DEPLOYMENTS, "d")
    decoded = web.registry.decode(resource, item)

    def default(obj: Object) -> None:
        obj["spec"]["minReadySeconds"] = 7

    monkeypatch.setattr(resource.strategy, "default", default)
    status, after = await web("PATCH", DEPLOYMENT, LABELS, STRATEGIC)
    assert (status, after["spec"]["minReadySeconds"], after["metadata"]["generation"]) == (200, 7, 2)
    assert decoded == orjson.loads(item.value)


def meddle(attributes: Attributes) -> None:
    assert attributes.object is not None
    attributes.object["spec"]["containers"][0]["image"] = "meddled"
    attributes.object["status"]["phase"] = "Meddled"
    attributes.object["metadata"]["managedFields"][0]["manager"] = "meddler"


async def test_a_plugin_that_says_nothing_may_change_all_in_place(web: Any) -> None:
    await make(web)
    watcher, stranger = Watcher(), Watcher(meddle, "stranger", 210, borrows=False)
    install(web, watcher, stranger)
    resource, item = stored(web, PODS, "p")
    decoded = web.registry.decode(resource, item)
    status, after = await web("PATCH", POD, LABELS, STRATEGIC)
    assert status == 200
    assert (watcher.shared, stranger.shared) == ([{"spec", "status"}], [set()])
    assert stranger.spoilt == [False]
    assert decoded == orjson.loads(item.value)
    assert after["spec"]["containers"][0]["image"] == "meddled"
    assert after["metadata"]["generation"] == 2
    assert "meddler" in [entry["manager"] for entry in after["metadata"]["managedFields"]]


async def test_a_plugin_that_is_not_exact_has_its_gaps_filled_in_copies(web: Any) -> None:
    await make(web)

    def gap(attributes: Attributes) -> None:
        attributes.own("spec").pop("schedulerName")

    loose = Watcher(gap, exact=False)
    install(web, loose)
    status, after = await web("PATCH", POD, LABELS, STRATEGIC)
    assert (status, loose.spoilt) == (200, [False])
    assert after["spec"]["schedulerName"] == "default-scheduler"


async def test_own_gives_a_copy_once() -> None:
    old: Object = {"metadata": {}, "spec": {"a": [1]}}
    attributes: Any = Attributes(
        "UPDATE", PODS, None, "n", "p", "", {"metadata": {}, "spec": old["spec"]}, old, {}, False, None, None, None
    )  # type: ignore[arg-type]
    spec = attributes.own("spec")
    assert spec == old["spec"]
    assert spec is not old["spec"]
    assert attributes.own("spec") is attributes.object["spec"] is spec
    assert attributes.own("status") is None


async def test_tolerations_are_added_to_a_pod_that_was_stored_without(web: Any) -> None:
    install(web)
    await make(web)
    resource, item = stored(web, PODS, "p")
    decoded = web.registry.decode(resource, item)
    assert "tolerations" not in decoded["spec"]
    install(web, DefaultTolerationSeconds(Settings()))
    status, after = await web("PATCH", POD, LABELS, STRATEGIC)
    assert (status, len(after["spec"]["tolerations"])) == (200, 2)
    assert "tolerations" not in decoded["spec"]


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ({"a": 1}, "cannot convert int64 to string"),
        ({"a": {"b": "c"}}, "unrecognized type: string"),
        (["a"], "cannot restore map from slice"),
    ],
)
async def test_labels_that_are_no_texts_are_refused(web: Any, labels: Any, why: str) -> None:
    await make(web)
    status, answer = await web("PATCH", POD, {"metadata": {"labels": labels}}, STRATEGIC)
    assert status == 422
    assert why in answer["message"]
    _, pod = await web("GET", POD)
    assert "labels" not in pod["metadata"]


async def test_labels_are_removed_by_null_and_unknown_metadata_is_warned_of(web: Any) -> None:
    await make(web)
    await web("PATCH", POD, LABELS, STRATEGIC)
    status, pod = await web("PATCH", POD, {"metadata": {"labels": {"a": None, "c": "d"}, "x": "y"}}, STRATEGIC)
    assert (status, pod["metadata"]["labels"]) == (200, {"c": "d"})
    assert "x" not in pod["metadata"]
    strict = {"metadata": {"labels": {"e": "f"}, "x": "y"}}
    status, answer = await web("PATCH", f"{POD}?fieldValidation=Strict", strict, STRATEGIC)
    assert status == 422
    assert 'unknown field "metadata.x"' in answer["message"]
