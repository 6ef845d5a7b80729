"""A conversation with a coding agent over ACP: takes prompts, follows turns, knows when it is free."""

import asyncio

from taskyard_agent.acp import (
    AcpClient,
    AgentExited,
    Exit,
    ProcessError,
    StopReason,
    Turn,
    TurnEnd,
    text_block,
)
from taskyard_agent.bridge.record import Record, SessionState
from taskyard_agent.bridge.session import TRIM, Refused, Transport
from taskyard_agent.bridge.updates import Updates
from taskyard_agent.journal import SessionFile
from taskyard_agent.protocol import ItemKind

TAKEN_S = 0.2
"""Seconds without an error after which a prompt that was written counts as taken. Source: N8."""

CANCEL_S = 10.0
"""Seconds that an agent has to end a cancelled turn before it is ended itself. Source: N13."""

END_GRACE_S = 2.0
"""Seconds that an agent has to end by itself after it did not obey."""

INTERRUPTS = frozenset({"\x1b", "\x03"})
"""Raw input that means something without a terminal: Escape and Ctrl-C. Source: N10."""

_WARNINGS = {
    StopReason.MAX_TOKENS: "The coding agent stopped: its model wrote as much as it may in one turn.",
    StopReason.MAX_TURN_REQUESTS: "The coding agent stopped: it asked its model as often as it may in one turn.",
    StopReason.REFUSAL: "The coding agent's model refused to go on.",
    StopReason.UNKNOWN: "The coding agent stopped for a reason that is not known here.",
}


class _OpenTurn:
    """A prompt from its taking to the turn's end; acp null: the agent has not got it yet."""

    def __init__(self, prompt_id: str | None) -> None:
        self.prompt_id = prompt_id
        self.acp: Turn | None = None
        self.over = asyncio.Event()


