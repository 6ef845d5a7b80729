"""Keeps a coding agent running behind a session: starts it, restores its context, starts it again."""

import asyncio
import errno
from collections import deque
from pathlib import Path

from taskyard_agent import points
from taskyard_agent.acp import (
    AcpClient,
    AgentExited,
    AgentNotFound,
    AgentSilent,
    Exit,
    ProcessError,
)
from taskyard_agent.bridge.acp_opening import Opening, OpeningOrder
from taskyard_agent.bridge.acp_session import AcpSession, OpenSession
from taskyard_agent.bridge.launch import LoginNeeded, no_command, not_found
from taskyard_agent.bridge.life import Ended, OnExit
from taskyard_agent.bridge.mcp import McpConfigInvalid, McpServers
from taskyard_agent.bridge.parts import Parts
from taskyard_agent.bridge.restarts import Restarts
from taskyard_agent.programs import describe
from taskyard_agent.strays import MARK

INITIALIZE_S = 30.0
"""Seconds that a coding agent may take to say hello; the slowest one tried took 9 s."""

END_GRACE_S = 2.0
"""Seconds that an agent has to end by itself when its start went wrong."""


ROOM_PAUSE_S = 2.0
"""Seconds between tries to start a coding agent while the disk of the home is full."""


class _StartFailed(Exception):
    """The agent could not be brought up; final: another try would end the same. full: there was no room on the disk."""

    def __init__(self, sentence: str, *, final: bool, full: bool = False) -> None:
        super().__init__(sentence)
        self.final = final
        self.full = full


class AcpKeeper:
    """Runs one agent after the other until it is stopped or the last one was one too many."""

    def __init__(self, parts: Parts, session: AcpSession) -> None:
        place = parts.place
        self._parts = parts
        self._session = session
        self._log = parts.log
        self._env = {
            **place.env,
            **parts.launch.kind.start_env(place.agent.permissions, place.env),
        }
        self._client: AcpClient | None = None
        self._argvs = deque(parts.launch.argvs)
        self._first_problem: _StartFailed | None = None
        self._was_up = False
        self._told_full = False
        self._restarts = Restarts()

    async def run(self) -> None:
        """Returns when there will be no agent any more; the session knows why."""
        while True:
            ended: Exit | None = None
            final = False
            try:
                sentence, ended = await self._live()
            except _StartFailed as problem:
                if problem.full and not self._session.stopping:
                    await self._wait_for_room(problem)
                    continue
                if self._has_another(problem):
                    continue
                error = self._first_problem or problem
                sentence, final = str(error), error.final or not self._was_up
                self._session.agent_gone(sentence, None)
            if self._session.stopping:
                return
            self._log("error", sentence)
            pause_s = self._pause(ended, final=final)
            if pause_s is None:
                self._give_up(sentence, ended)
                return
            await asyncio.sleep(pause_s)

    async def stop(self, grace_s: float) -> None:
        """The agent and all that it started are gone."""
        if self._client is not None:
            await self._client.end(grace_s)

    async def _wait_for_room(self, problem: _StartFailed) -> None:
        """Says once that the disk is full: that is over some time, and the coding agent has no part in it."""
        if not self._told_full:
            self._told_full = True
            sentence = f"The coding agent cannot be started: {problem}. It is tried again until there is room."
            self._session.agent_gone(sentence, None)
            self._log("error", sentence)
        await asyncio.sleep(ROOM_PAUSE_S)

    def _has_another(self, problem: _StartFailed) -> bool:
        """Whether there is another command to be tried, because none was up so far."""
        if self._was_up or self._session.stopping:
            return False
        self._first_problem = self._first_problem or problem
        if len(self._argvs) > 1:
            self._argvs.popleft()
            return True
        return False

    def _pause(self, ended: Exit | None, *, final: bool) -> float | None:
        """Seconds until the agent is started again; null when it is not. Source: N26."""
        if final or (ended is not None and self._parts.life.on_exit is not OnExit.RESTART):
            return None
        return self._restarts.next_pause_s()

    def _give_up(self, sentence: str, ended: Exit | None) -> None:
        life = self._parts.life
        told = self._restarts.told(sentence)
        if told != sentence:
            self._session.record.fault(told)
            self._log("error", told)
        held = ended is not None and life.on_exit is OnExit.HOLD
        self._session.give_up(told, held=held)
        self._parts.on_health("unhealthy")
        if not held:
            life.on_end(Ended(ended or Exit(None, None), "", told))

    async def _live(self) -> tuple[str, Exit]:
        """How one agent ended, in a sentence too. Raises _StartFailed when it never came up."""
        self._session.updates.begin()
        if not self._argvs:
            raise _StartFailed(no_command(self._parts.launch.kind), final=True)
        async with asyncio.TaskGroup() as tasks:
            try:
                client = self._client = await AcpClient.start(
                    tasks,
                    self._argvs[0],
                    env=self._env | {MARK: self._session.strays.renew()},
                    cwd=self._parts.place.cwd,
                    handlers=self._session.updates,
                )
            except AgentNotFound as error:
                told = not_found(error.command, self._env)
                failed: _StartFailed | None = _StartFailed(told, final=True)
            except (ProcessError, OSError, ValueError) as error:
                failed = _StartFailed(str(error), final=True, full=_is_full(error))
            else:
                failed = await self._serve(client)
        if failed is not None:
            raise failed
        ended = await client.wait()
        return _ended(client, ended), ended

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
            opened = await self._open(client)
        except AgentExited as error:
            if self._session.updates.babbling.is_set():
                return _StartFailed(self._babble(), final=True)
            told = f"The coding agent did not come up. {_ended(client, error.exit)}"
            return _StartFailed(told, final=False)
        except (ProcessError, OSError, LoginNeeded, McpConfigInvalid) as error:
            return _StartFailed(str(error), final=True, full=_is_full(error))
        self._was_up, self._told_full = True, False
        self._first_problem = None
        self._session.agent_up(opened)
        await points.reached("bridge.ready")
        self._parts.on_health("healthy")
        return None

    def _babble(self) -> str:
        command = " ".join(self._argvs[0])
        return f"The output of {command!r} is not ACP. Check the template's agent command."

    async def _end_babbler(self, client: AcpClient) -> None:
        await self._session.updates.babbling.wait()
        await client.end(0)

    async def _open(self, client: AcpClient) -> OpenSession:
        try:
            async with asyncio.timeout(INITIALIZE_S):
                info = await client.initialize()
        except TimeoutError:
            raise AgentSilent("initialize", INITIALIZE_S) from None
        parts, place = self._parts, self._parts.place
        config = None if place.mcp_config is None else Path(place.mcp_config)
        servers = McpServers(parts.url, self._env, config, parts.token)
        order = OpeningOrder(place, parts.launch.kind, self._argvs[0], servers, parts.log)
        return await Opening(client, info, self._session, order).open()


def _is_full(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _ended(client: AcpClient, ended: Exit) -> str:
    said = next((line.strip() for line in reversed(client.stderr_tail()) if line.strip()), None)
    last = "It said nothing." if said is None else f"The last that it said: {said}"
    return f"The coding agent ended with {describe(ended)}. {last}"
