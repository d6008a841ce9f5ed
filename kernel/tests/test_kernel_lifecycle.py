"""Components start in order, come back after a crash, and drain in reverse."""

import itertools
from collections.abc import Awaitable, Callable

import pytest
import trio

from kubrick_kernel import ConfigurationError
from kubrick_kernel.lifecycle import Component, Supervisor, order

Diary = list[str]


class Part:
    """A component that writes down what happens to it, and does `act` once it is ready."""

    def __init__(
        self,
        name: str,
        diary: Diary,
        *requires: str,
        setup: float = 0,
        act: Callable[[], Awaitable[None]] = trio.sleep_forever,
    ) -> None:
        self.name = name
        self.requires = requires
        self._diary = diary
        self._setup = setup
        self._act = act

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        self._diary.append(f"{self.name} starts")
        await trio.sleep(self._setup)
        task_status.started()
        self._diary.append(f"{self.name} ready")
        try:
            await self._act()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.01)
            self._diary.append(f"{self.name} ends")


async def run_until_ready(supervisor: Supervisor, nursery: trio.Nursery) -> None:
    await nursery.start(supervisor.run)


async def test_a_component_starts_when_what_it_requires_is_ready(autojump_clock: trio.testing.MockClock) -> None:
    diary: Diary = []
    supervisor = Supervisor(
        [Part("roof", diary, "walls"), Part("walls", diary, "ground", setup=1), Part("ground", diary)]
    )
    async with trio.open_nursery() as nursery:
        await run_until_ready(supervisor, nursery)
        assert diary == ["ground starts", "ground ready", "walls starts", "walls ready", "roof starts", "roof ready"]
        assert supervisor.readiness() == {"ground": True, "walls": True, "roof": True}
        supervisor.stop()


async def test_components_that_do_not_depend_on_each_other_start_at_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    diary: Diary = []
    parts = [Part(name, diary, setup=1) for name in ("one", "two", "three")]
    supervisor = Supervisor(parts)
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        await run_until_ready(supervisor, nursery)
        assert trio.current_time() - began == pytest.approx(1)
        supervisor.stop()


@pytest.mark.parametrize("how", ["stopped", "cancelled from outside", "after a sibling's failure"])
async def test_it_drains_in_reverse_order_however_it_ends(autojump_clock: trio.testing.MockClock, how: str) -> None:
    diary: Diary = []
    supervisor = Supervisor([Part("ground", diary), Part("walls", diary, "ground"), Part("roof", diary, "walls")])
    try:
        async with trio.open_nursery() as nursery:
            await run_until_ready(supervisor, nursery)
            if how == "stopped":
                supervisor.stop()
            elif how == "cancelled from outside":
                nursery.cancel_scope.cancel()
            else:
                raise RuntimeError("a sibling failed")
    except* RuntimeError:
        assert how == "after a sibling's failure"
    assert [line for line in diary if line.endswith("ends")] == ["roof ends", "walls ends", "ground ends"]
    assert not any(supervisor.readiness().values())


async def test_a_crashed_component_is_restarted_with_a_backoff_that_doubles_up_to_thirty_seconds(
    autojump_clock: trio.testing.MockClock, capfd: pytest.CaptureFixture[str]
) -> None:
    starts: list[float] = []

    class Crasher:
        name = "crasher"
        requires = ()

        async def run(self, task_status: trio.TaskStatus[None]) -> None:
            starts.append(trio.current_time())
            raise RuntimeError("no luck")

    supervisor = Supervisor([Crasher()])
    with trio.move_on_after(120):
        await supervisor.run()
    waits = [round(later - earlier, 3) for earlier, later in itertools.pairwise(starts)]
    assert waits[:11] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30]
    logged = capfd.readouterr().err
    assert "crashed" in logged
    assert "component=crasher" in logged
    assert "no luck" in logged


