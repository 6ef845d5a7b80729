"""What each row is to reach, from `goals.toml`, and whether it did."""

import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from bench.measure import Figure, Result

GOALS = Path(__file__).with_name("goals.toml")


@dataclass(frozen=True, slots=True)
class Goal:
    """What figures of a row must reach: their `of` (median, p95, p99, min, max or ratio) is within a bound.

    figure is a name in which `*` stands for anything. cause says why it is missed, and would_take what reaching it
    would take; both are empty for a goal that is met.
    """

    figure: str
    of: str
    at_most: float | None = None
    at_least: float | None = None
    cause: str = ""
    would_take: str = ""

    def is_of(self, figure: Figure) -> bool:
        """Whether the figure is one of those that the goal is about."""
        return fnmatchcase(figure.name, self.figure)

    def is_met(self, value: float) -> bool:
        """Whether a value is within the bound."""
        if self.at_most is not None:
            return value <= self.at_most
        return self.at_least is not None and value >= self.at_least

    @property
    def bound(self) -> str:
        """The bound in words."""
        return (
            f"at least {self.at_least:g}" if self.at_most is None else f"at most {self.at_most:g}"
        )


@dataclass(frozen=True, slots=True)
class Judged:
    """A goal beside the value that a figure has."""

    goal: Goal
    figure: Figure
    value: float

    @property
    def is_met(self) -> bool:
        """Whether the value is within the goal's bound."""
        return self.goal.is_met(self.value)


def load_goals(row: str, file: Path = GOALS) -> list[Goal]:
    """The goals of a row. Raises TypeError where the file says what a goal does not have."""
    return [Goal(**goal) for goal in tomllib.loads(file.read_text(encoding="utf-8")).get(row, [])]


def judge(found: Result, file: Path = GOALS) -> list[Judged]:
    """Each goal beside each figure that it is about and that has the statistic it is of."""
    return [
        Judged(goal, figure, value)
        for goal in load_goals(found.row, file)
        for figure in found.figures
        if goal.is_of(figure) and (value := getattr(figure, goal.of)) is not None
    ]


def aimless(found: Result, file: Path = GOALS) -> list[str]:
    """Sentences about goals that are about no figure."""
    judged = [one.goal for one in judge(found, file)]
    return [
        f"{found.row} has no {goal.of} of '{goal.figure}', which has a goal"
        for goal in load_goals(found.row, file)
        if goal not in judged
    ]


def unexplained(found: Result, file: Path = GOALS) -> list[str]:
    """Sentences about goals that are missed without a cause and what reaching them would take."""
    return [
        f"{found.row}: {one.goal.of} of '{one.figure.name}' is {one.value:g}, not {one.goal.bound}, and"
        " goals.toml does not say why or what it would take"
        for one in judge(found, file)
        if not one.is_met and not (one.goal.cause and one.goal.would_take)
    ]
