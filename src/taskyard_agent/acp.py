"""The client side of the Agent Client Protocol, version 1: one coding agent on two pipes.

JSON-RPC 2.0, one JSON object a line. Whatever the agent says is handed to the handlers in the order
in which it came, synchronously, before the next line is looked at: what a handler stores is stored
before anything that follows from it can happen. Nothing is dropped and nothing is queued: a handler
that takes its time makes the agent wait.

    async with asyncio.TaskGroup() as tasks:
        client = await AcpClient.start(tasks, argv, env=env, cwd=cwd, handlers=handlers)
        try:
            info = await client.initialize()
            session = await client.new_session(cwd)
            turn = await client.send_prompt(session.session_id, [text_block("list the files")])
            end = await turn.wait()
        finally:
            await client.end(grace_s=5)
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol, Self

import msgspec

from taskyard_agent.acp_lines import Malformed, malformed
from taskyard_agent.acp_messages import (
    AcpError,
    AgentInfo,
    AgentSilent,
    ProtocolMismatch,
    SessionInfo,
    StopReason,
    TurnEnd,
    TurnRunning,
    Update,
    UpdateKind,
    WireUpdate,
    agent_info,
    message_id,
    peek,
    session_info,
    text_block,
    thread_status,
    turn_end,
    update_error,
)
from taskyard_agent.acp_peer import Outcome, Peer
from taskyard_agent.acp_permissions import (
    Answer,
    AnsweredBy,
    ModeLimit,
    PermissionOption,
    PermissionRequest,
    Policy,
    choose_option,
    permission_request,
)
from taskyard_agent.process import AgentExited, AgentNotFound, Child, Exit, ProcessError
from taskyard_agent.protocol import PROTOCOL

__all__ = [
    "AcpClient",
    "AcpError",
    "AcpHandlers",
    "AgentExited",
    "AgentInfo",
    "AgentNotFound",
    "AgentSilent",
    "Answer",
    "AnsweredBy",
    "Asked",
    "Exit",
    "Malformed",
    "ModeLimit",
    "PermissionOption",
    "PermissionRequest",
    "Policy",
    "ProcessError",
    "ProtocolMismatch",
    "SessionInfo",
    "StopReason",
    "Turn",
    "TurnEnd",
    "TurnRunning",
    "Update",
    "choose_option",
    "text_block",
]

ACP_VERSION = 1
"""The protocol version asked for and the only one understood. Source: agentapi 7.1."""

OPEN_TIMEOUT_S = 60.0
"""Seconds for initialize, new, load, resume: the slowest agent tried took 9 s on an idle machine."""

REQUEST_TIMEOUT_S = 10.0
"""Seconds for requests that only set something."""

ELICITATIONS = frozenset({"elicitation/create", "session/elicitation"})
"""Requests for a form to be filled in; nobody is there to do it, so they are declined. Source: N12."""

HIDDEN_ERROR = "The coding agent reports that its model or a service of its failed."
"""For an error that comes without words of its own."""

METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602


class AcpHandlers(Protocol):
    """Where what the agent says goes. An error raised here ends the client's task group."""

    def update(self, update: Update) -> None:
        """An update of a session, of whatever kind."""

    def extension(self, method: str, params: msgspec.Raw) -> None:
        """A notification that is no session update; params are empty bytes when there were none."""

    def permission_asked(self, asked: "Asked") -> None:
        """Each request: answer it now or later, unless its turn is being cancelled already."""

    def permission_answered(self, request: PermissionRequest, answer: Answer) -> None:
        """The answer that was given to a request: once for each."""

    def stderr(self, line: str) -> None:
        """One line of the agent's standard error, without its end. Must not raise."""

    def malformed(self, malformed: Malformed) -> None:
        """A line was no message, or over the limit, and is lost."""


class Asked:
    """A permission request that waits for its answer.

    cancelled: its turn is being cancelled, and the client answers it itself.
    """

    def __init__(self, request: PermissionRequest, send: Callable[[Answer], None]) -> None:
        self.request = request
        self.cancelled = False
        self.answered: Answer | None = None
        self._send = send

    def answer(self, answer: Answer) -> bool:
        """Whether this was the answer: only the first one is, and the agent gets it at once."""
        if self.answered is not None:
            return False
        self.answered = answer
        self._send(answer)
        return True


class Replay:
    """What came of an old session before its answer: updates, and how many prompts they are of."""

    def __init__(self) -> None:
        self.updates = 0
        self.prompts = 0
        self._last: tuple[str, str | None] = ("", None)

    def see(self, kind: str, update: msgspec.Raw) -> None:
        """Counts an update; pieces of one prompt follow each other."""
        self.updates += 1
        which = (kind, message_id(update))
        if kind == "user_message_chunk" and which != self._last:
            self.prompts += 1
        self._last = which


