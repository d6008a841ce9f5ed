"""The scheduler at work: watches pods and nodes, tries one pod after the other, binds concurrently.

What happens here is thin: `cycle.decide` says where a pod goes, `queue` which pod is next. A decision
takes effect in the table at once (the pod is *assumed*), so that the next pod sees it; writing it to the
API happens in a task of the pod's own, and a write that fails takes the assumption back.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import trio
from attrs import define, field

from kubrick_api.errors import StatusError
from kubrick_api.names import GVR
from kubrick_api.resource import Object
from kubrick_api_core import NODES, PODS
from kubrick_client import Client, EventRecorder, Informer, LeaderElector, Unreachable
from kubrick_kernel import ConfigurationError, get_logger, rfc3339
from kubrick_scheduler.contract import Refusal, Wait
from kubrick_scheduler.cycle import Framework, decide
from kubrick_scheduler.decision import Decision, Decisions, fit_message
from kubrick_scheduler.events import NODE_ADD, NODE_DELETE, POD_ADD, POD_DELETE, ClusterEvent, node_changes, pod_changes
from kubrick_scheduler.metrics import ERROR, SCHEDULED, UNSCHEDULABLE, Metrics
from kubrick_scheduler.pod import PodInfo, pod_key
from kubrick_scheduler.queue import Profile, QueuedPod, SchedulingQueue
from kubrick_scheduler.settings import Settings
from kubrick_scheduler.table import NodeTable

if TYPE_CHECKING:
    from kubrick_kernel import Kernel

log = get_logger("scheduler")

FAILED_SCHEDULING = "FailedScheduling"
REASON_UNSCHEDULABLE = "Unschedulable"
REASON_ERROR = "SchedulerError"
MAX_PERMIT_WAIT = 900.0
TERMINAL = ("Succeeded", "Failed")


class Refused(Exception):
    """A plugin refused the chosen node after all (reserve, permit)."""

    def __init__(self, plugin: str, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.plugin = plugin
        self.refusal = refusal


class Failed(Exception):
    """Something went wrong that no plugin meant as a refusal."""


@define(eq=False)
class Permitting:
    """A pod some `permit` made wait."""

    until: dict[str, float]
    """Plugin → how long it may take."""
    changed: trio.Event = field(factory=trio.Event)
    refused: Refused | None = None


class Scheduler:
    """One run of the scheduler, from informers to bindings. Implements `contract.Handle` for plugins."""

    def __init__(
        self,
        kernel: "Kernel",
        client: Client,
        settings: Settings,
        plugins: Sequence[Any],
        decisions: Decisions,
        metrics: Metrics,
    ) -> None:
        self.client = client
        self.clock = kernel.clock
        self.random = kernel.random
        self.settings = settings
        self.decisions = decisions
        self.nodes = NodeTable()
        self.frameworks = frameworks(settings, plugins)
        self.recorders = {name: EventRecorder(client, name) for name in self.frameworks}
        self.recorder = next(iter(self.recorders.values()))
        self.metrics = metrics
        self.queue = SchedulingQueue(
            {name: Profile(f.sort_key, f.gate, f.events()) for name, f in self.frameworks.items()},
            trio.current_time,
            self._wake_up,
            self.metrics.arrived,
            settings.pod_initial_backoff_seconds,
            settings.pod_max_backoff_seconds,
        )
        metrics.pending = self.queue.pending
        self.identity = f"kube-scheduler_{kernel.uuid()}"
        self._informers: dict[GVR, Informer] = {}
        self._permitting: dict[str, Permitting] = {}
        self._wake = trio.Event()
        self._slots = trio.Semaphore(settings.concurrent_bindings)
        self._nursery: trio.Nursery
        for plugin in {id(p): p for f in self.frameworks.values() for p in f.plugins}.values():
            if hasattr(plugin, "setup"):
                plugin.setup(self)
        self.informer(NODES).add_handler(self._node_added, self._node_updated, self._node_deleted)
        self.informer(PODS).add_handler(self._pod_added, self._pod_updated, self._pod_deleted)

    # What plugins may use

    def informer(self, resource: GVR) -> Informer:
        found = self._informers.get(resource)
        if found is None:
            found = self._informers[resource] = Informer(self.client, resource)
        return found

    def happened(self, event: ClusterEvent, old: Object | None, new: Object | None) -> None:
        self.queue.happened(event, old, new)

    def allow(self, plugin: str, pod_key: str) -> None:
        permitting = self._permitting.get(pod_key)
        if permitting is not None and permitting.until.pop(plugin, None) is not None:
            permitting.changed.set()

    def reject(self, plugin: str, pod_key: str, reason: str) -> None:
        permitting = self._permitting.get(pod_key)
        if permitting is not None:
            permitting.refused = Refused(plugin, Refusal(reason))
            permitting.changed.set()

    # Running

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for recorder in self.recorders.values():
                nursery.start_soon(recorder.run)
            for informer in tuple(self._informers.values()):
                await nursery.start(informer.run)
            task_status.started()
            if self.settings.leader_elect:
                elector = LeaderElector(self.client, "kube-scheduler", "kube-system", self.identity)
                await elector.run(self._loop)
            else:
                await self._loop()

    async def _loop(self) -> None:
        """Try one pod after the other. A slot is taken before a pod is, so that being cancelled (leadership is
        lost) loses no pod."""
        while True:
            await self._slots.acquire()
            queued = self.queue.pop()
            if queued is not None:
                self._attempt(queued)
                await trio.lowlevel.checkpoint()
                continue
            self._slots.release()
            self._wake = trio.Event()
            flush = self.queue.next_flush()
            with trio.move_on_at(flush if flush is not None else float("inf")):
                await self._wake.wait()
            self.queue.flush()

    def _wake_up(self) -> None:
        self._wake.set()

    def _attempt(self, queued: QueuedPod) -> None:
        """Decide about one pod; the slot held for it goes on to its binding, or is given back."""
        pod = queued.pod
        framework = self.frameworks[pod.scheduler_name]
        started = trio.current_time()
        if pod.deleting:
            message = f"skip schedule deleting pod: {pod.key}"
            self._say(framework, pod, "Warning", FAILED_SCHEDULING, message, "Scheduling")
        if pod.deleting or self.nodes.home(pod.key):
            self.queue.done(pod.key)
            self._slots.release()
            return
        try:
            decision = decide(framework, pod, self.nodes, self.random)
        except Exception as error:
            log.error("a scheduler plugin failed", pod=pod.key, exc_info=error)
            decision = Decision(pod.key, pod.uid, len(self.nodes), message=str(error), error=True)
        decision.attempt, decision.time = queued.attempts, self.clock.timestamp()
        self.decisions.add(decision)
        if not decision.node:
            self._slots.release()
            self._failed(framework, queued, decision, started)
            return
        self.nodes.assume(pod, decision.node)
        try:
            permitting = self._reserve(framework, pod, decision.node)
        except (Refused, Failed) as error:
            self._slots.release()
            self._take_back(framework, pod, decision.node)
            self._failed(framework, queued, _without_node(decision, error), started)
            return
        self._nursery.start_soon(self._finish, framework, queued, decision, permitting, started)

    def _reserve(self, framework: Framework, pod: PodInfo, node: str) -> Permitting | None:
        permitting = Permitting({})
        for point in ("reserve", "permit"):
            for plugin in getattr(framework, point):
                try:
                    answer = getattr(plugin, point)(pod, node)
                except Exception as error:
                    raise Failed(f"running {point.capitalize()} plugin {plugin.name!r}: {error}") from error
                if isinstance(answer, Refusal):
                    raise Refused(plugin.name, answer)
                if isinstance(answer, Wait):
                    permitting.until[plugin.name] = min(answer.seconds, MAX_PERMIT_WAIT)
        if not permitting.until:
            return None
        self._permitting[pod.key] = permitting
        return permitting

    async def _finish(
        self,
        framework: Framework,
        queued: QueuedPod,
        decision: Decision,
        permitting: Permitting | None,
        started: float,
    ) -> None:
        """The rest of a successful attempt: wait for permission, prepare, bind, tell."""
        pod, node = queued.pod, decision.node
        try:
            if permitting is not None:
                await self._permission(pod, permitting)
            await self._bind(framework, pod, node)
        except (Refused, Failed) as error:
            self._take_back(framework, pod, node)
            self.queue.happened(POD_DELETE, pod.object, None)
            self._failed(framework, queued, _without_node(decision, error), started)
            return
        finally:
            self._slots.release()
        self.queue.done(pod.key)
        for plugin in framework.post_bind:
            self._tell(plugin.name, plugin.post_bind, pod, node)
        self._say(framework, pod, "Normal", "Scheduled", f"Successfully assigned {pod.key} to {node}", "Binding")
        self.metrics.attempted(framework.scheduler_name, SCHEDULED, trio.current_time() - started)
        self.metrics.scheduled_after(queued.attempts)

    async def _permission(self, pod: PodInfo, permitting: Permitting) -> None:
        begun = trio.current_time()
        try:
            while permitting.until and permitting.refused is None:
                plugin, seconds = min(permitting.until.items(), key=lambda entry: entry[1])
                permitting.changed = trio.Event()
                with trio.move_on_at(begun + seconds) as scope:
                    await permitting.changed.wait()
                if scope.cancelled_caught:
                    reason = f"rejected due to timeout after waiting {seconds:g}s at plugin {plugin}"
                    permitting.refused = Refused(plugin, Refusal(reason))
        finally:
            del self._permitting[pod.key]
        if permitting.refused is not None:
            raise permitting.refused

    async def _bind(self, framework: Framework, pod: PodInfo, node: str) -> None:
        for plugin in framework.pre_bind:
            try:
                await plugin.pre_bind(pod, node)
            except Exception as error:
                raise Failed(f'running PreBind plugin "{plugin.name}": {error}') from error
        for plugin in framework.bind:
            try:
                if await plugin.bind(pod, node):
                    return
            except Exception as error:
                raise Failed(f'running Bind plugin "{plugin.name}": {error}') from error
        raise Failed(f"no bind plugin of profile {framework.scheduler_name!r} took pod {pod.key}")

    def _take_back(self, framework: Framework, pod: PodInfo, node: str) -> None:
        for plugin in reversed(framework.reserve):
            self._tell(plugin.name, plugin.unreserve, pod, node)
        self.nodes.forget(pod.key)

    def _tell(self, plugin: str, told: Callable[[PodInfo, str], None], pod: PodInfo, node: str) -> None:
        """What a plugin is only told of, it can't spoil: an exception is its own, and logged."""
        try:
            told(pod, node)
        except Exception as error:
            log.error("plugin failed", plugin=plugin, pod=pod.key, node=node, exc_info=error)

    def _failed(self, framework: Framework, queued: QueuedPod, decision: Decision, started: float) -> None:
        """Put the pod back, and say why."""
        result = ERROR if decision.error else UNSCHEDULABLE
        self.metrics.attempted(framework.scheduler_name, result, trio.current_time() - started)
        pod = queued.pod
        current = self.informer(PODS).get(pod.namespace, pod.name)
        if current is None or current["metadata"].get("uid", "") != pod.uid or current["spec"].get("nodeName"):
            self.queue.done(pod.key)
            return
        self.queue.refuse(queued, decision.rejectors)
        self._say(framework, pod, "Warning", FAILED_SCHEDULING, decision.message, "Scheduling")
        self._nursery.start_soon(self._tell_pod, current, decision)

    async def _tell_pod(self, pod: Object, decision: Decision) -> None:
        """Write the PodScheduled condition (unless it says so already), and run what PostFilter planned."""
        found = decision.post_filter
        reason = REASON_ERROR if decision.error else REASON_UNSCHEDULABLE
        status = _condition_patch(pod, reason, decision.message, rfc3339(self.clock.now()))
        if found is not None and found.nominated_node:
            status["nominatedNodeName"] = found.nominated_node
        metadata = pod["metadata"]
        if status:
            patch = {"metadata": {"uid": metadata.get("uid")}, "status": status}
            try:
                await self.client.patch(
                    PODS, metadata["name"], patch, metadata["namespace"], kind="strategic", subresource="status"
                )
            except (StatusError, Unreachable) as error:
                log.info("the pod's condition was not written", pod=pod_key(pod), error=str(error))
        if found is not None and found.act is not None:
            await self._act(found.act)

    async def _act(self, act: Callable[[], Awaitable[None]]) -> None:
        try:
            await act()
        except (StatusError, Unreachable) as error:
            log.warning("PostFilter could not do what it planned", error=str(error))

    def _say(self, framework: Framework, pod: PodInfo, type: str, reason: str, message: str, action: str) -> None:
        self.recorders[framework.scheduler_name].event(pod.object, type, reason, message, action=action)

    # What informers tell

    def _node_added(self, node: Object) -> None:
        self.nodes.put_node(node)
        self.queue.happened(NODE_ADD, None, node)

    def _node_updated(self, old: Object, new: Object) -> None:
        self.nodes.put_node(new)
        for event in node_changes(old, new):
            self.queue.happened(event, old, new)

    def _node_deleted(self, node: Object) -> None:
        self.nodes.remove_node(node["metadata"]["name"])
        self.queue.happened(NODE_DELETE, node, None)

    def _pod_added(self, obj: Object) -> None:
        if _counts(obj):
            self.nodes.put_pod(PodInfo(obj))
            self.queue.happened(POD_ADD, None, obj)
        elif self._wants_a_node(obj):
            self.queue.add(PodInfo(obj))

    def _pod_updated(self, old: Object, new: Object) -> None:
        if old["metadata"].get("uid") != new["metadata"].get("uid"):
            self._pod_deleted(old)
            self._pod_added(new)
            return
        if _counts(new):
            pod = PodInfo(new)
            self.nodes.put_pod(pod)
            if not _counts(old):
                self.queue.delete(pod.key)
                self.queue.happened(POD_ADD, None, new)
                return
            before, after = PodInfo(old).requests, pod.requests
            scaled_down = any(after.get(name, 0) < quantity for name, quantity in before.items())
            for event in pod_changes(old, new, scaled_down):
                self.queue.happened(event, old, new)
        elif _counts(old):
            self._pod_left(old)
        elif self._wants_a_node(new):
            self.queue.update(PodInfo(new))
        else:
            self.queue.delete(pod_key(new))

    def _pod_deleted(self, obj: Object) -> None:
        key = pod_key(obj)
        self.queue.delete(key)
        if obj["spec"].get("nodeName") or self.nodes.home(key):
            self._pod_left(obj)
        self.reject("", key, "the pod was deleted")

    def _pod_left(self, obj: Object) -> None:
        """A pod no longer takes up room on its node."""
        self.nodes.remove_pod(pod_key(obj))
        self.queue.happened(POD_DELETE, obj, None)

    def _wants_a_node(self, obj: Object) -> bool:
        spec = obj["spec"]
        if spec.get("nodeName") or obj.get("status", {}).get("phase") in TERMINAL:
            return False
        return (spec.get("schedulerName") or "default-scheduler") in self.frameworks


