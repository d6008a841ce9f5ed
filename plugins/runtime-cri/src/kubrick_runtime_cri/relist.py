"""Finds out which pods changed by themselves: the pod lifecycle event generator.

Everything is listed again and compared with the last time: every second, or, while the runtime reports
events, at each event (and every ten seconds, should one be lost). Events are CRI's own where the runtime
has them, else containerd's, which come from below CRI and may be early: they are looked into more than once.
"""

import math
from collections.abc import Callable

import trio

from kubrick_kernel import get_logger
from kubrick_node.duration import go_duration
from kubrick_runtime_cri.calls import Calls
from kubrick_runtime_cri.channel import RPCError
from kubrick_runtime_cri.config import POD_UID
from kubrick_runtime_cri.messages import CRI, EVENTS, Messages

log = get_logger("runtime-cri")

RELIST_SECONDS = 1.0
LISTENING_SECONDS = 10.0
GATHER_SECONDS = 0.01
SETTLE_SECONDS = (0.05, 0.25, 1.0)
LISTEN_AGAIN_SECONDS = 1.0
LISTEN_AGAIN_LIMIT = 60.0
THRESHOLD_SECONDS = 180.0
"""So long without a list, and the node isn't ready (the kubelet's relistThreshold)."""
_TOPICS = ("/tasks/exit", "/tasks/oom", "/tasks/delete", "/containers/delete")


class Relist:
    """Calls `changed` with a pod's uid. `down` says since when nothing could be listed, and why."""

    def __init__(self, calls: Calls, changed: Callable[[str], None]) -> None:
        self._calls = calls
        self._changed = changed
        self._known: dict[str, tuple[str, int]] = {}
        self._seen = False
        self._look = trio.Event()
        self._look_at: list[float] = []
        self._listening = 0
        self.down = ""
        self._active_at = math.inf

    def note(self, id_: str, uid: str, state: int) -> None:
        """Something was brought about by us: it is no news."""
        self._known[id_] = (uid, state)

    def running(self, state: int) -> list[str]:
        """The ids of what was last seen in `state`."""
        return [id_ for id_, (_, there) in self._known.items() if there == state]

    @property
    def problem(self) -> str:
        """What the node says of itself when nothing could be listed for too long, "" before."""
        idle = trio.current_time() - self._active_at
        if idle <= THRESHOLD_SECONDS:
            return ""
        seen = f"pleg was last seen active {go_duration(idle)} ago"
        return f"PLEG is not healthy: {seen}; threshold is {go_duration(THRESHOLD_SECONDS)}"

    async def run(self) -> None:
        self._active_at = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen)
            while True:
                await self._relist()
                with trio.move_on_at(self._next_look()):
                    await self._look.wait()
                    await trio.sleep(GATHER_SECONDS)

    def _next_look(self) -> float:
        now = trio.current_time()
        self._look = trio.Event()
        self._look_at = [at for at in self._look_at if at > now]
        steady = now + (LISTENING_SECONDS if self._listening and not self.down else RELIST_SECONDS)
        return min([steady, *self._look_at])

    async def _relist(self) -> None:
        try:
            sandboxes = await self._calls("ListPodSandbox")
            containers = await self._calls("ListContainers")
        except RPCError as error:
            if not self.down:
                log.warning("container runtime is down", error=str(error))
            self.down = str(error)
            return
        self._active_at = trio.current_time()
        if self.down:
            log.info("container runtime is back")
            self.down = ""
        now: dict[str, tuple[str, int]] = {}
        for item in (*sandboxes.items, *containers.containers):
            labels = item.labels
            if POD_UID in labels:
                now[item.id] = (labels[POD_UID], item.state)
        before, self._known = self._known, now
        changed = {uid for id_, (uid, state) in now.items() if before.get(id_) != (uid, state)}
        changed.update(uid for id_, (uid, _) in before.items() if id_ not in now)
        if self._seen:
            for uid in changed:
                self._changed(uid)
        self._seen = True

    async def _listen(self) -> None:
        """Keep an ear on whatever events there are."""
        pause = LISTEN_AGAIN_SECONDS
        while True:
            pause = min(pause * 2, LISTEN_AGAIN_LIMIT)
            for method, messages in (("GetContainerEvents", CRI), ("Subscribe", EVENTS)):
                if await self._hear(method, messages) or self.down:
                    pause = LISTEN_AGAIN_SECONDS
            await trio.sleep(pause)

    async def _hear(self, method: str, messages: Messages) -> bool:
        """Until the stream ends, which it does at once where there is none; whether there was one."""
        envelope = EVENTS.message("Envelope") if messages is EVENTS else None
        heard = False
        try:
            async with self._calls.stream(method, messages) as call:
                while True:
                    with trio.move_on_after(math.inf if heard else LISTEN_AGAIN_SECONDS):
                        data = await call.next()
                        if data is None:
                            return heard
                        if envelope is None:
                            self._look.set()
                        elif envelope.FromString(data).topic in _TOPICS:
                            now = trio.current_time()
                            self._look_at = [now + delay for delay in SETTLE_SECONDS]
                            self._look.set()
                    if not heard:
                        # No refusal within a second: the runtime has this stream.
                        heard = True
                        self._listening += 1
        except RPCError:
            return heard
        finally:
            self._listening -= heard
