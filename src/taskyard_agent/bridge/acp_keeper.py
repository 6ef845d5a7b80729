"""Keeps a coding agent running behind a session: starts it, restores its context, starts it again."""

import asyncio
from collections import deque
from collections.abc import Callable

import msgspec

from taskyard_agent.acp import (
    AcpClient,
    AgentExited,
    AgentInfo,
    AgentSilent,
    Exit,
    Policy,
    ProcessError,
    SessionInfo,
)
from taskyard_agent.acp_messages import AcpError
from taskyard_agent.bridge.acp_session import AcpSession
from taskyard_agent.bridge.record import Log
from taskyard_agent.bridge.session import Place
from taskyard_agent.programs import describe
from taskyard_agent.protocol import ItemKind

INITIALIZE_S = 30.0
"""Seconds that a coding agent may take to say hello; the slowest one tried took 9 s."""

RESTARTS = 3
RESTARTS_WITHIN_S = 600.0
"""So many restarts in so many seconds, then it stays down. Source: N26."""

RESTART_PAUSES_S = (0.0, 0.5, 1.5)
"""Seconds before each of them: at once at first, then time for what it trips over to pass."""

END_GRACE_S = 2.0
"""Seconds that an agent has to end by itself when its start went wrong."""


class _StartFailed(Exception):
    """The agent could not be brought up; final: another try would end the same."""

    def __init__(self, sentence: str, *, final: bool) -> None:
        super().__init__(sentence)
        self.final = final


