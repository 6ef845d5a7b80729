"""What is told of a coding agent: pure functions of what is observed of it and of what it says of itself.

The two are kept apart. Whether it works, waits or is idle is observed, by its protocol, its process or its
screen; a summary, a link and an outcome are its own words, and move no state.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never

from taskyard.lifecycle.sanitize import STATUS_MESSAGE_BYTES, cut_to_bytes, sanitize_message
from taskyard.wire.enums import AppStatusState
from taskyard.wire.link import AgentState, Waiting

LINK_BYTES: Final = 4096
"""Longest link that is shown: as for programs that report a status themselves."""

TITLE_CHARS: Final = 2000
"""Characters of what a person is asked that are kept: a command of some lines."""

LINK_SCHEMES: Final = ("https://", "http://", "file://")
"""How a link begins that a page may show; `javascript:` is none."""

IN_SESSION: Final = "idle"
"""The bridge's word for a session that takes a prompt: a failure in it was the turn's, not the program's."""

_ENDINGS: Final = {
    "interrupted": "The turn was interrupted.",
    "cancelled": "The turn was interrupted.",
    "max_tokens": "The turn ended early: the model wrote as much as it may.",
    "max_turn_requests": "The turn ended early: the model was asked as often as it may be.",
    "refusal": "The turn ended early: the model refused to go on.",
}
"""What is said of an idle coding agent by how its last turn ended; of any other ending, that it waits."""


class Outcome(StrEnum):
    """What a coding agent says its work has come to."""

    WORKING = "working"
    COMPLETE = "complete"
    FAILURE = "failure"


_OUTCOMES: Final = {
    Outcome.WORKING: AppStatusState.IDLE,
    Outcome.COMPLETE: AppStatusState.COMPLETE,
    Outcome.FAILURE: AppStatusState.FAILURE,
}
"""What is told of an idle coding agent that has said this of its work."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What a coding agent was last seen to do.

    session is the bridge's own, finer word. reason: how the last turn ended, or why it failed; null for
    nothing to say. waiting is there with state waiting only.
    """

    state: AgentState
    session: str = ""
    reason: str | None = None
    waiting: Waiting | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What a coding agent last said of its own work, since it was last given something to do."""

    summary: str
    link: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Told:
    """What clients are told: a status of the task's app."""

    state: AppStatusState
    message: str
    uri: str


def tell(
    observed: Observed, report: Report | None, *, shown: AppStatusState | None, input_due: bool
) -> Told | None:
    """What clients are told of a coding agent; None: nothing new, what they were told stays.

    shown: what they were told last, null for nothing yet. input_due: a task's input is on its way and will
    be worked on, so that being idle before the first turn is no end of anything. Total: every combination
    has an answer.
    """
    link = "" if report is None else report.link
    if input_due and is_before_work(observed):
        return Told(AppStatusState.WORKING, "The input is on its way.", link)
    match observed.state:
        case AgentState.STARTING:
            return None
        case AgentState.WORKING:
            return Told(AppStatusState.WORKING, _summary(report) or "Working on the input.", link)
        case AgentState.WAITING:
            return Told(AppStatusState.WORKING, _waiting(observed.waiting), link)
        case AgentState.FAILED:
            return Told(AppStatusState.FAILURE, _failure(observed), link)
        case AgentState.IDLE | AgentState.STOPPED:
            return _resting(observed, report, shown)
    assert_never(observed.state)


def is_before_work(observed: Observed) -> bool:
    """Whether it is on the way to its first turn, or has just got there."""
    is_fresh = observed.state is AgentState.IDLE and observed.reason is None
    return is_fresh or observed.state is AgentState.STARTING


def _resting(
    observed: Observed, report: Report | None, shown: AppStatusState | None
) -> Told | None:
    link = "" if report is None else report.link
    if observed.state is AgentState.STOPPED:
        if shown is not AppStatusState.WORKING:
            return None
        return Told(AppStatusState.IDLE, "Stopped before the turn was over.", link)
    state = AppStatusState.IDLE if report is None else _OUTCOMES[report.outcome]
    message = _summary(report) or _ENDINGS.get(observed.reason or "", "Waiting for input.")
    return Told(state, message, link)


def _summary(report: Report | None) -> str:
    return "" if report is None else report.summary


def _waiting(waiting: Waiting | None) -> str:
    title = "" if waiting is None else whole_title(waiting.title)
    return cut_to_bytes(f"Waiting for you: {title or 'an answer'}", STATUS_MESSAGE_BYTES)


def _failure(observed: Observed) -> str:
    reason = one_line(observed.reason or "")
    if not reason:
        return "The coding agent failed."
    told = f"The turn failed: {reason}" if observed.session == IN_SESSION else reason
    return cut_to_bytes(told, STATUS_MESSAGE_BYTES)


def one_line(text: str) -> str:
    """The text as it may stand in a status message, which is a line of a limited length."""
    return cut_to_bytes(sanitize_message(text), STATUS_MESSAGE_BYTES)


def whole_title(text: str) -> str:
    """What a person is asked, as it is: only what could fool a terminal or a database is blank.

    Nothing is left out in silence, because who permits a command must have seen it.
    """
    told = "".join(c if c.isprintable() else " " for c in text[:TITLE_CHARS])
    more = len(text) - TITLE_CHARS
    return f"{told}... ({more} characters more)" if more > 0 else told


def shown_link(link: str) -> str:
    """The link when a page may show it, else nothing."""
    text = link.strip()
    is_good = text.lower().startswith(LINK_SCHEMES) and text.isprintable()
    return text if is_good and len(text.encode(errors="replace")) <= LINK_BYTES else ""
