"""Answers that are sent while they are made, so that the longest one takes no more memory than a short one."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from taskyard.errors import TaskyardError

log = structlog.get_logger()

PART_S = 30.0
"""Seconds a client may take for one part: so long it keeps the memory of it."""

WHOLE_S = 600.0
"""Seconds a whole list may take: ten minutes for the longest over the slowest line worth serving."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The body of an answer in parts that come to an end: JSON unless told. whole_s: None for as long as it takes."""

    parts: AsyncGenerator[bytes, None]
    media_type: str = "application/json; charset=utf-8"
    whole_s: float | None = WHOLE_S


class Streamed(Response):
    """A response of parts. Its headers leave with the first of them, so that an error before is still an answer.

    Whoever is too slow is cut off in the middle, as is everybody when a part cannot be made: without the last chunk
    no client takes the answer for a whole one.
    """

    def __init__(
        self,
        body: Parts,
        status: int,
        headers: dict[str, str],
        *,
        part_s: float = PART_S,
    ) -> None:
        super().__init__(None, status, headers, body.media_type)
        self._parts = body.parts
        self._whole_s = body.whole_s
        self._part_s = part_s
        del self.headers["Content-Length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the parts, closes what makes them."""
        request = Request(scope, receive)
        try:
            async with aclosing(self._parts) as parts, asyncio.timeout(self._whole_s):
                await self._send(parts, request, send)
        except TimeoutError:
            log.warning("response.cut", cause="the client read too slowly")
        except TaskyardError as error:
            log.warning("response.cut", cause=str(error))

    async def _send(self, parts: AsyncGenerator[bytes, None], request: Request, send: Send) -> None:
        begun = False
        async for part in parts:
            if not begun:
                await send(self._start())
                begun = True
            async with asyncio.timeout(self._part_s):
                await send({"type": "http.response.body", "body": part, "more_body": True})
            if await request.is_disconnected():
                return
        if not begun:  # of nothing the whole is nothing
            await send(self._start())
        await send({"type": "http.response.body", "body": b""})

    def _start(self) -> dict[str, object]:
        return {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }
