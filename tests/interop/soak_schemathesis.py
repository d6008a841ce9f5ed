"""``make soak``: forty requests of every operation in our OpenAPI, or as many as the argument says."""

import sys
import tempfile
from pathlib import Path

import trio
from schemathesis_session import GenerationMode, Session

from kubrick_testing import RealCluster

REQUESTS = 40


def work(session: Session, requests: int) -> None:
    for operation in session.operations():
        for mode in GenerationMode:
            session.try_out(operation, mode, max(requests // 2, 1), repeatable=False)


async def main(requests: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        cluster = RealCluster(Path(directory) / "data", ("--profile", "api"))
        await cluster.start()
        try:
            session = Session.of(cluster.kubeconfig)
            await trio.to_thread.run_sync(work, session, requests)
        finally:
            await cluster.stop()
    print(f"answers: {dict(sorted(session.codes.items()))}")  # noqa: T201 -- a report
    if session.faults:
        sys.exit("\n\n".join(session.faults))


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else REQUESTS)
