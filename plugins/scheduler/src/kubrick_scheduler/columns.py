"""Growing numpy columns and dictionary encoding: what the node table is made of.

A column is a numpy array with room to grow; readers get a view of the rows in use. A dictionary gives
small, dense numbers to values (label values, sets of taints), so that a question about values is answered
once per distinct value and looked up for all rows in one step.
"""

from collections.abc import Hashable
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

V = TypeVar("V", bound=Hashable)
T = TypeVar("T", bound=np.generic)


def grown(array: NDArray[T], capacity: int) -> NDArray[T]:
    """The same array with room for `capacity` entries along its last axis; the new ones are zero."""
    shape = (*array.shape[:-1], capacity)
    bigger: NDArray[T] = np.zeros(shape, array.dtype)
    bigger[..., : array.shape[-1]] = array
    return bigger


class Dictionary(Generic[V]):
    """Values ↔ numbers, with reference counts. Number 0 is the value `empty` and always there. Numbers of
    values nobody holds any more are reused; `version` changes whenever a number gets another meaning."""

    def __init__(self, empty: V) -> None:
        self.values: list[V | None] = [empty]
        self.version = 0
        self._numbers: dict[V, int] = {empty: 0}
        self._counts = [1]
        self._free: list[int] = []

    def __len__(self) -> int:
        """One more than the largest number ever given out: the length of a lookup table by number."""
        return len(self.values)

    def number(self, value: V) -> int:
        """The number of a value, or -1 when no row has it."""
        return self._numbers.get(value, -1)

    def acquire(self, value: V) -> int:
        """The number of a value that one more row has."""
        number = self._numbers.get(value)
        if number is not None:
            self._counts[number] += 1
            return number
        self.version += 1
        if self._free:
            number = self._free.pop()
            self.values[number] = value
            self._counts[number] = 1
        else:
            number = len(self.values)
            self.values.append(value)
            self._counts.append(1)
        self._numbers[value] = number
        return number

    def release(self, number: int) -> None:
        """One row less has this value."""
        if number == 0:
            return
        self._counts[number] -= 1
        if not self._counts[number]:
            value = self.values[number]
            if value is not None:
                del self._numbers[value]
            self.values[number] = None
            self._free.append(number)


class EncodedColumn(Generic[V]):
    """A column of values, kept as numbers of a dictionary. Row 0 of the dictionary means: nothing."""

    def __init__(self, empty: V, capacity: int) -> None:
        self.dictionary: Dictionary[V] = Dictionary(empty)
        self.numbers: NDArray[np.int32] = np.zeros(capacity, np.int32)

    def grow(self, capacity: int) -> None:
        self.numbers = grown(self.numbers, capacity)

    def put(self, row: int, value: V) -> None:
        old = int(self.numbers[row])
        if self.dictionary.values[old] == value:
            return
        self.numbers[row] = self.dictionary.acquire(value)
        self.dictionary.release(old)

    def clear(self, row: int) -> None:
        self.dictionary.release(int(self.numbers[row]))
        self.numbers[row] = 0

    def at(self, row: int) -> Any:
        return self.dictionary.values[self.numbers[row]]
