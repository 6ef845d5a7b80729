"""Opens the session of a coding agent that has just come up: the last one again, if it can be had."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from taskyard_agent.acp import AcpClient, AcpError, AgentInfo, AgentSilent, ModeLimit, SessionInfo
from taskyard_agent.acp_messages import auth_methods
from taskyard_agent.agent_types import AgentType
from taskyard_agent.bridge.acp_session import NEEDS_LOGIN, AcpSession, OpenSession
from taskyard_agent.bridge.launch import LoginNeeded, login_needed
from taskyard_agent.bridge.mcp import McpServers
from taskyard_agent.bridge.record import Log
from taskyard_agent.bridge.session import Place
from taskyard_agent.protocol import ItemKind


@dataclass(frozen=True, slots=True)
class OpeningOrder:
    """What is opened, and with what. argv: the command that runs."""

    place: Place
    kind: AgentType
    argv: Sequence[str]
    servers: McpServers
    log: Log


class _Lost(Exception):
    """The last session cannot be had again; str() says why."""


class Opening:
    """One agent's way from its first answer to a session that takes prompts."""

    def __init__(
        self, client: AcpClient, info: AgentInfo, session: AcpSession, order: OpeningOrder
    ) -> None:
        self._client = client
        self._info = info
        self._record = session.record
        self._file = session.file
        self._permissions = session.updates.permissions
        self._order = order

    async def open(self) -> OpenSession:
        """The session. Raises LoginNeeded, AcpError, AgentSilent, AgentExited, OSError."""
        login = login_needed(self._order.kind, auth_methods(self._info.auth_methods))
        servers, problems = self._order.servers.offered(self._info.capabilities)
        for problem in problems:
            self._record.fault(problem, level="warning")
        try:
            how, opened, forgotten = await self._restore_or_new(servers)
        except AcpError as error:
            if error.code == NEEDS_LOGIN:
                raise LoginNeeded(login) from error
            raise
        mode = await self._set_mode(opened)
        self._store(how, opened, mode)
        return OpenSession(self._client, opened.session_id, login, forgotten=forgotten)

    async def _restore_or_new(self, servers: list[msgspec.Raw]) -> tuple[str, SessionInfo, bool]:
        """How it was opened, the session, and whether it knows nothing of the conversation."""
        if self._record.turn == 0:
            return "new", await self._new(servers), False  # nothing was said so far
        try:
            how, opened = await self._restore(servers)
        except _Lost as lost:
            told = (
                "The previous context could not be restored. The coding agent starts without it, and "
                f"gets the end of the transcript with the next message. {lost}"
            )
            self._record.fault(told, level="warning")
            self._order.log("warn", told)
            return "new", await self._new(servers), True
        self._compare(opened)
        # It was opened after an earlier one was lost, and has not got a message since.
        forgotten = self._record.turn < self._file.session.acp_first_turn
        return how, opened, forgotten

    async def _new(self, servers: list[msgspec.Raw]) -> SessionInfo:
        opened = await self._client.new_session(self._order.place.cwd, servers)
        await self._save(opened.session_id)
        return opened

    async def _restore(self, servers: list[msgspec.Raw]) -> tuple[str, SessionInfo]:
        """Raises _Lost. Source: N16."""
        saved, place = self._file.session, self._order.place
        if saved.acp_session_id is None:
            raise _Lost("Nothing is known of it any more.")
        if saved.agent != place.agent.type:
            raise _Lost(f"It belongs to another coding agent, {saved.agent}.")
        if saved.cwd != place.cwd:
            raise _Lost(f"It belongs to another folder, {saved.cwd}.")
        if not (self._info.can_resume or self._info.can_load):
            raise _Lost("The coding agent cannot restore sessions.")
        problem: Exception | None = None
        if self._info.can_resume:
            try:
                return "resumed", await self._client.resume_session(
                    saved.acp_session_id, place.cwd, servers
                )
            except (AcpError, AgentSilent) as error:
                problem = error
        if self._info.can_load:
            try:
                return "loaded", await self._client.load_session(
                    saved.acp_session_id, place.cwd, servers
                )
            except (AcpError, AgentSilent) as error:
                problem = error
        if isinstance(problem, AcpError) and problem.code == NEEDS_LOGIN:
            raise problem
        raise _Lost(str(problem)) from problem

    def _compare(self, opened: SessionInfo) -> None:
        """Notes when the agent remembers another number of prompts than we do. Source: N16."""
        expected = self._record.turn - self._file.session.acp_first_turn + 1
        if opened.replayed and opened.replayed_prompts != expected:
            told = (
                f"The coding agent replayed {opened.replayed_prompts} prompts of its session, and the "
                f"transcript has {expected}. The transcript is what counts."
            )
            self._order.log("warn", told)

    async def _set_mode(self, opened: SessionInfo) -> str | None:
        """The mode that the session is in now, after it was put into the one that fits."""
        place, kind = self._order.place, self._order.kind
        wanted = kind.modes(place.agent.permissions, place.env)
        mode = next((name for name in wanted if name in opened.modes), opened.mode)
        if mode is not None and mode != opened.mode:
            try:
                await self._client.set_mode(opened.session_id, mode)
            except (AcpError, AgentSilent) as error:
                told = f"The coding agent stays in mode {opened.mode}: {error}"
                self._record.fault(told, level="warning")
                mode = opened.mode
        fine = {*kind.asks, *([mode] if mode is not None else [])}
        self._permissions.limit = ModeLimit(frozenset(opened.modes), frozenset(fine))
        return mode

    def _store(self, how: str, opened: SessionInfo, mode: str | None) -> None:
        data = {
            "agent": {"name": self._info.name, "version": self._info.version},
            "opened": how,
            "session_id": opened.session_id,
            "mode": mode,
            "modes": opened.modes,
            "protocol": self._info.protocol_version,
            "capabilities": self._info.capabilities,
            "replayed": opened.replayed,
            "pid": self._client.pid,
        }
        self._record.put(ItemKind.SESSION_INFO, data)

    async def _save(self, session_id: str) -> None:
        file = self._file
        await file.save(
            msgspec.structs.replace(
                file.session,
                agent=self._order.place.agent.type,
                argv=list(self._order.argv),
                cwd=self._order.place.cwd,
                transport="acp",
                acp_session_id=session_id,
                acp_first_turn=self._record.turn + 1,
                protocol_version=self._info.protocol_version,
                last_turn=self._record.turn,
            )
        )
