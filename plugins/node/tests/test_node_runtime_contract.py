"""The scripted runtime is a container runtime."""

import pytest
import trio

from kubrick_kernel import TrioClock
from kubrick_node.testing.runtime import CHECKS, ScriptedRuntime, Subject

ENDS = "ends-with"


def make_pod(name, code=None):
    annotations = {} if code is None else {ENDS: str(code)}
    return {
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}", "annotations": annotations},
        "spec": {"containers": [{"name": "main", "image": "busybox"}]},
    }


class Ending(ScriptedRuntime):
    """Containers of pods that say so end a moment after their start."""

    def __init__(self, nursery):
        super().__init__(TrioClock())
        self.nursery = nursery

    async def start_container(self, spec):
        started = await super().start_container(spec)
        metadata = spec.pod["metadata"]
        if ENDS in metadata["annotations"]:
            self.nursery.start_soon(self.end_soon, metadata["uid"], int(metadata["annotations"][ENDS]))
        return started

    async def end_soon(self, uid, code):
        await trio.sleep(0.2)
        self.end(uid, "main", code)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_the_scripted_runtime_keeps_the_contract(check, autojump_clock):
    async with trio.open_nursery() as nursery:
        await check(Subject(Ending(nursery), make_pod, make_pod))
