"""Whether a terminal works or waits: the machine fed with events, against polling and by example."""

from collections import deque
from dataclasses import dataclass, field
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskyard_agent.terminal.status import Evidence, Phase, StatusMachine

INTERVAL_S = 0.025
"""Between two snapshots of the definition. Source: A20."""

TOLERANCE_S = 0.05
"""How far the machine may be from the definition. Source: N28."""


@dataclass
class Polling:
    """The definition: equal snapshots in a row, taken at an interval. Source: A20, A21."""

    length_s: float = 2.0
    interval_s: float = INTERVAL_S
    ready: bool = True
    user_spoke_last: bool = False
    sending: bool = False
    snapshots: deque[object] = field(default_factory=deque)

    @property
    def needed(self) -> int:
        return ceil(self.length_s / self.interval_s) + 1

    def look(self, screen: object) -> Phase:
        self.snapshots.append(screen)
        if len(self.snapshots) > self.needed:
            self.snapshots.popleft()
        return self.phase()

    def phase(self) -> Phase:
        if self.user_spoke_last:
            return Phase.CHANGING
        if len(self.snapshots) < self.needed:
            return Phase.INITIALIZING
        if len(set(self.snapshots)) > 1 or not self.ready or self.sending:
            return Phase.CHANGING
        return Phase.STABLE


def machine(stable_after_s: float = 2.0) -> StatusMachine:
    made = StatusMachine(0.0, stable_after_s)
    made.ready()
    return made


def test_A20_two_seconds_at_forty_a_second() -> None:
    """81 equal snapshots are needed; the machine says stable after the same two seconds."""
    assert Polling().needed == 81
    told = machine()
    told.changed(1.0)
    assert told.phase(2.999) is Phase.CHANGING
    assert told.phase(3.0) is Phase.STABLE


@pytest.mark.parametrize(
    ("interval", "length", "screens", "phases"),
    [
        (1, 2, [1, 1, 1, 1, 2], "IISSC"),
        (2, 3, [1, 1, 1, 1, 2, 2, 2], "IISSCCS"),
    ],
)
def test_A23_examples(interval: int, length: int, screens: list[int], phases: str) -> None:
    """The examples of the definition, for the reference and, at every snapshot, for the machine."""
    reference = Polling(length, interval)
    told = machine(stable_after_s=(reference.needed - 1) * interval)
    seen, from_machine, last = "", "", screens[0]
    for at, screen in enumerate(screens):
        now = float(at * interval)
        if screen != last:
            told.changed(now)
        last = screen
        seen += reference.look(screen).name[0]
        from_machine += told.phase(now).name[0]
    assert seen == phases
    assert from_machine == phases


@given(
    gaps=st.lists(st.floats(0.001, 5.0), max_size=25),
    asked=st.lists(st.floats(0.0, 40.0), min_size=1, max_size=20),
)
def test_A21_events_and_polling_agree(gaps: list[float], asked: list[float]) -> None:
    """For any times of change, what the machine says now polling says at most 50 ms earlier or later."""
    changes = [sum(gaps[: at + 1]) for at in range(len(gaps))]
    end = max(asked) + 1
    reference, polled, told = Polling(), [], machine()
    for tick in range(int(end / INTERVAL_S)):
        now = tick * INTERVAL_S
        polled.append(reference.look(sum(change <= now for change in changes)))
    moments = sorted([(at, False) for at in changes] + [(at, True) for at in asked])
    for now, is_asked in moments:
        if not is_asked:
            told.changed(now)
            continue
        first = max(int((now - TOLERANCE_S) / INTERVAL_S), 0)
        assert told.phase(now) in polled[first : int((now + TOLERANCE_S) / INTERVAL_S) + 2]


@given(gaps=st.lists(st.floats(0.001, 5.0), max_size=25))
def test_A21_due_misses_nothing(gaps: list[float]) -> None:
    """Between two events the phase changes only when `due` said so."""
    told, now = machine(), 0.0
    for gap in gaps:
        due, phase = told.due(now), told.phase(now)
        for part in (0.1, 0.5, 0.9):
            later = now + gap * part
            if due is None or later < due:
                assert told.phase(later) is phase
        now += gap
        told.changed(now)
    while (due := told.due(now)) is not None:
        assert told.phase(due) is not told.phase(now)
        now = due
    assert told.phase(now) is Phase.STABLE