class AcpKeeper:
    """Runs one agent after the other until it is stopped or the last one was one too many."""

    def __init__(
        self, place: Place, session: AcpSession, log: Log, on_health: Callable[[str], None]
    ) -> None:
        self._place = place
        self._session = session
        self._log = log
        self._on_health = on_health
        self._client: AcpClient | None = None
        self._was_up = False
        self._restarts: deque[float] = deque(maxlen=RESTARTS)

    async def run(self) -> None:
        """Returns when there will be no agent any more; the session knows why."""
        while True:
            try:
                sentence, final = await self._live(), False
            except _StartFailed as error:
                sentence, final = str(error), error.final or not self._was_up
                self._session.agent_gone(sentence, None)
            if self._session.stopping:
                return
            self._log("error", sentence)
            pause_s = None if final else self._next_pause()
            if pause_s is None:
                self._give_up(sentence)
                return
            await asyncio.sleep(pause_s)

    async def stop(self, grace_s: float) -> None:
        """The agent and all that it started are gone."""
        if self._client is not None:
            await self._client.end(grace_s)

    def _next_pause(self) -> float | None:
        now = asyncio.get_running_loop().time()
        while self._restarts and self._restarts[0] < now - RESTARTS_WITHIN_S:
            self._restarts.popleft()
        if len(self._restarts) == RESTARTS:
            return None
        self._restarts.append(now)
        return RESTART_PAUSES_S[len(self._restarts) - 1]

    def _give_up(self, sentence: str) -> None:
        told = sentence
        if self._restarts:
            told = f"The coding agent was started again {RESTARTS} times in 10 minutes and stays down. {sentence}"
            self._session.record.fault(told)
            self._log("error", told)
        self._session.give_up(told)
        self._on_health("unhealthy")

    async def _live(self) -> str:
        """How one agent ended, in a sentence. Raises _StartFailed when it never came up."""
        self._session.updates.begin()
        async with asyncio.TaskGroup() as tasks:
            try:
                client = self._client = await AcpClient.start(
                    tasks,
                    self._place.argv,
                    env=self._place.env,
                    cwd=self._place.cwd,
                    handlers=self._session.updates,
                    policy=Policy(self._place.agent.permissions),
                )
            except (ProcessError, OSError, ValueError) as error:
                failed: _StartFailed | None = _StartFailed(str(error), final=True)
            else:
                failed = await self._serve(client)
        if failed is not None:
            raise failed
        return _ended(client, await client.wait())

    async def _serve(self, client: AcpClient) -> _StartFailed | None:
        """Returns when the agent has ended; why it did not come up, None when it did."""
        try:
            async with asyncio.TaskGroup() as tasks:
                watch = tasks.create_task(self._end_babbler(client))
                failed = await self._bring_up(client)
                if failed is None:
                    ended = await client.wait()
                    self._report_end(client, ended)
                watch.cancel()
        finally:
            await client.end(END_GRACE_S)
        return failed

    def _report_end(self, client: AcpClient, ended: Exit) -> None:
        sentence = _ended(client, ended)
        if self._session.updates.babbling.is_set():
            sentence = self._babble()
        self._session.agent_gone(sentence, ended)

    async def _bring_up(self, client: AcpClient) -> _StartFailed | None:
        try:
            session_id = await self._open(client)
        except AgentExited as error:
            if self._session.updates.babbling.is_set():
                return _StartFailed(self._babble(), final=True)
            told = f"The coding agent did not come up. {_ended(client, error.exit)}"
            return _StartFailed(told, final=False)
        except (ProcessError, OSError) as error:
            return _StartFailed(str(error), final=True)
        self._was_up = True
        self._session.agent_up(client, session_id)
        self._on_health("healthy")
        return None

    def _babble(self) -> str:
        command = " ".join(self._place.agent.command)
        return f"The output of {command!r} is not ACP. Check the template's agent command."

    async def _end_babbler(self, client: AcpClient) -> None:
        await self._session.updates.babbling.wait()
        await client.end(0)

    # the agent's own session

    async def _open(self, client: AcpClient) -> str:
        """The id of an open session: the last one when the agent can restore it. Source: N16."""
        try:
            async with asyncio.timeout(INITIALIZE_S):
                info = await client.initialize()
        except TimeoutError:
            raise AgentSilent("initialize", INITIALIZE_S) from None
        how, opened = await self._restore(client, info)
        if opened is None:
            how, opened = "new", await client.new_session(self._place.cwd)
            await self._save(opened.session_id, info)
        data = {
            "agent": {"name": info.name, "version": info.version},
            "opened": how,
            "session_id": opened.session_id,
            "mode": opened.mode,
            "replayed": opened.replayed,
        }
        self._session.record.put(ItemKind.SESSION_INFO, data)
        return opened.session_id

    async def _restore(self, client: AcpClient, info: AgentInfo) -> tuple[str, SessionInfo | None]:
        saved = self._session.file.session
        if saved.acp_session_id is None or self._session.record.turn == 0:
            return "new", None  # there is no context that could be lost
        problem = "The coding agent cannot restore sessions."
        if (saved.agent, saved.cwd) != (self._place.agent.type, self._place.cwd):
            problem = "It belongs to another coding agent, or to another folder."
        elif info.can_resume or info.can_load:
            restore = client.resume_session if info.can_resume else client.load_session
            how = "resumed" if info.can_resume else "loaded"
            try:
                return how, await restore(saved.acp_session_id, self._place.cwd)
            except (AcpError, AgentSilent) as error:
                problem = str(error)
        self._session.record.fault(
            f"The previous context could not be restored; the coding agent starts without it. {problem}",
            level="warning",
        )
        return "new", None

    async def _save(self, session_id: str, info: AgentInfo) -> None:
        file = self._session.file
        await file.save(
            msgspec.structs.replace(
                file.session,
                agent=self._place.agent.type,
                argv=self._place.argv,
                cwd=self._place.cwd,
                acp_session_id=session_id,
                protocol_version=info.protocol_version,
                last_turn=self._session.record.turn,
            )
        )


def _ended(client: AcpClient, ended: Exit) -> str:
    said = next((line.strip() for line in reversed(client.stderr_tail()) if line.strip()), None)
    last = "It said nothing." if said is None else f"The last that it said: {said}"
    return f"The coding agent ended with {describe(ended)}. {last}"
