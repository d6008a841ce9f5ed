"""Runs the static pods of a folder, and keeps a mirror of each in the API. Thin; statics.py reads manifests."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import trio

from kubrick_api.errors import StatusError
from kubrick_api_core import PODS
from kubrick_client import Client, Unreachable
from kubrick_kernel import get_logger
from kubrick_node.statics import CHECK_SECONDS, HASH, LOOK_SECONDS, MIRROR, mirror_of, read_folder

Object = dict[str, Any]
Name = tuple[str, str]
log = get_logger("node")


class StaticPods:
    """`start` and `stop` take a static pod that came or went, `lives` says of a uid whether something of it still
    runs, `mirrored` hears which has a new mirror; `node` gives the Node object, once there is one."""

    def __init__(
        self,
        folder: Path,
        node_name: str,
        client: Client,
        node: Callable[[], Object],
        start: Callable[[Object], None],
        stop: Callable[[Object], None],
        lives: Callable[[str], bool],
        mirrored: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._node_name = node_name
        self._client = client
        self._node = node
        self._start = start
        self._stop = stop
        self._lives = lives
        self._mirrored = mirrored
        self._ending: dict[Name, set[str]] = {}
        self._held: dict[str, Object] = {}
        self._pods: dict[str, Object] = {}
        self._mirrors: dict[Name, Object] = {}
        self._stamp: tuple[tuple[str, int, int], ...] = ()
        self._problems: list[str] = []
        self._due = False

    async def run(self) -> None:
        while True:
            self.look()
            checked, self._due = trio.current_time(), False
            for mirror in list(self._mirrors.values()):
                await self.settle(mirror)
            for pod in list(self._pods.values()):
                await self._mirror(pod)
            while trio.current_time() < checked + CHECK_SECONDS and not self._due:
                await trio.sleep(LOOK_SECONDS)
                self._start_held()
                self._due = self._due or self._stamps() != self._stamp

    def look(self) -> None:
        """Read the folder if it has changed."""
        stamp = self._stamps()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        found, problems = read_folder(self._folder, self._node_name)
        for problem in problems:
            if problem not in self._problems:
                log.warning("not a static pod", problem=problem)
        self._problems = problems
        for uid in [uid for uid in self._pods if uid not in found]:
            gone = self._pods.pop(uid)
            if self._held.pop(uid, None) is None:
                self._ending.setdefault(_name(gone), set()).add(uid)
                self._stop(gone)
        for uid, pod in found.items():
            if uid not in self._pods:
                self._pods[uid] = self._held[uid] = pod
        self._start_held()

    def _start_held(self) -> None:
        """Start those whose predecessors of the same name have ended."""
        for name, uids in list(self._ending.items()):
            uids.intersection_update([uid for uid in uids if self._lives(uid)])
            if not uids:
                del self._ending[name]
        for uid, pod in list(self._held.items()):
            if _name(pod) not in self._ending:
                del self._held[uid]
                self._start(pod)

    def _stamps(self) -> tuple[tuple[str, int, int], ...]:
        if not self._folder.is_dir():
            return ()
        found = []
        for file in self._folder.iterdir():
            try:
                stat = file.stat()
            except OSError:
                continue
            found.append((file.name, stat.st_mtime_ns, stat.st_size))
        return tuple(sorted(found))

    def shown(self, pod: Object) -> Object | None:
        """The object that stands for a pod in the API: itself, a static pod's mirror, or None while it has none."""
        if pod["metadata"]["uid"] not in self._pods:
            return pod
        return self._mirrors.get(_name(pod))

    def saw(self, mirror: Object) -> None:
        """A mirror pod is new or has changed."""
        self._mirrors[_name(mirror)] = mirror

    def lost(self, mirror: Object) -> None:
        """A mirror pod is gone; another of its name may be there already."""
        known = self._mirrors.get(_name(mirror))
        if known is not None and known["metadata"]["uid"] == mirror["metadata"]["uid"]:
            del self._mirrors[_name(mirror)]
            self._due = True

    async def settle(self, mirror: Object) -> None:
        """A mirror that is being deleted, or that shows what is no more, goes at once; the next look makes a new
        one where there is a static pod."""
        static = next((pod for pod in self._pods.values() if _name(pod) == _name(mirror)), None)
        current = static is not None and mirror["metadata"]["annotations"][MIRROR] == static["metadata"]["uid"]
        if current and "deletionTimestamp" not in mirror["metadata"]:
            return
        metadata = mirror["metadata"]
        try:
            await self._client.delete(
                PODS, metadata["name"], metadata["namespace"], grace_period=0, uid=metadata["uid"]
            )
        except (StatusError, Unreachable) as error:
            log.info("mirror pod not deleted", pod=metadata["name"], error=str(error))
        else:
            self.lost(mirror)
            if static is not None:
                await self._mirror(static)

    async def _mirror(self, pod: Object) -> None:
        known = self._mirrors.get(_name(pod))
        if known is not None:
            if known["metadata"]["annotations"][MIRROR] != pod["metadata"]["annotations"][HASH]:
                await self.settle(known)
            return
        try:
            self.saw(await self._client.create(PODS, mirror_of(pod, self._node())))
        except (StatusError, Unreachable) as error:
            log.warning("mirror pod not made", pod=pod["metadata"]["name"], error=str(error))
        else:
            self._mirrored(pod["metadata"]["uid"])


def _name(pod: Object) -> Name:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]
