"""Components: started in dependency order, restarted with backoff, drained in reverse.

A component is an object with a name, the names it requires, and `run`, which says when it is
ready, runs until cancelled, and cleans up. `Supervisor` runs a set of them: each has one task, which
waits for what the component requires, runs it, and runs it again when it crashes; and one reaper,
which cancels it at shutdown once everything that requires it has ended. Ordered drain holds however
the program ends: by `Supervisor.stop`, by a configuration error, or by cancellation from outside.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import trio

from kubrick_kernel.errors import ConfigurationError
from kubrick_kernel.log import get_logger

log = get_logger("lifecycle")

FIRST_BACKOFF = 0.1
LONGEST_BACKOFF = 30.0
STEADY_AFTER = 60.0


@runtime_checkable
class Component(Protocol):
    """One long-lived part of the program.

    `requires` names components that must be ready before this one starts; a name that is not part
    of the composition is an error unless it ends in "?" (wait for it if it is there). `run` calls
    `task_status.started()` once ready, and then runs until cancelled; one that returns is done, and
    stays ready if it was. On shutdown it is cancelled only after everything that requires it has
    ended. If it raises `kubrick_kernel.ConfigurationError` the whole program stops with that message;
    any other exception, before it was ready or after, restarts it, after a backoff that doubles from
    0.1 s to 30 s and starts over after 60 s of running.
    """

    @property
    def name(self) -> str: ...

    @property
    def requires(self) -> tuple[str, ...]: ...

    async def run(self, task_status: trio.TaskStatus[None]) -> None: ...


class _Member:
    """One component under supervision. It is the task status its component reports to."""

    def __init__(self, component: Component, changed: Callable[[], None]) -> None:
        self.component = component
        self.name = component.name
        self.requires: list[_Member] = []
        self.required_by: list[_Member] = []
        self.scope = trio.CancelScope()
        self.ready = trio.Event()
        self.ended = trio.Event()
        self.up = False
        self._changed = changed

    def started(self, _value: None = None) -> None:
        self.up = True
        self.ready.set()
        self._changed()

    def down(self) -> None:
        if self.up:
            self.up = False
            self._changed()


class Supervisor:
    """Runs components as their docstring promises. `changed` is called whenever readiness changes."""

    def __init__(self, components: Sequence[Component], changed: Callable[[], None] = lambda: None) -> None:
        self._stopping = trio.Event()
        self._failure: ConfigurationError | None = None
        self._members = {component.name: _Member(component, changed) for component in order(components)}
        for member in self._members.values():
            for name in member.component.requires:
                if required := self._members.get(name.removesuffix("?")):
                    member.requires.append(required)
                    required.required_by.append(member)

    def readiness(self) -> dict[str, bool]:
        """Whether each component is ready, in starting order."""
        return {name: member.up for name, member in self._members.items()}

    def stop(self) -> None:
        """Begin the drain; `run` returns when it is over. Idempotent."""
        self._stopping.set()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run everything until `stop` or cancellation; started when every component is ready.
        Raises the `ConfigurationError` of a component that had one, after the drain."""
        async with trio.open_nursery() as outer:
            outer.start_soon(self._stop_when_cancelled)
            with trio.CancelScope(shield=True):
                async with trio.open_nursery() as nursery:
                    for member in self._members.values():
                        nursery.start_soon(self._supervise, member, name=member.name)
                        nursery.start_soon(self._reap, member)
                    nursery.start_soon(self._announce, task_status)
            outer.cancel_scope.cancel()
        if self._failure:
            raise self._failure

    async def _stop_when_cancelled(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            self._stopping.set()

    async def _announce(self, task_status: trio.TaskStatus[None]) -> None:
        async def all_ready() -> None:
            for member in self._members.values():
                await member.ready.wait()
            task_status.started()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(all_ready)
            await self._stopping.wait()
            nursery.cancel_scope.cancel()

    async def _reap(self, member: _Member) -> None:
        """At shutdown, end `member` after all that require it."""
        await self._stopping.wait()
        for dependant in member.required_by:
            await dependant.ended.wait()
        member.scope.cancel()

    async def _supervise(self, member: _Member) -> None:
        """Run `member` when its requirements are ready, again and again until it is done or ended."""
        try:
            with member.scope:
                for required in member.requires:
                    await required.ready.wait()
                await self._run_until_done(member)
        except Exception as error:
            if not self._note_configuration_error(error):
                log.error("failed while stopping", component=member.name, exc_info=error)
        finally:
            member.ended.set()
            if member.scope.cancel_called:
                member.down()

    async def _run_until_done(self, member: _Member) -> None:
        backoff = FIRST_BACKOFF
        while True:
            began = trio.current_time()
            try:
                await member.component.run(task_status=member)
                if member.up:
                    return
                log.error("ended before it was ready", component=member.name, retry_in=backoff)
            except Exception as error:
                if self._stopping.is_set() or self._note_configuration_error(error):
                    raise
                if trio.current_time() - began >= STEADY_AFTER:
                    backoff = FIRST_BACKOFF
                log.error("crashed", component=member.name, retry_in=backoff, exc_info=error)
            member.down()
            await trio.sleep(backoff)
            backoff = min(backoff * 2, LONGEST_BACKOFF)

    def _note_configuration_error(self, error: Exception) -> bool:
        """Stop the program if `error` is (or groups) the user's to put right."""
        found = _configuration_error(error)
        if found and not self._failure:
            self._failure = found
            self._stopping.set()
        return found is not None


def order(components: Sequence[Component]) -> list[Component]:
    """`components` so that each comes after what it requires.

    Raises `ConfigurationError` for a name used twice, a requirement that is missing, or a cycle.
    """
    by_name: dict[str, Component] = {}
    for component in components:
        if component.name in by_name:
            raise ConfigurationError(f"two plugins register a component called {component.name!r}; disable one of them")
        by_name[component.name] = component
    ordered: dict[str, Component] = {}

    def visit(component: Component, path: tuple[str, ...]) -> None:
        if component.name in ordered:
            return
        if component.name in path:
            cycle = (*path[path.index(component.name) :], component.name)
            raise ConfigurationError(f"components require each other in a circle: {' → '.join(cycle)}")
        for name in component.requires:
            required = by_name.get(name.removesuffix("?"))
            if required:
                visit(required, (*path, component.name))
            elif not name.endswith("?"):
                raise ConfigurationError(
                    f"component {component.name!r} requires {name!r}, which no enabled plugin registers; "
                    f"there are: {', '.join(sorted(by_name))}"
                )
        ordered[component.name] = component

    for component in components:
        visit(component, ())
    return list(ordered.values())


def _configuration_error(error: BaseException) -> ConfigurationError | None:
    """`error` itself or, in an exception group, the first configuration error in it."""
    if isinstance(error, ConfigurationError):
        return error
    nested: Sequence[Any] = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return next((found for inner in nested if (found := _configuration_error(inner))), None)
