"""CRI's log format, and what is read of a log."""

import gzip
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from kubrick_node import LogOptions
from kubrick_runtime_cri.logs import Filter, last_text, parse, tail_start
from kubrick_runtime_cri.rotation import plan, rotate
from kubrick_runtime_cri.tail import read_log, termination_message

LOG = (
    b"2026-01-01T00:00:01.000000001Z stdout F one\n"
    b"2026-01-01T00:00:02.000000001Z stderr F two\n"
    b"2026-01-01T00:00:03.000000001Z stdout P thr\n"
    b"2026-01-01T00:00:03.000000002Z stdout F ee\n"
    b"2026-01-01T00:00:04.000000001Z stdout F \n"
    b"2026-01-01T00:00:05.000000001Z stdout F a b\n"
)


def read(options: LogOptions, data: bytes = LOG) -> bytes:
    chosen = Filter(options)
    return chosen.feed(data) + chosen.finish()


def test_lines_lose_what_the_runtime_put_before_them() -> None:
    assert read(LogOptions()) == b"one\ntwo\nthree\n\na b\n"


def test_timestamps_stand_before_lines_not_before_pieces() -> None:
    assert read(LogOptions(timestamps=True)).splitlines()[2] == b"2026-01-01T00:00:03.000000001Z three"


def test_one_stream_only() -> None:
    assert read(LogOptions(stream="Stderr")) == b"two\n"


def test_since_leaves_out_what_is_older() -> None:
    assert read(LogOptions(since=datetime(2026, 1, 1, 0, 0, 4, tzinfo=UTC))) == b"\na b\n"
    zone = b"2026-01-01T02:00:09.5+02:00 stdout F east\n"
    assert read(LogOptions(since=datetime(2026, 1, 1, 0, 0, 9, tzinfo=UTC)), zone) == b"east\n"


def test_the_byte_limit_cuts_where_it_is_reached() -> None:
    chosen = Filter(LogOptions(limit_bytes=6))
    assert chosen.feed(LOG) == b"one\ntw"
    assert chosen.done


def test_what_is_no_log_line_is_passed_over() -> None:
    assert read(LogOptions(), b"garbage\nmore garbage here now\n" + LOG[:44]) == b"one\n"
    assert parse(b"x stdin F y\n") is None


@given(st.lists(st.integers(0, len(LOG)), max_size=5), st.booleans())
def test_it_does_not_matter_how_a_log_is_cut_into_pieces(cuts: list[int], timestamps: bool) -> None:
    options = LogOptions(timestamps=timestamps)
    chosen, out, edges = Filter(options), b"", sorted([0, *cuts, len(LOG)])
    for begin, end in pairwise(edges):
        out += chosen.feed(LOG[begin:end])
    assert out + chosen.finish() == read(options)


def test_carriage_returns_belong_to_the_line() -> None:
    assert read(LogOptions(), b"2026-01-01T00:00:01Z stdout F a\rb\r\n") == b"a\rb\r\n"


@given(
    st.lists(st.binary(max_size=30_000).map(lambda b: b.replace(b"\n", b"")), max_size=12),
    st.integers(0, 14),
    st.booleans(),
)
def test_the_tail_begins_that_many_lines_before_the_end(lines: list[bytes], wanted: int, closed: bool) -> None:
    data = b"\n".join(lines) + (b"\n" if closed and lines else b"")
    start = tail_start(len(data), lambda offset, length: data[offset : offset + length], wanted)
    pieces = data.split(b"\n")
    if pieces[-1] == b"":
        pieces.pop()
    kept = pieces[-wanted:] if wanted else []
    assert data[start:].removesuffix(b"\n").split(b"\n") == kept or (not kept and data[start:] in (b"", b"\n"))


def test_the_end_of_a_log_speaks_for_a_container_without_a_message(tmp_path: Path) -> None:
    log, message = tmp_path / "0.log", tmp_path / "message"
    log.write_bytes(LOG)
    assert termination_message(str(message), str(log), True) == "one\ntwo\nthree\n\na b\n"
    assert termination_message(str(message), str(log), False) == ""
    message.write_text("x" * 5000 + "end")
    assert termination_message(str(message), str(log), True) == "x" * 4093 + "end"
    assert len(last_text(LOG * 200)) <= 2048


async def collect(path: Path, options: LogOptions, out: list[bytes], running: bool = False) -> None:
    async def write(text: bytes) -> None:
        out.append(text)

    async def still() -> bool:
        return running

    await read_log(str(path), options, write, still)


async def test_a_tail_is_read_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(LOG)
    out: list[bytes] = []
    await collect(path, LogOptions(tail_lines=2), out)
    assert b"".join(out) == b"\na b\n"


async def test_a_missing_log_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await collect(tmp_path / "none", LogOptions(), [])


async def test_following_goes_on_through_a_rotation(tmp_path: Path, autojump_clock: trio.abc.Clock) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(LOG)
    out: list[bytes] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(collect, path, LogOptions(follow=True, tail_lines=1), out, True)
        await trio.sleep(0.3)
        with path.open("ab") as file:
            file.write(b"2026-01-01T00:00:06Z stdout F six\n")
        path.rename(tmp_path / "0.log.1")
        await trio.sleep(0.3)
        path.write_bytes(b"2026-01-01T00:00:07Z stdout F seven\n")
        await trio.sleep(0.3)
        nursery.cancel_scope.cancel()
    assert b"".join(out) == b"a b\nsix\nseven\n"


async def test_following_ends_with_the_container(tmp_path: Path, autojump_clock: trio.abc.Clock) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(LOG)
    out: list[bytes] = []
    with trio.fail_after(5):
        await collect(path, LogOptions(follow=True), out)
    assert b"".join(out).endswith(b"a b\n")


def test_old_logs_are_compressed_and_the_oldest_removed() -> None:
    there = ["0.log", "0.log.20260101-000001.gz", "0.log.20260101-000002.gz", "0.log.20260101-000003.gz", "1.log"]
    there += ["0.log.20260101-000004", "0.log.20260101-000005.tmp"]
    wanted = plan("0.log", there, files=5)
    assert wanted.remove == ("0.log.20260101-000005.tmp", "0.log.20260101-000001.gz")
    assert wanted.compress == ("0.log.20260101-000004",)


def test_a_log_compressed_but_not_removed_is_removed() -> None:
    assert plan("0.log", ["0.log", "0.log.1", "0.log.1.gz"]).remove == ("0.log.1",)


def test_never_more_files_than_allowed(tmp_path: Path) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    path = tmp_path / "0.log"
    for second in range(8):
        path.write_bytes(b"%d" % second)
        rotate(path, now + timedelta(seconds=second), files=3)
    path.touch()
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "0.log",
        "0.log.20260101-000006.gz",
        "0.log.20260101-000007",
    ]
    assert gzip.decompress((tmp_path / "0.log.20260101-000006.gz").read_bytes()) == b"6"
