"""Answers kept from one attempt to the next, redone only for the rows that changed.

Pods come in herds with the same requests, and between two of them the table changes in a row or two. A
plugin whose answer for a row depends on nothing but the row and a key (the pod's requests) keeps it here:
the cost of the next pod of the herd no longer grows with the number of nodes.
"""

from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

import numpy as np
from attrs import define
from numpy.typing import NDArray

from kubrick_scheduler.table import NodeTable

Rows = slice | NDArray[np.intp]
T = TypeVar("T", bound=np.generic)
KEPT = 32
WHOLE = slice(None)


@define(eq=False)
class _Entry:
    generation: int
    array: NDArray[Any]


class RowMemo(Generic[T]):
    """Answers by key, of at most `KEPT` keys. One table only (another one starts it over)."""

    def __init__(self) -> None:
        self._table: NodeTable | None = None
        self._entries: dict[Hashable, _Entry] = {}

    def get(self, nodes: NodeTable, key: Hashable, compute: Callable[[Rows], NDArray[T]]) -> NDArray[T]:
        """The answer for all rows. `compute` answers for some rows: index columns with what it is given.
        The array is kept and changed later: use it in this attempt only, and don't write to it."""
        if self._table is not nodes:
            self._table = nodes
            self._entries.clear()
        entry = self._entries.get(key)
        if entry is None:
            if len(self._entries) >= KEPT:
                del self._entries[next(iter(self._entries))]
            entry = self._entries[key] = _Entry(nodes.generation, compute(WHOLE))
            return entry.array
        if entry.generation == nodes.generation:
            return entry.array
        changed = nodes.changed_since(entry.generation)
        if changed is None or len(changed) > nodes.size // 4 or len(entry.array) != nodes.size:
            entry.array = compute(WHOLE)
        else:
            rows = np.array(changed, np.intp)
            entry.array[rows] = compute(rows)
        entry.generation = nodes.generation
        return entry.array
