"""Starts sandboxes and containers: image, environment, mounts, the runtime, the postStart hook; and remembers what
failed and how long to wait. Thin; plan.py decides what is started and when.

Without surroundings (nodes whose containers are no processes) only the runtime is asked.
"""

from collections.abc import Callable
from typing import Any

import trio
from attrs import evolve

from kubrick_node.actions import HookFailure
from kubrick_node.images import pull_policy
from kubrick_node.plan import BACKOFF_LIMIT, IMAGE_ABSENT, Backoff, StartContainer
from kubrick_node.qos import all_containers
from kubrick_node.runtime import ContainerRuntime, ContainerSpec, PodState, RuntimeFailure
from kubrick_node.stopping import Stopping, grace_of
from kubrick_node.surroundings import Surroundings

Object = dict[str, Any]

RETRY_SECONDS = 10.0
"""How soon a container that could not be made is tried again; pulling and running have growing pauses."""
IMAGE_REASONS = (*IMAGE_ABSENT, "InvalidImageName", "ImageInspectError")


class Starting:
    """One pod's. `event` takes (pod, type, reason, message, container name). `failures` are starts that failed and
    wait, `fresh` those of this round: name → (reason, message)."""

    def __init__(
        self,
        runtime: ContainerRuntime,
        around: Surroundings | None,
        event: Callable[..., None],
        stopping: Stopping,
    ) -> None:
        self.backoffs: dict[str, Backoff] = {}
        self.failures: dict[str, tuple[str, str]] = {}
        self.fresh: dict[str, tuple[str, str]] = {}
        self._runtime = runtime
        self._around = around
        self._event = event
        self._stopping = stopping
        self._sandboxes = 0
        self._limit = around.restart_limit if around is not None else BACKOFF_LIMIT

    def try_again(self) -> None:
        """What failed for want of a ConfigMap or Secret needs no more waiting."""
        for name, (reason, _) in list(self.failures.items()):
            if reason == "CreateContainerConfigError":
                del self.failures[name]
                self.backoffs.pop(name, None)

    async def look_for_images(self, pod: Object) -> None:
        """What waits for an image that has come meanwhile needs no more waiting. Raises RuntimeFailure."""
        waiting = [name for name, (reason, _) in self.failures.items() if reason in IMAGE_ABSENT]
        if not waiting or self._around is None:
            return
        for container in all_containers(pod):
            name = container["name"]
            if name not in waiting or pull_policy(container) == "Always":
                continue
            if await self._runtime.image_status(container.get("image", "")) is not None:
                del self.failures[name]
                self.backoffs.pop(name, None)

    async def sandbox(self, pod: Object, state: PodState) -> bool:
        try:
            if state.sandbox_id:
                text = "Pod sandbox changed, it will be killed and re-created."
                self._event(pod, "Normal", "SandboxChanged", text)
                await self._runtime.stop_sandbox(pod, state.sandbox_id)
            if self._around is None:
                await self._runtime.run_sandbox(pod, self._sandboxes)
            else:
                self._around.make_cgroup(pod)
                spec, resolution = self._around.sandbox_spec(pod)
                spec = evolve(spec, handler=await self._around.runtime_handler(pod))
                for reason, message in resolution.warnings:
                    self._event(pod, "Warning", reason, message)
                await self._runtime.run_sandbox(pod, self._sandboxes, spec)
        except RuntimeFailure as failure:
            self._event(pod, "Warning", failure.reason, failure.message)
            return False
        self._sandboxes += 1
        return True

    async def container(self, pod: Object, action: StartContainer, state: PodState) -> bool:
        name = action.container["name"]
        event = self._event
        backoff = self.backoffs.setdefault(name, Backoff())
        try:
            event(pod, "Normal", "Pulled", await self._image(pod, action.container), name)
            await self._volume_images(pod, action.container)
            spec = await self._spec(pod, action, state)
            container_id = await self._runtime.start_container(spec)
        except (RuntimeFailure, OSError) as error:
            failure = error if isinstance(error, RuntimeFailure) else RuntimeFailure("CreateContainerError", str(error))
            self._note_failure(pod, action, failure, backoff)
            return False
        if self.failures.pop(name, ("RunContainerError", ""))[0] != "RunContainerError":
            backoff = self.backoffs[name] = Backoff()
        if action.attempt:
            backoff.raise_(trio.current_time(), self._limit)
        event(pod, "Normal", "Created", f"Container created: {name}", name)
        event(pod, "Normal", "Started", f"Container started: {name}", name)
        post_start = (action.container.get("lifecycle") or {}).get("postStart")
        if post_start and self._around is not None:
            return await self._post_start(pod, action.container, container_id, post_start)
        return True

    async def _image(self, pod: Object, container: Object) -> str:
        """Have the container's image; answers what to say of it."""
        image = container.get("image", "")
        if self._around is None:
            pulled = await self._runtime.ensure_image(pod, container)
            if pulled:
                return f'Successfully pulled image "{image}"'
            return f'Container image "{image}" already present on machine'

        def pulling() -> None:
            self._event(pod, "Normal", "Pulling", f'Pulling image "{image}"', container["name"])

        secrets = await self._around.pull_secrets(pod)
        return await self._around.images.ensure(pod, container, secrets, pulling)

    async def _volume_images(self, pod: Object, container: Object) -> None:
        """Have the images that the container mounts. Raises RuntimeFailure."""
        mounted = {mount["name"] for mount in container.get("volumeMounts") or ()}
        for volume in pod["spec"].get("volumes") or ():
            if volume.get("image") and volume["name"] in mounted and self._around is not None:
                source = volume["image"]
                asked = {
                    "name": container["name"],
                    "image": source.get("reference", ""),
                    "imagePullPolicy": source.get("pullPolicy"),
                }
                self._event(pod, "Normal", "Pulled", await self._image(pod, asked), container["name"])

    async def _spec(self, pod: Object, action: StartContainer, state: PodState) -> ContainerSpec:
        if self._around is None:
            return ContainerSpec(pod, action.container, state.sandbox_id, action.role, action.attempt)

        def warn(reason: str, message: str) -> None:
            self._event(pod, "Warning", reason, message)

        return await self._around.container_spec(pod, action, state, warn)

    def _note_failure(self, pod: Object, action: StartContainer, failure: RuntimeFailure, backoff: Backoff) -> None:
        container = action.container
        name, image = container["name"], container.get("image", "")
        event = self._event
        again = action.attempt or name in self.failures
        self.failures[name] = self.fresh[name] = (failure.reason, failure.message)
        if failure.reason == "RunContainerError":
            event(pod, "Normal", "Created", f"Container created: {name}", name)
            if again:  # the first restart is at once, as that of a container that ran
                backoff.raise_(trio.current_time(), self._limit)
        elif failure.reason in IMAGE_ABSENT and failure.reason != "ErrImageNeverPull":
            backoff.raise_(trio.current_time())
        else:
            backoff.seconds, backoff.since = RETRY_SECONDS, trio.current_time()
        if failure.reason not in IMAGE_REASONS:
            event(pod, "Warning", "Failed", f"Error: {failure.message}", name)
            return
        if failure.reason == "ErrImageNeverPull":
            event(pod, "Warning", failure.reason, failure.message, name)
        elif failure.reason == "InvalidImageName":
            event(pod, "Warning", "InspectFailed", failure.message, name)
        else:
            event(pod, "Warning", "Failed", f'Failed to pull image "{image}": {failure.message}', name)
        if self._around is not None:
            event(pod, "Warning", "Failed", f"Error: {failure.reason}", name)

    async def _post_start(self, pod: Object, container: Object, container_id: str, handler: Object) -> bool:
        assert self._around is not None
        state = await self._runtime.observe(pod)
        target = self._around.actions.target(pod, container, container_id, state.ips)
        try:
            await self._around.actions.hook(target, handler, 0)
        except HookFailure as failure:
            name = container["name"]
            self._event(pod, "Warning", "FailedPostStartHook", "PostStartHook failed", name)
            self.fresh[name] = ("PostStartHookError", str(failure))
            self._event(pod, "Normal", "Killing", "FailedPostStartHook", name)
            await self._stopping.one(pod, container, container_id, grace_of(pod))
            return False
        return True
