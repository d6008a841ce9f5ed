"""Sets of job indexes written as text: "1,3-5,7". Rules and wording of pkg/apis/batch/validation."""

import re


class IndexesError(ValueError):
    """A text that is no such set, and why."""


def count_indexes(text: str, completions: int) -> int:
    """How many indexes the text names, all below `completions`. Raises IndexesError."""
    total, last = 0, None
    for part in text.split(",") if text else ():
        first, end = interval(part, completions)
        if last is not None and last >= first:
            raise IndexesError(f"non-increasing order, previous: {last}, current: {first}")
        total += end - first + 1
        last = end
    return total


def interval(text: str, completions: int) -> tuple[int, int]:
    """ "3-5" or "3", both ends included. Raises IndexesError."""
    parts = text.split("-")
    if len(parts) > 2:
        raise IndexesError(
            f'the fragment "{text}" violates the requirement that an index interval can have at most two parts '
            "separated by '-'"
        )
    first = _index(parts[0], completions)
    if len(parts) == 1:
        return first, first
    end = _index(parts[1], completions)
    if first >= end:
        raise IndexesError(f"non-increasing order, previous: {first}, current: {end}")
    return first, end


def _index(text: str, completions: int) -> int:
    if not re.fullmatch("[+-]?[0-9]+", text):
        raise IndexesError(f'cannot convert string to integer for index: "{text}"')
    if int(text) >= completions:
        raise IndexesError(f'too large index: "{text}"')
    return int(text)


def overlap(completed: str, failed: str, completions: int) -> int | None:
    """The first index that is in both; parts that can't be read are another check's affair."""
    done, lost = (_readable(text, completions) for text in (completed, failed))
    i = j = 0
    while i < len(done) and j < len(lost):
        (low, high), (start, end) = done[i], lost[j]
        if low <= end and start <= high:
            return max(low, start)
        if low <= start:
            i += 1
        else:
            j += 1
    return None


def _readable(text: str, completions: int) -> list[tuple[int, int]]:
    found = []
    for part in text.split(",") if text else ():
        try:
            found.append(interval(part, completions))
        except IndexesError:
            continue
    return found
