"""Says what happened: core/v1 Events, written in the background.

`event` never waits and never fails: it puts the event in a bounded buffer (when that is full the
event is dropped and counted), and `run` correlates and writes them in order.
"""

from collections import deque
from zlib import crc32

import trio
from attrs import frozen

from kubrick_api.errors import NAMESPACE_TERMINATING, StatusError
from kubrick_api.names import GVR
from kubrick_api.resource import Object
from kubrick_client.client import Client
from kubrick_client.correlator import Correlator, Decision
from kubrick_client.transport import Unreachable
from kubrick_kernel.clock import rfc3339
from kubrick_kernel.log import get_logger

EVENTS = GVR("", "v1", "events")
BUFFER = 1000
RETRIES = 12
RETRY_PAUSE = 10.0
MESSAGE_LIMIT = 1024
log = get_logger("client")


@frozen
class Said:
    """One call of `event`, before it is made an object."""

    involved: Object
    type: str
    reason: str
    message: str
    action: str
    at: str


def reference(obj: Object) -> Object:
    """A core/v1 ObjectReference to `obj`. An object that is a reference already stays as it is."""
    if "metadata" not in obj:
        return obj
    metadata = obj["metadata"]
    found = {
        "kind": obj.get("kind", ""),
        "namespace": metadata.get("namespace", ""),
        "name": metadata["name"],
        "uid": metadata.get("uid", ""),
        "apiVersion": obj.get("apiVersion", ""),
        "resourceVersion": metadata.get("resourceVersion", ""),
    }
    return {key: value for key, value in found.items() if value}


class EventRecorder:
    """Events of one source. `component` is the source's name ("deployment-controller"), `host` its node."""

    def __init__(self, client: Client, component: str, host: str = "") -> None:
        self.client = client
        self.component = component
        self.host = host
        self.dropped = 0
        self._correlator = Correlator()
        self._buffer: deque[Said] = deque()
        self._wake = trio.Event()
        self._last_name = 0
        self._salt = crc32(f"{component}/{host}".encode()) & 0xFFFF

    def event(self, obj: Object, type: str, reason: str, message: str, *, action: str = "") -> None:
        """Record that `reason` befell `obj` (an object or an ObjectReference). `type` is Normal or Warning."""
        if len(self._buffer) >= BUFFER:
            self.dropped += 1
            return
        at = rfc3339(self.client.clock.now())
        self._buffer.append(Said(reference(obj), type, reason, message[:MESSAGE_LIMIT], action, at))
        self._wake.set()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Writes events until cancelled."""
        task_status.started()
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            while self._buffer:
                decision = self._correlator.correlate(self._object(self._buffer.popleft()), trio.current_time())
                if decision is not None:
                    await self._deliver(decision)

    def _object(self, said: Said) -> Object:
        source = {"component": self.component}
        if self.host:
            source["host"] = self.host
        event: Object = {
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": {"namespace": said.involved.get("namespace") or "default"},
            "involvedObject": said.involved,
            "reason": said.reason,
            "message": said.message,
            "source": source,
            "firstTimestamp": said.at,
            "lastTimestamp": said.at,
            "type": said.type,
            "reportingComponent": self.component,
            "reportingInstance": self.host,
        }
        if said.action:
            event["action"] = said.action
        return event

    def _name(self, involved: Object) -> str:
        """`<object>.<16 hex>`: nanoseconds, whose last digits say the source, so that two sources that
        speak of one object in one (virtual) instant don't collide."""
        moment = int(self.client.clock.timestamp() * 1e6) * 1000
        moment = (moment & ~0xFFFF) | self._salt
        self._last_name = moment if moment > self._last_name else self._last_name + 0x10000
        return f"{involved['name']}.{self._last_name:016x}"

    async def _deliver(self, decision: Decision) -> None:
        """Write it; keep trying while there is no server, give up when the server says no."""
        for _ in range(RETRIES):
            try:
                await self._write(decision)
            except StatusError as error:
                if error.code != 429 and error.code < 500:
                    say = log.debug if error.has_cause(NAMESPACE_TERMINATING) else log.warning
                    say("event refused", source=self.component, reason=decision.event["reason"], error=str(error))
                    return
            except Unreachable:
                pass
            else:
                return
            await trio.sleep(RETRY_PAUSE * (0.5 + self.client.generator.random()))
        self.dropped += 1

    async def _write(self, decision: Decision) -> None:
        event, written = decision.event, decision.written
        if written.name:
            change = {
                "count": written.count,
                "lastTimestamp": event["lastTimestamp"],
                "message": decision.message,
            }
            try:
                await self.client.patch(EVENTS, written.name, change, written.namespace, kind="strategic")
            except StatusError as error:
                if error.code != 404:
                    raise
                written.name, written.count, written.first = "", 1, event["firstTimestamp"]
            else:
                return
        event["count"] = written.count
        event["firstTimestamp"] = written.first
        event["message"] = decision.message
        event["metadata"]["name"] = self._name(event["involvedObject"])
        made = await self.client.create(EVENTS, event)
        written.name, written.namespace = made["metadata"]["name"], made["metadata"]["namespace"]