class Turn:
    """A prompt that was handed to the agent."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.cancelling = False
        self.agent_error: str | None = None
        self._ended = asyncio.Event()
        self._end: TurnEnd | ProcessError | None = None

    def settle(self, outcome: Outcome) -> None:
        """For the client: what the agent answered. All that decides about a turn's end is here."""
        if isinstance(outcome, ProcessError):
            self._end = outcome
        else:
            end = turn_end(outcome, self.agent_error)
            self._end = end or AcpError("session/prompt", 0, "an answer without a stop reason")
        self._ended.set()

    @property
    def done(self) -> bool:
        """Whether wait() returns at once."""
        return self._ended.is_set()

    async def wait(self) -> TurnEnd:
        """How it ended. May be waited for more than once. Raises AcpError, AgentExited."""
        await self._ended.wait()
        assert self._end is not None
        if isinstance(self._end, ProcessError):
            raise self._end
        return self._end


class _Incoming:
    """What the agent says of its own accord: sorts it, and keeps what is open between two messages."""

    def __init__(self, child: Child, handlers: AcpHandlers) -> None:
        self.peer = Peer(child, self)
        self.turns: dict[str, Turn] = {}
        self.replays: dict[str, Replay] = {}
        self._handlers = handlers
        self._open: dict[str, Asked] = {}

    def on_malformed(self, lost: Malformed) -> None:
        self._handlers.malformed(lost)

    def on_notification(self, method: str, params: msgspec.Raw) -> None:
        if method != "session/update":
            self._handlers.extension(method, params)
            return
        came = peek(params, WireUpdate)
        kind = peek(came.update, UpdateKind) if came is not None else None
        if came is None or kind is None:
            self.on_malformed(malformed("a session update of unknown shape", bytes(params)))
        elif came.session_id in self.replays:
            self.replays[came.session_id].see(kind.session_update, came.update)
        else:
            self._watch_status(came.session_id, kind.session_update, came.update)
            self._handlers.update(Update(came.session_id, kind.session_update, came.update))

    def _watch_status(self, session_id: str, kind: str, update: msgspec.Raw) -> None:
        """An error that an agent only mentions in what it says of its session. Source: agentapi 7.1."""
        turn = self.turns.get(session_id)
        if turn is None or kind != "session_info_update":
            return
        status = thread_status(update)
        if status == "systemError":
            turn.agent_error = update_error(update) or HIDDEN_ERROR
        elif status == "active":
            turn.agent_error = None  # it got over it
        else:
            turn.agent_error = update_error(update) or turn.agent_error

    def on_request(self, number: msgspec.Raw, method: str, params: msgspec.Raw) -> None:
        if method in ELICITATIONS:
            self._handlers.extension(method, params)
            self.peer.reply(number, {"action": "decline"})
            return
        if method != "session/request_permission":
            self.peer.refuse(number, METHOD_NOT_FOUND, f"This client does not offer {method}.")
            return
        request = permission_request(secrets.token_hex(8), params)
        if request is None:
            self.peer.refuse(
                number, INVALID_PARAMS, "Wanted: sessionId, and options with optionId."
            )
        else:
            self._on_permission(number, request)

    def _on_permission(self, number: msgspec.Raw, request: PermissionRequest) -> None:
        asked = Asked(request, partial(self._answer, number.copy(), request))
        turn = self.turns.get(request.session_id)
        asked.cancelled = turn is not None and turn.cancelling
        self._open[request.id] = asked
        self._handlers.permission_asked(asked)
        if asked.cancelled:
            asked.answer(Answer(None, AnsweredBy.CANCEL))

    def _answer(self, number: msgspec.Raw, request: PermissionRequest, answer: Answer) -> None:
        del self._open[request.id]
        self._handlers.permission_answered(request, answer)
        outcome = {"outcome": "cancelled"}
        if answer.option_id is not None:
            outcome = {"outcome": "selected", "optionId": answer.option_id}
        self.peer.reply(number, {"outcome": outcome})

    def cancel_permissions(self, session_id: str | None) -> None:
        """Answers what is open in a session, or in all, with cancelled. Source: N13."""
        for asked in list(self._open.values()):
            if session_id in {None, asked.request.session_id}:
                asked.answer(Answer(None, AnsweredBy.CANCEL))

    def on_end(self) -> None:
        self.cancel_permissions(None)


