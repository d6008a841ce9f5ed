"""The client against a real API server: in process in virtual time, and over HTTPS."""

from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from kubrick_api.errors import StatusError
from kubrick_api.names import GVR
from kubrick_client import Client, EventRecorder, Informer, LeaderElector, Unreachable
from kubrick_client.https import HttpsTransport
from kubrick_client.kubeconfig import Access, load_kubeconfig
from kubrick_testing.cluster import Cluster, run_cluster

Object = dict[str, Any]
CONFIG_MAPS = GVR("", "v1", "configmaps")
EVENTS = GVR("", "v1", "events")
LEASES = GVR("coordination.k8s.io", "v1", "leases")


def config_map(name: str, **data: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        "data": data,
    }


class Log:
    """What an informer's handlers were told."""

    def __init__(self, informer: Informer) -> None:
        self.lines: list[str] = []
        self._more = trio.Event()
        informer.add_handler(
            lambda obj: self._write(f"+{obj['metadata']['name']}"),
            lambda old, new: self._write(f"~{new['metadata']['name']}"),
            lambda obj: self._write(f"-{obj['metadata']['name']}"),
        )

    def _write(self, line: str) -> None:
        self.lines.append(line)
        self._more.set()
        self._more = trio.Event()

    async def until(self, *lines: str) -> None:
        with trio.fail_after(5):
            while len(self.lines) < len(lines):
                await self._more.wait()
        assert self.lines == [*lines]


async def exercise(client: Client) -> None:
    """A life of one object through every verb, seen by an informer."""
    informer = Informer(client, CONFIG_MAPS, "default", label_selector="team=a")
    informer.add_index("color", lambda obj: [obj["data"]["color"]])
    log = Log(informer)
    async with trio.open_nursery() as nursery:
        obj = config_map("one", color="red")
        obj["metadata"]["labels"] = {"team": "a"}
        made = await client.create(CONFIG_MAPS, obj)
        assert made["metadata"]["uid"]
        await nursery.start(informer.run)
        assert log.lines == ["+one"]
        await client.create(CONFIG_MAPS, config_map("unseen"))
        await client.patch(CONFIG_MAPS, "one", {"data": {"color": "blue"}}, "default")
        fresh = await client.get(CONFIG_MAPS, "one", "default")
        await client.update(CONFIG_MAPS, {**fresh, "data": {**fresh["data"], "more": "x"}})
        with pytest.raises(StatusError) as stale:
            await client.update(CONFIG_MAPS, {**fresh, "data": {"color": "green"}})
        assert stale.value.reason == "Conflict"
        with pytest.raises(StatusError) as absent:
            await client.get(CONFIG_MAPS, "none", "default")
        assert (absent.value.code, absent.value.reason) == (404, "NotFound")
        assert str(absent.value) == 'configmaps "none" not found'
        dry = await client.create(CONFIG_MAPS, config_map("dry"), dry_run=True)
        assert dry["metadata"]["name"] == "dry"
        await log.until("+one", "~one", "~one")
        assert informer.by_index("color", "red") == []
        assert [each["metadata"]["name"] for each in informer.by_index("color", "blue")] == ["one"]
        found = informer.get("default", "one")
        assert found is not None
        assert (found["kind"], found["apiVersion"]) == ("ConfigMap", "v1")
        with pytest.raises(StatusError) as other:
            await client.delete(CONFIG_MAPS, "one", "default", uid="not-this-one")
        assert other.value.code == 409
        await client.delete(CONFIG_MAPS, "one", "default", uid=made["metadata"]["uid"])
        await client.delete_collection(CONFIG_MAPS, "default", field_selector="metadata.name=unseen")
        await log.until("+one", "~one", "~one", "-one")
        assert informer.list() == []
        nursery.cancel_scope.cancel()


async def test_every_verb_works_in_process(cluster: Cluster, autojump_clock: MockClock) -> None:
    await exercise(cluster.client)


async def test_every_verb_works_over_https_with_the_kubeconfig_the_server_wrote(tmp_path: Path) -> None:
    async with run_cluster("api", settings={"apiserver": {"listen": "127.0.0.1:0"}}, data_dir=tmp_path) as running:
        access = load_kubeconfig(running.kernel.announcements["kubeconfig"])
        client = Client(HttpsTransport(access))
        await exercise(client)
        await client.aclose()
        stranger = Client(HttpsTransport(Access(access.server, access.ca)))
        with pytest.raises(StatusError) as refused:
            await stranger.list(CONFIG_MAPS, "default")
        assert refused.value.code in (401, 403)
        await stranger.aclose()


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    client = Client(HttpsTransport(Access("http://127.0.0.1:1")))
    with pytest.raises(Unreachable, match=r"no answer from http://127.0.0.1:1"):
        await client.get(CONFIG_MAPS, "a", "default")
    await client.aclose()


