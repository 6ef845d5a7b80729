"""One program behind a terminal, from its start to its end: what it shows, and what is typed into it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from taskyard_agent.bridge.record import SessionState
from taskyard_agent.bridge.session import Refused
from taskyard_agent.bridge.terminal_options import TerminalOptions
from taskyard_agent.bridge.terminal_tidy import question
from taskyard_agent.protocol import Waiting
from taskyard_agent.terminal.child import PtyChild
from taskyard_agent.terminal.ptylog import PtyLog
from taskyard_agent.terminal.rules import Rules
from taskyard_agent.terminal.screen import Screen
from taskyard_agent.terminal.status import Phase
from taskyard_agent.terminal.watch import Watch

ANIMATED = "amp"
SKIP_ANIMATION = b" \b"
"""The type that shows an animation first, and the keys that end that. Source: A18."""

SCREEN_CHARS = 32 * 1024
"""Characters of the last screen that are stored when a program ends: its end tells why."""


@dataclass(frozen=True, slots=True)
class Ears:
    """Who hears of a program: looked: of every look; late: that it is not ready; lost: of characters not drawn."""

    looked: Callable[[], None]
    late: Callable[[float], None]
    lost: Callable[[int], None]


class Program:
    """A screen, and the program that draws on it as soon as started() was called.

    was_free: it took prompts at some time. late: it should have by now.
    """

    def __init__(
        self,
        rules: Rules,
        options: TerminalOptions,
        log: PtyLog,
        ears: Ears,
        *,
        size: tuple[int, int],
    ) -> None:
        """size: columns and rows. Needs a running loop."""
        self.child: PtyChild | None = None
        self.was_free = False
        self.late = False
        self._options = options
        self._log = log
        self._log_lost = log.lost
        self._ears = ears
        self._animated = rules.type == ANIMATED
        self._timer: asyncio.TimerHandle | None = None
        self.watch = Watch(
            Screen(*size),
            rules,
            self._looked,
            stable_after_s=options.stable_after_s,
            ready_pattern=options.ready_pattern,
        )

    def started(self, child: PtyChild) -> None:
        """The program runs; from now on it may be late."""
        self.child = child
        within_s = self._options.ready_timeout_s
        if within_s is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(within_s, self._check_ready, within_s)

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.child is not None and not self.watch.closed

    def output(self, data: bytes) -> None:
        """Something that it wrote."""
        self._log.append(data)
        fed = self.watch.feed(data)
        if fed.replies and self.child is not None:
            self.child.reply(fed.replies)
        lost = fed.lost + self._log.lost - self._log_lost
        self._log_lost = self._log.lost
        if lost:
            self._ears.lost(lost)

    def _looked(self) -> None:
        if self._animated and self.child is not None:
            self._animated = False
            self.child.reply(SKIP_ANIMATION)
        self._ears.looked()

    def _check_ready(self, within_s: float) -> None:
        """Source: N31."""
        self._timer = None
        if not self.watch.seen_ready:
            self.late = True
            self._ears.late(within_s)

    async def write(self, keys: str) -> None:
        """The bytes of these characters are with the program, as they are. Raises Refused: agent_exited, timeout."""
        if self.child is None:
            raise Refused("agent_exited", "The coding agent's program was not started.")
        try:
            async with asyncio.timeout(self._options.reaction_s):
                await self.child.write(keys.encode(errors="replace"))
        except TimeoutError:
            raise Refused("timeout", "The coding agent does not read its input.") from None
        except BrokenPipeError:
            raise Refused("agent_exited", "The coding agent has closed its terminal.") from None

    def text(self) -> str:
        """The screen as it is now. Source: A15."""
        return "\n".join(self.watch.screen.view())

    def resize(self, cols: int, rows: int) -> None:
        """Screen and terminal have that size."""
        self.watch.resize(cols, rows)
        if self.child is not None:
            self.child.resize(*self.watch.screen.size)

    def state(self, *, in_turn: bool, first: bool) -> tuple[SessionState, Waiting | None]:
        """What a session with it does. first: a prompt is still to be sent before anybody else's."""
        if not self.running:
            return SessionState.EXITED, None
        if self.watch.seen.dialog is not None:
            title = question(self.watch.seen.dialog)
            return SessionState.AWAITING_INPUT, Waiting("dialog", "", title)
        if in_turn:
            return SessionState.RUNNING, None
        if self.watch.phase is Phase.STABLE and not first:
            self.was_free = True
            return SessionState.IDLE, None
        if self.was_free:
            return SessionState.RUNNING, None
        late = self.late and not self.watch.seen_ready
        return SessionState.NOT_READY if late else SessionState.STARTING, None

    def last_look(self) -> str:
        """The screen that it leaves behind, which was looked at once more."""
        self.watch.look_now()
        return self.watch.seen.text[-SCREEN_CHARS:]

    def close(self) -> None:
        """Nothing happens any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.watch.close()
