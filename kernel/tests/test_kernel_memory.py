"""The memory store passes the conformance suite."""

from pathlib import Path

from kubrick_kernel.clock import Clock
from kubrick_kernel.memory import MemoryStore
from kubrick_kernel.testing.machine import store_machine
from kubrick_kernel.testing.store import Engine, store_checks


def open_memory(directory: Path, clock: Clock) -> MemoryStore:
    snapshot = directory / "snapshot.json"
    return MemoryStore(clock, file=snapshot if snapshot.exists() else None)


MEMORY = Engine(open=open_memory, durable=False, snapshot="snapshot.json")

test_the_memory_store_keeps_every_promise = store_checks(MEMORY)
TestMemoryStore = store_machine(MEMORY)