class AcpClient:
    """One running agent. Every request raises AgentExited when the agent ends or has ended."""

    def __init__(self, child: Child, incoming: _Incoming) -> None:
        self.pid = child.pid
        self._child = child
        self._incoming = incoming
        self._peer = incoming.peer

    @classmethod
    async def start(
        cls,
        tasks: asyncio.TaskGroup,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str,
        handlers: AcpHandlers,
    ) -> Self:
        """A client whose agent was spawned; its reader runs in `tasks`. Raises AgentNotFound, OSError."""
        child = await Child.spawn(argv, env=env, cwd=cwd, on_stderr=handlers.stderr)
        incoming = _Incoming(child, handlers)
        tasks.create_task(incoming.peer.run())
        return cls(child, incoming)

    async def initialize(self) -> AgentInfo:
        """What the agent can do. Raises ProtocolMismatch, AgentSilent, AgentExited, AcpError."""
        params = {
            "protocolVersion": ACP_VERSION,
            "clientCapabilities": {
                "fs": {"readTextFile": False, "writeTextFile": False},
                "terminal": False,
            },
            "clientInfo": {"name": "taskyard", "title": "Taskyard", "version": str(PROTOCOL)},
        }
        info = agent_info(await self._peer.request("initialize", params, OPEN_TIMEOUT_S))
        if info is None:
            raise AcpError("initialize", 0, "an answer without a protocol version")
        if info.protocol_version != ACP_VERSION:
            raise ProtocolMismatch(info.protocol_version)
        return info

    async def new_session(self, cwd: str, mcp_servers: Sequence[msgspec.Raw] = ()) -> SessionInfo:
        """A fresh session in an absolute folder."""
        params = {"cwd": cwd, "mcpServers": list(mcp_servers)}
        info = session_info(await self._peer.request("session/new", params, OPEN_TIMEOUT_S), None)
        if info is None:
            raise AcpError("session/new", 0, "an answer without a session id")
        return info

    async def load_session(
        self, session_id: str, cwd: str, mcp_servers: Sequence[msgspec.Raw] = ()
    ) -> SessionInfo:
        """A session restored, its replay swallowed and counted. Only with can_load. Source: N16."""
        self._incoming.replays[session_id] = Replay()
        try:
            return await self._restore("session/load", session_id, cwd, mcp_servers)
        finally:
            self._incoming.replays.pop(session_id, None)

    async def resume_session(
        self, session_id: str, cwd: str, mcp_servers: Sequence[msgspec.Raw] = ()
    ) -> SessionInfo:
        """A session restored without a replay. Only with can_resume. Source: N16."""
        return await self._restore("session/resume", session_id, cwd, mcp_servers)

    async def _restore(
        self, method: str, session_id: str, cwd: str, mcp_servers: Sequence[msgspec.Raw]
    ) -> SessionInfo:
        replay = self._incoming.replays.get(session_id, Replay())

        def on_answer() -> None:  # what comes behind the answer, even in the same read, is news
            self._incoming.replays.pop(session_id, None)

        params = {"sessionId": session_id, "cwd": cwd, "mcpServers": list(mcp_servers)}
        result = await self._peer.request(method, params, OPEN_TIMEOUT_S, on_answer)
        info = session_info(result, session_id)
        assert info is not None
        return msgspec.structs.replace(
            info, replayed=replay.updates, replayed_prompts=replay.prompts
        )

    async def set_mode(self, session_id: str, mode_id: str) -> None:
        """The session is in that mode afterwards."""
        params = {"sessionId": session_id, "modeId": mode_id}
        await self._peer.request("session/set_mode", params, REQUEST_TIMEOUT_S)

    async def send_prompt(self, session_id: str, blocks: Sequence[msgspec.Raw]) -> Turn:
        """The turn, once the prompt is in the agent's pipe. Source: N8.

        Raises TurnRunning, AgentExited, or AgentSilent when the agent does not read; the turn is
        open even then, and its session is free again only when the agent answers.
        """
        turns = self._incoming.turns
        if session_id in turns:
            raise TurnRunning(session_id)
        turn = Turn(session_id)

        def on_outcome(outcome: Outcome) -> None:
            turns.pop(session_id, None)
            self._incoming.cancel_permissions(session_id)  # nobody waits for them any more
            turn.settle(outcome)

        params = {"sessionId": session_id, "prompt": list(blocks)}
        self._peer.send_request("session/prompt", params, on_outcome)
        turns[session_id] = turn
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await self._peer.drain()
        except TimeoutError:
            raise AgentSilent("session/prompt", OPEN_TIMEOUT_S) from None
        return turn

    async def prompt(self, session_id: str, blocks: Sequence[msgspec.Raw]) -> TurnEnd:
        """How the turn ended: send_prompt and wait in one."""
        return await (await self.send_prompt(session_id, blocks)).wait()

    async def cancel(self, session_id: str) -> None:
        """The agent was asked to end its turn, and open permission requests are answered cancelled.

        Harmless when nothing runs. The turn's own wait() tells when it has ended. Source: N13.
        """
        turn = self._incoming.turns.get(session_id)
        if turn is not None:
            turn.cancelling = True
            self._peer.notify("session/cancel", {"sessionId": session_id})
            self._incoming.cancel_permissions(session_id)

    def stderr_tail(self) -> list[str]:
        """The newest lines of standard error, oldest first."""
        return self._child.stderr_tail()

    async def wait(self) -> Exit:
        """How the agent ended, once all that it said was handled and every request has failed."""
        return await self._peer.wait()

    async def end(self, grace_s: float) -> Exit:
        """Ends the agent and its whole process group: end of input and SIGTERM, then SIGKILL."""
        return await self._child.end(grace_s)