class AcpSession:
    """Prompts one at a time. Everything that it says goes through the record."""

    def __init__(
        self, record: Record, file: SessionFile, updates: Updates, tasks: asyncio.TaskGroup
    ) -> None:
        self.record = record
        self.file = file
        self.updates = updates
        self.stopping = False
        self._tasks = tasks
        self._agent: tuple[AcpClient, str] | None = None
        self._given_up: str | None = None
        self._turn: _OpenTurn | None = None
        self._was_up = False
        self._show_state()

    @property
    def transport(self) -> Transport:
        """How the coding agent is talked to."""
        return "acp"

    # prompts

    async def prompt(self, content: str, prompt_id: str | None) -> None:
        """Returns once the agent has taken the prompt, at once when that id was taken before.

        Raises Refused: empty, busy, not_ready, agent_exited, shutting_down. Source: N8, A30, N18.
        """
        if prompt_id is not None and self.file.prompt_state(prompt_id) is not None:
            return
        text = content.strip(TRIM)
        if not text:
            raise Refused("empty", "A message needs at least one character that is not blank.")
        client, session_id = self._free_agent()
        turn = self._turn = _OpenTurn(prompt_id)
        self._show_state()
        try:
            await self._take(turn, text)
        except BaseException:
            self._drop(turn)
            raise
        await self._send(turn, text, client, session_id)

    def _free_agent(self) -> tuple[AcpClient, str]:
        if self.stopping:
            raise Refused("shutting_down", "The workspace is stopping. Resume the task first.")
        if self._given_up is not None:
            raise Refused("agent_exited", self._given_up)
        if self._agent is None:
            raise Refused("not_ready", "The coding agent is starting. Wait for status stable.")
        if self._turn is not None:
            raise Refused("busy", "The coding agent works on a message. Wait for status stable.")
        return self._agent

    async def _take(self, turn: _OpenTurn, text: str) -> None:
        """Notes the prompt on disk, in both files, before the agent gets any of it."""
        try:
            if turn.prompt_id is not None:
                await self.file.prompt_taken(turn.prompt_id)
        except OSError as error:
            raise Refused("not_ready", f"The prompt cannot be stored: {error}") from error
        if self._turn is not turn:
            raise Refused("shutting_down", "The workspace is stopping. Resume the task first.")
        self.record.turn += 1
        if not self.record.put(ItemKind.USER_MESSAGE, {"prompt_id": turn.prompt_id, "text": text}):
            self.record.turn -= 1
            raise Refused("agent_exited", "The prompt cannot be stored. Is the disk full?")

    def _drop(self, turn: _OpenTurn, *, reason: str | None = None, failed: bool = False) -> None:
        if self._turn is turn:
            self._turn = None
            turn.over.set()
            self._show_state(reason=reason, failed=failed)

    async def _send(self, turn: _OpenTurn, text: str, client: AcpClient, session_id: str) -> None:
        if self.stopping:
            self._finish(turn, "interrupted", None)
            raise Refused("shutting_down", "The workspace is stopping. Resume the task first.")
        self.updates.begin_turn()
        try:
            turn.acp = await client.send_prompt(session_id, [text_block(text)])
        except AgentExited as error:
            self._finish(turn, "agent_exit", str(error))
            raise Refused("agent_exited", str(error)) from error
        except ProcessError as error:  # it does not read: only a new one will
            self._tasks.create_task(self._replace(client))
            raise Refused("timeout", str(error)) from error
        self._tasks.create_task(self._follow(turn, turn.acp))
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
                raise Refused("agent_error", str(error)) from error

    # turns

    async def _follow(self, turn: _OpenTurn, acp: Turn) -> None:
        """Stores how the turn ended. An agent that dies is reported by agent_gone()."""
        try:
            end = await acp.wait()
        except AgentExited:
            return
        except ProcessError as error:
            self._fail(turn, str(error))
            return
        finally:
            self.updates.heard.set()
        if end.usage is not None:
            self.record.put(ItemKind.USAGE, {"turn": end.usage})
        if end.agent_error is not None:
            self._fail(turn, end.agent_error)
        else:
            self._finish(turn, self._reason(turn, end), None)

    def _reason(self, turn: _OpenTurn, end: TurnEnd) -> str:
        self.updates.end_turn()
        warning = _WARNINGS.get(end.stop_reason)
        if warning is not None and self._turn is turn:
            self.record.fault(warning, level="warning")
        if self.stopping and end.stop_reason is StopReason.CANCELLED:
            return "interrupted"
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
            self._tasks.create_task(self._note_done(turn.prompt_id))
        self._drop(turn, reason=error or reason, failed=error is not None)

    async def _note_done(self, prompt_id: str) -> None:
        try:
            await self.file.prompt_done(prompt_id)
        except OSError as error:
            self.record.fault(f"The end of a prompt cannot be stored: {error}", level="warning")

    async def raw(self, keys: str) -> None:
        """The turn is asked to end by Escape or Ctrl-C. Raises Refused for other keys. Source: N10."""
        if keys not in INTERRUPTS:
            raise Refused(
                "raw_needs_terminal", "Only Escape and Ctrl-C mean something without a terminal."
            )
        await self.cancel()

    async def cancel(self) -> None:
        """The running turn was asked to end; nothing when there is none. Source: N10, N13."""
        turn = self._turn
        if turn is None or turn.acp is None or self._agent is None:
            return
        client, session_id = self._agent
        await client.cancel(session_id)
        self._tasks.create_task(self._insist(turn, client))

    async def _insist(self, turn: _OpenTurn, client: AcpClient) -> None:
        try:
            async with asyncio.timeout(CANCEL_S):
                await turn.over.wait()
        except TimeoutError:
            await self._replace(client)

    async def _replace(self, client: AcpClient) -> None:
        """Ends an agent that does not obey; its keeper starts another one."""
        await client.end(END_GRACE_S)

    # the agent's life, told by its keeper

    def agent_up(self, client: AcpClient, session_id: str) -> None:
        """An agent is there and its session is open: prompts may come."""
        self._agent = (client, session_id)
        self._was_up = True
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
        if turn is not None and turn.acp is not None:  # else its sender sees to it
            self._finish(
                turn, *(("interrupted", None) if self.stopping else ("agent_exit", sentence))
            )
        self._show_state()

    def give_up(self, sentence: str) -> None:
        """There will be no agent any more: prompts are refused with this sentence."""
        self._given_up = sentence
        self._show_state(reason=sentence)

    async def stop(self, grace_s: float) -> None:
        """Prompts are refused from now on, and the running turn is over. Source: N19, N20."""
        self.stopping = True
        self._show_state()
        turn = self._turn
        if turn is None:
            return
        if turn.acp is not None and self._agent is not None:
            client, session_id = self._agent
            await client.cancel(session_id)
        try:
            async with asyncio.timeout(grace_s):
                await turn.over.wait()
        except TimeoutError:
            self._finish(turn, "interrupted", None)

    def _show_state(self, *, reason: str | None = None, failed: bool = False) -> None:
        self.record.set_state(self._state(), reason=reason, failed=failed)

    def _state(self) -> SessionState:
        if self.stopping:
            return SessionState.STOPPED
        if self._given_up is not None:
            return SessionState.ERROR
        if self._agent is None:
            return SessionState.EXITED if self._was_up else SessionState.STARTING
        return SessionState.IDLE if self._turn is None else SessionState.RUNNING
