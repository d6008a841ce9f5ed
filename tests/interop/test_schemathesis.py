"""schemathesis makes requests of every third operation in our OpenAPI; ``make soak`` does of all, and more."""

import sys
from pathlib import Path

import pytest
import trio

from kubrick_testing import RealCluster

sys.path.insert(0, str(Path(__file__).parent))
from schemathesis_session import GenerationMode, Session

STEP, EXAMPLES = 3, 2


@pytest.mark.kubrick(arguments=("--profile", "api"))
async def test_what_schemathesis_thinks_up_is_no_servers_fault(real_cluster: RealCluster) -> None:
    session = Session.of(real_cluster.kubeconfig)

    def work() -> None:
        operations = list(session.operations())
        assert len(operations) > 500
        for operation in operations[::STEP]:
            for mode in GenerationMode:
                session.try_out(operation, mode, EXAMPLES)

    await trio.to_thread.run_sync(work)
    assert not session.faults, "\n\n".join(session.faults)
    assert {200, 400, 404, 422} <= session.codes.keys()