def test_A21_order_of_the_questions() -> None:
    """A user's message counts before the start, the start before a change, and a send holds everything."""
    told = StatusMachine(0.0)
    assert told.phase(1.0) is Phase.INITIALIZING
    told.last_message(from_user=True)
    assert told.phase(1.0) is Phase.CHANGING
    assert told.due(1.0) is None
    told.last_message(from_user=False)
    assert told.phase(5.0) is Phase.CHANGING, "never seen ready"
    told.ready()
    assert told.phase(5.0) is Phase.STABLE
    told.sending(going_on=True)
    assert told.phase(5.0) is Phase.CHANGING
    assert told.due(5.0) is None
    told.sending(going_on=False)
    assert told.phase(5.0) is Phase.STABLE
    assert [phase.running for phase in Phase] == [True, True, False, True]


def test_A22_ready_is_kept() -> None:
    """Stable needs two still seconds and readiness; readiness once seen holds through every change."""
    told = StatusMachine(0.0)
    assert told.phase(10.0) is Phase.CHANGING
    assert told.due(10.0) is None
    told.ready()
    told.changed(11.0)
    assert told.due(11.0) == 13.0
    assert told.phase(13.0) is Phase.STABLE


def test_N28_a_phase_is_waited_for() -> None:
    """The machine tells when to look again: at the end of the start, at two still seconds, then never."""
    told = machine()
    assert told.due(0.0) == 2.0
    told.changed(1.5)
    assert told.due(2.0) == 3.5
    assert told.due(3.5) is None


def test_N29_a_sign_of_work_holds_the_status() -> None:
    """A marker keeps `running` for as long as it is seen, however still the screen is."""
    told = machine()
    told.said(Evidence.MARKER, busy=True)
    assert told.phase(600.0) is Phase.CHANGING
    assert told.due(600.0) is None
    told.said(Evidence.MARKER, busy=False)
    told.changed(600.0)
    assert told.phase(601.9) is Phase.CHANGING
    assert told.phase(602.0) is Phase.STABLE


def test_N29_hooks_are_believed_and_one_sign_of_work_is_enough() -> None:
    """A title that spins means work though the screen shows none; what a hook says goes before both."""
    told = machine()
    steps: list[tuple[Evidence, bool | None, bool | None]] = [
        (Evidence.MARKER, False, False),
        (Evidence.TITLE, True, True),
        (Evidence.HOOK, False, False),
        (Evidence.HOOK, None, True),
        (Evidence.TITLE, None, False),
        (Evidence.PROGRESS, True, True),
        (Evidence.PROGRESS, None, False),
        (Evidence.MARKER, None, None),
    ]
    for evidence, said, expected in steps:
        told.said(evidence, busy=said)
        assert told.busy is expected, (evidence, said)


def test_N29_a_hook_alone_is_not_believed_for_ever() -> None:
    """A free composer that stands still for a minute outweighs it; any sign of work does not."""
    told = machine()
    told.changed(100.0)
    told.said(Evidence.HOOK, busy=True)
    assert told.due(500.0) is None
    told.said(Evidence.MARKER, busy=False)
    assert told.phase(159.0) is Phase.CHANGING
    assert told.due(159.0) == 160.0
    assert told.phase(160.0) is Phase.STABLE
    told.said(Evidence.TITLE, busy=True)
    assert told.phase(600.0) is Phase.CHANGING


def test_N29_work_after_a_hook_told_of_rest() -> None:
    """What begins to work without a hook is seen by its sign; a sign that was there before is not."""
    told = machine()
    told.said(Evidence.MARKER, busy=True)
    told.said(Evidence.HOOK, busy=False)
    told.said(Evidence.MARKER, busy=True)
    assert told.busy is False
    told.said(Evidence.MARKER, busy=False)
    told.said(Evidence.MARKER, busy=True)
    assert told.busy is True


def test_N30_a_question_is_waited_for() -> None:
    """While a dialog is open the phase is awaiting_input, which clients see as running."""
    told = machine()
    told.dialog(is_open=True)
    assert told.phase(100.0) is Phase.AWAITING_INPUT
    assert told.phase(100.0).running
    assert told.due(100.0) is None
    told.dialog(is_open=False)
    assert told.phase(100.0) is Phase.STABLE


def test_N31_still_with_a_cursor_is_ready() -> None:
    """A program without a prompt that we know is ready after two still seconds with its cursor shown, for good."""
    told = StatusMachine(0.0, still_is_ready=True)
    told.changed(0.5)
    assert told.phase(9.0) is Phase.CHANGING, "no cursor"
    told.cursor(9.0, shown=True)
    assert told.due(9.0) == 11.0
    assert told.phase(11.0) is Phase.STABLE
    told.changed(12.0)
    told.cursor(12.0, shown=False)
    assert told.seen_ready(12.0)
    assert told.phase(14.0) is Phase.STABLE
