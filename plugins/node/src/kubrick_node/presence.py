"""The node itself in the API: its Node object, its status, its Lease. Thin; register.py has what they say."""

import math
from collections.abc import Awaitable, Callable

import trio

from kubrick_api.errors import StatusError
from kubrick_api.resource import Object
from kubrick_api_coordination import LEASES
from kubrick_api_core import NODES
from kubrick_client import Client, EventRecorder
from kubrick_kernel import Clock
from kubrick_node.register import (
    HEALTHY,
    LEASE_NAMESPACE,
    REPORT_SECONDS,
    Condition,
    Machine,
    lease_object,
    node_object,
    node_status,
    transitions,
    without_heartbeats,
)


class Presence:
    """One node's. `current` is how it was when last asked (`condition`, None: always well). All raise what the client
    does."""

    def __init__(
        self,
        machine: Machine,
        client: Client,
        recorder: EventRecorder,
        clock: Clock,
        condition: Callable[[], Awaitable[Condition]] | None,
    ) -> None:
        self.node: Object = {}
        self.current = HEALTHY
        self._machine = machine
        self._client = client
        self._recorder = recorder
        self._clock = clock
        self._condition = condition
        self._reported_at = -math.inf

    async def register(self) -> None:
        """Have the Node object, and say that we are here."""
        wanted = node_object(self._machine)
        try:
            node = await self._client.create(NODES, wanted)
        except StatusError as error:
            if error.reason != "AlreadyExists":
                raise
            labels = wanted["metadata"]["labels"]
            node = await self._client.get(NODES, self._machine.name)
            have = node["metadata"].get("labels") or {}
            if any(have.get(key) != value for key, value in labels.items()):
                patch = {"metadata": {"labels": labels}}
                node = await self._client.patch(NODES, self._machine.name, patch, kind="merge")
        self.node = node
        self.say("Normal", "Starting", "Starting kubelet.")
        await self.renew()
        await self.report()

    async def renew(self) -> None:
        """The Lease."""
        name = self._machine.name
        try:
            lease = await self._client.get(LEASES, name, LEASE_NAMESPACE)
        except StatusError as error:
            if error.code != 404:
                raise
            await self._client.create(LEASES, lease_object(self.node, self._clock.now(), None), LEASE_NAMESPACE)
            return
        await self._client.update(LEASES, lease_object(self.node, self._clock.now(), lease))

    def say(self, kind: str, reason: str, message: str) -> None:
        """An event about the node."""
        self._recorder.event(self.node, kind, reason, message)

    async def report(self) -> None:
        """Write the node's status, if it says anything new."""
        old = self.node.get("status") or {}
        if self._condition is not None:
            self.current = await self._condition()
        status = node_status(self._machine, old, self._clock.now(), self.current)
        recent = trio.current_time() - self._reported_at < REPORT_SECONDS
        kept = {key: old.get(key) for key in status}
        if recent and without_heartbeats(kept) == without_heartbeats(status):
            return
        name, patch = self._machine.name, {"status": status}
        if self._condition is not None:
            for reason in transitions(old, status):
                self.say("Normal", reason, f"Node {name} status is now: {reason}")
        self.node = await self._client.patch(NODES, name, patch, kind="strategic", subresource="status")
        self._reported_at = trio.current_time()
