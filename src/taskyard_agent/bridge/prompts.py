"""Prompts by their ids: sent at once, or kept on disk in a queue until the session is idle. Source: agentapi 10."""

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Literal, cast

import anyio
import msgspec

from taskyard_agent.bridge.overview import CANCELLED, PromptFate
from taskyard_agent.bridge.prompt_queue import Answer, PromptQueue, Queued, Settled
from taskyard_agent.bridge.record import Record, SessionState
from taskyard_agent.bridge.session import Refused, Session, TakesBlocks
from taskyard_agent.session_file import PromptState as Kept

When = Literal["reject", "queue", "cancel_and_send"]
State = Literal["queued", "sent", "done", "failed", "cancelled"]

CANCEL_S = 30.0
"""Seconds that a cancelled turn has to end when its caller names no other time; then it is ended by force."""

RETRY_S = 0.5
"""Seconds until a prompt is tried again that an idle session did not take, or that could not be noted."""

WAITS = frozenset({"busy", "not_ready", "dialog_open"})
"""Refusals that pass: a queued prompt stays where it is."""

BUSY = frozenset(
    {SessionState.RUNNING, SessionState.AWAITING_PERMISSION, SessionState.AWAITING_INPUT}
)
"""States in which there is something to cancel."""

INTERRUPTED = "interrupted"
"""How a turn ended that the bridge's own end cut off."""

EXPIRED = "It waited longer than its sender allowed."

LOST = "It was taken, and lost before the coding agent got it. Send it again under another id."

FORGOTTEN = "This workspace has lost its record of that time, and cannot say whether it was worked on already."


class PromptOrder(msgspec.Struct, frozen=True):
    """A prompt as it is asked for. blocks null: it is text. timeout_s null: it may wait for ever.

    after: it may have been sent before, when the transcript had this number; null for one that is new.
    """

    id: str
    text: str
    blocks: list[msgspec.Raw] | None
    when: When
    timeout_s: float | None
    after: int | None = None


class PromptState(msgspec.Struct, frozen=True):
    """What became of a prompt.

    position: its place in the queue, from 1. seq: what came of it has higher numbers. reason: how its turn
    ended. code and error: why it failed. Each null where it does not apply.
    """

    id: str
    state: State
    position: int | None = None
    seq: int | None = None
    reason: str | None = None
    code: str | None = None
    error: str | None = None


