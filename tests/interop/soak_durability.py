"""``make soak``: twenty kills on one data directory."""

import tempfile
from pathlib import Path

import trio
from durability import one_round

ROUNDS = 20


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        for number in range(ROUNDS):
            count = await one_round(Path(directory) / "data", number)
            print(f"round {number + 1} of {ROUNDS}: {count} acknowledged writes, all there")  # noqa: T201 -- a report


if __name__ == "__main__":
    trio.run(main)
