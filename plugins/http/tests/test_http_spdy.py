"""SPDY/3.1: frames as properties, and streams over a connection."""

import zlib

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from kubrick_http.multiplexer import WAITING_BYTES, multiplexed
from kubrick_http.spdy import (
    DICTIONARY,
    MAX_CONTROL,
    Data,
    Frame,
    Framer,
    GoAway,
    Headers,
    Ping,
    ProtocolError,
    Reset,
    SynReply,
    SynStream,
)

texts = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=40)
names = st.text(st.characters(codec="ascii", categories=("Ll", "Nd")), min_size=1, max_size=20)
headers = st.dictionaries(names, texts, max_size=6)
numbers = st.integers(1, 2**31 - 1)
frames = st.one_of(
    st.builds(SynStream, numbers, headers, st.booleans(), st.booleans()),
    st.builds(SynReply, numbers, headers, st.booleans()),
    st.builds(Headers, numbers, headers, st.booleans()),
    st.builds(Data, numbers, st.binary(max_size=300), st.booleans()),
    st.builds(Reset, numbers, st.integers(0, 11)),
    st.builds(Ping, st.integers(0, 2**32 - 1)),
    st.builds(GoAway, numbers, st.integers(0, 2)),
)


def joined(found: list[Frame]) -> list[Frame]:
    """With the pieces of each data frame put together again."""
    whole: list[Frame] = []
    for frame in found:
        last = whole[-1] if whole else None
        if isinstance(frame, Data) and isinstance(last, Data) and last.stream == frame.stream and not last.fin:
            whole[-1] = Data(frame.stream, last.data + frame.data, frame.fin)
        else:
            whole.append(frame)
    return whole


def test_the_dictionary_is_the_specifications() -> None:
    assert zlib.adler32(DICTIONARY) == 0xE3C6A7C2


@given(st.lists(frames, max_size=8), st.lists(st.integers(1, 50), min_size=1, max_size=20))
def test_frames_survive_the_way_however_they_are_cut(sent: list[Frame], cuts: list[int]) -> None:
    writer, reader = Framer(), Framer()
    data = b"".join(writer.encode(frame) for frame in sent)
    found: list[Frame] = []
    turn = 0
    while data:
        size = cuts[turn % len(cuts)]
        turn += 1
        found += reader.feed(data[:size])
        data = data[size:]
    assert joined(found) == joined(sent)


@given(st.binary(max_size=200))
def test_no_bytes_are_more_than_a_protocol_error(data: bytes) -> None:
    try:
        Framer().feed(data)
    except ProtocolError:
        pass


def test_data_is_handed_on_before_its_frame_is_whole() -> None:
    reader = Framer()
    data = Framer().encode(Data(1, b"x" * 1000, fin=True))
    assert reader.feed(data[:508]) == [Data(1, b"x" * 500)]
    assert reader.feed(data[508:]) == [Data(1, b"x" * 500, fin=True)]


def test_a_control_frame_too_long_is_refused_by_its_head() -> None:
    with pytest.raises(ProtocolError, match="the limit is"):
        Framer().feed(bytes((0x80, 3, 0, 1, 0)) + (MAX_CONTROL + 1).to_bytes(3, "big"))


def test_headers_that_blow_up_are_refused() -> None:
    bomb = Framer().encode(SynStream(1, {"a": "x" * 10_000_000}))
    with pytest.raises(ProtocolError, match="headers of more than"):
        Framer().feed(bomb)


async def test_streams_carry_both_ways_and_end_on_their_own(autojump_clock: trio.testing.MockClock) -> None:
    near, far = trio.testing.memory_stream_pair()
    async with multiplexed(near, client=True) as client, multiplexed(far, client=False) as server:
        asked = await client.open({"streamtype": "data", "port": "80"})
        taken = await server.accept()
        assert taken is not None
        assert taken.headers == {"streamtype": "data", "port": "80"}
        await asked.send_all(b"question")
        await asked.send_eof()
        assert await taken.receive_some() == b"question"
        assert await taken.receive_some() == b""
        await taken.send_all(b"answer")
        await taken.send_eof()
        assert await asked.receive_some() == b"answer"
        assert await asked.receive_some() == b""


async def test_a_reset_ends_both_directions(autojump_clock: trio.testing.MockClock) -> None:
    near, far = trio.testing.memory_stream_pair()
    async with multiplexed(near, client=True) as client, multiplexed(far, client=False) as server:
        asked = await client.open({})
        taken = await server.accept()
        assert taken is not None
        await taken.aclose()
        with pytest.raises(trio.BrokenResourceError):
            await asked.receive_some()
        with pytest.raises(trio.BrokenResourceError):
            await asked.send_all(b"x")


async def test_what_nobody_reads_is_not_kept(autojump_clock: trio.testing.MockClock) -> None:
    near, far = trio.testing.lockstep_stream_pair()
    async with multiplexed(near, client=True) as client, multiplexed(far, client=False) as server:
        asked = await client.open({})
        taken = await server.accept()
        assert taken is not None
        sent = 0
        with trio.move_on_after(10):
            while True:
                await asked.send_all(b"x" * 10_000)
                sent += 10_000
        assert sent < WAITING_BYTES * 2
        received = 0
        while received < sent:
            received += len(await taken.receive_some())
            assert received <= sent + 10_000


async def test_a_broken_connection_is_told_to_every_stream(autojump_clock: trio.testing.MockClock) -> None:
    near, far = trio.testing.memory_stream_pair()
    async with multiplexed(near, client=True) as client:
        asked = await client.open({})
        await far.aclose()
        with pytest.raises(trio.BrokenResourceError):
            await asked.receive_some()
        assert await client.accept() is None


async def test_a_ping_is_answered(autojump_clock: trio.testing.MockClock) -> None:
    near, far = trio.testing.memory_stream_pair()
    async with multiplexed(far, client=False):
        framer = Framer()
        await near.send_all(framer.encode(Ping(7)))
        assert Framer().feed(bytes(await near.receive_some())) == [Ping(7)]


async def test_a_cancelled_sender_leaves_no_half_frame(autojump_clock: trio.testing.MockClock) -> None:
    near, far = trio.testing.lockstep_stream_pair()
    async with multiplexed(near, client=True) as client, multiplexed(far, client=False) as server:
        stuck, other = await client.open({}), await client.open({})
        first, second = await server.accept(), await server.accept()
        assert first is not None
        assert second is not None
        with trio.move_on_after(0.1):
            await stuck.send_all(b"y" * 10_000_000)
        await first.aclose()
        await other.send_all(b"fine")
        assert await second.receive_some() == b"fine"
