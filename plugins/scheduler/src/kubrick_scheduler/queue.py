"""The scheduling queue: which pod is tried next, and when a refused one is tried again.

Pure: time comes in by a function, nothing waits here. Three places, as in kube-scheduler: *active* (ready,
in the profile's order), *backoff* (was refused and may be tried again after 1 s, doubling to 10 s; pods
whose last failure was an error back off apart) and *unschedulable* (waits for an event that may help one
of the plugins that refused it, at most five minutes). Pods that a PreEnqueue plugin gates wait there too.

While a pod is being tried it is in flight: events that come meanwhile are kept and replayed when it is
refused, so none is lost. When active is empty, a backing-off pod is taken early.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from itertools import count, takewhile
from math import floor
from typing import Any

from attrs import define, field, frozen

from kubrick_kernel import get_logger
from kubrick_scheduler.contract import EventWithHint
from kubrick_scheduler.events import UNSCHEDULABLE_TIMEOUT, ClusterEvent, pod_changes
from kubrick_scheduler.pod import PodInfo

Object = dict[str, Any]
log = get_logger("scheduler")

INITIAL_BACKOFF = 1.0
MAX_BACKOFF = 10.0
MAX_IN_UNSCHEDULABLE = 300.0

ACTIVE = "active"
BACKOFF = "backoff"
UNSCHEDULABLE = "unschedulable"
GATED = "gated"
QUEUES = (ACTIVE, BACKOFF, UNSCHEDULABLE, GATED)

POD_ADD = "PodAdd"
SCHEDULE_FAILURE = "ScheduleAttemptFailure"
BACKOFF_COMPLETE = "BackoffComplete"


@define(eq=False)
class QueuedPod:
    """A pod on its way through the queue. `queued_at` and `first_attempt` are times of the queue's clock."""

    pod: PodInfo
    queued_at: float
    attempts: int = 0
    unschedulable_count: int = 0
    error_count: int = 0
    first_attempt: float | None = None
    rejectors: frozenset[str] = frozenset()
    gated_by: str = ""
    expires: float = 0.0
    place: str = ""
    ticket: int = 0
    """Which heap entry is the valid one."""


@frozen(eq=False)
class Profile:
    """What the queue asks of the framework of one scheduler name."""

    sort_key: Callable[[PodInfo, float], Any]
    gate: Callable[[PodInfo], tuple[str, str] | None]
    events: Mapping[str, list[EventWithHint]]


@define(eq=False)
class _Happened:
    event: ClusterEvent
    old: Object | None
    new: Object | None


@define(eq=False)
class _Flight:
    queued: QueuedPod
    since: int
    """The number of the first event that came after the pod was popped."""