async def test_an_informer_shared_late_is_told_of_what_is_there(cluster: Cluster, autojump_clock: MockClock) -> None:
    await cluster.client.create(CONFIG_MAPS, config_map("one"))
    informer = Informer(cluster.client, CONFIG_MAPS, "default", field_selector="metadata.name=one")
    async with trio.open_nursery() as nursery:
        await nursery.start(informer.run)
        assert Log(informer).lines == ["+one"]
        informer.add_index("name", lambda obj: [obj["metadata"]["name"]])
        assert len(informer.by_index("name", "one")) == 1
        nursery.cancel_scope.cancel()


async def test_a_handler_that_fails_stops_nobody(cluster: Cluster, autojump_clock: MockClock) -> None:
    informer = Informer(cluster.client, CONFIG_MAPS, "default", field_selector="metadata.name=one")

    def broken(obj: Object) -> None:
        raise RuntimeError("a bug")

    informer.add_handler(broken)
    log = Log(informer)
    async with trio.open_nursery() as nursery:
        await nursery.start(informer.run)
        await cluster.client.create(CONFIG_MAPS, config_map("one"))
        await trio.sleep(1)
        assert log.lines == ["+one"]
        nursery.cancel_scope.cancel()


async def test_events_are_counted_up_gathered_and_limited(cluster: Cluster, autojump_clock: MockClock) -> None:
    recorder = EventRecorder(cluster.client, "tester", "host-1")
    about = await cluster.client.create(CONFIG_MAPS, config_map("one"))
    async with trio.open_nursery() as nursery:
        await nursery.start(recorder.run)
        for _ in range(3):
            recorder.event(about, "Normal", "Same", "it happened")
            await trio.sleep(2)
        for number in range(40):
            recorder.event(about, "Warning", "Many", f"number {number}")
        await trio.sleep(5)
        nursery.cancel_scope.cancel()
    found = (await cluster.client.list(EVENTS, "default", field_selector="involvedObject.name=one"))["items"]
    (same,) = [event for event in found if event["reason"] == "Same"]
    assert same["count"] == 3
    assert same["firstTimestamp"] < same["lastTimestamp"]
    assert same["source"] == {"component": "tester", "host": "host-1"}
    assert same["involvedObject"]["uid"] == about["metadata"]["uid"]
    name, _, digits = same["metadata"]["name"].rpartition(".")
    assert name == "one"
    assert len(digits) == 16
    assert int(digits, 16)
    many = [event for event in found if event["reason"] == "Many"]
    assert len(many) == 10
    assert many[-1]["message"].startswith("(combined from similar events): number ")
    assert sum(event["count"] for event in found) == 25


async def test_one_candidate_leads_and_the_next_takes_over_when_it_stops(
    cluster: Cluster, autojump_clock: MockClock
) -> None:
    leaders: list[str] = []

    async def candidate(name: str, stop: trio.CancelScope) -> None:
        elector = LeaderElector(cluster.client, "lock", "kube-system", name)

        async def lead() -> None:
            leaders.append(name)
            await trio.sleep_forever()

        with stop:
            await elector.run(lead)

    stops = [trio.CancelScope(), trio.CancelScope()]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(candidate, "a", stops[0])
        await trio.sleep(1)
        nursery.start_soon(candidate, "b", stops[1])
        await trio.sleep(100)
        assert leaders == ["a"]
        stops[0].cancel()
        await trio.sleep(4)
        assert leaders == ["a", "b"]
        lease = await cluster.client.get(LEASES, "lock", "kube-system")
        assert lease["spec"]["holderIdentity"] == "b"
        assert lease["spec"]["leaseTransitions"] == 1
        stops[1].cancel()


async def test_a_leader_that_finds_itself_replaced_stops(cluster: Cluster, autojump_clock: MockClock) -> None:
    elector = LeaderElector(cluster.client, "lock", "kube-system", "a")
    cancelled = []

    async def lead() -> None:
        try:
            await trio.sleep_forever()
        finally:
            cancelled.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(elector.run, lead)
        await trio.sleep(5)
        change = {"spec": {"holderIdentity": "thief", "leaseTransitions": 7}}
        await cluster.client.patch(LEASES, "lock", change, "kube-system")
        await trio.sleep(3)
        assert len(cancelled) == 1
        assert elector.holder == "thief"
        await trio.sleep(20)
        assert elector.leading
        assert elector.term == 8
        nursery.cancel_scope.cancel()


def test_times_that_can_not_work_are_refused() -> None:
    with pytest.raises(ValueError, match="must be longer than the renew deadline"):
        LeaderElector(Client(HttpsTransport(Access("http://x"))), "l", "n", "me", duration=5, deadline=10)
