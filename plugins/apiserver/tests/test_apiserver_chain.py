"""The admission chain: order, phases, dry run, and the record of what each step did."""

from typing import Any

import pytest
from attrs import define, field

from kubrick_api.errors import StatusError
from kubrick_api_core import CONFIG_MAPS
from kubrick_apiserver.admission import Attributes, Step, refusal
from kubrick_apiserver.chain import AdmissionChain, AdmissionLog
from kubrick_apiserver.difference import difference

MAPS = "/api/v1/namespaces/default/configmaps"


@define
class Marker:
    """Adds its name to a list in the object."""

    name: str
    order: int
    seen: list[str] = field(factory=list)

    def handles(self, attributes: Attributes) -> bool:
        return attributes.resource == CONFIG_MAPS and attributes.operation != "DELETE"

    async def admit(self, attributes: Attributes) -> None:
        assert attributes.object is not None
        data = attributes.object.setdefault("data", {})
        data["marks"] = data.get("marks", "") + self.name
        self.seen.append(attributes.operation)


@define
class Judge:
    """Refuses what says no."""

    name: str = "judge"
    order: int = 5

    def handles(self, attributes: Attributes) -> bool:
        return attributes.resource == CONFIG_MAPS

    async def validate(self, attributes: Attributes) -> None:
        if "no" in ((attributes.object or {}).get("data") or {}):
            raise refusal(attributes, "it says no")


def install(web: Any, *plugins: Any) -> AdmissionLog:
    log = AdmissionLog(web.registry.clock.now, capacity=3, patches=True)
    web.registry.chain = AdmissionChain(plugins, log)
    return log


async def test_mutating_steps_run_in_order_and_before_validating_ones(web: Any) -> None:
    log = install(web, Marker("b", 20), Judge(), Marker("a", 10))
    _, obj = await web("POST", MAPS, {"metadata": {"name": "c"}})
    assert obj["data"]["marks"] == "ab"
    (record,) = log.records()
    assert [(step.plugin, step.phase) for step in record.steps] == [
        ("a", "mutating"),
        ("b", "mutating"),
        ("judge", "validating"),
    ]


async def test_a_step_is_recorded_with_its_patch_and_its_reason(web: Any) -> None:
    log = install(web, Marker("a", 10), Judge())
    status, answer = await web("POST", MAPS, {"metadata": {"name": "c"}, "data": {"no": "x"}})
    assert status == 403
    assert answer["message"] == 'configmaps "c" is forbidden: it says no'
    (record,) = log.records(CONFIG_MAPS, "default", "c")
    assert (record.operation, record.user, record.dry_run) == ("CREATE", "kubernetes-admin", False)
    first, second = record.steps
    assert isinstance(first, Step)
    assert first.patch == [{"op": "add", "path": "/data/marks", "value": "a"}]
    assert (second.allowed, second.reason) == (False, answer["message"])


async def test_the_log_is_bounded_and_newest_first(web: Any) -> None:
    log = install(web, Marker("a", 10))
    for n in range(5):
        await web("POST", f"{MAPS}?dryRun=All", {"metadata": {"name": f"c{n}"}})
    assert [record.name for record in log.records()] == ["c4", "c3", "c2"]
    assert all(record.dry_run for record in log.records())


async def test_deletes_and_patches_are_admitted_too(web: Any) -> None:
    marker = Marker("a", 10)
    install(web, marker)
    await web("POST", MAPS, {"metadata": {"name": "c"}})
    await web("PATCH", f"{MAPS}/c", {"data": {"x": "y"}}, {"Content-Type": "application/merge-patch+json"})
    await web("DELETE", f"{MAPS}/c")
    assert marker.seen == ["CREATE", "UPDATE"]


async def test_the_servers_own_log_can_be_asked_for(web: Any) -> None:
    log = web.cluster.kernel.find(AdmissionLog)
    log.patches = True
    spec = {"containers": [{"name": "c", "image": "i"}]}
    await web("POST", "/api/v1/namespaces/default/pods", {"metadata": {"name": "p"}, "spec": spec})
    record = log.records(name="p")[0]
    by_name = {step.plugin: step for step in record.steps if step.phase == "mutating"}
    assert {"NamespaceLifecycle", "ServiceAccount", "Priority", "DefaultTolerationSeconds"} <= set(by_name)
    assert by_name["NamespaceLifecycle"].patch == []
    assert {"op": "add", "path": "/spec/priority", "value": 0} in by_name["Priority"].patch


@pytest.mark.parametrize(
    ("before", "after", "patch"),
    [
        ({}, {}, []),
        ({"a": 1}, {"a": 2}, [{"op": "replace", "path": "/a", "value": 2}]),
        ({"a/b": 1}, {}, [{"op": "remove", "path": "/a~1b"}]),
        ({"a": [1, 2]}, {"a": [1, 3, 2]}, [{"op": "add", "path": "/a/1", "value": 3}]),
        ({"a": [1, 2, 3]}, {"a": [1]}, [{"op": "remove", "path": "/a/2"}, {"op": "remove", "path": "/a/1"}]),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": 2}]}, [{"op": "add", "path": "/a/0/c", "value": 2}]),
        ({"a": True}, {"a": 1}, [{"op": "replace", "path": "/a", "value": 1}]),
    ],
)
def test_a_difference_is_a_small_patch(before: Any, after: Any, patch: Any) -> None:
    assert difference(before, after) == patch


async def test_refusals_need_no_name() -> None:
    attributes: Any = Attributes(
        "CREATE", CONFIG_MAPS, None, "n", "", "", {"metadata": {}}, None, {}, False, None, None, None
    )  # type: ignore[arg-type]
    error = refusal(attributes, "why")
    assert isinstance(error, StatusError)
    assert error.message == 'configmaps "Unknown" is forbidden: why'
