"""What CRI reports of a pod's sandboxes and containers, as the agent wants to see it. Pure.

A pod's containers are those of all its sandboxes; of each name the youngest counts, the one before is
"previous".
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from kubrick_node import ContainerState, PodState, PodStats, Traffic, Usage
from kubrick_runtime_cri.config import CONTAINER_NAME, MESSAGE_PATH, MESSAGE_POLICY, RESTART_COUNT
from kubrick_runtime_cri.messages import ENUMS

STATE = ENUMS["ContainerState"]
CREATED, RUNNING, EXITED = STATE["CONTAINER_CREATED"], STATE["CONTAINER_RUNNING"], STATE["CONTAINER_EXITED"]
READY = ENUMS["PodSandboxState"]["SANDBOX_READY"]
_SIGNALS = {
    number: name.replace("PLUS", "+").replace("MINUS", "-") for name, number in ENUMS["Signal"].items() if number
}
_LOST_CODE, _LOST_REASON = 137, "ContainerStatusUnknown"
_LOST_MESSAGE = "The container could not be located when the pod was terminated"


def moment(nanoseconds: int) -> datetime | None:
    """CRI's time; 0 is none."""
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC) if nanoseconds else None


def by_name(containers: Iterable[Any]) -> dict[str, list[Any]]:
    """A pod's containers (as CRI lists them) by name, the youngest first."""
    found: dict[str, list[Any]] = {}
    for container in sorted(containers, key=lambda c: (c.created_at, c.metadata.attempt), reverse=True):
        found.setdefault(container.metadata.name, []).append(container)
    return found


def newest_sandbox(sandboxes: Sequence[Any]) -> Any | None:
    """The youngest that is ready, else the youngest."""
    return max(sandboxes, key=lambda s: (s.state == READY, s.created_at), default=None)


def addresses(status: Any) -> tuple[str, ...]:
    """A sandbox's addresses, from its PodSandboxStatus."""
    if not status.network.ip:
        return ()
    return (status.network.ip, *(entry.ip for entry in status.network.additional_ips))


def message_file(status: Any) -> str:
    """The machine's file behind a container's termination message path."""
    path = status.annotations.get(MESSAGE_PATH, "")
    return next((mount.host_path for mount in status.mounts if mount.container_path == path), "") if path else ""


def falls_back(status: Any) -> bool:
    """Whether the end of its log speaks for a container that failed without a message."""
    policy = status.annotations.get(MESSAGE_POLICY, "")
    return bool(policy == "FallbackToLogsOnError" and status.exit_code != 0)


def container_state(status: Any, runtime: str, sandbox_id: str, last_words: str = "") -> ContainerState:
    """From a ContainerStatus. `last_words` is the termination message."""
    annotations = status.annotations
    count = annotations.get(RESTART_COUNT, "")
    state = {CREATED: "created", RUNNING: "running"}.get(status.state, "exited")
    lost = status.state not in (CREATED, RUNNING, EXITED)
    message = ": ".join(part for part in (_LOST_MESSAGE if lost else status.message, last_words) if part)
    return ContainerState(
        name=status.labels.get(CONTAINER_NAME, status.metadata.name),
        id=f"{runtime}://{status.id}",
        image=status.image.image,
        image_id=status.image_ref,
        state=state,
        attempt=int(count) if count.isdigit() else status.metadata.attempt,
        started_at=moment(status.started_at),
        finished_at=moment(status.finished_at),
        exit_code=_LOST_CODE if lost else status.exit_code,
        reason=_LOST_REASON if lost else status.reason if state == "exited" else "",
        message=message if state == "exited" else "",
        log_path=status.log_path,
        sandbox_id=sandbox_id,
        user=_user(status),
        recursive=tuple(mount.container_path for mount in status.mounts if mount.recursive_read_only),
        stop_signal=_SIGNALS.get(status.stop_signal, ""),
    )


def _user(status: Any) -> dict[str, Any] | None:
    """Whom the container's first process runs as; None from runtimes (before CRI 1.31) that don't tell."""
    if not status.user.HasField("linux"):
        return None
    linux = status.user.linux
    found: dict[str, Any] = {"uid": linux.uid, "gid": linux.gid}
    if linux.supplemental_groups:
        found["supplementalGroups"] = list(linux.supplemental_groups)
    return found


def pod_state(
    sandbox: Any | None, ips: tuple[str, ...], current: Iterable[ContainerState], previous: Iterable[ContainerState]
) -> PodState:
    ready = sandbox is not None and sandbox.state == READY
    return PodState(
        sandbox_id=sandbox.id if sandbox is not None else "",
        sandbox_ready=ready,
        ips=ips,
        containers=tuple(current),
        previous=tuple(previous),
    )


def usage(stats: Any) -> Usage:
    """From a ContainerStats."""
    cpu, memory, layer = stats.cpu, stats.memory, stats.writable_layer
    return Usage(
        cpu_nanoseconds=cpu.usage_core_nano_seconds.value,
        memory_usage=memory.usage_bytes.value,
        memory_working_set=memory.working_set_bytes.value,
        memory_rss=memory.rss_bytes.value,
        page_faults=memory.page_faults.value,
        major_page_faults=memory.major_page_faults.value,
        filesystem_used=layer.used_bytes.value,
        filesystem_inodes=layer.inodes_used.value,
        at=moment(cpu.timestamp or memory.timestamp),
    )


def pod_stats(containers: Iterable[Any], network: Any | None) -> PodStats:
    """From the pod's ContainerStats and its NetworkUsage."""
    interfaces: list[Any] = []
    if network is not None:
        interfaces = [i for i in (network.default_interface, *network.interfaces) if i.name]
    traffic = {
        i.name: Traffic(i.name, i.rx_bytes.value, i.rx_errors.value, i.tx_bytes.value, i.tx_errors.value)
        for i in interfaces
    }
    return PodStats(tuple((c.attributes.metadata.name, usage(c)) for c in containers), tuple(traffic.values()))


def aggregate(problems: Iterable[str]) -> str:
    """Several problems as one, as Kubernetes writes them; empty ones are none."""
    found = list(dict.fromkeys(filter(None, problems)))
    return found[0] if len(found) == 1 else f"[{', '.join(found)}]" if found else ""
