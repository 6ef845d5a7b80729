"""Server-sent events that go on for as long as the client stays."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from taskyard.errors import TaskyardError
from taskyard.server.streamed import PART_S

log = structlog.get_logger()

UNBUFFERED: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""Headers that ask caches and proxies to pass each event on at once."""


@dataclass(frozen=True, slots=True)
class Events:
    """The body of an answer: whole events as text, the first part and those after it, which may go on for ever."""

    first: bytes
    parts: AsyncGenerator[bytes, None]


class EventStream(Response):
    """A response of events.

    Parts are pulled: the next one is asked for when the last one has left. It ends when the client hangs up, when it
    takes longer for a part than PART_S, or when there is an error, after which a client begins again where it was.
    """

    def __init__(self, events: Events, status: int, headers: dict[str, str]) -> None:
        super().__init__(None, status, {**UNBUFFERED, **headers}, "text/event-stream")
        self._events = events
        del self.headers["Content-Length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as ASGI has it
        """Sends the parts, closes what makes them."""
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(self._send(send))
            leaving = group.create_task(_left(receive))
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            sending.cancel()
            leaving.cancel()

    async def _send(self, send: Send) -> None:
        try:
            async with aclosing(self._events.parts) as parts:
                await send(self._start())
                await _send_part(send, self._events.first)
                async for part in parts:
                    await _send_part(send, part)
        except TimeoutError:
            log.warning("stream.cut", cause="the client read too slowly")
            return
        except TaskyardError as error:
            log.info("stream.cut", cause=str(error))
        await send({"type": "http.response.body", "body": b""})

    def _start(self) -> dict[str, object]:
        return {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }


async def _send_part(send: Send, part: bytes) -> None:
    """Returns once there is room for the next; raises TimeoutError."""
    async with asyncio.timeout(PART_S):
        await send({"type": "http.response.body", "body": part, "more_body": True})


async def _left(receive: Receive) -> None:
    """Returns once the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
