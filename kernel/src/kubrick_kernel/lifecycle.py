"""Components: started in dependency order, restarted with backoff, drained in reverse.

A component is an object with a name, the names it requires, and `run`, which says when it is
ready, runs until cancelled, and cleans up.
"""

from typing import Protocol, runtime_checkable

import trio


@runtime_checkable
class Component(Protocol):
    """One long-lived part of the program.

    `requires` names components that must be ready before this one starts; a name that is not part
    of the composition is an error unless it ends in "?" (wait for it if it is there). `run` calls
    `task_status.started()` once ready, and then runs until cancelled. On shutdown it is cancelled
    only after everything that requires it has ended. If it raises `kubrick_kernel.ConfigurationError`
    the whole program stops with that message; any other exception restarts it, after a backoff that
    doubles from 0.1 s to 30 s and starts over after 60 s of running.
    """

    name: str
    requires: tuple[str, ...]

    async def run(self, task_status: trio.TaskStatus[None]) -> None: ...
