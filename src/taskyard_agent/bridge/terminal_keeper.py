"""Keeps a program with a screen running behind a session: starts it, goes on with its session, starts it again."""

import asyncio
import uuid
from dataclasses import dataclass
from pathlib import Path, PurePath

import msgspec

from taskyard_agent.bridge.launch import no_command, not_found
from taskyard_agent.bridge.life import Ended, OnExit
from taskyard_agent.bridge.parts import Parts
from taskyard_agent.bridge.restarts import Restarts
from taskyard_agent.bridge.terminal_options import TerminalOptions
from taskyard_agent.bridge.terminal_session import TerminalSession
from taskyard_agent.process import AgentNotFound, Exit
from taskyard_agent.programs import describe
from taskyard_agent.protocol import ItemKind
from taskyard_agent.report import BRIDGE_TOKEN, BRIDGE_URL
from taskyard_agent.terminal.child import PtyChild, Terminal

RESUMED_S = 5.0
"""Seconds within which a program that was to go on with its session fails when it cannot. Source: N17."""

END_GRACE_S = 2.0
"""Seconds that what the program started has to end by itself after it."""


@dataclass(frozen=True, slots=True)
class _Start:
    """How a program is started. how: new or resumed. session_id null: it has none that we know."""

    argv: tuple[str, ...]
    how: str
    session_id: str | None


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
        can_resume = True
        while not self._stopping():
            start = self._start(can_resume=can_resume)
            life = await self._live(start)
            if self._stopping():
                return
            self._parts.log("error", life.sentence)
            if self._could_not_resume(start, life):
                can_resume = False
                continue
            can_resume = True
            pause_s = self._pause(life)
            if pause_s is None:
                self._end(life)
                return
            await asyncio.sleep(pause_s)

    async def stop(self, grace_s: float) -> None:
        """The program and all that it started are gone."""
        if self._child is not None:
            await self._child.end(grace_s)
        self._session.close()

    def _stopping(self) -> bool:
        return self._session.stopping

    # what follows

    def _could_not_resume(self, start: _Start, life: _Life) -> bool:
        """Whether the program is to be started afresh, because it cannot go on. Source: N17."""
        ended = life.exit
        failed = start.how == "resumed" and ended is not None and ended.code != 0
        if not failed or life.seconds > RESUMED_S:
            return False
        self._session.record.fault(
            "The previous context could not be restored; the coding agent starts without it. "
            f"{life.sentence}",
            level="warning",
        )
        return True

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

    async def _live(self, start: _Start) -> _Life:
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

    def _spawn(self, start: _Start) -> PtyChild:
        if not start.argv:
            raise ValueError(no_command(self._parts.launch.kind))
        program = self._session.new_program()
        terminal = Terminal(*program.watch.screen.size, self._options.kind)
        child = self._child = PtyChild.spawn(
            start.argv,
            env=self._env,
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

    def _not_started(self, start: _Start, error: Exception) -> str:
        if isinstance(error, AgentNotFound):
            told = not_found(start.argv[0], self._parts.place.env)
            return f"The program {start.argv[0]!r} cannot be started. {told}"
        if isinstance(error, OSError):
            return f"The coding agent cannot be started: {error}"
        return str(error)

    # its own session

    def _start(self, *, can_resume: bool) -> _Start:
        """The command, with the words that let it go on where it was. Source: N17."""
        launch, saved = self._parts.launch, self._session.file.session
        argv = launch.argvs[0] if launch.argvs else ()
        kind = launch.kind
        if not argv or not kind.pty or PurePath(argv[0]).name != PurePath(kind.pty[0]).name:
            return _Start(argv, "new", None)
        ours = (saved.agent, saved.cwd) == (kind.name, self._parts.place.cwd)
        words = kind.resume_pty(saved.native_session_id)
        if can_resume and ours and words and self._session.record.turn > 0:
            return _Start((*argv, *words), "resumed", saved.native_session_id)
        session_id = str(uuid.uuid4()) if kind.first else None
        return _Start((*argv, *kind.first_pty(session_id or "")), "new", session_id)

    async def _save(self, start: _Start) -> None:
        file = self._session.file
        fresh = msgspec.structs.replace(
            file.session,
            agent=self._parts.launch.kind.name,
            argv=list(start.argv),
            cwd=self._parts.place.cwd,
            transport="pty",
            native_session_id=start.session_id,
            last_turn=self._session.record.turn,
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