def frameworks(settings: Settings, plugins: Sequence[Any]) -> dict[str, Framework]:
    """One framework per profile. Raises ConfigurationError for a name that is not a plugin's."""
    names = [plugin.name for plugin in plugins]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigurationError(f"two scheduler plugins are called {twice[0]!r}; disable one of their bricks")
    made = {}
    for profile in settings.all_profiles():
        unknown = [name for name in (*profile.disable, *profile.weights) if name not in names]
        if unknown:
            raise ConfigurationError(
                f"[plugins.scheduler]: there is no scheduler plugin {unknown[0]!r}; "
                f"there are {', '.join(sorted(names)) or 'none'}"
            )
        enabled = [plugin for plugin in plugins if plugin.name not in profile.disable]
        made[profile.scheduler_name] = Framework.of(profile.scheduler_name, enabled, dict(profile.weights))
    return made


def _counts(obj: Object) -> bool:
    """Whether a pod takes up room on a node."""
    return bool(obj["spec"].get("nodeName")) and obj.get("status", {}).get("phase") not in TERMINAL


def _without_node(decision: Decision, error: Refused | Failed) -> Decision:
    """The decision of an attempt that found a node in vain."""
    decision.node = ""
    if isinstance(error, Refused):
        decision.rejectors = frozenset((error.plugin,))
        decision.message = fit_message(decision.nodes, [(error.refusal.reason, 1)])
    else:
        decision.error = True
        decision.message = str(error)
    return decision


def _condition_patch(pod: Object, reason: str, message: str, now: str) -> Object:
    """The status patch that makes PodScheduled False for `reason`; empty when it says so already."""
    old: Mapping[str, Any] = {}
    for condition in pod.get("status", {}).get("conditions") or ():
        if condition["type"] == "PodScheduled":
            old = condition
    if old.get("status") == "False" and old.get("reason") == reason and old.get("message") == message:
        return {}
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": reason,
        "message": message,
        "lastProbeTime": None,
        "lastTransitionTime": old.get("lastTransitionTime", now) if old.get("status") == "False" else now,
    }
    if generation := pod["metadata"].get("generation"):
        condition["observedGeneration"] = generation
    return {"conditions": [condition]}
