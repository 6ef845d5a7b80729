"""Answers in parts: what happens when a part cannot be made, or nobody takes it."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from starlette.types import Receive, Scope, Send

from taskyard.server.streamed import Parts, Streamed
from tests.api.conftest import running
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

ENDLESS = b"x" * 2**20


class _Source:
    """Parts without end, or with a bad one, and whether whoever asked for them closed the source."""

    def __init__(self, *, breaks_at: int | None = None, whole_s: float | None = None) -> None:
        self.closed = asyncio.Event()
        self._whole_s = whole_s
        self._breaks_at = breaks_at

    async def parts(self) -> AsyncGenerator[bytes, None]:
        count = 0
        try:
            while True:
                if count == self._breaks_at:
                    raise RuntimeError("no more to be had")
                yield ENDLESS
                count += 1
        finally:
            self.closed.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = Parts(self.parts(), "text/plain", self._whole_s)
        await Streamed(body, 200, {}, part_s=0.1)(scope, receive, send)


@pytest.mark.parametrize(("breaks_at", "whole_s"), [(None, None), (3, None), (None, 0.2)])
async def test_an_unfinished_answer_has_no_end(
    breaks_at: int | None, whole_s: float | None
) -> None:
    """A reader who stops, a part that fails, and too long an answer end it without its last chunk, and close its source."""
    source = _Source(breaks_at=breaks_at, whole_s=whole_s)
    async with running(source) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(DEADLINE_S):
            if breaks_at is None and whole_s is None:
                await source.closed.wait()
            whole = await reader.read()
            await source.closed.wait()
        writer.close()
    assert whole.startswith(b"HTTP/1.1 200")
    assert not whole.endswith(b"0\r\n\r\n")


async def test_what_fails_before_the_first_part_has_no_head() -> None:
    """Nothing has been said yet when the first part cannot be made, so that an error is an answer of its own."""
    source = _Source(breaks_at=0)
    async with running(source) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        async with asyncio.timeout(DEADLINE_S):
            assert (await reader.read()).startswith(b"HTTP/1.1 500")
        writer.close()


async def test_an_answer_of_nothing_is_whole() -> None:
    """Where there are no parts, headers and an end are sent all the same."""

    async def nothing() -> AsyncGenerator[bytes, None]:
        parts: list[bytes] = []
        for part in parts:
            yield part

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Streamed(Parts(nothing(), "text/plain"), 200, {})(scope, receive, send)

    async with running(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        async with asyncio.timeout(DEADLINE_S):
            whole = await reader.read()
        writer.close()
    assert whole.startswith(b"HTTP/1.1 200")
    assert whole.endswith(b"0\r\n\r\n")
