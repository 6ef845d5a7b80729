"""Calls and byte streams over one message transport; the same class on both sides of the link.

The owner brings a task group, a way to send one message, and feeds what arrives:

    handlers = Handlers()
    handlers.add("items", Items, store_items, ordered=True)  # async def store_items(p: Items) -> ItemsStored

    async def send(frame: bytes) -> None:  # the server's side, over Starlette's WebSocket
        try:
            await websocket.send_bytes(frame)
        except WebSocketDisconnect as error:
            raise LinkLost("the agent is gone") from error

    try:
        async with asyncio.TaskGroup() as group:
            mux = Mux(send, group, handlers)
            try:
                async for frame in websocket.iter_bytes():
                    await mux.feed(frame)  # ProtocolError: close the socket
            finally:
                mux.end("the agent hung up")  # also cancels what the mux started in the group
    except* LinkError:
        ...

and anybody who holds `mux`, in any task of the same loop:

    stored = await mux.call("echo", Items([...]), ItemsStored)
    async with await mux.open_stream(3284) as stream:
        await stream.write(request)
        answer = await stream.read()

Whatever the other side sends, memory stays bounded: MAX_CALLS frames of MAX_FRAME_BYTES, and
MAX_STREAMS windows of STREAM_WINDOW_BYTES.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import TypeVar, assert_never

import msgspec

from taskyard_agent.protocol import (
    MAX_FRAME_BYTES,
    MAX_STREAMS,
    Call,
    CallError,
    Close,
    Credit,
    Data,
    Frame,
    Open,
    Opened,
    Reply,
)
from taskyard_agent.stream import (
    MAX_ERROR_CHARS,
    LinkError,
    LinkLost,
    Outbox,
    ProtocolError,
    Send,
    Stream,
    StreamClosed,
    StreamError,
    StreamRefused,
)

__all__ = [
    "CallFailed",
    "Handlers",
    "LinkError",
    "LinkLost",
    "Mux",
    "ProtocolError",
    "Send",
    "Stream",
    "StreamClosed",
    "StreamError",
    "StreamRefused",
]

MAX_CALLS = 32
"""Calls under way at once per side; the next waits here, and one more from the other side ends the link."""

CALL_TIMEOUT_S = 30.0
"""Seconds until a call without an answer fails, unless the caller says otherwise: as long as a job's lease."""

OPEN_TIMEOUT_S = 10.0
"""Seconds until a stream must be connected; the port is on a loopback, so more means a stuck workspace."""

FRAMES_PER_TURN = 64
"""Frames handled before other tasks of the loop get a turn, so that a flood of tiny ones starves nobody."""

BAD_PARAMS = "bad_params"
BAD_RESULT = "bad_result"
TIMEOUT = "timeout"
TOO_LARGE = "too_large"
UNKNOWN_METHOD = "unknown_method"

_ENCODER = msgspec.msgpack.Encoder()
_FRAMES: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Frame)
_NOT_DECODABLE = (msgspec.DecodeError, RecursionError, ValueError, MemoryError)

Params = TypeVar("Params", bound=msgspec.Struct)
Result = TypeVar("Result", bound=msgspec.Struct)


