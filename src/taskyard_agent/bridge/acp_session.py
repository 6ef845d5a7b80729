"""A conversation with a coding agent over ACP: takes prompts, follows turns, knows when it is free."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from taskyard_agent import points
from taskyard_agent.acp import (
    AcpClient,
    AcpError,
    AgentExited,
    Exit,
    ProcessError,
    StopReason,
    Turn,
    TurnEnd,
    text_block,
)
from taskyard_agent.bridge.blocks import shown_text, stored_blocks
from taskyard_agent.bridge.context import summary
from taskyard_agent.bridge.life import CONTINUE
from taskyard_agent.bridge.overview import Turn as ShownTurn
from taskyard_agent.bridge.record import Record, SessionState
from taskyard_agent.bridge.recover import note_done
from taskyard_agent.bridge.session import TRIM, OpenPermission, Refused, Report, Transport
from taskyard_agent.bridge.updates import Updates
from taskyard_agent.journal import SessionFile
from taskyard_agent.protocol import ItemKind
from taskyard_agent.strays import CUT_OFF, Strays

TAKEN_S = 0.2
"""Seconds without an error after which a prompt that was written counts as taken. Source: N8."""

CANCEL_S = 10.0
"""Seconds that an agent has to end a cancelled turn before it is ended itself. Source: N13."""

END_GRACE_S = 2.0
"""Seconds that an agent has to end by itself after it did not obey."""

NEEDS_LOGIN = -32000
REQUEST_CANCELLED = -32800
"""Codes of errors: the agent wants to be logged in; it ended a request that was cancelled."""

INTERRUPTS = frozenset({"\x1b", "\x03"})
"""Raw input that means something without a terminal: Escape and Ctrl-C. Source: N10."""

_WARNINGS = {
    StopReason.MAX_TOKENS: "The coding agent stopped: its model wrote as much as it may in one turn.",
    StopReason.MAX_TURN_REQUESTS: "The coding agent stopped: it asked its model as often as it may in one turn.",
    StopReason.REFUSAL: "The coding agent's model refused to go on.",
    StopReason.UNKNOWN: "The coding agent stopped for a reason that is not known here.",
}


class _OpenTurn:
    """A prompt from its taking to the turn's end; acp null: the agent has not got it yet.

    unread: it never will, as it does not read; the turn ends with it.
    """

    def __init__(self, shown: ShownTurn) -> None:
        self.shown = shown
        self.prompt_id = shown.prompt_id
        self.acp: Turn | None = None
        self.cancelling = False
        self.unread = False
        self.over = asyncio.Event()


@dataclass(frozen=True, slots=True)
class OpenSession:
    """An agent that takes prompts. login: the sentence for when it wants to be logged in.

    forgotten: it does not know the conversation so far.
    """

    client: AcpClient
    session_id: str
    login: str
    forgotten: bool = False


class AcpSession:
    """Prompts one at a time. Everything that it says goes through the record."""

    def __init__(
        self,
        record: Record,
        file: SessionFile,
        updates: Updates,
        tasks: asyncio.TaskGroup,
        *,
        cancel_s: float = CANCEL_S,
    ) -> None:
        self.record = record
        self.file = file
        self.updates = updates
        self.stopping = False
        self.first: str | None = None
        self.strays = Strays()
        self._tasks = tasks
        self._cancel_s = cancel_s
        self._agent: OpenSession | None = None
        self._given_up: str | None = None
        self._held = False
        self._turn: _OpenTurn | None = None
        self._was_up = False
        self._context: str | None = None
        self._reason: str | None = None
        self._failed = False
        updates.permissions.on_change = self._show_state
        self._show_state()

    @property
    def transport(self) -> Transport:
        """How the coding agent is talked to."""
        return "acp"

    @property
    def turn(self) -> ShownTurn | None:
        """The turn that runs, or the prompt of which is just being taken; None between turns."""
        return None if self._turn is None else self._turn.shown

    # prompts

    async def prompt(self, content: str, prompt_id: str | None) -> None:
        """Returns once the agent has taken the prompt, at once when that id was taken before.

        Raises Refused: empty, busy, not_ready, agent_exited, agent_error, timeout, shutting_down.
        Source: N8, A30, N18.
        """
        text = content.strip(TRIM)
        await self._prompt({"text": text}, [text_block(text)], prompt_id)

    async def prompt_blocks(self, blocks: Sequence[msgspec.Raw], prompt_id: str | None) -> None:
        """As prompt(), with content blocks of ACP, which the agent gets as they are."""
        said: dict[str, object] = {"text": shown_text(blocks), "blocks": stored_blocks(blocks)}
        await self._prompt(said, list(blocks), prompt_id)

    async def _prompt(
        self, said: dict[str, object], blocks: list[msgspec.Raw], prompt_id: str | None
    ) -> None:
        if prompt_id is not None and self.file.prompt_state(prompt_id) is not None:
            return
        if not str(said["text"]).strip(TRIM):
            raise Refused("empty", "A message needs at least one character that is not blank.")
        agent = self._free_agent()
        shown = ShownTurn(self.record.turn + 1, self.record.now(), prompt_id)
        turn = self._turn = _OpenTurn(shown)
        self._show_end(None)
        try:
            await self._take(turn, said)
        except BaseException as error:
            self._drop(turn)
            if prompt_id is not None and isinstance(error, Refused):
                await self._forget(prompt_id)
            raise
        await points.reached("prompt.noted")
        if turn.cancelling:  # the agent has got nothing of it, and will not
            self._finish(turn, self._cancelled(), None)
        else:
            await self._send(turn, blocks, agent)

    def _free_agent(self) -> OpenSession:
        if self.stopping:
            raise Refused("shutting_down", "The workspace is stopping. Resume the task first.")
        if self._given_up is not None:
            raise Refused("agent_exited", self._given_up)
        if self._agent is None or self.first is not None:
            raise Refused("not_ready", "The coding agent is starting. Wait for status stable.")
        if self._turn is not None or self.updates.permissions.waiting() is not None:
            raise Refused("busy", "The coding agent works on a message. Wait for status stable.")
        return self._agent

    async def _take(self, turn: _OpenTurn, said: dict[str, object]) -> None:
        """Notes the prompt on disk, in both files, before the agent gets any of it."""
        try:
            if turn.prompt_id is not None:
                await self.file.prompt_taken(turn.prompt_id)
        except OSError as error:
            raise Refused("not_ready", f"The prompt cannot be stored: {error}") from error
        await points.reached("prompt.taken")
        if self._turn is not turn:
            raise Refused("shutting_down", "The workspace is stopping. Resume the task first.")
        self.updates.end_segment()  # what was said since the last turn is no answer to this
        self.record.turn += 1
        if not self.record.put(ItemKind.USER_MESSAGE, {"prompt_id": turn.prompt_id} | said):
            self.record.turn -= 1
            raise Refused("not_ready", "The prompt cannot be stored. Is the disk full?")

    async def _forget(self, prompt_id: str) -> None:
        """The prompt did not reach the agent: its id is free to be sent again."""
        try:
            await self.file.prompt_dropped(prompt_id)
        except OSError as problem:
            self.record.fault(f"A lost prompt cannot be noted: {problem}", level="warning")

    def _drop(self, turn: _OpenTurn, *, reason: str | None = None, failed: bool = False) -> None:
        if self._turn is turn:
            self._turn = None
            turn.over.set()
            self._show_end(reason, failed=failed)

    async def _send(self, turn: _OpenTurn, blocks: list[msgspec.Raw], agent: OpenSession) -> None:
        if self.stopping:
            self._finish(turn, "interrupted", None)
            raise Refused("shutting_down", "The workspace is stopping. Resume the task first.")
        self.updates.begin_turn()
        self.strays.begin(agent.client.pid)
        if self._context is not None:
            blocks = [text_block(self._context), *blocks]
        try:
            turn.acp = await agent.client.send_prompt(agent.session_id, blocks)
        except AgentExited as error:
            self._finish(turn, "agent_exit", str(error))
            raise Refused("agent_exited", str(error)) from error
        except ProcessError as error:  # it does not read: only a new one will
            turn.unread = True
            self._tasks.create_task(self._replace(agent.client))
            raise Refused("timeout", str(error)) from error
        self._context = None
        self._tasks.create_task(self._follow(turn, turn.acp))
        if turn.cancelling:  # asked for while the agent had not read all of it
            await self._ask_to_end(turn, agent)
        await points.reached("prompt.sent")
        await self._early_error(turn.acp)

    async def _early_error(self, acp: Turn) -> None:
        """Returns when the agent says anything, or nothing for long enough. Raises Refused."""
        try:
            async with asyncio.timeout(TAKEN_S):
                await self.updates.heard.wait()
        except TimeoutError:
            return
        if acp.done:
            try:
                await acp.wait()
            except AgentExited as error:
                raise Refused("agent_exited", str(error)) from error
            except ProcessError as error:
                if not _was_cancelled(error):
                    raise Refused("agent_error", self._sentence(error)) from error

    # turns

    async def _follow(self, turn: _OpenTurn, acp: Turn) -> None:
        """Stores how the turn ended. An agent that dies is reported by agent_gone()."""
        try:
            end = await acp.wait()
        except AgentExited:
            return
        except ProcessError as error:
            if turn.cancelling and _was_cancelled(error):
                self._finish(turn, self._cancelled(), None)
            else:
                self._fail(turn, self._sentence(error))
            return
        finally:
            self.updates.heard.set()
        if end.usage is not None:
            self.record.put(ItemKind.USAGE, {"turn": end.usage})
        if end.agent_error is not None:
            self._fail(turn, end.agent_error)
        else:
            self._finish(turn, self._ending(turn, end), None)

    def _sentence(self, error: ProcessError) -> str:
        """What went wrong, and what to do when it is a key that is missing."""
        if isinstance(error, AcpError) and error.code == NEEDS_LOGIN and self._agent is not None:
            return self._agent.login
        return str(error)

    def _cancelled(self) -> str:
        return "interrupted" if self.stopping else str(StopReason.CANCELLED)

    def _ending(self, turn: _OpenTurn, end: TurnEnd) -> str:
        self.updates.end_turn()
        warning = _WARNINGS.get(end.stop_reason)
        if warning is not None and self._turn is turn:
            self.record.fault(warning, level="warning")
        if end.stop_reason is StopReason.CANCELLED:
            return self._cancelled()
        return str(end.stop_reason)

    def _fail(self, turn: _OpenTurn, sentence: str) -> None:
        if self.stopping:
            self._finish(turn, "interrupted", None)
        elif self._turn is turn:
            self.updates.end_turn()
            self.record.fault(sentence)
            self._finish(turn, "error", sentence)

    def _finish(self, turn: _OpenTurn, reason: str, error: str | None) -> None:
        """Stores the turn's end, once; then the session is free."""
        if self._turn is not turn:
            return
        self.updates.end_turn()
        self.record.put(ItemKind.TURN_END, {"reason": reason, "error": error})
        if turn.prompt_id is not None:
            self._tasks.create_task(note_done(self.record, self.file, turn.prompt_id))
        if reason in CUT_OFF:
            self._tasks.create_task(self.strays.end())
        self._drop(turn, reason=error or reason, failed=error is not None)

    async def raw(self, keys: str) -> None:
        """The turn is asked to end by Escape or Ctrl-C. Raises Refused for other keys. Source: N10."""
        if keys not in INTERRUPTS:
            raise Refused(
                "raw_needs_terminal", "Only Escape and Ctrl-C mean something without a terminal."
            )
        await self.cancel()

    async def cancel(self) -> None:
        """The running turn was asked to end; nothing when there is none. Source: N10, N13."""
        turn, agent = self._turn, self._agent
        if turn is None:
            return
        is_first, turn.cancelling = not turn.cancelling, True
        if turn.acp is None or agent is None:
            return  # its sender sees to it
        if is_first:
            await self._ask_to_end(turn, agent)
        else:
            await agent.client.cancel(agent.session_id)

    async def _ask_to_end(self, turn: _OpenTurn, agent: OpenSession) -> None:
        await agent.client.cancel(agent.session_id)
        self._tasks.create_task(self._insist(turn, agent.client))

    async def _insist(self, turn: _OpenTurn, client: AcpClient) -> None:
        try:
            async with asyncio.timeout(self._cancel_s):
                await turn.over.wait()
        except TimeoutError:
            if self._turn is turn:
                await self._replace(client)

    async def _replace(self, client: AcpClient) -> None:
        """Ends an agent that does not obey; its keeper starts another one."""
        await client.end(END_GRACE_S)

    # permissions and reports

    def permissions(self) -> list[OpenPermission]:
        """Requests that wait for a person, oldest first. Source: N11."""
        return self.updates.permissions.list()

    def answer_permission(
        self, request_id: str, option_id: str | None, name: str | None = None
    ) -> None:
        """The request is answered with that option, or cancelled with None, by a person of that name.

        Raises Refused: unknown, answered, no_such_option. Source: N11.
        """
        self.updates.permissions.answer(request_id, option_id, name)

    def report(self, report: Report) -> None:
        """What the coding agent said of itself is stored. Raises Refused: not_stored."""
        if not self.record.put(ItemKind.REPORT, report):
            raise Refused("not_stored", "The report cannot be stored. Is the disk full?")

    # the agent's life, told by its keeper

    def agent_up(self, opened: OpenSession) -> None:
        """An agent is there and its session is open: prompts may come."""
        self._agent = opened
        self._was_up = True
        self._context = summary(self.record.conversation.messages) if opened.forgotten else None
        self._show_state()
        if self.first is not None:
            self._tasks.create_task(self._send_first(self.first))

    async def _send_first(self, text: str) -> None:
        """Sends it once, whatever happens: it is noted as sent before. Source: A41, N18, N19."""
        try:
            if text != CONTINUE:
                saved = self.file.session
                await self.file.save(msgspec.structs.replace(saved, initial_prompt=text))
            self.first = None  # in one step with the next line: nobody else's prompt comes between
            await self.prompt(text, None)
        except (Refused, OSError) as error:
            self.first = None
            self.record.fault(f"The first prompt could not be sent. {error}", level="warning")
            self._show_state()

    def agent_gone(self, sentence: str, ended: Exit | None) -> None:
        """The agent ended, or could not be started; a turn that it was in ends with it."""
        self._agent = None
        self.updates.end_turn()
        if ended is not None:
            data = {"exit_code": ended.code, "signal": ended.signal}
            self.record.put(ItemKind.AGENT_EXIT, data)
        if not self.stopping:
            self.record.fault(sentence)
        turn = self._turn
        if turn is not None and (turn.acp is not None or turn.unread):  # else its sender sees to it
            if self.stopping or turn.cancelling:
                self._finish(turn, self._cancelled(), None)
            else:
                self._finish(turn, "agent_exit", sentence)
        self._show_state()

    def give_up(self, sentence: str, *, held: bool = False) -> None:
        """There will be no agent any more: prompts are refused with this sentence. held: as was wished."""
        self._given_up, self._held = sentence, held
        self._show_state()

    async def stop(self, grace_s: float) -> None:
        """Prompts are refused from now on, and the running turn is over. Source: N19, N20."""
        self.stopping = True
        self._show_state()
        turn = self._turn
        if turn is None:
            return
        if turn.acp is not None and self._agent is not None:
            await self._agent.client.cancel(self._agent.session_id)
        try:
            async with asyncio.timeout(grace_s):
                await turn.over.wait()
        except TimeoutError:
            self._finish(turn, "interrupted", None)

    def _show_end(self, reason: str | None, *, failed: bool = False) -> None:
        """Shows how the last turn ended, for as long as no other one begins."""
        self._reason, self._failed = reason, failed
        self._show_state()

    def turn_was_cut_off(self) -> None:
        """The last run of this bridge left a turn behind, which is closed by now. Source: N19."""
        self._show_end("interrupted")

    def _show_state(self) -> None:
        state = self._state()
        match state:
            case SessionState.IDLE | SessionState.EXITED:
                self.record.set_state(state, reason=self._reason, failed=self._failed)
            case SessionState.ERROR:
                self.record.set_state(state, reason=self._given_up)
            case SessionState.AWAITING_PERMISSION:
                self.record.set_state(state, waiting=self.updates.permissions.waiting())
            case _:
                self.record.set_state(state)

    def _state(self) -> SessionState:
        if self.stopping:
            return SessionState.STOPPED
        if self._given_up is not None and not self._held:
            return SessionState.ERROR
        if self._agent is None:
            return SessionState.EXITED if self._was_up else SessionState.STARTING
        if self.first is not None:
            return SessionState.STARTING
        if self.updates.permissions.waiting() is not None:
            return SessionState.AWAITING_PERMISSION
        return SessionState.IDLE if self._turn is None else SessionState.RUNNING


def _was_cancelled(error: ProcessError) -> bool:
    return isinstance(error, AcpError) and error.code == REQUEST_CANCELLED
