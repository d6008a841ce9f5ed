"""What a controller has asked for and its informer has not shown yet.

Until every create and delete it asked for has been seen, the copy of the world it counts pods in is
stale, and acting on it would create or delete too much. Deletes are expected by name, since a pod's
deletion shows twice (the mark and the removal). After five minutes an expectation is given up: an
event was lost, and counting again is the only way out.
"""

from attrs import define, field

TIMEOUT = 300.0


@define
class Expected:
    since: float
    creates: int = 0
    deletes: set[str] = field(factory=set)


class Expectations:
    """Per key of the controller. Times are in seconds, from one monotonic clock."""

    def __init__(self) -> None:
        self._expected: dict[str, Expected] = {}

    def satisfied(self, key: str, now: float) -> bool:
        """Whether the controller may trust its informer on `key`."""
        expected = self._expected.get(key)
        if expected is None:
            return True
        return (expected.creates <= 0 and not expected.deletes) or now - expected.since > TIMEOUT

    def expect_creates(self, key: str, count: int, now: float) -> None:
        """Start over with `count` creates."""
        self._expected[key] = Expected(now, creates=count)

    def expect_deletes(self, key: str, pods: set[str], now: float) -> None:
        """Start over with the deletion of these pods."""
        self._expected[key] = Expected(now, deletes=set(pods))

    def created(self, key: str, count: int = 1) -> None:
        """`count` creates were seen, or will never be because they failed."""
        expected = self._expected.get(key)
        if expected is not None:
            expected.creates -= count

    def deleted(self, key: str, pod: str) -> None:
        """The deletion of `pod` was seen, or will never be because it failed."""
        expected = self._expected.get(key)
        if expected is not None:
            expected.deletes.discard(pod)

    def forget(self, key: str) -> None:
        """The object behind `key` is gone."""
        self._expected.pop(key, None)