class CallFailed(LinkError):
    """A call was answered by an error, or not in time; code is a stable word, str() a sentence.

    A handler raises it to answer its caller with just that.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class _Method:
    answer: Callable[[bytes], Awaitable[bytes]]
    ordered: bool


class Handlers:
    """Who answers which method; one registry may serve many links, one after the other or at once."""

    def __init__(self) -> None:
        self._methods: dict[str, _Method] = {}

    def add(
        self,
        method: str,
        params_type: type[Params],
        handler: Callable[[Params], Awaitable[msgspec.Struct]],
        *,
        ordered: bool = False,
    ) -> None:
        """Answer calls of `method` by this handler; ordered: one at a time on a link, as they arrive.

        The handler raises CallFailed to refuse. Any other exception of it ends the link's task group,
        and it is cancelled when the link ends: a handler that must finish shields itself.
        """
        decoder = msgspec.msgpack.Decoder(params_type)

        async def answer(params: bytes) -> bytes:
            try:
                decoded = decoder.decode(params)
            except _NOT_DECODABLE as error:
                raise CallFailed(
                    BAD_PARAMS, f"cannot read what `{method}` was given: {error}"
                ) from error
            return _ENCODER.encode(await handler(decoded))

        self._methods[method] = _Method(answer, ordered)

    def find(self, method: str) -> _Method:
        """The handler of a method. Raises CallFailed when there is none."""
        try:
            return self._methods[method]
        except KeyError:
            raise CallFailed(
                UNKNOWN_METHOD, f"there is no call named {method[:80]!r} here"
            ) from None


class Mux:
    """One link's calls and streams. Everything it starts runs in the owner's task group until end()."""

    def __init__(
        self,
        send: Send,
        group: asyncio.TaskGroup,
        handlers: Handlers,
        *,
        accept: Callable[[Stream], Coroutine[None, None, None]] | None = None,
    ) -> None:
        """accept: connects a stream that the other side opens (the agent's side); None refuses all.

        It runs as a task of its own: it calls `stream.accept()` when `stream.port` is connected, or
        `stream.close(error)`. When it returns the stream is closed.
        """
        self._group = group
        self._handlers = handlers
        self._accept = accept
        self._outbox = Outbox(send)
        self._tasks: set[asyncio.Task[None]] = set()
        self._lost: str | None = None
        self._ids = itertools.count(1)
        self._slots = asyncio.Semaphore(MAX_CALLS)
        self._calls: dict[int, asyncio.Future[bytes]] = {}
        self._answering: set[int] = set()
        self._order: dict[str, asyncio.Lock] = {}
        self._streams: dict[int, Stream] = {}
        self._last_accepted = 0
        self._fed = 0
        self._spawn(self._write())

    @property
    def lost(self) -> bool:
        """Whether the link has ended."""
        return self._lost is not None

    async def call(
        self,
        method: str,
        params: msgspec.Struct,
        result_type: type[Result],
        *,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> Result:
        """What the other side answers. Raises CallFailed (its error, or no answer in time) or LinkLost."""
        try:
            async with asyncio.timeout(timeout_s):
                raw = await self._ask(method, _ENCODER.encode(params))
        except TimeoutError:
            raise CallFailed(TIMEOUT, f"`{method}` was not answered in {timeout_s:g} s") from None
        try:
            return msgspec.msgpack.decode(raw, type=result_type)
        except _NOT_DECODABLE as error:
            raise CallFailed(
                BAD_RESULT, f"cannot read the answer to `{method}`: {error}"
            ) from error

    async def open_stream(self, port: int, *, timeout_s: float = OPEN_TIMEOUT_S) -> Stream:
        """A stream to that TCP port of the workspace, connected. Raises StreamRefused or LinkLost."""
        if self._lost is not None:
            raise LinkLost(self._lost)
        if self._accept is not None:  # ids would collide: only one side numbers streams
            raise StreamRefused("this side of the link accepts streams; the other one opens them")
        if len(self._streams) >= MAX_STREAMS:
            raise StreamRefused(f"{MAX_STREAMS} streams are open on this link; close one first")
        stream = Stream(self._outbox, next(self._ids), port, forget=self._forget)
        self._streams[stream.id] = stream
        self._outbox.post(Open(stream.id, port))
        try:
            async with asyncio.timeout(timeout_s):
                await stream.opened()
        except BaseException as error:
            await stream.close()
            if isinstance(error, TimeoutError):
                raise StreamRefused(f"port {port} was not connected in {timeout_s:g} s") from error
            raise
        return stream

    async def feed(self, frame_bytes: bytes) -> None:
        """Handle one message that arrived; never waits for a handler, a reader or the transport.

        Raises ProtocolError, after which the owner must end the link, and LinkLost after end().
        """
        if self._lost is not None:
            raise LinkLost(self._lost)
        if len(frame_bytes) > MAX_FRAME_BYTES:
            raise ProtocolError(
                f"a frame of {len(frame_bytes)} bytes is larger than {MAX_FRAME_BYTES}"
            )
        try:
            frame = _FRAMES.decode(frame_bytes)
        except _NOT_DECODABLE as error:
            raise ProtocolError(f"a message is not a frame: {error}") from error
        self._dispatch(frame)
        self._fed += 1
        if self._fed % FRAMES_PER_TURN == 0:
            await asyncio.sleep(0)

    def end(self, reason: str) -> None:
        """The link is over: all that waits on it gets LinkLost, all that it runs is cancelled. Idempotent."""
        if self._lost is not None:
            return
        self._lost = reason
        self._outbox.end(reason)
        for waiter in self._calls.values():
            self._slots.release()
            if not waiter.done():
                waiter.set_exception(LinkLost(reason))
        self._calls.clear()
        for stream in self._streams.values():
            stream.fail(reason)
        self._streams.clear()
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()

    def _dispatch(self, frame: Frame) -> None:
        match frame:
            case Data():
                self._stream(frame.id).feed_data(frame.data)
            case Credit():
                self._stream(frame.id).feed_credit(frame.size_bytes)
            case Call():
                self._feed_call(frame)
            case Reply():
                self._feed_reply(frame)
            case Open():
                self._feed_open(frame)
            case Opened():
                self._feed_opened(frame)
            case Close():
                self._stream(frame.id).feed_close(frame.error)
            case _:
                assert_never(frame)

    def _stream(self, stream_id: int) -> Stream:
        stream = self._streams.get(stream_id)
        if stream is None or stream.closed_by_peer:
            raise ProtocolError(f"there is no open stream {stream_id}")
        return stream

    def _feed_call(self, call: Call) -> None:
        if call.id in self._answering:
            raise ProtocolError(f"call {call.id} is under way already")
        if len(self._answering) >= MAX_CALLS:
            raise ProtocolError(f"more than {MAX_CALLS} calls at once")
        self._answering.add(call.id)
        self._spawn(self._answer(call))

    def _feed_reply(self, reply: Reply) -> None:
        waiter = self._calls.pop(reply.id, None)
        if waiter is None:
            raise ProtocolError(f"an answer to call {reply.id}, which nobody made")
        self._slots.release()
        if waiter.done():
            return  # its caller gave up; the slot was kept until now because the other side was busy
        if reply.error is None:
            waiter.set_result(reply.result)
        else:
            waiter.set_exception(
                CallFailed(reply.error.code[:80], reply.error.message[:MAX_ERROR_CHARS])
            )

    def _feed_open(self, frame: Open) -> None:
        if self._accept is None:
            raise ProtocolError("streams are opened from the other side only")
        if frame.id <= self._last_accepted:
            raise ProtocolError(f"stream id {frame.id} was used before")
        if len(self._streams) >= MAX_STREAMS:
            raise ProtocolError(f"more than {MAX_STREAMS} streams at once")
        self._last_accepted = frame.id
        stream = Stream(self._outbox, frame.id, frame.port, forget=self._forget)
        self._streams[frame.id] = stream
        self._spawn(self._connect(self._accept, stream))

    def _feed_opened(self, frame: Opened) -> None:
        if self._accept is not None:
            raise ProtocolError("streams are accepted on this side only")
        self._stream(frame.id).feed_opened()

    async def _connect(
        self, accept: Callable[[Stream], Coroutine[None, None, None]], stream: Stream
    ) -> None:
        async with stream:
            try:
                await accept(stream)
            except LinkError as error:
                await stream.close(str(error))

    async def _answer(self, call: Call) -> None:
        try:
            result = await self._handle(call)
            reply = Reply(call.id, result, None)
        except CallFailed as error:
            reply = Reply(call.id, b"", CallError(error.code, str(error)))
        data = _ENCODER.encode(reply)
        if len(data) > MAX_FRAME_BYTES:
            message = f"the answer to `{call.method}` is larger than {MAX_FRAME_BYTES} bytes"
            data = _ENCODER.encode(Reply(call.id, b"", CallError(TOO_LARGE, message)))
        # Freed as the answer leaves: only then may the other side make one more call.
        self._outbox.post_encoded(data, on_taken=lambda: self._answering.discard(call.id))

    async def _handle(self, call: Call) -> bytes:
        method = self._handlers.find(call.method)
        if not method.ordered:
            return await method.answer(call.params)
        # Tasks start in the order of arrival and the lock is fair, so the order is kept.
        async with self._order.setdefault(call.method, asyncio.Lock()):
            return await method.answer(call.params)

    async def _ask(self, method: str, params: bytes) -> bytes:
        await self._slots.acquire()
        if self._lost is not None:
            self._slots.release()
            raise LinkLost(self._lost)
        call_id = next(self._ids)
        data = _ENCODER.encode(Call(call_id, method, params))
        if len(data) > MAX_FRAME_BYTES:
            self._slots.release()
            raise CallFailed(TOO_LARGE, f"`{method}` was given more than {MAX_FRAME_BYTES} bytes")
        waiter: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._calls[call_id] = waiter
        parcel = self._outbox.post_encoded(data)
        try:
            return await waiter
        except asyncio.CancelledError:
            if parcel.withdraw() and self._calls.pop(call_id, None) is not None:
                self._slots.release()
            raise

    async def _write(self) -> None:
        try:
            await self._outbox.run()
        except LinkLost as error:
            self.end(str(error))

    def _forget(self, stream_id: int) -> None:
        self._streams.pop(stream_id, None)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
