"""A whole cluster in this process: memory store, no sockets, ready in milliseconds."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import trio
import trio.testing

from kubrick_api.catalog import Catalog
from kubrick_api.errors import StatusError
from kubrick_api.names import GVR
from kubrick_api.resource import Object
from kubrick_client import Client, connect
from kubrick_kernel import Clock, Composition, Kernel, SystemClock, TrioClock
from kubrick_testing.mutation import MutationDetector

ADMIN = ("kubernetes-admin", ("system:masters",))


class Cluster:
    """A running cluster. `client` is the administrator's; `kernel.find` reaches everything else."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.client = self.client_of(*ADMIN)

    def client_of(self, user: str, groups: tuple[str, ...] = ()) -> Client:
        """A client that speaks as `user`."""
        return connect(self.kernel, user, groups)

    async def until(
        self,
        resource: GVR,
        name: str,
        holds: Callable[[Object | None], bool],
        namespace: str = "default",
        seconds: float = 600.0,
    ) -> Object | None:
        """Wait until `holds` of the object (None while it is absent) and return it. Raises TimeoutError
        with its last state when that takes longer than `seconds` of the test's time."""
        last: Object | None = None
        with trio.move_on_after(seconds):
            while True:
                try:
                    last = await self.client.get(resource, name, namespace)
                except StatusError as error:
                    if error.code != 404:
                        raise
                    last = None
                if holds(last):
                    return last
                await self._changed(resource, name, namespace, last)
        raise TimeoutError(f"{resource.qualified} {name!r} after {seconds} s: {last}")

    async def _changed(self, resource: GVR, name: str, namespace: str, last: Object | None) -> None:
        """Return at the object's next change after `last`."""
        version = last["metadata"]["resourceVersion"] if last is not None else "0"
        async with self.client.watch(
            resource, namespace, field_selector=f"metadata.name={name}", resource_version=version, bookmarks=False
        ) as stream:
            await stream.receive()

    async def until_all(
        self,
        resource: GVR,
        holds: Callable[[list[Object]], bool],
        namespace: str = "",
        label_selector: str = "",
        seconds: float = 600.0,
    ) -> list[Object]:
        """Wait until `holds` of the list of matching objects and return it."""
        items: list[Object] = []
        with trio.move_on_after(seconds):
            while True:
                found = await self.client.list(resource, namespace, label_selector=label_selector)
                items = found["items"]
                if holds(items):
                    return items
                async with self.client.watch(
                    resource, namespace, resource_version=found["metadata"]["resourceVersion"], bookmarks=False
                ) as stream:
                    await stream.receive()
        names = [item["metadata"]["name"] for item in items]
        raise TimeoutError(f"{resource.qualified} after {seconds} s: {names}")


def in_virtual_time() -> bool:
    """Whether trio runs on a clock that a test moves."""
    return isinstance(trio.lowlevel.current_clock(), trio.testing.MockClock)


@asynccontextmanager
async def run_cluster(
    profile: str = "control-plane",
    *,
    seed: int = 0,
    enable: Sequence[str] = (),
    disable: Sequence[str] = (),
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    data_dir: Path | None = None,
) -> AsyncIterator[Cluster]:
    """Run a cluster around a block of code. `settings` are the ``[plugins.<name>]`` tables of a cluster
    file. Under MockClock it runs in virtual time, and `seed` reproduces the run."""
    tables = {name: dict(table) for name, table in (settings or {}).items()}
    tables.setdefault("apiserver", {}).setdefault("listen", "")
    composition = Composition(
        name="test", profile=profile, enable=tuple(enable), disable=tuple(disable), store="memory", plugins=tables
    )
    clock: Clock = TrioClock() if in_virtual_time() else SystemClock()
    kernel = Kernel(composition, data_dir=data_dir, clock=clock, seed=seed)
    with deterministic(seed) if in_virtual_time() else nullcontext():
        async with trio.open_nursery() as nursery:
            await nursery.start(kernel.run)
            detector = MutationDetector(kernel.bus, kernel.find(Catalog))
            await detector.start()
            yield Cluster(kernel)
            detector.check()
            kernel.shutdown()


@contextmanager
def deterministic(seed: int) -> Iterator[None]:
    """Make trio run ready tasks in an order that `seed` decides. trio shuffles them on purpose, with a
    generator of its own; its only switch for tests is this one (hypothesis-trio and pytest-trio use it)."""
    run: Any = trio._core._run
    before = run._ALLOW_DETERMINISTIC_SCHEDULING, run._r.getstate()
    run._ALLOW_DETERMINISTIC_SCHEDULING = True
    run._r.seed(seed)
    try:
        yield
    finally:
        run._ALLOW_DETERMINISTIC_SCHEDULING = before[0]
        run._r.setstate(before[1])
