"""How the run of a coding agent begins and ends, whatever way it is talked to."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from taskyard_agent.process import Exit

CONTINUE = (
    "Your last turn was cut off before it ended, because the workspace was stopped. Look at how far "
    "the work got, and go on with it."
)
"""The prompt after a turn that was cut off, where somebody asked for one. Source: N19."""


class OnExit(StrEnum):
    """What follows when the program has ended. hold: the conversation stays readable. Source: N26."""

    STOP = "stop"
    RESTART = "restart"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that ended and is not started again. screen: what it showed last, empty without one."""

    exit: Exit
    screen: str
    sentence: str


def nothing(_: Ended) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class Life:
    """prompt: sent first, once; empty for none. on_end: hears of the end after which nothing follows.

    Source: A40, N26.
    """

    on_exit: OnExit = OnExit.RESTART
    prompt: str = ""
    on_end: Callable[[Ended], None] = nothing
