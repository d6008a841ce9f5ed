"""A node agent with nothing but its network, run by test_cni.py inside a namespace of its own.

Takes a data directory and the settings of the plugin `network` as JSON. Says "ready", then what `teardown` found
for each line it reads, and ends with its standard input.
"""

import json
import sys
from pathlib import Path
from typing import Any

import trio

from kubrick_network.service import Network
from kubrick_network.testing import network_alone

BRICKS = ("cni-bridge", "cni-host-local", "cni-loopback", "cni-portmap")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def main(data_dir: Path, settings: dict[str, Any]) -> None:
    kernel = network_alone(*BRICKS, data_dir=data_dir, settings=settings)
    async with trio.open_nursery() as nursery:
        await nursery.start(kernel.run)
        say("ready")
        while await trio.to_thread.run_sync(sys.stdin.readline):
            await kernel.find(Network).teardown()
            say("torn down")
        kernel.shutdown()


if __name__ == "__main__":
    trio.run(main, Path(sys.argv[1]), json.loads(sys.argv[2]))
