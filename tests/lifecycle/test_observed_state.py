"""What clients are told of a coding agent, over the whole product of what is seen of it and what it says."""

from collections.abc import Iterator
from itertools import product

import pytest

from taskyard.lifecycle.observed import (
    LINK_BYTES,
    TITLE_CHARS,
    Observed,
    Outcome,
    Report,
    Told,
    shown_link,
    tell,
    whole_title,
)
from taskyard.lifecycle.sanitize import STATUS_MESSAGE_BYTES
from taskyard.wire.enums import AppStatusState
from taskyard.wire.link import AgentState, Waiting

ASKS = Waiting("permission", "p1", "Run make")
LINK = "https://example.com/pull/7"


def observations() -> Iterator[Observed]:
    """Everything that can be seen."""
    reasons = (None, "end_turn", "interrupted", "cancelled", "max_tokens", "the key is wrong")
    for state, reason, session in product(AgentState, reasons, ("idle", "exited")):
        waiting = ASKS if state is AgentState.WAITING else None
        yield Observed(state, session, reason, waiting)


REPORTS = (
    None,
    *(Report(summary, LINK, outcome) for outcome in Outcome for summary in ("Wrote it", "")),
)

EVERYTHING = [
    (seen, report, shown, due)
    for seen, report, shown, due in product(
        observations(), REPORTS, (None, *AppStatusState), (False, True)
    )
]


def test_every_combination_has_an_answer() -> None:
    """Nothing is told, or one of the four words with a sentence that fits where statuses are shown."""
    for seen, report, shown, due in EVERYTHING:
        told = tell(seen, report, shown=shown, input_due=due)
        if told is None:
            continue
        assert told.message, (seen, report)
        assert len(told.message.encode()) <= STATUS_MESSAGE_BYTES
        assert told.uri == ("" if report is None else LINK)


def test_only_what_is_seen_moves_working_and_idle() -> None:
    """A report never makes a coding agent work or rest: without it the word would be of the same kind."""
    done = (AppStatusState.IDLE, AppStatusState.COMPLETE, AppStatusState.FAILURE)
    for seen, report, shown, due in EVERYTHING:
        told = tell(seen, report, shown=shown, input_due=due)
        plain = tell(seen, None, shown=shown, input_due=due)
        if told is None or plain is None:
            assert told is plain
            continue
        if plain.state is AppStatusState.IDLE and seen.state is AgentState.IDLE:
            assert told.state in done
        else:
            assert told.state is plain.state


def test_an_outcome_shows_only_while_it_is_idle() -> None:
    """`complete` is told of an idle coding agent only, and `failure` of no other that was not seen to fail."""
    for seen, report, shown, due in EVERYTHING:
        told = tell(seen, report, shown=shown, input_due=due)
        if told is not None and told.state is AppStatusState.COMPLETE:
            assert seen.state is AgentState.IDLE
        if told is not None and told.state is AppStatusState.FAILURE:
            assert seen.state in (AgentState.IDLE, AgentState.FAILED)


def test_waiting_is_a_kind_of_working() -> None:
    """Who waits for a person works, whatever it reported, and its message says what it waits for."""
    for report in REPORTS:
        seen = Observed(AgentState.WAITING, "awaiting_permission", None, ASKS)
        told = tell(seen, report, shown=None, input_due=False)
        assert told is not None
        assert (told.state, told.message) == (AppStatusState.WORKING, "Waiting for you: Run make")


def test_an_input_on_its_way_is_work() -> None:
    """Being idle is told when a turn ended, or when nothing is to be delivered; never in between."""
    for fresh in (Observed(AgentState.STARTING, "starting"), Observed(AgentState.IDLE, "idle")):
        told = tell(fresh, None, shown=None, input_due=True)
        assert told is not None
        assert told.state is AppStatusState.WORKING
    assert tell(Observed(AgentState.STARTING), None, shown=None, input_due=False) is None
    ended = tell(Observed(AgentState.IDLE, "idle", "end_turn"), None, shown=None, input_due=True)
    assert ended is not None
    assert ended.state is AppStatusState.IDLE


def test_a_stop_ends_a_turn_and_nothing_else() -> None:
    """What was told before a stop stays, unless it was that somebody works: nobody does any more."""
    stopped = Observed(AgentState.STOPPED, "stopped")
    for report, shown in product(REPORTS, (None, *AppStatusState)):
        told = tell(stopped, report, shown=shown, input_due=False)
        if shown is AppStatusState.WORKING:
            assert told is not None
            assert told.state is AppStatusState.IDLE
        else:
            assert told is None


@pytest.mark.parametrize(
    ("seen", "report", "told"),
    [
        (Observed(AgentState.WORKING), None, ("working", "Working on the input.", "")),
        (Observed(AgentState.WORKING), REPORTS[1], ("working", "Wrote it", LINK)),
        (Observed(AgentState.IDLE, "idle", "end_turn"), None, ("idle", "Waiting for input.", "")),
        (Observed(AgentState.IDLE), Report("Wrote it", "", Outcome.COMPLETE), ("complete", "Wrote it", "")),
        (Observed(AgentState.IDLE), Report("No disk", "", Outcome.FAILURE), ("failure", "No disk", "")),
        (Observed(AgentState.FAILED, "idle", "no key"), None, ("failure", "The turn failed: no key", "")),
        (Observed(AgentState.FAILED, "error", "It is gone."), None, ("failure", "It is gone.", "")),
        (Observed(AgentState.FAILED, "exited"), None, ("failure", "The coding agent failed.", "")),
    ],
)  # fmt: skip
def test_what_is_told(seen: Observed, report: Report | None, told: tuple[str, str, str]) -> None:
    """The coding agent's own summary where it has one, else a sentence of ours; of a failure its cause."""
    word, message, uri = told
    expected = Told(AppStatusState(word), message, uri)
    assert tell(seen, report, shown=None, input_due=False) == expected


def test_long_reasons_are_cut() -> None:
    """A cause of any length and script fits."""
    seen = Observed(AgentState.FAILED, "idle", "\u20ac" * 5000 + "\0")
    told = tell(seen, None, shown=None, input_due=False)
    assert told is not None
    assert len(told.message.encode()) <= STATUS_MESSAGE_BYTES


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("https://example.com/a?b=c#d", True),
        (" HTTP://example.com ", True),
        ("file:///home/x", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("src/main.py", False),
        ("https://example.com/\x1b]8", False),
        ("https://example.com/\ud83d", False),
        (f"https://example.com/{'x' * LINK_BYTES}", False),
        ("", False),
    ],
)
def test_links_that_are_shown(link: str, shown: bool) -> None:  # noqa: FBT001 - a case of the table
    """Only what a page can link to without harm, and of a length that fits."""
    assert bool(shown_link(link)) is shown


def test_what_is_asked_is_shown_whole() -> None:
    """A command keeps what looks like markup; controls are blanks, and what is left out is counted."""
    assert whole_title("cat <secret> && rm -rf\x1b[2K x\0y") == "cat <secret> && rm -rf [2K x y"
    long = whole_title("x" * (TITLE_CHARS + 7))
    assert long.endswith("... (7 characters more)")
