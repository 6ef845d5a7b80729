"""What happens on the screen of one program: told by its output, asked by whoever talks with it."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from re import Pattern

from taskyard_agent.bell import Bell
from taskyard_agent.terminal.reply import Look, Reply
from taskyard_agent.terminal.rules import Rules
from taskyard_agent.terminal.screen import Fed, Screen
from taskyard_agent.terminal.settle import Settle
from taskyard_agent.terminal.status import Evidence, Phase, StatusMachine

BUSY_PROGRESS = frozenset({"1", "3"})
"""States of OSC 9;4 that mean work: so much of it done, and nobody knows how much. Source: N29."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at the screen found. text: without blanks at the ends of rows and of the whole.

    steady: text without what changes by itself. dialog: the question that waits for keys, null for none.
    """

    look: Look
    text: str
    steady: str
    title: str
    dialog: str | None = None


BLANK_FACTOR = 5
"""So many times as long must a screen stand still that shows nothing: most likely its program is still starting."""

NOTHING = Seen(Look(()), "", "", "")


class Watch:
    """The screen of one program, from its start to its end.

    on_look is called after each look, and when time alone may have changed the phase. replies: what the
    turns that are being read need to know of; usually one.
    """

    def __init__(
        self,
        screen: Screen,
        rules: Rules,
        on_look: Callable[[], None],
        *,
        stable_after_s: float,
        ready_pattern: Pattern[str] | None = None,
    ) -> None:
        """ready_pattern: what is shown by a program that takes input; null: its rules know. Needs a running loop."""
        self.screen = screen
        self.seen = NOTHING
        self.replies: Sequence[Reply] = ()
        still = ready_pattern is None and rules.ready_when_still
        self.machine = StatusMachine(_now(), stable_after_s, still)
        self._rules = rules
        self._on_look = on_look
        self._ready_pattern = ready_pattern
        self._changed_at = _now()
        self._blank_until = _now() + BLANK_FACTOR * stable_after_s
        self._bell = Bell()
        self.closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._settle = Settle(self._settled, lambda: self.screen.synchronized)
        self.arm()

    def feed(self, data: bytes) -> Fed:
        """The screen shows that output; it is looked at when that has settled."""
        fed = self.screen.feed(data)
        if fed.erased:
            for reply in self.replies:
                reply.erased()
        if fed.gone:
            for reply in self.replies:
                reply.scrolled(fed.scrolled, fed.wrapped)
        self._settle.output()
        return fed

    def resize(self, cols: int, rows: int) -> None:
        """The screen has that size."""
        self.screen.resize(cols, rows)
        self._settle.output()

    def hook(self, *, busy: bool | None) -> None:
        """The program told by itself whether it works; null: not any more. Source: N29."""
        was_busy = self.machine.busy
        self.machine.said(Evidence.HOOK, busy=busy)
        if was_busy and not self.machine.busy:
            self.machine.changed(_now())  # what it shows of that may still be to come

    def look(self) -> Look:
        """What the screen shows right now, half drawn or not."""
        self._see()
        return self.seen.look

    def look_now(self) -> None:
        """As if all output had settled; for the end of the program."""
        self._settle.now()

    @property
    def phase(self) -> Phase:
        """What the program does, as far as its screen tells."""
        return self.machine.phase(_now())

    @property
    def busy(self) -> bool | None:
        """What the program says itself: at work or not; None when it says nothing."""
        return self.machine.busy

    @property
    def quiet_s(self) -> float:
        """Seconds since the last visible change."""
        return _now() - self._changed_at

    @property
    def composer_empty(self) -> bool | None:
        """Whether nothing stands where prompts are typed; None when that place is not seen. Source: N32."""
        return self._rules.composer_empty(self.seen.text, self.seen.look.cursor)

    async def looked(self, within_s: float) -> None:
        """Returns after the next look, or when that long has passed, or at the end."""
        if self.closed:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._bell.rung()

    def wake(self) -> None:
        """Whoever waits for a look looks around."""
        self._bell.ring()

    def close(self) -> None:
        """Nothing is called any more."""
        self.closed = True
        self.wake()
        self._settle.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # looking

    def _settled(self) -> None:
        self._see()
        self.tell()

    def tell(self) -> None:
        """Has the phase looked at, now and whenever time alone will have changed it."""
        self.arm()
        self._on_look()
        self.wake()

    def _see(self) -> None:
        rows, wrapped = self.screen.shown()
        while rows and not rows[-1]:
            rows.pop()
        look = Look(tuple(rows), self.screen.cursor(), wrapped, self.screen.alternate)
        if (look, self.screen.title) == (self.seen.look, self.seen.title):
            self._hear(self.seen.text)
            return
        text = "\n".join(rows)
        steady = self._rules.steady(text)
        if steady != self.seen.steady:
            self._changed_at = _now()
            self.machine.changed(self._changed_at)
        dialog = self._rules.dialog(text, self.screen.title)
        self.seen = Seen(look, text, steady, self.screen.title, dialog)
        self._hear(text)

    def _hear(self, text: str) -> None:
        """Everything that a program says of itself, other than text. Source: N29-N31."""
        machine, title, now = self.machine, self.screen.title, _now()
        state = self.screen.progress.partition(";")[0]
        was_busy = machine.busy
        machine.said(Evidence.MARKER, busy=self._rules.busy_marker(text))
        machine.said(Evidence.TITLE, busy=self._rules.busy_title(title) if title else None)
        machine.said(Evidence.PROGRESS, busy=True if state in BUSY_PROGRESS else None)
        if was_busy and not machine.busy:
            machine.changed(now)  # it may be between two steps: idle is only what stays so
        machine.dialog(is_open=self.seen.dialog is not None)
        shown = bool(text) or now >= self._blank_until
        machine.cursor(now, shown=shown and self.screen.cursor()[2])
        if not machine.seen_ready(now) and self._looks_ready(text):
            machine.ready()

    def _looks_ready(self, text: str) -> bool:
        if self._ready_pattern is not None:
            return self._ready_pattern.search(text) is not None
        return self._rules.ready(text)

    @property
    def seen_ready(self) -> bool:
        """Whether the program was ever seen to take input."""
        return self.machine.seen_ready(_now())

    # time

    def arm(self) -> None:
        """Has the phase looked at again when time alone will have changed it."""
        loop = asyncio.get_running_loop()
        due = self.machine.due(loop.time())
        if not self.seen.text and loop.time() < self._blank_until:
            due = self._blank_until
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if due is None else loop.call_at(due, self._due)

    def _due(self) -> None:
        self._timer = None
        if not self._settle.pending:
            self._see()
            self.tell()
        else:  # the look that is about to come tells
            self.arm()


def _now() -> float:
    return asyncio.get_running_loop().time()
