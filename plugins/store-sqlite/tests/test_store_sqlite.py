"""The SQLite store passes the conformance suite."""

from pathlib import Path

from kubrick_kernel.clock import Clock
from kubrick_kernel.testing.machine import store_machine
from kubrick_kernel.testing.store import Engine, store_checks
from kubrick_store_sqlite.engine import FILE, SqliteStore


def open_sqlite(directory: Path, clock: Clock) -> SqliteStore:
    return SqliteStore(directory, clock)


SQLITE = Engine(open=open_sqlite, durable=True, snapshot=FILE)

test_the_sqlite_store_keeps_every_promise = store_checks(SQLITE)
TestSqliteStore = store_machine(SQLITE, examples=40)
