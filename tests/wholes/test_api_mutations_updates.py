"""What is stored, of every kind, and then changed at random by every way to write: refused or stored whole; what
is stored is accepted again as it is, and its managedFields are in order."""

import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubrick_api.errors import StatusError
from kubrick_api.fields import entries
from kubrick_api.resource import Resource
from kubrick_api.storage import Call, UserInfo
from kubrick_client import Connector
from kubrick_testing import Cluster, faults, run_cluster

sys.path.insert(0, str(Path(__file__).parent))
from api_examples import Object, example
from test_api_mutations import ACCOUNTS, DELETED, JUNK, Mutation, mutated, postable

MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"
JSON_PATCH, APPLY = "application/json-patch+json", "application/apply-patch+yaml"
WAYS = ("update", "status", MERGE, STRATEGIC, JSON_PATCH, APPLY, "apply status", "merge status")

changes = st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from((DELETED, *JUNK))), min_size=1, max_size=3)
writes = st.lists(
    st.tuples(st.integers(0, 10**6), st.lists(st.tuples(st.sampled_from(WAYS), changes), min_size=1, max_size=4)),
    min_size=25,
    max_size=25,
)


class Writer:
    """One object of one cluster, and every way to write it."""

    def __init__(self, cluster: Cluster, resource: Resource) -> None:
        self._transport = cluster.kernel.find(Connector).transport(UserInfo("root", groups=("system:masters",)))
        self._bus = cluster.kernel.bus
        self.resource = resource
        self.where = ("", "")

    async def call(self, verb: str, body: Any = None, subresource: str = "", media: str = "", **params: str) -> Object:
        namespace, name = self.where
        more = {"content_type": media} if media else {}
        call = Call(verb, self.resource.gvr, namespace, name, subresource, params, body, **more)
        return await self._transport.call(call)

    async def create(self, name: str) -> None:
        self.where = ("default" if self.resource.namespaced else "", "")
        made = await self.call("create", example(self.resource, name))
        self.where = (self.where[0], made["metadata"]["name"])

    async def write(self, way: str, mutations: list[Mutation]) -> None:
        """One write. Raises what is no proper refusal."""
        stored = await self.call("get")
        wanted = mutated(deepcopy(stored), mutations)
        before = self._bus.revision
        try:
            await self.send(way, stored, wanted)
        except StatusError as error:
            patch = difference(stored, wanted) if way == STRATEGIC else faults.NOTHING
            asked = faults.Asked("PATCH", self.resource.gvr.resource, media=way, body=patch, stored=stored)
            if not 400 <= error.code < 500 and not faults.known(asked, error.code, error.reason, error.message):
                raise
            assert self._bus.revision == before, "a refusal wrote something"

    async def send(self, way: str, stored: Object, wanted: Object) -> None:
        status = "status" if "status" in self.resource.subresources else ""
        if way in ("update", "status"):
            await self.call("update", wanted, status if way == "status" else "")
        elif way in (MERGE, STRATEGIC, "merge status"):
            patch = difference(stored, wanted)
            await self.call("patch", patch, status if " " in way else "", MERGE if " " in way else way)
        elif way == JSON_PATCH:
            await self.call("patch", operations(stored, wanted), "", JSON_PATCH)
        else:
            if isinstance(wanted.get("metadata"), dict):
                wanted["metadata"].pop("managedFields", None)
                wanted["metadata"].pop("resourceVersion", None)
            await self.call("patch", wanted, status if " " in way else "", APPLY, fieldManager="me", force="true")

    async def check(self) -> None:
        """What is stored is valid: it can be put back, which changes nothing."""
        try:
            stored = await self.call("get")
        except StatusError as error:
            if error.code != 404:
                raise
            return  # the last finalizer went
        kept = stored["metadata"].get("managedFields") or []
        owners = entries.given(kept)  # raises for what is no entry
        assert entries.listed(owners) == kept, "twice, out of order, or in no canonical form"
        for subresource in ("", *(each for each in ("status",) if each in self.resource.subresources)):
            again = await self.call("update", stored, subresource)
            assert again == stored, f"{self.resource.gvr} {subresource}: {difference(stored, again)}"


def difference(old: Any, new: Any) -> Any:
    """The merge patch from one to the other."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    patch = {key: None for key in old if key not in new}
    return patch | {key: difference(old.get(key), value) for key, value in new.items() if old.get(key) != value}


def operations(old: Object, new: Object) -> list[Object]:
    """The JSON patch from one to the other, a member of the object at a time."""
    found = [{"op": "remove", "path": f"/{key}"} for key in old if key not in new]
    found += [{"op": "test", "path": f"/{key}", "value": value} for key, value in old.items() if key in new]
    return found + [
        {"op": "replace", "path": f"/{key}", "value": value} for key, value in new.items() if old.get(key) != value
    ]


async def try_all(numbered: list[tuple[int, list[tuple[str, list[Mutation]]]]]) -> None:
    async with run_cluster("api", disable=(ACCOUNTS,)) as cluster:
        resources = [each for each in postable(cluster) if each.virtual is None and each.gvr.resource != "bindings"]
        for index, (number, steps) in enumerate(numbered):
            writer = Writer(cluster, resources[number % len(resources)])
            try:
                await writer.create(f"object-{index}")
            except StatusError as error:
                if error.code not in (409, 422):
                    raise
                continue  # a kind whose name or place is given, for the second time
            for way, mutations in steps:
                try:
                    await writer.write(way, mutations)
                except StatusError as error:
                    if error.code != 404:
                        raise AssertionError(
                            f"{writer.resource.gvr}: {way} {mutations}: {error.code} {error}"
                        ) from error
                    break
                except Exception as error:
                    raise AssertionError(f"{writer.resource.gvr}: {way} {mutations}") from error
                await writer.check()


@settings(
    max_examples=settings.default.max_examples // 8,
    suppress_health_check=[HealthCheck.large_base_example, HealthCheck.too_slow],
)
@given(writes)
def test_junk_written_over_what_is_stored_is_refused_or_stored_whole(
    numbered: list[tuple[int, list[tuple[str, list[Mutation]]]]],
) -> None:
    trio.run(try_all, numbered)
