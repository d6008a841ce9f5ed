"""``make soak``: twenty kills on one data directory (or as many as the argument says)."""

import sys
import tempfile
from pathlib import Path

import trio
from durability import one_round

ROUNDS = 20


async def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        for number in range(rounds):
            count = await one_round(Path(directory) / "data", number)
            print(f"round {number + 1} of {rounds}: {count} acknowledged writes, all there")  # noqa: T201 -- a report


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
