"""A server that is about to stop: what is under way is finished, what would go on for ever is ended so that it comes back."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from taskyard.server.errors import problem

STOPPING: Final = "stopping"
"""The reason of an answer to what was never begun, or only reads: it can be sent again as it is."""

CUT_OFF: Final = "cut_off"
"""The reason of an answer to what was under way for too long: some of it may have been done."""

READING: Final = frozenset({"GET", "HEAD"})
"""Methods of requests that change nothing: half of one is none."""

COME_BACK_S: Final = 1
"""Seconds after which a client may try again: another server answers at once, this one within seconds."""

LAST_EVENT: Final = f"retry: {COME_BACK_S * 1000}\n\n".encode()
"""The last words of a stream of server-sent events: come back, with the id of the last event that you have."""


class _Request:
    """A request under way: how far its answer is, and the clock that can cut it short."""

    def __init__(self, cut: asyncio.Timeout) -> None:
        self.cut = cut
        self.begun = False
        self.is_events = False

    def note(self, message: Message) -> None:
        """The answer goes on."""
        if message["type"] == "http.response.start":
            self.begun = True
            kind = Headers(raw=message.get("headers", [])).get("content-type", "")
            self.is_events = kind.startswith("text/event-stream")


class Drain:
    """Every HTTP request of some listeners while it is served, until they drain."""

    def __init__(self) -> None:
        self._open: set[_Request] = set()
        self._until: float | None = None

    def begin(self, within_s: float) -> None:
        """From now on nothing new is begun; what is under way has so many seconds, and streams of events none."""
        now = asyncio.get_running_loop().time()
        self._until = now + within_s
        for request in self._open:
            self._limit(request, now)

    async def serve(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request by the application, as long as there is time; a WebSocket is let in, or not."""
        if scope["type"] != "http":
            if self._until is None:
                await app(scope, receive, send)
            else:
                await WebSocket(scope, receive, send).send_denial_response(stopping())
            return
        if self._until is not None:
            await stopping()(scope, receive, send)
            return
        cut = asyncio.timeout(None)
        request = _Request(cut)

        async def noted(message: Message) -> None:
            request.note(message)
            await send(message)
            if self._until is not None and request.is_events:
                self._limit(request, asyncio.get_running_loop().time())

        try:
            async with cut:
                with self._counted(request):
                    await app(scope, receive, noted)
        except TimeoutError:
            if not cut.expired():
                raise
            await _last_words(request, scope, receive, send)

    @contextlib.contextmanager
    def _counted(self, request: _Request) -> Iterator[None]:
        self._open.add(request)
        try:
            yield
        finally:
            self._open.discard(request)

    def _limit(self, request: _Request, now: float) -> None:
        """The request ends in time."""
        assert self._until is not None
        if not request.cut.expired():
            request.cut.reschedule(now if request.is_events else self._until)


async def _last_words(request: _Request, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers what was cut short, or lets its client know that this is not the end."""
    if not request.begun:
        answer = stopping() if scope["method"] in READING else cut_off()
        await answer(scope, receive, send)
    elif request.is_events:
        await send({"type": "http.response.body", "body": LAST_EVENT, "more_body": False})
    # Anything else is cut off: without its last piece no client takes it for whole.


def cut_off() -> Response:
    """The answer of a server that stops to what it has begun, and cannot finish."""
    response = problem(
        503,
        CUT_OFF,
        "This server stops, and was not done with the request in time.",
        "It may have been carried out all the same. Look at what came of it, before you send it again.",
    )
    response.headers["Connection"] = "close"
    return response


def stopping() -> Response:
    """The answer of a server that stops to what it does not begin any more."""
    response = problem(
        503, STOPPING, "This server is about to stop. Try again in a moment, or at another one."
    )
    response.headers["Retry-After"] = str(COME_BACK_S)
    response.headers["Connection"] = "close"
    return response
