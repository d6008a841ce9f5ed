"""A SQLite store on a disk of its own that fills up, run by test_store_full_disk.py in a mount namespace.

Takes the folder to mount the disk on. Writes until the store refuses, makes room, goes on, and says in JSON what came
of it.
"""

import json
import subprocess
import sys
from pathlib import Path

import trio

from kubrick_kernel.clock import SystemClock
from kubrick_kernel.store import Put, StoreError
from kubrick_store_sqlite.engine import SqliteStore

SIZE_MB, HOG_MB = 80, 30
VALUE = b"v" * 100_000


async def main(directory: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "none", str(directory)], check=True)
    hog = directory / "hog"
    hog.write_bytes(bytes(HOG_MB << 20))
    acknowledged: list[bytes] = []
    refusals: list[str] = []
    store = SqliteStore(directory / "store", SystemClock())

    async def write(number: int) -> None:
        try:
            await store.commit([Put(b"k%05d" % number, VALUE), Put(b"second%05d" % number, b"-")])
        except StoreError as error:
            refusals.append(str(error))
        else:
            acknowledged.append(b"k%05d" % number)

    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        number = 0
        while len(refusals) < 20:
            async with trio.open_nursery() as group:
                for _ in range(7):
                    group.start_soon(write, number)
                    number += 1
        full, refused = len(acknowledged), len(refusals)
        watch = await store.watch(b"", store.revision)
        hog.unlink()
        for _ in range(10):
            await write(number)
            number += 1
        seen = len(await watch.receive())
        nursery.cancel_scope.cancel()

    store = SqliteStore(directory / "store", SystemClock())
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        keys = [item.key for item in (await store.range(b"k")).items]
        pairs = (await store.range(b"second")).items
        nursery.cancel_scope.cancel()
    told = {
        "before": full,
        "refusal": refusals[0],
        "after": len(acknowledged) - full,
        "refused after": len(refusals) - refused,
        "seen": seen > 0,
        "kept": keys == sorted(acknowledged),
        "whole": len(pairs) == len(keys),
    }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    trio.run(main, Path(sys.argv[1]))
