"""One HTTP request of a browser, answered by an app of a workspace over its agent's link; streaming both ways."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import h11
from starlette.types import Receive, Send

from taskyard.errors import AppFailed
from taskyard.server.apps_headers import Headers, answer_headers
from taskyard_agent.mux import LinkError, Stream, StreamClosed

HEAD_BYTES: Final = 64 * 1024
"""Most bytes of an answer's head, and of a chunk's."""

HEAD_S: Final = 120.0
"""Seconds until an answer begins, once the app has the request: a build that a page waits for takes one minute."""


STATUSES: Final = range(200, 600)
"""What an answer may begin with: no server sends anything else."""

BODILESS: Final = (204, 304)
"""Statuses of answers without a body, whatever length they tell."""


class PassOn:
    """Where the answer of an app goes: to the browser, with the headers that are meant for it."""

    def __init__(self, send: Send, port: int, *, extra: Headers, private: bool) -> None:
        self.begun = False
        self._send = send
        self._port = port
        self._extra = extra
        self._private = private

    async def begin(self, head: h11.Response) -> None:
        """The head is there. Raises AppFailed for one that cannot be passed on."""
        if head.status_code not in STATUSES:
            raise AppFailed(f"the app answered by {head.status_code}, which is no status of HTTP")
        self.begun = True
        headers = answer_headers(head.headers, self._port, private=self._private)
        if head.status_code in BODILESS:
            headers = [(name, value) for name, value in headers if name != b"content-length"]
        await self._send(
            {
                "type": "http.response.start",
                "status": head.status_code,
                "headers": [*headers, *self._extra],
            }
        )

    async def go_on(self, piece: bytes) -> None:
        """A piece of the body."""
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})

    async def end(self) -> None:
        """The body is whole."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


class Exchange:
    """A request on its way to an app, and the answer on its way back."""

    def __init__(self, stream: Stream, receive: Receive, pass_on: PassOn) -> None:
        self._conn = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
        self._stream = stream
        self._receive = receive
        self._pass_on = pass_on
        self._waiting: asyncio.Timeout | None = None

    async def run(self, request: h11.Request, *, has_body: bool) -> Exception | None:
        """What went wrong; None when the answer is whole, or the browser is gone.

        What went wrong is AppFailed, a LinkError, or an error of h11; the answer may have begun before.
        """
        failed: Exception | None = None
        try:
            async with asyncio.TaskGroup() as group:
                answering = group.create_task(self._answer())
                asking = group.create_task(self._ask(request, has_body=has_body))
                await asyncio.wait({asking, answering}, return_when=asyncio.FIRST_COMPLETED)
                asking.cancel()
                answering.cancel()
        except* (AppFailed, LinkError, h11.ProtocolError) as errors:
            failed = errors.exceptions[0]
        return failed

    async def _ask(self, request: h11.Request, *, has_body: bool) -> None:
        """Returns when the browser is gone. An app may answer, and hang up, before it has read everything."""
        try:
            await self._write(request)
            while (message := await self._receive())["type"] != "http.disconnect":
                if has_body and (body := message.get("body", b"")):
                    await self._write(h11.Data(data=body))
                if not message.get("more_body", False):
                    await self._write(h11.EndOfMessage())
                    break
        except StreamClosed:
            pass
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _write(self, event: h11.Request | h11.Data | h11.EndOfMessage) -> None:
        await self._stream.write(self._conn.send(event) or b"")
        if self._waiting is not None and not self._waiting.expired():
            self._waiting.reschedule(asyncio.get_running_loop().time() + HEAD_S)

    async def _answer(self) -> None:
        try:
            async with asyncio.timeout(HEAD_S) as waiting:
                self._waiting = waiting
                head = await self._head()
                self._waiting = None
        except TimeoutError as error:
            raise AppFailed(f"the app did not begin to answer within {HEAD_S:g} s") from error
        await self._pass_on.begin(head)
        async for piece in self._pieces():
            await self._pass_on.go_on(piece)
        await self._pass_on.end()

    async def _head(self) -> h11.Response:
        while True:
            event = self._conn.next_event()
            if event is h11.NEED_DATA:
                self._conn.receive_data(await self._stream.read())
            elif isinstance(event, h11.Response):
                return event
            elif isinstance(event, h11.ConnectionClosed):
                raise AppFailed("the app hung up without an answer")

    async def _pieces(self) -> AsyncIterator[bytes]:
        while True:
            event = self._conn.next_event()
            if event is h11.NEED_DATA:
                self._conn.receive_data(await self._stream.read())
            elif isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                return
