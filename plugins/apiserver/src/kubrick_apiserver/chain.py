"""The admission chain: every mutating step in order, then every validating one, each leaving a record.

A request asks only the plugins that say they handle it. The log is a bounded ring. Who did what, how it
ended and how long it took is always recorded; what a step changed costs an encoding of the object and
is recorded while `AdmissionLog.patches` is set, as bytes that become a JSON Patch when somebody asks.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson
import trio
from attrs import define, field

from kubrick_api.errors import StatusError
from kubrick_api.names import GVR
from kubrick_apiserver.admission import (
    AdmissionPlugin,
    Attributes,
    MutatingAdmission,
    Step,
    ValidatingAdmission,
    settle,
)
from kubrick_apiserver.difference import difference
from kubrick_apiserver.metrics import AdmissionMetrics, Histogram

if TYPE_CHECKING:
    from kubrick_kernel import Kernel

CAPACITY = 256
MUTATING, VALIDATING = "mutating", "validating"
TYPES = {MUTATING: "admit", VALIDATING: "validate"}
"""The phases' names in metrics."""


@define(eq=False)
class Entry:
    """A step as recorded: bytes now, a patch when asked."""

    plugin: str
    phase: str
    reason: str | None
    before: bytes | None
    after: bytes | None
    seconds: float

    def step(self) -> Step:
        patch: list[dict[str, Any]] = []
        if self.before is not None and self.after is not None and self.before != self.after:
            patch = difference(orjson.loads(self.before), orjson.loads(self.after))
        return Step(self.plugin, self.phase, self.reason is None, self.reason or "", patch, self.seconds)


@define(eq=False)
class AdmissionRecord:
    """What admission did to one request."""

    time: datetime
    user: str
    operation: str
    resource: GVR
    subresource: str
    namespace: str
    name: str
    dry_run: bool
    entries: list[Entry] = field(factory=list)

    def enter(self, plugin: str, phase: str, now: float, before: bytes | None = None) -> Entry:
        """A step begins: until it ends, its `seconds` say when."""
        entry = Entry(plugin, phase, None, before, before, now)
        self.entries.append(entry)
        return entry

    @property
    def steps(self) -> list[Step]:
        return [entry.step() for entry in self.entries]


class AdmissionLog:
    """The last `capacity` requests that went through admission; 0 records nothing. `patches` says
    whether steps record what they change, and may be set at any time."""

    def __init__(self, now: Callable[[], datetime], capacity: int = CAPACITY, *, patches: bool = False) -> None:
        self.now = now
        self.patches = patches
        self._records: deque[AdmissionRecord] = deque(maxlen=capacity)

    @property
    def recording(self) -> bool:
        return bool(self._records.maxlen)

    def records(self, resource: GVR | None = None, namespace: str = "", name: str = "") -> list[AdmissionRecord]:
        """Newest first; only those that fit what is given."""
        return [
            record
            for record in reversed(self._records)
            if (resource is None or record.resource == resource)
            and (not namespace or record.namespace == namespace)
            and (not name or record.name == name)
        ]

    def begin(self, attributes: Attributes) -> AdmissionRecord:
        record = AdmissionRecord(
            self.now(),
            attributes.user.name,
            attributes.operation,
            attributes.resource,
            attributes.subresource,
            attributes.namespace,
            attributes.name,
            attributes.dry_run,
        )
        self._records.append(record)
        return record


class Mutating:
    """A mutating plugin, with what it says about itself, and how long it took by operation where it didn't refuse."""

    __slots__ = ("accepted", "borrows", "exact", "plugin")

    def __init__(self, plugin: MutatingAdmission) -> None:
        self.plugin = plugin
        self.exact = getattr(plugin, "exact", False)
        self.borrows = getattr(plugin, "borrows", False)
        self.accepted: dict[str, Histogram] = {}


class AdmissionChain:
    """All admission plugins of this server."""

    def __init__(self, plugins: Iterable[AdmissionPlugin] = (), log: AdmissionLog | None = None) -> None:
        ordered = sorted(plugins, key=lambda plugin: (plugin.order, plugin.name))
        self._mutating = [Mutating(each) for each in ordered if isinstance(each, MutatingAdmission)]
        self.validating: Sequence[ValidatingAdmission] = [
            each for each in ordered if isinstance(each, ValidatingAdmission)
        ]
        self.log = log
        self.metrics = AdmissionMetrics()

    @classmethod
    def collect(cls, kernel: "Kernel") -> "AdmissionChain":
        """The plugins of all bricks. Offers the `AdmissionLog`."""
        answers = kernel.plugins.hook.kubrick_register_admission(kernel=kernel)
        log = AdmissionLog(kernel.clock.now)
        kernel.offer(AdmissionLog, log)
        chain = cls([plugin for answer in answers for plugin in answer], log)
        kernel.offer(AdmissionMetrics, chain.metrics)
        return chain

    async def mutate(self, attributes: Attributes) -> tuple[bool, AdmissionRecord | None]:
        """Run the mutating steps on `attributes.object`, in place. Raises StatusError. Returns whether the
        object must be defaulted again (a plugin ran that isn't exact), and the record (if one is kept),
        which goes on to `validate`."""
        loose = False
        record = None
        total = now = 0.0
        log = self.log
        if log is not None and not log.recording:
            log = None
        operation = attributes.operation
        for step in self._mutating:
            plugin = step.plugin
            if not plugin.handles(attributes):
                continue
            loose = loose or not step.exact
            if not step.borrows and attributes.object is not None and attributes.old_object is not None:
                settle(attributes.object, attributes.old_object)
            if log is None:
                await plugin.admit(attributes)
                continue
            if record is None:
                record = log.begin(attributes)
                now = trio.current_time()
            before = orjson.dumps(attributes.object) if log.patches else None
            entry = record.enter(plugin.name, MUTATING, now, before)
            try:
                await plugin.admit(attributes)
            except BaseException as error:
                if isinstance(error, StatusError):
                    entry.reason = error.message
                self._end(attributes, entry)
                raise
            if log.patches:
                entry.after = orjson.dumps(attributes.object)
            began, now = now, trio.current_time()
            entry.seconds = seconds = now - began
            total += seconds
            durations = step.accepted.get(operation)
            if durations is None:
                durations = step.accepted[operation] = self.metrics.of(plugin.name, operation, TYPES[MUTATING], False)
            durations.add(seconds)
        if record is not None:
            self.metrics.add_step(attributes.operation, TYPES[MUTATING], False, total)
        return loose, record

    async def validate(self, attributes: Attributes, record: AdmissionRecord | None = None) -> None:
        """Run the validating steps. Raises StatusError."""
        total = now = 0.0
        for plugin in self.validating:
            if not plugin.handles(attributes):
                continue
            if record is None and self.log is not None and self.log.recording:
                record = self.log.begin(attributes)
            if record is None:
                await plugin.validate(attributes)
                continue
            now = now or trio.current_time()
            entry = record.enter(plugin.name, VALIDATING, now)
            try:
                await plugin.validate(attributes)
            except StatusError as error:
                entry.reason = error.message
                raise
            finally:
                now = self._end(attributes, entry)
            total += entry.seconds
        if record is not None:
            self.metrics.add_step(attributes.operation, TYPES[VALIDATING], False, total)

    def _end(self, attributes: Attributes, entry: Entry) -> float:
        """A plugin is done, well or not, and the next one begins: what time it is."""
        now = trio.current_time()
        entry.seconds = seconds = now - entry.seconds
        rejected = entry.reason is not None
        self.metrics.of(entry.plugin, attributes.operation, TYPES[entry.phase], rejected).add(seconds)
        if rejected:
            self.metrics.add_step(attributes.operation, TYPES[entry.phase], True, seconds)
        return now