class Prompts:
    """All prompts of a session that have an id. queue null: none may wait here."""

    def __init__(self, session: Session, queue: PromptQueue | None) -> None:
        self._session = session
        self._queue = queue
        self._under_way: dict[str, asyncio.Future[None]] = {}
        self._urgent = 0

    @property
    def queues(self) -> bool:
        """Whether prompts may wait here."""
        return self._queue is not None

    @property
    def queue_length(self) -> int:
        """Prompts that wait."""
        return 0 if self._queue is None else len(self._queue.waiting)

    def state(self, prompt_id: str) -> PromptState | None:
        """What became of a prompt; null for one that is not known."""
        waiting = [] if self._queue is None else self._queue.waiting
        for place, queued in enumerate(waiting, 1):
            if queued.id == prompt_id:
                return PromptState(prompt_id, "queued", place, queued.seq)
        fate = self._session.record.overview.prompts.get(prompt_id)
        if fate is not None:
            return _told(prompt_id, fate)
        settled = None if self._queue is None else self._queue.settled.get(prompt_id)
        if settled is not None:
            return PromptState(
                prompt_id, settled.state, None, None, None, settled.code, settled.error
            )
        if prompt_id in self._under_way:
            return PromptState(prompt_id, "sent")
        return self._forgotten(prompt_id)

    def _forgotten(self, prompt_id: str) -> PromptState | None:
        """One whose id was taken, and whose message is not on disk: the crash came first, or it was dropped."""
        known = self._session.file.prompt_state(prompt_id)
        if known is None:
            return None
        if known is Kept.DONE and self._session.record.journal.first_seq > 1:
            return PromptState(prompt_id, "done")
        return PromptState(prompt_id, "failed", code="lost", error=LOST)

    async def add(self, order: PromptOrder) -> Answer:
        """Where the prompt is now; the same again for the same id. Raises Refused, as Session.prompt()."""
        while order.id in self._under_way:
            await asyncio.wait([self._under_way[order.id]])
        known = self._answer(order.id)
        if known is not None:
            return known
        forgotten = self._forgotten(order.id)
        if forgotten is not None and forgotten.state == "failed":
            raise Refused("lost", LOST)
        if forgotten is not None:
            return Answer(order.id, self._session.record.journal.first_seq - 1, 0)
        if order.after is not None and not self._reaches(order.after):
            raise Refused("lost", FORGOTTEN)
        with self._busy_with(order.id):
            return await self._place(order)

    def _reaches(self, seq: int) -> bool:
        """Whether all is known that happened since the transcript had that number."""
        journal = self._session.record.journal
        return seq <= 0 or journal.first_seq <= seq <= journal.last_seq

    def _answer(self, prompt_id: str) -> Answer | None:
        """What was said of a prompt before."""
        queued = None if self._queue is None else self._queue.answers.get(prompt_id)
        fate = self._session.record.overview.prompts.get(prompt_id)
        if queued is not None or fate is None:
            return queued
        return Answer(prompt_id, fate.seq - 1, 0)

    async def _place(self, order: PromptOrder) -> Answer:
        match order.when:
            case "reject":
                return await self._send_now(order)
            case "queue":
                return await self._enqueue(order)
            case "cancel_and_send":
                return await self._interrupt(order)

    async def _send_now(self, order: PromptOrder) -> Answer:
        before = self._session.record.journal.last_seq
        await self._send(order.id, order.text, order.blocks)
        return self._answer(order.id) or Answer(order.id, before, 0)

    async def _send(self, prompt_id: str, text: str, blocks: list[msgspec.Raw] | None) -> None:
        if blocks is None:
            await self._session.prompt(text, prompt_id)
        else:
            assert self._session.transport == "acp"
            await cast(TakesBlocks, self._session).prompt_blocks(blocks, prompt_id)

    async def _enqueue(self, order: PromptOrder) -> Answer:
        if self._queue is None:
            raise Refused("queue_elsewhere", "Prompts wait at the server: send it there.")
        record = self._session.record
        if self._session.stopping:
            raise Refused("shutting_down", "The bridge is stopping. Send it again when it is up.")
        if record.state is not None and record.state.session == SessionState.ERROR:
            raise Refused("agent_exited", "There will be no coding agent until the next start.")
        if not self._queue.waiting and record.status == "stable":
            try:
                return await self._send_now(order)
            except Refused as refused:
                if refused.code not in WAITS:
                    raise
        return await self._queue.add(
            Queued(order.id, order.text, order.blocks, record.journal.last_seq, _due(order, record))
        )

    async def _interrupt(self, order: PromptOrder) -> Answer:
        """Ends the turn that runs, and sends before anything that waits. Raises Refused."""
        answer = None
        self._urgent += 1
        try:
            async with asyncio.timeout(order.timeout_s or CANCEL_S):
                while answer is None:
                    await self._cancel()
                    answer = await self._send_unless_busy(order)
        except TimeoutError:
            raise Refused("timeout", "The turn that was cancelled did not end in time.") from None
        finally:
            self._urgent -= 1
            self._session.record.ring()  # those that wait have their turn again
        return answer

    async def _cancel(self) -> None:
        """Returns when there is nothing to cancel any more."""
        record = self._session.record
        if record.state is not None and record.state.session in BUSY:
            await self._session.cancel()
        while record.state is not None and record.state.session in BUSY:
            await record.changed(record.changes)

    async def _send_unless_busy(self, order: PromptOrder) -> Answer | None:
        """Null when another prompt came first; not interrupted once the session has it."""
        answer = None
        with anyio.CancelScope(shield=True):
            try:
                answer = await self._send_now(order)
            except Refused as refused:
                if refused.code != "busy":
                    raise
        return answer

    async def drop(self, prompt_id: str) -> PromptState:
        """The prompt will not be sent. Raises Refused: unknown, sent."""
        found = self.state(prompt_id)
        if found is None:
            raise Refused("unknown", f"There is no prompt {prompt_id}.")
        if (found.state, found.seq) == ("cancelled", None):
            return found
        if found.state != "queued" or prompt_id in self._under_way or self._queue is None:
            raise Refused("sent", f"The prompt {prompt_id} does not wait any more.")
        with self._busy_with(prompt_id):
            await self._queue.settle(prompt_id, Settled("cancelled"))
        return self.state(prompt_id) or found

    @contextlib.contextmanager
    def _busy_with(self, prompt_id: str) -> Iterator[None]:
        """Others who come with that id wait meanwhile."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._under_way[prompt_id] = done
        try:
            yield
        finally:
            del self._under_way[prompt_id]
            done.set_result(None)

    # the queue's own loop

    async def deliver(self) -> None:
        """Sends what waits, in order, whenever the session is idle. Never returns."""
        assert self._queue is not None
        while True:
            await self._queue.filled()
            await self._expire(self._queue)
            seen = self._session.record.changes
            if not self._queue.waiting or not self._may_send():
                await self._wait(self._queue, seen)
            elif not await self._deliver_one(self._queue, self._queue.waiting[0]):
                await asyncio.sleep(RETRY_S)

    def _may_send(self) -> bool:
        idle = self._session.record.status == "stable"
        return idle and not self._urgent and not self._session.stopping

    async def _deliver_one(self, queue: PromptQueue, queued: Queued) -> bool:
        """Whether it has left the queue."""
        if queued.id in self._under_way:
            return False  # it is being taken out
        with self._busy_with(queued.id):
            settled = await self._settled(queued)
            if settled is None:
                return False
            try:
                await queue.settle(queued.id, settled)
            except OSError:
                return False  # it was sent, and will not be sent again: its id is known
        return True

    async def _settled(self, queued: Queued) -> Settled | None:
        """What becomes of a queued prompt now; null: it goes on waiting."""
        try:
            await self._send(queued.id, queued.text, queued.blocks)
        except Refused as refused:
            if refused.code in WAITS | {"shutting_down"}:
                return None
            return Settled("failed", refused.code, str(refused))
        if queued.id not in self._session.record.overview.prompts:
            return Settled("failed", "lost", LOST)  # its id was taken before, by a run that crashed
        return Settled("sent")

    async def _expire(self, queue: PromptQueue) -> None:
        now = self._session.record.now()
        for queued in list(queue.waiting):
            if queued.due is not None and queued.due <= now:
                with contextlib.suppress(OSError):
                    await queue.settle(queued.id, Settled("failed", "timeout", EXPIRED))

    async def _wait(self, queue: PromptQueue, seen: int) -> None:
        """Returns when there is another state, another queue, or a prompt that waited too long."""
        dues = [queued.due for queued in queue.waiting if queued.due is not None]
        left = (min(dues) - self._session.record.now()).total_seconds() if dues else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if left is None else max(left, RETRY_S / 10)):
                await self._session.record.changed(seen)


def _due(order: PromptOrder, record: Record) -> datetime | None:
    if order.timeout_s is None:
        return None
    return record.now() + timedelta(seconds=order.timeout_s)


def _told(prompt_id: str, fate: PromptFate) -> PromptState:
    """What became of a prompt that the coding agent got. Its number is that before its message."""
    state: State = "done"
    if fate.reason is None:
        state = "sent"
    elif fate.reason == CANCELLED:
        state = "cancelled"
    elif fate.error is not None or fate.reason == INTERRUPTED:
        state = "failed"
    return PromptState(prompt_id, state, seq=fate.seq - 1, reason=fate.reason, error=fate.error)
