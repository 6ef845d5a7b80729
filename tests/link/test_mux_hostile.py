"""What a peer that breaks the rules of the link can do: lose the link, and nothing else."""

import asyncio
import contextlib
from collections.abc import Coroutine
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from taskyard_agent.mux import (
    MAX_CALLS,
    LinkError,
    Mux,
    ProtocolError,
)
from taskyard_agent.protocol import (
    MAX_DATA_BYTES,
    MAX_FRAME_BYTES,
    MAX_STREAMS,
    Call,
    Close,
    Credit,
    Data,
    Open,
    Opened,
    Reply,
)
from tests.link.pair import Number, double, echo, forever, linked, numbers, until
from tests.waiting import DEADLINE_S

encoded = msgspec.msgpack.encode


@pytest.fixture(params=[True, False], ids=["uvloop", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both loops: the server runs on uvloop, the agent on the standard one."""
    return ("asyncio", {"use_uvloop": request.param})


async def attempted(work: Coroutine[None, None, object]) -> None:
    with contextlib.suppress(LinkError):
        await work


NO_PARAMS = msgspec.msgpack.encode(Number(1))

BROKEN: dict[str, list[bytes]] = {
    "garbage": [b"\xc1garbage"],
    "empty": [b""],
    "deeply nested": [b"\x82\xa4type\xa4data\xa1x" + b"\x91" * 100_000],
    "not UTF-8": [b"\x82\xa4type\xa1\xff\xa2id\x01"],
    "unknown frame": [msgspec.msgpack.encode({"type": "shout", "id": 1})],
    "wrong type": [msgspec.msgpack.encode({"type": "data", "id": "1", "data": b""})],
    "too large": [bytes(MAX_FRAME_BYTES + 1)],
    "answer to no call": [encoded(Reply(7, b"", None))],
    "opens from the wrong side": [encoded(Open(1, 80))],
    "unknown stream": [encoded(Data(99, b"x"))],
    "credit for an unknown stream": [encoded(Credit(99, 1))],
    "close of an unknown stream": [encoded(Close(99, None))],
    "opened twice": [encoded(Opened(1)), encoded(Opened(1))],
    "data before opened": [encoded(Data(1, b"x"))],
    "data after its end": [encoded(f) for f in (Opened(1), Data(1, b""), Data(1, b"x"))],
    "data after close": [encoded(f) for f in (Opened(1), Close(1, None), Data(1, b"x"))],
    "closed twice": [encoded(f) for f in (Opened(1), Close(1, None), Close(1, None))],
    "too much at once": [encoded(Opened(1)), encoded(Data(1, bytes(MAX_DATA_BYTES + 1)))],
    "more than its window": [
        encoded(Opened(1)),
        *[encoded(Data(1, bytes(MAX_DATA_BYTES)))] * 4,
        encoded(Data(1, b"x")),
    ],
    "credit for nothing": [encoded(Opened(1)), encoded(Credit(1, 1))],
    "negative credit": [encoded(Opened(1)), encoded(Credit(1, -1))],
    "the same call twice": [encoded(Call(1, "number", NO_PARAMS))] * 2,
    "too many calls": [encoded(Call(n, "number", NO_PARAMS)) for n in range(MAX_CALLS + 1)],
}


@pytest.mark.anyio
@pytest.mark.parametrize("frames", BROKEN.values(), ids=BROKEN.keys())
async def test_a_peer_that_breaks_the_rules_loses_the_link(
    tmp_path: Path, frames: list[bytes]
) -> None:
    """Each broken rule is a ProtocolError at once, and ends what was under way."""
    async with linked(tmp_path, server=numbers(forever), bare=True) as pair:
        async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
            group.create_task(attempted(pair.server.open_stream(1)))
            await until(lambda: 1 in pair.server._streams)
            with contextlib.suppress(ConnectionClosed):
                for frame in frames:
                    await pair.socket.send(frame)
            await pair.socket.wait_closed()
        await until(lambda: bool(pair.peer.ended_by))
        assert isinstance(pair.peer.ended_by[0], ProtocolError)


small = st.integers(-2, 40)
frames = st.one_of(
    st.binary(max_size=60),
    st.builds(Call, small, st.sampled_from(["number", "x"]), st.binary(max_size=8)).map(encoded),
    st.builds(Reply, small, st.binary(max_size=8), st.none()).map(encoded),
    st.builds(Open, small, small).map(encoded),
    st.builds(Opened, small).map(encoded),
    st.builds(Data, small, st.binary(max_size=8)).map(encoded),
    st.builds(Credit, small, small).map(encoded),
    st.builds(Close, small, st.none() | st.text(max_size=8)).map(encoded),
)


@given(received=st.lists(frames, max_size=60), accepting=st.booleans())
@settings(max_examples=100, deadline=None)
def test_no_bytes_do_more_than_end_the_link(*, received: list[bytes], accepting: bool) -> None:
    """Whatever arrives, feed returns or raises ProtocolError, nothing hangs, and all tables stay bounded."""

    async def nowhere(_: bytes) -> None:
        await asyncio.sleep(0)

    async def play() -> None:
        async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
            mux = Mux(nowhere, group, numbers(double), accept=echo if accepting else None)
            for _ in range(3):
                group.create_task(attempted(mux.call("number", Number(1), Number)))
                group.create_task(attempted(mux.open_stream(1)))
            await asyncio.sleep(0)
            with contextlib.suppress(ProtocolError):
                for data in received:
                    await mux.feed(data)
            assert len(mux._streams) <= MAX_STREAMS
            assert len(mux._answering) <= MAX_CALLS
            mux.end("done")

    asyncio.run(play())
