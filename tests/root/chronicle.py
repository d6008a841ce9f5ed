"""What a cluster of a root test went through: every state of its pods, and every event, as the API server told them.

Watches by kubectl, so a test sees also what was so for a moment only, and asks nothing while it waits.
"""

import json
import subprocess
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from machines import PATIENCE, Machine

T = TypeVar("T")
Object = dict[str, Any]


class Chronicle:
    """Of one machine's cluster. To be closed before the machine."""

    def __init__(self, machine: Machine, *paths: str) -> None:
        self.objects: dict[str, list[Object]] = {path: [] for path in paths}
        self._news = threading.Condition()
        self._watches = [self._watch(machine, path) for path in paths]

    def _watch(self, machine: Machine, path: str) -> subprocess.Popen[str]:
        kubeconfig = str(machine.data / "admin.kubeconfig")
        command = ["kubectl", "--kubeconfig", kubeconfig, "get", "--raw", f"{path}?watch=true&timeoutSeconds=3600"]
        watch = subprocess.Popen(machine.inside(*command), stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, args=(watch, path), daemon=True).start()
        return watch

    def _read(self, watch: subprocess.Popen[str], path: str) -> None:
        assert watch.stdout is not None
        for line in watch.stdout:
            with self._news:
                self.objects[path].append(json.loads(line)["object"])
                self._news.notify_all()

    def close(self) -> None:
        for watch in self._watches:
            watch.kill()
            watch.wait()
            if watch.stdout is not None:
                watch.stdout.close()

    def until(self, question: Callable[[], T | None], seconds: float = PATIENCE, about: str = "") -> T:
        """The first answer that isn't nothing."""
        found: list[T] = []

        def answered() -> bool:
            answer = question()
            if answer:
                found.append(answer)
            return bool(answer)

        with self._news:
            if not self._news.wait_for(answered, seconds):
                told = "\n".join(map(str, self.told(about))) if about else ""
                last = json.dumps(self.states(about)[-1:], indent=1) if about else ""
                raise AssertionError(f"not within {seconds:.0f} s: {about}\n{last}\n{told}")
        return found[0]

    # Pods

    def states(self, name: str, path: str = "/api/v1/namespaces/default/pods") -> list[Object]:
        """All statuses the pod (or whatever is there) had, in order."""
        return [one["status"] for one in self.objects[path] if one["metadata"]["name"] == name and "status" in one]

    def status(self, name: str) -> Object:
        return next(iter(self.states(name)[-1:]), {})

    def container(self, name: str, index: int = 0, listed: str = "containerStatuses") -> Object:
        return (self.status(name).get(listed) or [{}] * (index + 1))[index]

    def waited(self, name: str, listed: str = "containerStatuses") -> list[tuple[str, str]]:
        """Why the pod's first container waited, in order: reasons and messages, each once."""
        found: dict[tuple[str, str], None] = {}
        for status in self.states(name):
            for one in (status.get(listed) or [])[:1]:
                waiting = one["state"].get("waiting")
                if waiting:
                    found[waiting["reason"], waiting.get("message", "")] = None
        return list(found)

    def until_waiting(
        self, name: str, reason: str, seconds: float = PATIENCE, listed: str = "containerStatuses"
    ) -> str:
        """The message of the first such waiting."""
        answer = self.until(
            lambda: [text for why, text in self.waited(name, listed) if why == reason], seconds, about=name
        )
        return answer[0]

    def until_running(self, name: str, seconds: float = PATIENCE) -> Object:
        return self.until(lambda: self.status(name) if self.is_ready(name) else None, seconds, about=name)

    def until_phase(self, name: str, phase: str, seconds: float = PATIENCE) -> Object:
        return self.until(
            lambda: self.status(name) if self.status(name).get("phase") == phase else None, seconds, about=name
        )

    def is_ready(self, name: str) -> bool:
        conditions = {one["type"]: one["status"] for one in self.status(name).get("conditions") or ()}
        return conditions.get("Ready") == "True"

    # Events

    def told(self, name: str) -> list[tuple[str, str, str, str]]:
        """Type, reason, message and part of the object, of all events about the pod (or the node)."""
        return [
            (one["type"], one["reason"], one["message"], one["involvedObject"].get("fieldPath", ""))
            for one in self.objects["/api/v1/namespaces/default/events"]
            if one["involvedObject"]["name"] == name
        ]

    def until_told(self, name: str, kind: str, reason: str, seconds: float = PATIENCE) -> list[str]:
        """The messages of the events of this reason."""
        return self.until(
            lambda: [text for of, why, text, _ in self.told(name) if (of, why) == (kind, reason)], seconds, about=name
        )