@define(eq=False)
class SchedulingQueue:
    """See the module. `now` gives seconds, `ready` is called when there may be something to pop."""

    profiles: Mapping[str, Profile]
    now: Callable[[], float]
    ready: Callable[[], None] = lambda: None
    arrived: Callable[[str, str], None] = lambda place, event: None
    """Called with (queue, event) for every pod that enters a queue, for metrics."""
    initial_backoff: float = INITIAL_BACKOFF
    max_backoff: float = MAX_BACKOFF
    max_in_unschedulable: float = MAX_IN_UNSCHEDULABLE
    _pods: dict[str, QueuedPod] = field(factory=dict, init=False)
    _active: list[tuple[Any, int, QueuedPod]] = field(factory=list, init=False)
    _backoff: list[tuple[float, Any, int, QueuedPod]] = field(factory=list, init=False)
    _errors: list[tuple[float, Any, int, QueuedPod]] = field(factory=list, init=False)
    _waiting: dict[str, QueuedPod] = field(factory=dict, init=False)
    """Unschedulable and gated pods."""
    _flights: dict[str, _Flight] = field(factory=dict, init=False)
    _events: deque[_Happened] = field(factory=deque, init=False)
    _events_start: int = field(default=0, init=False)
    _tickets: Any = field(factory=lambda: count(1), init=False)
    _counts: dict[str, int] = field(factory=lambda: dict.fromkeys(QUEUES, 0), init=False)

    # Reading

    def pending(self) -> dict[str, int]:
        """How many pods there are in each place."""
        return dict(self._counts)

    def place(self, key: str) -> str:
        """Where a pod is: active, backoff, unschedulable, gated, or "" (unknown, or in flight)."""
        queued = self._pods.get(key)
        return queued.place if queued is not None else ""

    def in_flight(self, key: str) -> bool:
        return key in self._flights

    # Pods come and go

    def add(self, pod: PodInfo) -> None:
        """A new pod wants a node."""
        if pod.key in self._pods:
            self.update(pod)
            return
        if pod.key in self._flights:
            self._flights[pod.key].queued.pod = pod
            return
        queued = QueuedPod(pod, self.now())
        self._pods[pod.key] = queued
        self._activate(queued, POD_ADD)

    def update(self, pod: PodInfo) -> None:
        """A pending pod changed."""
        flight = self._flights.get(pod.key)
        queued = self._pods.get(pod.key)
        if flight is not None:
            old, flight.queued.pod = flight.queued.pod, pod
            self._events.extend(_Happened(event, old.object, pod.object) for event in _changes(old, pod))
            return
        if queued is None:
            self.add(pod)
            return
        old, queued.pod = queued.pod, pod
        if queued.place == ACTIVE:
            if old.priority != pod.priority:
                self._leave(queued)
                self._push_active(queued)
            return
        if queued.place == BACKOFF:
            return
        for event in _changes(old, pod):
            if self._worth_it(queued, event, old.object, pod.object):
                self._requeue(queued, event.label)
                return

    def delete(self, key: str) -> None:
        """The pod is gone, or has a node."""
        queued = self._pods.pop(key, None)
        if queued is not None:
            self._leave(queued)

    # Attempts

    def pop(self) -> QueuedPod | None:
        """The next pod to try, now in flight; None when there is none."""
        queued = self._take(self._active, ACTIVE) or self._take(self._backoff, BACKOFF)
        if queued is None:
            return None
        self._leave(queued)
        del self._pods[queued.pod.key]
        queued.attempts += 1
        queued.rejectors = frozenset()
        if queued.first_attempt is None:
            queued.first_attempt = self.now()
        self._flights[queued.pod.key] = _Flight(queued, self._events_start + len(self._events))
        return queued

    def done(self, key: str) -> None:
        """The attempt is over and the pod doesn't come back (it is bound, or gone)."""
        self._land(key)

    def refuse(self, queued: QueuedPod, rejectors: frozenset[str]) -> str:
        """The attempt failed: `rejectors` are the plugins that refused; none of them means an error.
        Says where the pod went."""
        key = queued.pod.key
        flight = self._flights.get(key)
        if key in self._pods:
            self._land(key)
            return self._pods[key].place
        meanwhile: list[_Happened] = []
        if flight is not None:
            skip = flight.since - self._events_start
            meanwhile = [happened for i, happened in enumerate(self._events) if i >= skip]
            self._land(key)
        queued.queued_at = self.now()
        queued.rejectors = rejectors
        self._pods[key] = queued
        if not rejectors:
            queued.error_count += 1
            self._back_off(queued, SCHEDULE_FAILURE)
            return queued.place
        queued.unschedulable_count += 1
        queued.error_count = 0
        for happened in meanwhile:
            if self._worth_it(queued, happened.event, happened.old, happened.new):
                self._requeue(queued, SCHEDULE_FAILURE)
                return queued.place
        self._wait(queued, UNSCHEDULABLE, SCHEDULE_FAILURE)
        return queued.place

    # Events and time

    def happened(self, event: ClusterEvent, old: Object | None = None, new: Object | None = None) -> None:
        """Something changed in the cluster: move the pods it may help."""
        if event.resource != "*" and not any(self._interested(profile, event) for profile in self.profiles.values()):
            return
        if self._flights:
            self._events.append(_Happened(event, old, new))
        if self._waiting:
            for queued in tuple(self._waiting.values()):
                if self._worth_it(queued, event, old, new):
                    self._requeue(queued, event.label or "Wildcard")

    def flush(self) -> None:
        """Let time do its work: backoffs that are over, pods that were unschedulable for too long."""
        now = self.now()
        for heap in (self._backoff, self._errors):
            while heap and (not _valid(heap[0]) or heap[0][0] <= now):
                queued = heapq.heappop(heap)[-1]
                if queued.place == BACKOFF and queued.expires <= now:
                    self._leave(queued)
                    self._activate(queued, BACKOFF_COMPLETE)
        limit = now - self.max_in_unschedulable
        for queued in list(takewhile(lambda waiting: waiting.queued_at <= limit, self._unschedulable())):
            self._requeue(queued, UNSCHEDULABLE_TIMEOUT.label)

    def next_flush(self) -> float | None:
        """When `flush` has something to do next, by the queue's clock; None: never, as things are."""
        times = []
        for heap in (self._backoff, self._errors):
            while heap and not _valid(heap[0]):
                heapq.heappop(heap)
            if heap:
                times.append(heap[0][0])
        oldest = next(self._unschedulable(), None)
        if oldest is not None:
            times.append(oldest.queued_at + self.max_in_unschedulable)
        return min(times) if times else None

    def backoff(self, queued: QueuedPod) -> float:
        """How many seconds a pod must wait after its last failure."""
        failures = queued.error_count or queued.unschedulable_count
        if not failures or self.max_backoff <= 0:
            return 0.0
        return min(self.initial_backoff * float(2 ** min(failures - 1, 30)), self.max_backoff)

    # Inside

    def _unschedulable(self) -> Iterator[QueuedPod]:
        """The one that has waited longest first."""
        return (queued for queued in self._waiting.values() if queued.place == UNSCHEDULABLE)

    def _profile(self, queued: QueuedPod) -> Profile:
        return self.profiles[queued.pod.scheduler_name]

    def _worth_it(self, queued: QueuedPod, event: ClusterEvent, old: Object | None, new: Object | None) -> bool:
        if event.resource == "*":
            return True
        events = self._profile(queued).events
        for plugin in (queued.gated_by,) if queued.gated_by else queued.rejectors:
            for registered in events.get(plugin, ()):
                if registered.event.covers(event) and _hinted(registered, queued.pod, old, new):
                    return True
        return False

    def _interested(self, profile: Profile, event: ClusterEvent) -> bool:
        return any(entry.event.covers(event) for entries in profile.events.values() for entry in entries)

    def _requeue(self, queued: QueuedPod, why: str) -> None:
        """To backoff, or straight to active when the backoff is over."""
        self._leave(queued)
        if not queued.gated_by and self._expiry(queued) > self.now():
            self._back_off(queued, why)
        else:
            self._activate(queued, why)

    def _activate(self, queued: QueuedPod, why: str) -> None:
        gate = self._profile(queued).gate(queued.pod)
        if gate is not None:
            queued.gated_by = gate[0]
            self._wait(queued, GATED, why)
            return
        queued.gated_by = ""
        self._push_active(queued)
        self.arrived(ACTIVE, why)
        self.ready()

    def _push_active(self, queued: QueuedPod) -> None:
        self._enter(queued, ACTIVE)
        heapq.heappush(self._active, (self._key(queued), queued.ticket, queued))

    def _back_off(self, queued: QueuedPod, why: str) -> None:
        queued.expires = self._expiry(queued)
        self._enter(queued, BACKOFF)
        heap = self._errors if queued.error_count else self._backoff
        heapq.heappush(heap, (queued.expires, self._key(queued), queued.ticket, queued))
        self.arrived(BACKOFF, why)
        self.ready()

    def _wait(self, queued: QueuedPod, place: str, why: str) -> None:
        self._enter(queued, place)
        self._waiting[queued.pod.key] = queued
        self.arrived(place, why)
        self.ready()

    def _enter(self, queued: QueuedPod, place: str) -> None:
        queued.place = place
        queued.ticket = next(self._tickets)
        self._counts[place] += 1

    def _leave(self, queued: QueuedPod) -> None:
        if queued.place:
            self._counts[queued.place] -= 1
            self._waiting.pop(queued.pod.key, None)
            queued.place = ""

    def _take(self, heap: list[Any], place: str) -> QueuedPod | None:
        while heap:
            if not _valid(heap[0]):
                heapq.heappop(heap)
                continue
            queued: QueuedPod = heap[0][-1]
            if place == BACKOFF:
                gate = self._profile(queued).gate(queued.pod)
                if gate is not None:
                    heapq.heappop(heap)
                    self._leave(queued)
                    queued.gated_by = gate[0]
                    self._wait(queued, GATED, BACKOFF_COMPLETE)
                    continue
            heapq.heappop(heap)
            return queued
        return None

    def _key(self, queued: QueuedPod) -> Any:
        return self._profile(queued).sort_key(queued.pod, queued.queued_at)

    def _expiry(self, queued: QueuedPod) -> float:
        """The end of the backoff, cut to whole seconds: pods of one second are ordered by priority."""
        wait = self.backoff(queued)
        return float(floor(queued.queued_at + wait)) if wait else queued.queued_at

    def _land(self, key: str) -> None:
        """Out of flight; events that no other flight needs are dropped."""
        self._flights.pop(key, None)
        if not self._flights:
            self._events_start += len(self._events)
            self._events.clear()
            return
        oldest = next(iter(self._flights.values())).since
        while self._events_start < oldest and self._events:
            self._events.popleft()
            self._events_start += 1


def _valid(entry: tuple[Any, ...]) -> bool:
    """Whether a heap entry is its pod's current one."""
    queued: QueuedPod = entry[-1]
    return bool(queued.place) and queued.ticket == entry[-2]


def _hinted(registered: EventWithHint, pod: PodInfo, old: Object | None, new: Object | None) -> bool:
    if registered.hint is None:
        return True
    try:
        return registered.hint(pod, old, new)
    except Exception as error:
        log.error("a queueing hint failed; the pod is tried again", pod=pod.key, exc_info=error)
        return True


def _changes(old: PodInfo, new: PodInfo) -> list[ClusterEvent]:
    before, after = old.requests, new.requests
    scaled_down = any(after.get(name, 0) < quantity for name, quantity in before.items())
    return pod_changes(old.object, new.object, scaled_down)
