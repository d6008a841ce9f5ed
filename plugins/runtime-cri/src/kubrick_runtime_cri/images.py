"""The runtime's images: there, pulled, imported, removed."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import trio

from kubrick_node import Image, RuntimeFailure
from kubrick_runtime_cri.archive import PAUSE_IMAGE, image_names
from kubrick_runtime_cri.calls import Calls
from kubrick_runtime_cri.channel import RPCError
from kubrick_runtime_cri.reference import BadReference, credentials, normalize, pull_policy

Object = dict[str, Any]

PULL_SECONDS = 3600.0
SEEN_LOOKS = 500
LOOK_SECONDS = 0.01
_DIGEST = "sha256:"
_SANDBOX_NAMES = frozenset((PAUSE_IMAGE, normalize(PAUSE_IMAGE)))
"""Older runtimes don't pin their sandbox's image, and a private one can't be had again."""
_UNAVAILABLE = "RegistryUnavailable"
_BAD_SIGNATURE = "SignatureValidationFailed"


class Images:
    """`address` and `namespace` are containerd's, for the program that imports; "" if it isn't containerd."""

    def __init__(self, calls: Calls, program: str, address: str, namespace: str = "k8s.io") -> None:
        self._calls = calls
        self._program = program
        self._address = address
        self._namespace = namespace
        self._pulling: dict[str, trio.Lock] = {}

    async def status(self, image: str) -> Image | None:
        """Raises RuntimeFailure with reason ImageInspectError."""
        try:
            response = await self._calls("ImageStatus", image={"image": image})
        except RPCError as error:
            raise RuntimeFailure("ImageInspectError", f'Failed to inspect image "{image}": {error}') from None
        return _image(response.image) if response.image.id else None

    async def named(self, image: str) -> Image | None:
        """The same by a name as a user writes it, or by an id. Raises RuntimeFailure with reason InvalidImageName or
        ImageInspectError."""
        return await self.status(image if image.startswith(_DIGEST) else _full_name(image))

    async def listed(self) -> tuple[Image, ...]:
        response = await self._calls.asked("ImageInspectError", "ListImages")
        return tuple(_image(image) for image in response.images)

    async def ensure(self, container: Object, secrets: Sequence[Object]) -> bool:
        """As ContainerRuntime.ensure_image."""
        name = container.get("image", "")
        full = _full_name(name)
        policy = pull_policy(container)
        if policy != "Always" and await self.status(full) is not None:
            return False
        if policy == "Never":
            text = f'Container image "{name}" is not present with pull policy of Never'
            raise RuntimeFailure("ErrImageNeverPull", text)
        async with self._pulling.setdefault(full, trio.Lock()):
            # Somebody else may have pulled it while we waited.
            if policy != "Always" and await self.status(full) is not None:
                return False
            await self.pull(full, secrets)
            return True

    async def pull(self, image: str, secrets: Sequence[Object] = ()) -> str:
        """Tries each of the credentials that fit; none if none fit. Raises RuntimeFailure."""
        tries: list[Object | None] = [*credentials(image, secrets)] or [None]
        problem: RPCError | None = None
        for auth in tries:
            try:
                return str((await self._calls("PullImage", PULL_SECONDS, image={"image": image}, auth=auth)).image_ref)
            except RPCError as error:
                problem = error
        raise _pull_failure(image, problem)

    async def remove(self, image: str) -> None:
        await self._calls.asked("ImageRemoveError", "RemoveImage", image={"image": image})

    async def import_archive(self, path: str) -> tuple[str, ...]:
        """CRI can't: containerd's own client does. Returns when CRI knows the images."""
        if not self._address:
            raise RuntimeFailure("Unsupported", "this container runtime imports no archives")
        try:
            names = await trio.to_thread.run_sync(image_names, path)
        except (OSError, ValueError) as error:
            raise RuntimeFailure("InvalidImageArchive", f"{path}: {error}") from None
        await self._client("import", path)
        for full, spelled in names.items():
            if spelled != full and await self.status(full) is None:
                # containerd keeps an OCI archive's names as they are; CRI knows none but full ones.
                with suppress(RuntimeFailure):
                    await self._client("tag", "--force", spelled, full)
                    await self._client("rm", spelled)
        unseen = list(names)
        for _ in range(SEEN_LOOKS):
            unseen = [name for name in unseen if await self.status(name) is None]
            if not unseen:
                return tuple(names)
            await trio.sleep(LOOK_SECONDS)
        raise RuntimeFailure("ImageImportError", f"{path}: imported, but the runtime does not know {', '.join(unseen)}")

    async def _client(self, *arguments: str) -> None:
        """One command of containerd's own client about images. Raises RuntimeFailure with what it says."""
        command = [self._program, "--address", self._address, "--namespace", self._namespace, "images", *arguments]
        try:
            done = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
        except OSError as error:
            raise RuntimeFailure("ImageImportError", f"{self._program}: {error}") from None
        if done.returncode:
            raise RuntimeFailure("ImageImportError", f"{arguments[-1]}: {done.stderr.decode(errors='replace').strip()}")


def _full_name(name: str) -> str:
    try:
        return normalize(name)
    except BadReference as bad:
        text = f'Failed to apply default image tag "{name}": couldn\'t parse image name "{name}": {bad}'
        raise RuntimeFailure("InvalidImageName", text) from None


def _pull_failure(image: str, error: RPCError | None) -> RuntimeFailure:
    text = error.message if error else ""
    for reason, why in (
        (_UNAVAILABLE, "the registry is unavailable"),
        (_BAD_SIGNATURE, "the signature validation failed"),
    ):
        if text.startswith(reason):
            detail = text.removeprefix(reason)
            return RuntimeFailure(reason, f"image pull failed for {image} because {why}{detail}")
    return RuntimeFailure("ErrImagePull", str(error))


def _image(image: Any) -> Image:
    user = str(image.uid.value) if image.HasField("uid") else image.username
    tags = tuple(image.repo_tags)
    pinned = image.pinned or bool(_SANDBOX_NAMES.intersection(tags))
    return Image(image.id, tags, tuple(image.repo_digests), image.size, user, pinned)
