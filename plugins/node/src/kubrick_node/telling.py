"""A pod's events about what keeps coming back, so that each is told of now and then and not at every look."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import trio

from kubrick_node.runtime import PodState

Object = dict[str, Any]

SAY_SECONDS = 10.0
"""How often a container's waiting is told of."""
MOUNT_SECONDS = 123.0
"""How long volumes may take before the pod is said to be stuck."""


class Telling:
    """One pod's. `event` takes (pod, type, reason, message, container name)."""

    def __init__(self, event: Callable[..., None]) -> None:
        self._event = event
        self._said_at: dict[tuple[str, str], float] = {}
        self._unmounted_since = math.inf

    def waiting(self, pod: Object, waiting: Mapping[str, tuple[str, str]]) -> None:
        """Containers that wait before they are tried again: by name, reason and message."""
        now = trio.current_time()
        for name, (reason, message) in waiting.items():
            if now < self._said_at.get((name, reason), -math.inf) + SAY_SECONDS:
                continue
            self._said_at[name, reason] = now
            if reason == "CrashLoopBackOff":
                metadata = pod["metadata"]
                where = f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
                text = f"Back-off restarting failed container {name} in pod {where}"
                self._event(pod, "Warning", "BackOff", text, name)
            elif reason == "ImagePullBackOff":
                self._event(pod, "Normal", "BackOff", message.partition(": ")[0], name)
                self._event(pod, "Warning", "Failed", f"Error: {reason}", name)

    def unmounted(self, pod: Object, failed: Mapping[str, str]) -> None:
        """Volumes that could not be set up: by name, why."""
        for name, why in failed.items():
            text = f'MountVolume.SetUp failed for volume "{name}" : {why}'
            self._event(pod, "Warning", "FailedMount", text)
        now = trio.current_time()
        self._unmounted_since = min(self._unmounted_since, now)
        if now >= self._unmounted_since + MOUNT_SECONDS:
            self._unmounted_since = now
            text = f"Unable to attach or mount volumes: unmounted volumes=[{' '.join(sorted(failed))}], "
            text += "unattached volumes=[], failed to process volumes=[]: context deadline exceeded"
            self._event(pod, "Warning", "FailedMount", text)

    def mounted(self) -> None:
        self._unmounted_since = math.inf

    def stopping(self, pod: Object, state: PodState) -> None:
        """All that runs is about to end."""
        for container in state.containers:
            if container.state == "running":
                self._event(pod, "Normal", "Killing", f"Stopping container {container.name}", container.name)
