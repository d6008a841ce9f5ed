"""What stands in the SQLite file, and every statement that reads it; `pen` has those that write.

`log` has a row for each change: id is the commit's revision and, in the low bits, the change's place
in the commit, so that the table is append-only and in commit order; `previous` is the revision of
what the key held before; a deletion has no value. `current` says which row of the log is each key's
newest. Triggers keep it, so that a group of commits, or a step of the sweep, is a single statement.

Compaction is a line that is drawn at once (`meta.compacted`) and swept up to in small steps
(`meta.swept`): each change behind the line makes the row it replaced, or its own if it is a
deletion, superfluous. Doing a step twice does no harm.
"""

# ruff: noqa: S608 - only constants of this module are put into statements

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from kubrick_kernel.errors import ConfigurationError
from kubrick_kernel.store import Event, Item
from kubrick_store_sqlite.pen import SHIFT, connect, meta

CHANGES = 1 << SHIFT

REPLACED = f"p.id >= l.previous << {SHIFT} AND p.id < (l.previous + 1) << {SHIFT} AND +p.key = l.key"
"""Joins `log p` to `log l`: what a change replaced. The plus keeps SQLite from indexing all keys for it."""

SCHEMA_VERSION = 1
APPLICATION_ID = 0x4B42524B  # "KBRK"
SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('compacted', 0), ('swept', 0);
CREATE TABLE log (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL,
    created INTEGER NOT NULL,
    previous INTEGER NOT NULL,
    expires REAL,
    value BLOB
);
CREATE TABLE current (key BLOB PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID;
CREATE TRIGGER written AFTER INSERT ON log WHEN new.value IS NOT NULL BEGIN
    INSERT OR REPLACE INTO current VALUES (new.key, new.id);
END;
CREATE TRIGGER deleted AFTER INSERT ON log WHEN new.value IS NULL BEGIN
    DELETE FROM current WHERE key = new.key;
END;
CREATE TRIGGER swept AFTER UPDATE ON meta WHEN new.name = 'swept' BEGIN
    DELETE FROM log WHERE id IN (
        SELECT p.id FROM log l CROSS JOIN log p ON {REPLACED}
        WHERE l.id >= (old.value + 1) << {SHIFT} AND l.id < (new.value + 1) << {SHIFT}
    );
    DELETE FROM log
    WHERE id >= (old.value + 1) << {SHIFT} AND id < (new.value + 1) << {SHIFT} AND value IS NULL;
END;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""

PAGE = 500
"""Changes per page of history."""
SCAN = 20_000
"""Commits looked through for one page of history, so that a read of a rare prefix can be cancelled."""


class Loaded(NamedTuple):
    """What an engine begins with."""

    revision: int
    compacted: int
    items: list[Item]
    deadlines: list[tuple[Item, float]]


class Disk:
    """An open file, its tables made, and two connections, each for one thread at a time: `reading` and
    `checkpointing`."""

    def __init__(self, file: Path, synchronous: str) -> None:
        self.file = file
        self.wal_pages = 0
        """How many pages have been written to the write-ahead log since it last began anew: as the
        process that writes them last said."""
        try:
            self.reading = connect(str(file), synchronous)
            _prepare(self.reading, file)
            self.checkpointing = connect(str(file), synchronous)
        except (apsw.NotADBError, apsw.CorruptError) as error:
            raise _damaged(file, error) from error
        except (apsw.CantOpenError, apsw.ReadOnlyError, apsw.PermissionsError) as error:
            raise ConfigurationError(
                f"store {file}: cannot be opened for writing ({error}); check its owner"
            ) from error

    def close(self) -> None:
        """The last connection to close brings the file up to date and removes the write-ahead log."""
        for connection in (self.reading, self.checkpointing):
            connection.close()

    def load(self) -> Loaded:
        """Everything current, in key order."""
        items: list[Item] = []
        deadlines: list[tuple[Item, float]] = []
        rows = (
            "SELECT l.key, l.value, l.id >> ?, l.created, l.expires"
            " FROM current c JOIN log l ON l.id = c.id ORDER BY c.key"
        )
        try:
            for key, value, revision, created, expires in self.reading.execute(rows, (SHIFT,)):
                item = Item(key, value, revision, created)
                items.append(item)
                if expires is not None:
                    deadlines.append((item, expires))
            return Loaded(self.newest(), meta(self.reading, "compacted"), items, deadlines)
        except apsw.CorruptError as error:
            raise _damaged(self.file, error) from error

    def newest(self) -> int:
        """The newest revision in the file."""
        return _revision(self.reading)

    def checkpoint(self) -> int:
        """Copy committed pages from the write-ahead log to the file without blocking anybody; how
        many are left by now. (`Pen.finish_checkpoint` leaves none.)"""
        _, done = self.checkpointing.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        return self.wal_pages - done

    def history(self, prefix: bytes, end: bytes | None, after: int, until: int) -> tuple[list[Event], int]:
        """One page of changes of `prefix` (whose keys stand before `end`) in (after, until], and the
        revision it reaches. Commits are whole."""
        until = min(until, after + SCAN)
        events = self._events(prefix, end, (after + 1) << SHIFT, (until + 1) << SHIFT, PAGE)
        if len(events) < PAGE:
            return events, until
        last = events[-1].revision
        part = len([event for event in events if event.revision == last])
        whole = self._events(prefix, end, last << SHIFT, (last + 1) << SHIFT, -1)
        return events[:-part] + whole, last

    def _events(self, prefix: bytes, end: bytes | None, first: int, stop: int, limit: int) -> list[Event]:
        bounds, parameters = _bounds("l.key", prefix, end)
        rows = self.reading.execute(
            "SELECT l.key, l.value, l.id >> ?, l.created, p.value, p.id >> ?, p.created"
            f" FROM log l LEFT JOIN log p ON {REPLACED}"
            f" WHERE l.id >= ? AND l.id < ? AND {bounds} ORDER BY l.id LIMIT ?",
            (SHIFT, SHIFT, first, stop, *parameters, limit),
        )
        return [
            Event(
                key,
                revision,
                None if value is None else Item(key, value, revision, created),
                None if before is None else Item(key, before, before_revision, before_created),
            )
            for key, value, revision, created, before, before_revision, before_created in rows
        ]

    def before(self, low: bytes, high: bytes | None, after: int, until: int) -> dict[bytes, Item | None]:
        """For each key in [low, high) that changed in (after, until]: what it held at `after`."""
        bounds, parameters = _bounds("key", low, high)
        rows = self.reading.execute(
            "SELECT l.key, p.value, p.id >> ?, p.created FROM"
            f" (SELECT key, min(id), previous FROM log WHERE id >= ? AND id < ? AND {bounds} GROUP BY key) l"
            f" LEFT JOIN log p ON {REPLACED}",
            (SHIFT, (after + 1) << SHIFT, (until + 1) << SHIFT, *parameters),
        )
        return {
            key: None if value is None else Item(key, value, revision, created)
            for key, value, revision, created in rows
        }

    def snapshot(self, file: Path) -> int:
        """A copy of the newest committed state and its history; the revision of it."""
        if file.exists():
            raise FileExistsError(f"{file} exists already")
        part = file.with_name(file.name + ".part")
        part.unlink(missing_ok=True)
        try:
            _run(self.file, lambda source: source.execute("VACUUM INTO ?", (str(part),)).fetchall())
            revision: int = _run(part, _revision)
            for path in (part, part.parent):
                descriptor = os.open(path, os.O_RDONLY)
                os.fsync(descriptor)
                os.close(descriptor)
            part.rename(file)
        finally:
            part.unlink(missing_ok=True)
        return revision


def _run(file: Path, function: Callable[[apsw.Connection], Any]) -> Any:
    connection = apsw.Connection(str(file))
    try:
        connection.set_busy_timeout(10_000)
        return function(connection)
    finally:
        connection.close()


def _prepare(connection: apsw.Connection, file: Path) -> None:
    """Make the tables of a new file; refuse a file that isn't ours or is of another age."""
    version = connection.pragma("user_version")
    if not version and not connection.execute("SELECT count(*) FROM sqlite_schema").get:
        connection.execute(SCHEMA)
    elif connection.pragma("application_id") != APPLICATION_ID:
        raise ConfigurationError(
            f"store {file}: is not a Kubrick store; move it away, or choose another data directory"
        )
    elif version > SCHEMA_VERSION:
        raise ConfigurationError(
            f"store {file}: was written by a newer version (format {version}, this one knows {SCHEMA_VERSION});"
            " upgrade kubrick-store-sqlite, or restore a snapshot of before"
        )


def _damaged(file: Path, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"store {file}: is damaged ({error});"
        " put a snapshot in its place, or move it away to begin with an empty cluster"
    )


def _revision(connection: apsw.Connection) -> int:
    """The newest revision. Its row may have been swept, but never one after the line."""
    newest: int = connection.execute("SELECT ifnull(max(id), 0) >> ? FROM log", (SHIFT,)).get
    return max(newest, meta(connection, "compacted"))


def _bounds(column: str, low: bytes, high: bytes | None) -> tuple[str, tuple[bytes, ...]]:
    if high is None:
        return f"{column} >= ?", (low,)
    return f"{column} >= ? AND {column} < ?", (low, high)
