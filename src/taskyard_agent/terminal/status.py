"""Whether the program behind a terminal works or waits, decided from events alone.

Nothing here has a clock: whoever owns the terminal says what happened and when, asks what that
means, and learns when to ask again. Times are seconds of one clock that never goes back.
"""

import math
from dataclasses import dataclass, field
from enum import StrEnum

STABLE_AFTER_S = 2.0
"""Seconds without a visible change that count as standing still. Source: A20, N28."""


HOOK_ALONE_S = 60.0
"""Seconds for which a hook that tells of work is believed while the screen shows a free composer and stands
still: no hook tells when a prompt is refused by a rule of its user's."""


class Phase(StrEnum):
    """What a terminal seems to do. All but `stable` are `running` to a client of AgentAPI."""

    INITIALIZING = "initializing"
    CHANGING = "changing"
    STABLE = "stable"
    AWAITING_INPUT = "awaiting_input"

    @property
    def running(self) -> bool:
        """Whether a client sees `running`. Source: A21, N30."""
        return self is not Phase.STABLE


class Evidence(StrEnum):
    """Where a program itself says that it works. Source: N29."""

    HOOK = "hook"
    MARKER = "marker"
    TITLE = "title"
    PROGRESS = "progress"


@dataclass(slots=True)
class StatusMachine:
    """The phase of one terminal, by what was told so far.

    started: when its program was started. stable_after_s: see STABLE_AFTER_S. still_is_ready: a
    screen that stands still that long with its cursor shown counts as ready.
    Source: A20-A23, N28-N31.
    """

    started: float
    stable_after_s: float = STABLE_AFTER_S
    still_is_ready: bool = False
    _changed: float = field(init=False)
    _ready: bool = field(default=False, init=False)
    _cursor_shown: bool = field(default=False, init=False)
    _user_spoke_last: bool = field(default=False, init=False)
    _sending: bool = field(default=False, init=False)
    _dialog: bool = field(default=False, init=False)
    _said: dict[Evidence, bool] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._changed = self.started

    def changed(self, now: float) -> None:
        """The screen differs from what it was, volatile rows aside."""
        self._ready = self.seen_ready(now)
        self._changed = max(self._changed, now)

    def ready(self) -> None:
        """The program was seen ready once; that is never taken back. Source: A22, A36."""
        self._ready = True

    def cursor(self, now: float, *, shown: bool) -> None:
        """Whether the cursor is shown from now on; matters with still_is_ready only. Source: N31."""
        self._ready = self.seen_ready(now)
        if shown and not self._cursor_shown and self.still_is_ready and not self._ready:
            self._changed = max(self._changed, now)
        self._cursor_shown = shown

    def last_message(self, *, from_user: bool) -> None:
        """Whose message stands last in the conversation. Source: A21."""
        self._user_spoke_last = from_user

    def sending(self, *, going_on: bool) -> None:
        """Whether a message is queued or being sent. Source: A21."""
        self._sending = going_on

    def dialog(self, *, is_open: bool) -> None:
        """Whether a question that keys answer is on the screen. Source: N30."""
        self._dialog = is_open

    def said(self, evidence: Evidence, *, busy: bool | None) -> None:
        """What one source says now; None when it says nothing (any more).

        Work that begins to show after a hook told of rest is work that no hook tells of.
        """
        begins = evidence is not Evidence.HOOK and busy and not self._said.get(evidence)
        if begins and self._said.get(Evidence.HOOK) is False:
            del self._said[Evidence.HOOK]
        if busy is None:
            self._said.pop(evidence, None)
        else:
            self._said[evidence] = busy

    @property
    def busy(self) -> bool | None:
        """What the program says of itself; None when it says nothing.

        Its hooks are believed. Of what is only seen, one sign of work outweighs all signs of rest: a
        spinner may be in the title alone. Source: N29.
        """
        if Evidence.HOOK in self._said:
            return self._said[Evidence.HOOK]
        return any(self._said.values()) if self._said else None

    def seen_ready(self, now: float) -> bool:
        """Whether the program was ever seen ready. Source: A22, N31."""
        return self._ready or (self.still_is_ready and self._cursor_shown and now >= self._still_at)

    def phase(self, now: float) -> Phase:
        """What the terminal does at this moment; the order of the questions is A21's.

        An open dialog is what matters most to a client: nothing moves until it is answered.
        """
        if self._dialog:
            return Phase.AWAITING_INPUT
        if self._user_spoke_last:
            return Phase.CHANGING
        if now < self.started + self.stable_after_s:
            return Phase.INITIALIZING
        held = self._sending or now < self._works_until or not self.seen_ready(now)
        return Phase.CHANGING if held or now < self._still_at else Phase.STABLE

    def due(self, now: float) -> float | None:
        """When to ask again; None when only a new event can change the phase."""
        if self._dialog or self._user_spoke_last:
            return None
        if now < self.started + self.stable_after_s:
            return self.started + self.stable_after_s
        at = max(self._still_at, self._works_until)
        held = self._sending or not self.seen_ready(self._still_at)
        return None if held or now >= at or at == math.inf else at

    @property
    def _works_until(self) -> float:
        """When what it says of itself stops to count; a hook's word alone does, on a screen that stands still."""
        if not self.busy:
            return -math.inf
        seen = {said for evidence, said in self._said.items() if evidence is not Evidence.HOOK}
        alone = True not in seen and self._said.get(Evidence.MARKER) is False
        return self._changed + HOOK_ALONE_S if alone else math.inf

    @property
    def _still_at(self) -> float:
        return self._changed + self.stable_after_s
