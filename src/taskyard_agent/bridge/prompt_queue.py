"""Prompts that wait, on disk: what was told to a sender is still true after any crash."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeVar

import anyio
import msgspec

from taskyard_agent.bridge.overview import MAX_PROMPTS
from taskyard_agent.bridge.session import Refused
from taskyard_agent.session_file import replace_file

QUEUE_BYTES = 64 * 1024 * 1024
"""Bytes of all waiting prompts: they are held in memory, and written again with each change."""


class Queued(msgspec.Struct, frozen=True):
    """A prompt that waits. seq: the newest item when it came. due null: it may wait for ever."""

    id: str
    text: str
    blocks: list[msgspec.Raw] | None
    seq: int
    due: datetime | None

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return len(self.text.encode()) + sum(len(bytes(block)) for block in self.blocks or [])


class Answer(msgspec.Struct, frozen=True):
    """Told to who sent a prompt: follow items after seq. position 0: the coding agent has it."""

    id: str
    seq: int
    position: int


class Settled(msgspec.Struct, frozen=True):
    """How a prompt left the queue. code and error: why it failed."""

    state: Literal["sent", "failed", "cancelled"]
    code: str | None = None
    error: str | None = None


class _Stored(msgspec.Struct):
    waiting: list[Queued] = []
    answers: dict[str, Answer] = {}
    settled: dict[str, Settled] = {}


class PromptQueue:
    """queue.json: replaced as a whole, and on stable storage before a call returns."""

    def __init__(self, path: Path, limit: int) -> None:
        """Reads the file; without one nothing waits. An unreadable one is set aside. Raises OSError."""
        self._path = path
        self._limit = limit
        self._lock = asyncio.Lock()
        self._filled = asyncio.Event()
        self._stored = self._load()
        self._look()

    def _load(self) -> _Stored:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Stored)
        except FileNotFoundError:
            return _Stored()
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._path.replace(f"{self._path}.damaged")
            return _Stored()

    @property
    def waiting(self) -> list[Queued]:
        """The prompts that wait, next one first."""
        return self._stored.waiting

    @property
    def answers(self) -> dict[str, Answer]:
        """What was told of prompts that ever waited, newest MAX_PROMPTS."""
        return self._stored.answers

    @property
    def settled(self) -> dict[str, Settled]:
        """How prompts left the queue, newest MAX_PROMPTS."""
        return self._stored.settled

    async def filled(self) -> None:
        """Returns as soon as a prompt waits."""
        await self._filled.wait()

    async def add(self, queued: Queued) -> Answer:
        """Its place. Raises Refused: queue_full, not_ready when it cannot be stored."""
        async with self._lock:
            old = self._stored
            size = queued.size + sum(other.size for other in old.waiting)
            if len(old.waiting) >= self._limit or size > QUEUE_BYTES:
                raise Refused("queue_full", "Too many prompts wait. Send it again later.")
            answer = Answer(queued.id, queued.seq, len(old.waiting) + 1)
            answers = _newest(old.answers | {queued.id: answer})
            try:
                await self._store(_Stored([*old.waiting, queued], answers, old.settled))
            except OSError as error:
                raise Refused("not_ready", f"The prompt cannot be stored: {error}") from error
            return answer

    async def settle(self, prompt_id: str, settled: Settled) -> None:
        """The prompt does not wait any more. Raises OSError."""
        async with self._lock:
            old = self._stored
            waiting = [queued for queued in old.waiting if queued.id != prompt_id]
            kept = _newest(old.settled | {prompt_id: settled})
            await self._store(_Stored(waiting, old.answers, kept))

    async def _store(self, stored: _Stored) -> None:
        content = msgspec.json.encode(stored)
        writing = asyncio.get_running_loop().run_in_executor(
            None, replace_file, self._path, content
        )
        # Shielded: what a cancelled call began is finished, and its lock held until then.
        with anyio.CancelScope(shield=True):
            await asyncio.wait([writing])
        writing.result()
        self._stored = stored
        self._look()

    def _look(self) -> None:
        if self._stored.waiting:
            self._filled.set()
        else:
            self._filled.clear()


T = TypeVar("T")


def _newest(known: dict[str, T]) -> dict[str, T]:
    for old in list(known)[:-MAX_PROMPTS]:
        del known[old]
    return known
