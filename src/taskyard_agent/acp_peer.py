"""JSON-RPC 2.0 with a child process: one message a line, handled strictly in order."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from taskyard_agent.acp_lines import Lines, Malformed, clean, malformed
from taskyard_agent.acp_messages import (
    NONE,
    NULL,
    AcpError,
    AgentSilent,
    Message,
    WireError,
    peek,
    present,
)
from taskyard_agent.process import AgentExited, Child, Exit, ProcessError

READ_BYTES = 64 * 1024
"""Bytes of output handled before others get their turn: about 300 small updates, some 5 ms."""

UNREAD_REPLY_BYTES = 1024 * 1024
"""Bytes of replies that a child may leave unread before its output is no longer read."""

LAST_WORDS_S = 0.5
"""Seconds for a program that closed its output to end by itself, so that its exit code is seen."""

LEFTOVER_GRACE_S = 2.0
"""Seconds for what is left of a group whose output has ended, before it is killed."""

Outcome = msgspec.Raw | ProcessError
"""What a request came to: the result, or why there is none."""


class PeerHandlers(Protocol):
    """What the child says of its own accord, in order. An error raised here ends the reader."""

    def on_request(self, number: msgspec.Raw, method: str, params: msgspec.Raw) -> None:
        """It waits for reply() or refuse() with this number, now or later."""

    def on_notification(self, method: str, params: msgspec.Raw) -> None:
        """It waits for nothing."""

    def on_malformed(self, lost: Malformed) -> None:
        """A line that could not be used."""

    def on_end(self) -> None:
        """The child says no more; every open request has failed by now."""


class Peer:
    """One child process at the other end. `run` must be running for anything to be answered."""

    def __init__(self, child: Child, handlers: PeerHandlers) -> None:
        self.gone: AgentExited | None = None
        self._child = child
        self._handlers = handlers
        self._number = 0
        self._pending: dict[int, tuple[str, Callable[[Outcome], None]]] = {}
        self._unread = 0
        self._finished = asyncio.Event()

    def send_request(
        self, method: str, params: Mapping[str, object], on_outcome: Callable[[Outcome], None]
    ) -> int:
        """The request's number. on_outcome is called once, in the order of what the child says.

        Raises AgentExited.
        """
        if self.gone is not None:
            raise self.gone
        self._number += 1
        self._pending[self._number] = (method, on_outcome)
        self._send({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})
        return self._number

    async def request(
        self,
        method: str,
        params: Mapping[str, object],
        timeout_s: float,
        on_answer: Callable[[], None] = lambda: None,
    ) -> msgspec.Raw:
        """The result. on_answer is called before anything that the child says after it is handled.

        Raises AcpError, AgentSilent, AgentExited.
        """
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def on_outcome(outcome: Outcome) -> None:
            on_answer()
            if not answer.done():
                answer.set_result(outcome)

        number = self.send_request(method, params, on_outcome)
        try:
            async with asyncio.timeout(timeout_s):
                await self.drain()
                outcome = await answer
        except TimeoutError:
            raise AgentSilent(method, timeout_s) from None
        finally:
            self._pending.pop(number, None)
        if isinstance(outcome, ProcessError):
            raise outcome
        return outcome

    def notify(self, method: str, params: Mapping[str, object]) -> None:
        """Sends a notification; to nobody when the child has gone."""
        self._send({"jsonrpc": "2.0", "method": method, "params": params})

    def reply(self, number: msgspec.Raw, result: Mapping[str, object]) -> None:
        """Answers a request of the child's."""
        self._unread += self._send({"jsonrpc": "2.0", "id": number, "result": result})

    def refuse(self, number: msgspec.Raw, code: int, message: str) -> None:
        """Answers a request of the child's with an error."""
        error = {"code": code, "message": message}
        self._unread += self._send({"jsonrpc": "2.0", "id": number, "error": error})

    async def drain(self) -> None:
        """Returns when all that was sent is in the pipe, or nobody is there to read it."""
        with contextlib.suppress(ConnectionError):
            await self._child.drain()
        self._unread = 0

    async def wait(self) -> Exit:
        """How the child ended, once all that it said was handled and every request has failed."""
        await self._finished.wait()
        return await self._child.wait()

    async def run(self) -> None:
        """Handles the child's output to its end; then fails what is open and clears up its group."""
        try:
            await self._read()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS_S):
                    await self._child.wait()
        finally:
            self._fail_all()
            self._finished.set()
        await self._child.end(LEFTOVER_GRACE_S)

    async def _read(self) -> None:
        lines = Lines()
        while chunk := await self._child.stdout.read(READ_BYTES):
            for line in lines.feed(chunk):
                self._on_line(line)
            if self._unread > UNREAD_REPLY_BYTES:
                await self.drain()
        for line in lines.feed(b"\n"):  # a line without an end: cut off, most likely
            self._on_line(line)

    def _fail_all(self) -> None:
        self.gone = AgentExited(self._child.exit or Exit(None, None), self._child.stderr_tail())
        pending, self._pending = self._pending, {}
        for _, on_outcome in pending.values():
            on_outcome(self.gone)
        self._handlers.on_end()

    def _send(self, message: Mapping[str, object]) -> int:
        line = msgspec.json.encode(message) + b"\n"
        self._child.write_now(line)
        return len(line)

    def _on_line(self, line: bytes | Malformed) -> None:
        if isinstance(line, Malformed):
            self._handlers.on_malformed(line)
            return
        if not line.strip():
            return
        try:
            message = msgspec.json.decode(clean(line), type=Message)
        except (ValueError, RecursionError) as error:  # msgspec's and json's errors are ValueErrors
            self._handlers.on_malformed(malformed(f"not a message: {error}", line))
            return
        if message.method is None:
            self._on_answer(message, line)
        elif present(message.id) is not None:
            self._handlers.on_request(message.id, message.method, message.params)
        else:
            self._handlers.on_notification(message.method, message.params)

    def _on_answer(self, message: Message, line: bytes) -> None:
        number = peek(message.id, int)
        method, on_outcome = self._pending.pop(number or 0, ("", None))
        if on_outcome is None:
            self._handlers.on_malformed(malformed("an answer to nothing that is asked", line))
        elif present(message.error) is not None:
            error = peek(message.error, WireError) or WireError(message="an error of unknown shape")
            on_outcome(AcpError(method, error.code, error.message, present(error.data)))
        else:
            on_outcome(NULL if bytes(message.result) == bytes(NONE) else message.result)
