"""Calls and streams between two Muxes over real WebSockets."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from pathlib import Path

import msgspec
import pytest

from taskyard_agent.mux import (
    MAX_CALLS,
    CallFailed,
    Handlers,
    LinkLost,
    Mux,
    Stream,
    StreamClosed,
    StreamRefused,
)
from taskyard_agent.protocol import (
    MAX_FRAME_BYTES,
    MAX_STREAMS,
    STREAM_WINDOW_BYTES,
)
from tests.link.pair import Number, double, echo, forever, linked, numbers, until
from tests.waiting import DEADLINE_S


class Blob(msgspec.Struct, frozen=True):
    data: bytes


@pytest.fixture(params=[True, False], ids=["uvloop", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both loops: the server runs on uvloop, the agent on the standard one."""
    return ("asyncio", {"use_uvloop": request.param})


async def deaf(stream: Stream) -> None:
    """Accepts and never reads."""
    await stream.accept()
    await asyncio.Event().wait()


async def transfer(
    mux: Mux, port: int, size: int, moved: Callable[[], None] = lambda: None
) -> None:
    """Send that many bytes there and back and compare them; moved is called whenever some came."""
    sent = (port.to_bytes(4, "big") * (size // 4 + 1))[:size]
    received = bytearray()

    async def write(stream: Stream) -> None:
        await stream.write(sent)
        await stream.write_eof()

    opened = await mux.open_stream(port, timeout_s=10 * DEADLINE_S)
    async with opened as stream, asyncio.TaskGroup() as group:
        group.create_task(write(stream))
        while data := await stream.read():
            received += data
            moved()
    assert received == sent


@pytest.mark.anyio
@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
async def test_calls_go_both_ways(tmp_path: Path, *, tcp: bool) -> None:
    """Each side may ask the other, over a Unix socket and over TCP."""
    async with linked(tmp_path, server=numbers(double), agent=numbers(double), tcp=tcp) as pair:
        assert await pair.server.call("number", Number(1), Number) == Number(2)
        assert await pair.agent.call("number", Number(2), Number) == Number(4)


@pytest.mark.anyio
async def test_a_failed_call_says_why_and_harms_nothing(tmp_path: Path) -> None:
    """Refusal, unknown method, unreadable parameters, unreadable answer: each has its code."""

    async def refuse(_: Number) -> Number:
        raise CallFailed("too_late", "the shop is shut")

    async with linked(tmp_path, agent=numbers(refuse)) as pair:
        with pytest.raises(CallFailed, match="the shop is shut") as caught:
            await pair.server.call("number", Number(1), Number)
        assert caught.value.code == "too_late"
        with pytest.raises(CallFailed) as caught:
            await pair.server.call("nonsense", Number(1), Number)
        assert caught.value.code == "unknown_method"
        with pytest.raises(CallFailed) as caught:
            await pair.server.call("number", Blob(b""), Number)
        assert caught.value.code == "bad_params"
    async with linked(tmp_path, agent=numbers(double)) as pair:
        with pytest.raises(CallFailed) as caught:
            await pair.server.call("number", Number(1), Blob)
        assert caught.value.code == "bad_result"
        assert await pair.server.call("number", Number(1), Number) == Number(2)


@pytest.mark.anyio
async def test_what_is_too_large_fails_alone(tmp_path: Path) -> None:
    """A question or answer over the frame limit fails its call; the link goes on."""

    async def inflate(question: Number) -> Blob:
        return Blob(bytes(question.n))

    handlers = Handlers()
    handlers.add("inflate", Number, inflate)
    async with linked(tmp_path, agent=handlers) as pair:
        for attempt in (
            pair.server.call("inflate", Number(MAX_FRAME_BYTES), Blob),
            pair.server.call("inflate", Blob(bytes(MAX_FRAME_BYTES)), Blob),
        ):
            with pytest.raises(CallFailed) as caught:
                await attempt
            assert caught.value.code == "too_large"
        size = MAX_FRAME_BYTES - 1000
        assert len((await pair.server.call("inflate", Number(size), Blob)).data) == size


@pytest.mark.anyio
async def test_ordered_calls_run_one_at_a_time_as_they_came(tmp_path: Path) -> None:
    """An ordered method is never run twice at once, and in the order of arrival; others overtake it."""
    seen: list[int] = []
    gate = asyncio.Event()

    async def slow(question: Number) -> Number:
        seen.append(question.n)
        await gate.wait()
        await asyncio.sleep(0)
        seen.append(-question.n)
        return question

    handlers = numbers(slow, ordered=True)
    handlers.add("double", Number, double)
    async with linked(tmp_path, agent=handlers) as pair, asyncio.TaskGroup() as group:
        for n in range(1, MAX_CALLS - 1):
            group.create_task(pair.server.call("number", Number(n), Number))
        assert await pair.server.call("double", Number(7), Number) == Number(14)
        assert seen == [1]
        gate.set()
    assert seen == [sign * n for n in range(1, MAX_CALLS - 1) for sign in (1, -1)]


@pytest.mark.anyio
async def test_unordered_calls_run_at_once_up_to_the_limit(tmp_path: Path) -> None:
    """MAX_CALLS run at the same time; the next one waits on the caller's side for a free place."""
    running: list[int] = []
    gate = asyncio.Event()

    async def hold(question: Number) -> Number:
        running.append(question.n)
        await gate.wait()
        return question

    async with linked(tmp_path, agent=numbers(hold)) as pair, asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(pair.server.call("number", Number(n), Number))
            for n in range(MAX_CALLS * 3)
        ]
        await until(lambda: len(running) == MAX_CALLS)
        with pytest.raises(CallFailed) as caught:
            await pair.server.call("number", Number(0), Number, timeout_s=0.02)
        assert caught.value.code == "timeout"
        assert len(running) == MAX_CALLS
        gate.set()
    assert [task.result().n for task in tasks] == list(range(MAX_CALLS * 3))


@pytest.mark.anyio
async def test_a_late_answer_is_dropped_and_its_place_freed(tmp_path: Path) -> None:
    """A call that timed out keeps its place until the answer comes, then everything works as before."""
    gate = asyncio.Event()

    async def hold(question: Number) -> Number:
        await gate.wait()
        return question

    async with linked(tmp_path, agent=numbers(hold)) as pair:
        async with asyncio.TaskGroup() as group:
            for n in range(MAX_CALLS * 2):
                group.create_task(fails_with(pair.server, n, "timeout"))
        gate.set()
        async with asyncio.TaskGroup() as group:
            for n in range(MAX_CALLS * 2):
                group.create_task(pair.server.call("number", Number(n), Number))


async def fails_with(mux: Mux, n: int, code: str) -> None:
    with pytest.raises(CallFailed) as caught:
        await mux.call("number", Number(n), Number, timeout_s=0.03)
    assert caught.value.code == code


@pytest.mark.anyio
@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
async def test_a_hundred_streams_carry_a_mebibyte_each_way(tmp_path: Path, *, tcp: bool) -> None:
    """100 streams at once, 1 MiB there and back each, every byte where it belongs.

    200 MiB take a busy machine longer than a wait may: it hangs when nothing moves, not when it is slow.
    """
    async with (
        linked(tmp_path, accept=echo, tcp=tcp) as pair,
        asyncio.timeout(DEADLINE_S) as patience,
        asyncio.TaskGroup() as group,
    ):

        def moved() -> None:
            patience.reschedule(asyncio.get_running_loop().time() + DEADLINE_S)

        for port in range(1, 101):
            group.create_task(transfer(pair.server, port, 1024 * 1024, moved))


@pytest.mark.anyio
async def test_a_stuck_reader_holds_up_nobody(tmp_path: Path) -> None:
    """Against 50 readers that never read, a writer stops after its window; streams and calls go on."""
    sent = [0] * 50

    async def by_port(stream: Stream) -> None:
        await (deaf(stream) if stream.port < 1000 else echo(stream))

    async def flood(mux: Mux, index: int) -> None:
        stream = await mux.open_stream(index + 1)
        while True:
            await stream.write(bytes(1024))
            sent[index] += 1024

    async with (
        linked(tmp_path, agent=numbers(double), accept=by_port) as pair,
        asyncio.TaskGroup() as group,
    ):
        floods = [group.create_task(flood(pair.server, index)) for index in range(50)]
        await until(lambda: sent == [STREAM_WINDOW_BYTES] * 50)
        await transfer(pair.server, 1000, 2 * 1024 * 1024)
        assert await pair.server.call("number", Number(1), Number) == Number(2)
        assert sent == [STREAM_WINDOW_BYTES] * 50
        kept = [len(stream._buffer) for stream in pair.agent._streams.values()]
        assert sum(kept) == 50 * STREAM_WINDOW_BYTES
        for task in floods:
            task.cancel()


@pytest.mark.anyio
async def test_each_direction_ends_on_its_own(tmp_path: Path) -> None:
    """After one side said that it sends no more, the other still may; what was sent before Close is read."""

    async def answer_after_end(stream: Stream) -> None:
        await stream.accept()
        received = bytearray()
        while data := await stream.read():
            received += data
        await stream.write(bytes(received).upper())

    async with linked(tmp_path, accept=answer_after_end) as pair:
        stream = await pair.server.open_stream(1)
        await stream.write(b"hello ")
        await stream.write(b"there")
        await stream.write_eof()
        answer = b""
        while data := await stream.read():
            answer += data
        assert answer == b"HELLO THERE"
        with pytest.raises(StreamClosed):
            await stream.write(b"more")
        await stream.close()
        await stream.close()


@pytest.mark.anyio
async def test_a_refused_stream_says_why(tmp_path: Path) -> None:
    """The other side's reason, its silence, and a full link are each a StreamRefused; places come back."""

    async def judge(stream: Stream) -> None:
        if stream.port == 1:
            await stream.close("nobody listens there")
        elif stream.port == 2:
            await asyncio.Event().wait()
        else:
            await echo(stream)

    async with linked(tmp_path, accept=judge) as pair:
        for _ in range(MAX_STREAMS + 10):
            with pytest.raises(StreamRefused, match="nobody listens there"):
                await pair.server.open_stream(1)
        with pytest.raises(StreamRefused, match="not connected in"):
            await pair.server.open_stream(2, timeout_s=0.02)
        streams = [await pair.server.open_stream(3) for _ in range(MAX_STREAMS - 1)]
        with pytest.raises(StreamRefused, match="close one first"):
            await pair.server.open_stream(3)
        for stream in streams:
            await stream.close()
        await until(lambda: not pair.server._streams or len(pair.server._streams) == 1)
        await transfer(pair.server, 3, 1000)


@pytest.mark.anyio
async def test_closing_midway_is_felt_on_the_other_side(tmp_path: Path) -> None:
    """Close with an error ends a blocked write and, after the bytes before it, a read."""
    seen: list[str] = []

    async def write_for_ever(stream: Stream) -> None:
        await stream.accept()
        try:
            while True:
                await stream.write(bytes(1000))
        except StreamClosed as error:
            seen.append(str(error))
            raise

    async with linked(tmp_path, accept=write_for_ever) as pair:
        stream = await pair.server.open_stream(1)
        await stream.read()
        await stream.close("enough")
        await until(lambda: seen == ["enough"])
        with pytest.raises(StreamClosed):
            await stream.read()
        await until(lambda: not pair.server._streams and not pair.agent._streams)


@pytest.mark.anyio
async def test_a_lost_link_fails_everything_at_once(tmp_path: Path) -> None:
    """Calls under way and waiting, reads, writes and openings all raise LinkLost when the link ends."""
    lost: list[str] = []

    async def note(name: str, work: Coroutine[None, None, object]) -> None:
        try:
            await work
        except LinkLost:
            lost.append(name)

    async def by_port(stream: Stream) -> None:
        if stream.port == 2:
            await asyncio.Event().wait()
        await deaf(stream)

    async with linked(tmp_path, agent=numbers(forever), accept=by_port) as pair:
        readers = await pair.server.open_stream(1)
        writers = await pair.server.open_stream(1)
        async with asyncio.TaskGroup() as group:
            for n in range(MAX_CALLS + 5):
                call = pair.server.call("number", Number(n), Number)
                group.create_task(note("call", call))
            group.create_task(note("read", readers.read()))
            group.create_task(note("write", writers.write(bytes(2 * STREAM_WINDOW_BYTES))))
            group.create_task(note("open", pair.server.open_stream(2)))
            await until(lambda: len(pair.server._streams) == 3 and len(pair.agent._answering) == 32)
            pair.socket.transport.abort()
        assert sorted(lost) == ["call"] * (MAX_CALLS + 5) + ["open", "read", "write"]
        with pytest.raises(LinkLost):
            await pair.server.call("number", Number(1), Number)
        with pytest.raises(LinkLost):
            await pair.server.open_stream(1)


@pytest.mark.anyio
async def test_a_cancelled_reader_and_caller_lose_nothing(tmp_path: Path) -> None:
    """A read that is cancelled while it waits leaves the bytes for the next one; a call frees its place."""
    async with linked(tmp_path, agent=numbers(double), accept=echo) as pair:
        stream = await pair.server.open_stream(1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await stream.read()
        await stream.write(b"still here")
        assert await stream.read() == b"still here"
        await stream.close()
        for n in range(MAX_CALLS * 2):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0):
                    await pair.server.call("number", Number(n), Number)
        assert await pair.server.call("number", Number(1), Number) == Number(2)