async def test_the_backoff_starts_over_after_a_minute_of_running(
    autojump_clock: trio.testing.MockClock, capfd: pytest.CaptureFixture[str]
) -> None:
    lives = iter([0, 0, 0, 61, 0])
    starts: list[tuple[float, float]] = []

    class Mortal:
        name = "mortal"
        requires = ()

        async def run(self, task_status: trio.TaskStatus[None]) -> None:
            task_status.started()
            life = next(lives, None)
            if life is None:
                await trio.sleep_forever()
            starts.append((trio.current_time(), trio.current_time() + (life or 0)))
            await trio.sleep(life or 0)
            raise RuntimeError

    with trio.move_on_after(200):
        await Supervisor([Mortal()]).run()
    waits = [round(later[0] - earlier[1], 3) for earlier, later in itertools.pairwise(starts)]
    assert waits == [0.1, 0.2, 0.4, 0.1]


async def test_a_crash_takes_back_readiness_and_leaves_dependants_alone(
    autojump_clock: trio.testing.MockClock, capfd: pytest.CaptureFixture[str]
) -> None:
    diary: Diary = []
    changes: list[dict[str, bool]] = []

    async def crash() -> None:
        await trio.sleep(1)
        raise RuntimeError

    supervisor = Supervisor(
        [Part("ground", diary, act=crash), Part("walls", diary, "ground")],
        changed=lambda: changes.append(supervisor.readiness()),
    )
    async with trio.open_nursery() as nursery:
        await run_until_ready(supervisor, nursery)
        await trio.sleep(1.05)
        assert supervisor.readiness() == {"ground": False, "walls": True}
        await trio.sleep(0.2)
        assert supervisor.readiness() == {"ground": True, "walls": True}
        assert "walls ends" not in diary
        supervisor.stop()
    assert {"ground": False, "walls": True} in changes


@pytest.mark.parametrize("grouped", [False, True])
async def test_a_configuration_error_drains_everything_and_comes_out_alone(
    autojump_clock: trio.testing.MockClock, grouped: bool
) -> None:
    diary: Diary = []

    async def refuse() -> None:
        error = ConfigurationError("port 6443 is busy")
        raise ExceptionGroup("in a nursery", [error]) if grouped else error

    supervisor = Supervisor([Part("ground", diary), Part("door", diary, "ground", act=refuse)])
    with pytest.raises(ConfigurationError, match="port 6443 is busy"):
        await supervisor.run()
    assert diary[-2:] == ["door ends", "ground ends"]


async def test_stopping_while_starting_does_not_wait_for_readiness(autojump_clock: trio.testing.MockClock) -> None:
    diary: Diary = []
    supervisor = Supervisor([Part("slow", diary, setup=1000), Part("waiting", diary, "slow")])
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.run)
        await trio.sleep(1)
        supervisor.stop()
    assert trio.current_time() - began < 2
    assert diary == ["slow starts"]


async def test_a_component_that_returns_is_done_and_stays_ready(autojump_clock: trio.testing.MockClock) -> None:
    diary: Diary = []

    async def finish() -> None:
        await trio.sleep(1)

    supervisor = Supervisor([Part("once", diary, act=finish), Part("after", diary, "once")])
    async with trio.open_nursery() as nursery:
        await run_until_ready(supervisor, nursery)
        await trio.sleep(100)
        assert diary.count("once starts") == 1
        assert supervisor.readiness() == {"once": True, "after": True}
        supervisor.stop()


def test_a_circle_of_requirements_is_named() -> None:
    parts: list[Component] = [Part("a", [], "b"), Part("b", [], "c"), Part("c", [], "a")]
    with pytest.raises(ConfigurationError, match="require each other in a circle: a → b → c → a"):
        order(parts)


def test_a_missing_requirement_is_named_unless_it_may_be_missing() -> None:
    with pytest.raises(ConfigurationError, match="'a' requires 'b', which no enabled plugin registers; there are: a"):
        order([Part("a", [], "b")])
    order([Part("a", [], "b?")])


def test_an_optional_requirement_that_is_there_comes_first() -> None:
    assert [part.name for part in order([Part("a", [], "b?"), Part("b", [])])] == ["b", "a"]


def test_two_components_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="two plugins register a component called 'a'"):
        order([Part("a", []), Part("a", [])])
