"""Keeps a program with a screen running behind a session: starts it, goes on with its session, starts it again."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import msgspec

from taskyard_agent.bridge.launch import no_command, not_found
from taskyard_agent.bridge.life import Ended, OnExit
from taskyard_agent.bridge.parts import Parts
from taskyard_agent.bridge.restarts import Restarts
from taskyard_agent.bridge.terminal_options import TerminalOptions
from taskyard_agent.bridge.terminal_session import TerminalSession
from taskyard_agent.bridge.terminal_start import Start, start_of
from taskyard_agent.process import AgentNotFound, Exit
from taskyard_agent.programs import describe
from taskyard_agent.protocol import ItemKind
from taskyard_agent.report import BRIDGE_TOKEN, BRIDGE_URL
from taskyard_agent.strays import MARK
from taskyard_agent.terminal.child import PtyChild, Terminal

RESUMED_S = 5.0
"""Seconds within which a program that was to go on with its session fails when it cannot. Source: N17."""

END_GRACE_S = 2.0
"""Seconds that what the program started has to end by itself after it."""


@dataclass(frozen=True, slots=True)
class _Life:
    """How a program ended. exit null: it could not be started. screen: what it showed last."""

    sentence: str
    exit: Exit | None
    screen: str
    seconds: float


class TerminalKeeper:
    """Runs one program after the other until it is stopped, or until nothing is to follow."""

    def __init__(self, parts: Parts, session: TerminalSession, options: TerminalOptions) -> None:
        self._parts = parts
        self._session = session
        self._options = options
        self._child: PtyChild | None = None
        self._restarts = Restarts()

    async def run(self) -> None:
        """Returns when there will be no program any more; the session knows why."""
        failed: str | None = None
        await self._end_leftovers()
        while not self._stopping():
            start = start_of(self._parts, failed)
            self._remember(start)
            life = await self._live(start)
            if self._stopping():
                return
            self._parts.log("error", life.sentence)
            failed = life.sentence if self._could_not_resume(start, life) else None
            if failed is not None:
                continue
            pause_s = self._pause(life)
            if pause_s is None:
                self._end(life)
                return
            await asyncio.sleep(pause_s)

    async def _end_leftovers(self) -> None:
        """What a bridge that was killed could not end itself. Source: D14."""
        mark = self._session.file.session.mark
        if mark is not None:
            await self._session.strays.end_all(mark)

    async def stop(self, grace_s: float) -> None:
        """The program and all that it started are gone."""
        if self._child is not None:
            await self._child.end(grace_s)
            await self._session.strays.end_all()
        self._session.close()

    def _stopping(self) -> bool:
        return self._session.stopping

    # what follows

    def _could_not_resume(self, start: Start, life: _Life) -> bool:
        """Whether the program is to be started afresh, because it cannot go on. Source: N17."""
        ended = life.exit
        failed = start.how == "resumed" and ended is not None and ended.code != 0
        return failed and life.seconds <= RESUMED_S

    def _remember(self, start: Start) -> None:
        """What the program does not know of the conversation it gets with the next prompt. Source: N17."""
        self._session.inline.context = start.context
        if start.lost is None:
            return
        told = "The previous context could not be restored. The coding agent starts without it"
        if start.context is not None:
            told += ", and gets the end of the transcript with the next message"
        told += f". {start.lost}"
        self._session.record.fault(told, level="warning")
        self._parts.log("warn", told)

    def _pause(self, life: _Life) -> float | None:
        """Seconds until the program is started again; null when it is not. Source: N26."""
        if life.exit is None or self._parts.life.on_exit is not OnExit.RESTART:
            return None
        return self._restarts.next_pause_s()

    def _end(self, life: _Life) -> None:
        if life.exit is not None and self._parts.life.on_exit is OnExit.HOLD:
            return
        told = self._restarts.told(life.sentence)
        if told != life.sentence:
            self._session.record.fault(told)
            self._parts.log("error", told)
        self._session.give_up(told)
        self._parts.on_health("unhealthy")
        self._parts.life.on_end(Ended(life.exit or Exit(None, None), life.screen, told))

    # one program

    async def _live(self, start: Start) -> _Life:
        began = asyncio.get_running_loop().time()
        try:
            child = self._spawn(start)
        except (AgentNotFound, OSError, ValueError) as error:
            sentence = self._not_started(start, error)
            screen = self._session.agent_gone(sentence, None)
            return _Life(sentence, None, screen, 0.0)
        try:
            await self._save(start)
            ended = await child.wait()
            sentence = f"The coding agent ended with {describe(ended)}."
            screen = self._session.agent_gone(sentence, ended)
            lived_s = asyncio.get_running_loop().time() - began
            return _Life(sentence, ended, screen, lived_s)
        finally:
            await child.end(END_GRACE_S)
            await self._session.strays.end_all()  # nobody is left who would see to them

    def _spawn(self, start: Start) -> PtyChild:
        if not start.argv:
            raise ValueError(no_command(self._parts.launch.kind))
        program = self._session.new_program()
        terminal = Terminal(*program.watch.screen.size, self._options.kind)
        child = self._child = PtyChild.spawn(
            start.argv,
            env=self._env | {MARK: self._session.strays.renew()},
            cwd=self._parts.place.cwd,
            terminal=terminal,
            on_output=program.output,
        )
        self._session.agent_up(child)
        self._session.record.put(
            ItemKind.SESSION_INFO,
            {
                "agent": {"name": self._parts.launch.kind.name, "version": None},
                "opened": start.how,
                "session_id": start.session_id,
                "pid": child.pid,
            },
        )
        self._parts.on_health("healthy")
        return child

    @property
    def _env(self) -> dict[str, str]:
        """The place's, and where reports go to, for programs that were given the tool for them."""
        token = self._parts.token
        told = {BRIDGE_URL: self._parts.url} | ({} if token is None else {BRIDGE_TOKEN: token})
        return dict(self._parts.place.env) | told

    def _not_started(self, start: Start, error: Exception) -> str:
        if isinstance(error, AgentNotFound):
            told = not_found(start.argv[0], self._parts.place.env)
            return f"The program {start.argv[0]!r} cannot be started. {told}"
        if isinstance(error, OSError):
            return f"The coding agent cannot be started: {error}"
        return str(error)

    # its own session

    async def _save(self, start: Start) -> None:
        file, turn = self._session.file, self._session.record.turn
        fresh = msgspec.structs.replace(
            file.session,
            agent=self._parts.launch.kind.name,
            argv=list(start.argv),
            cwd=self._parts.place.cwd,
            transport="pty",
            mark=self._session.strays.mark,
            native_session_id=start.session_id,
            last_turn=turn,
            native_first_turn=turn + 1 if start.how == "new" else file.session.native_first_turn,
        )
        try:
            await file.save(fresh)
        except OSError as error:
            self._session.record.fault(f"The session cannot be noted: {error}", level="warning")


def make_terminal(
    parts: Parts, options: TerminalOptions, folder: Path
) -> tuple[TerminalSession, TerminalKeeper]:
    """The session, and who keeps a program behind it. Raises RulesInvalid, OSError."""
    session = TerminalSession(parts, options, folder)
    return session, TerminalKeeper(parts, session, options)
