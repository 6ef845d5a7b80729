"""`taskyard task phases`, and the phases of a start while they pass."""

import time
from collections.abc import Sequence
from typing import Final

import click

from taskyard.cli.connection import Status, signed_in
from taskyard.cli.failures import Failure
from taskyard.cli.find import find_task, full_name
from taskyard.cli.output import Progress, at, note, one_line, plain, print_json
from taskyard.sdk import ApiError, Client
from taskyard.wire.phases import (
    FailureCause,
    Phase,
    PhaseFailure,
    PhaseState,
    TaskPhase,
    TaskPhasesResponse,
)
from taskyard.wire.tasks import Task

LOOK_S: Final = 0.2
"""Pause between looks at a start: phases of a tenth of a second are told together."""

QUEUE_PATIENCE_S: Final = 3.0
"""How long a command waits for a task to leave the queue: it may be long, and the task starts by itself."""

TO_BE_USABLE: Final = frozenset(Phase) - {Phase.FIRST_PROMPT, Phase.FIRST_ANSWER}
"""What is over once a task takes messages."""

ENDED: Final = frozenset({PhaseState.DONE, PhaseState.FAILED, PhaseState.SKIPPED})
"""States of a phase that is over."""

MAX_REASON: Final = 300
"""Characters of a reason in a table; a failure shows all of it."""


@click.command()
@click.argument("name", metavar="TASK")
@click.option("--build", type=int, help="The number of an older start. Default: the newest.")
@click.option(
    "-o", "--output", type=click.Choice(("table", "json")), default="table", help="Default: table."
)
@click.option("--json", "as_json", is_flag=True, help="The same as -o json.")
@signed_in
def phases(client: Client, *, name: str, build: int | None, output: str, as_json: bool) -> Status:
    """Show what the start of TASK went through, how long each phase took, and why one failed."""
    task = find_task(client, name)
    found = client.get_task_phases(task.owner_name, task.id, build=build)
    if as_json or output == "json":
        print_json(found)
        return None
    if not found.phases:
        note("Nothing was kept of this start; it was made by an earlier release.")
        return None
    for line in timeline(found):
        print(line)
    note_failure(task, found.failure)
    return None


def timeline(found: TaskPhasesResponse) -> list[str]:
    """The phases of a start, one a line: how each went, how long it took, since when, and why it failed."""
    again = f", brought back {found.round - 1} times" if found.round > 1 else ""
    lines = [f"START {found.build_number}{again}"]
    for phase in found.phases:
        reason = f"  {one_line(phase.reason, MAX_REASON)}" if phase.reason else ""
        lines.append(
            f"{named(phase.phase):<14}{phase.state:<9}{took(phase):>10}  {at(phase.began_at):<20}{reason}".rstrip()
        )
    return lines


def named(phase: Phase) -> str:
    """A phase as one says it."""
    return phase.replace("_", " ")


def took(phase: TaskPhase) -> str:
    """How long a phase took, or has taken so far; nothing while it waits, or where it was skipped."""
    if phase.ms is None or phase.state is PhaseState.SKIPPED:
        return ""
    seconds = phase.ms / 1000
    return (
        f"{seconds:.2f} s" if seconds < 100 else f"{int(seconds) // 60} min {int(seconds) % 60} s"
    )


def note_timeline(client: Client, task: Task) -> None:
    """Says on stderr how the newest start of a task went or goes; nothing where the server does not tell."""
    try:
        found = client.get_task_phases(task.owner_name, task.id)
    except ApiError as error:
        if error.status != 404:
            raise
        return
    if found.phases:
        note("")
        for line in timeline(found):
            note(line)


def note_failure(task: Task, failure: PhaseFailure | None) -> None:
    """Says on stderr why a start came to a bad end, with the end of the log that tells of it."""
    if failure is None:
        return
    note(f"\n{full_name(task)} failed at {named(failure.phase)}: {plain(failure.reason)}")
    for line in failure.lines:
        note(f"  {plain(line)}")
    note(f"What to do: {plain(failure.advice)}")


def follow_start(client: Client, task: Task, *, patient: bool = False) -> bool:
    """Shows the phases of a task's newest start as they pass; whether it is usable now.

    False: it waits in the queue and starts by itself, or nothing is kept of its start. patient: waits in the queue
    for as long as it takes. Raises Failure when the start failed, Abort after Ctrl-C, which leaves the task alone.
    """
    progress = Progress()
    shower = _Shower(full_name(task), progress)
    began = time.monotonic()
    try:
        while (found := _look(client, task)) is not None and found.phases:
            shower.show(found.phases)
            if failure := _fatal(found):
                progress.clear()
                raise _failed(task, failure)
            if _is_usable(found.phases):
                return True
            waits = found.phases[0].state is PhaseState.RUNNING and not patient
            if waits and time.monotonic() - began > QUEUE_PATIENCE_S:
                return False
            time.sleep(LOOK_S)
    except KeyboardInterrupt:
        progress.clear()
        note(
            f"{full_name(task)} goes on starting. To see how: taskyard task phases {full_name(task)}"
        )
        raise click.Abort from None
    finally:
        progress.clear()
    return False


class _Shower:
    """Tells each phase once it is over, and which one goes on."""

    def __init__(self, name: str, progress: Progress) -> None:
        self._name = name
        self._progress = progress
        self._told: set[tuple[Phase, PhaseState]] = set()

    def show(self, phases: Sequence[TaskPhase]) -> None:
        """What is new since the last look."""
        for phase in phases:
            key = (phase.phase, phase.state)
            if phase.phase not in TO_BE_USABLE or key in self._told:
                continue
            self._told.add(key)
            if phase.state in (PhaseState.DONE, PhaseState.FAILED) and not self._progress.is_live:
                failed = f"failed: {phase.reason}" if phase.state is PhaseState.FAILED else ""
                self._progress.line(
                    f"  {named(phase.phase):<14}{took(phase):>10}  {failed}".rstrip()
                )
        running = next((p for p in phases if p.state is PhaseState.RUNNING), None)
        if running is not None and self._progress.is_live:
            self._progress.show(f"{self._name}: {named(running.phase)}")


def _look(client: Client, task: Task) -> TaskPhasesResponse | None:
    """The newest start; None where the server tells nothing of it. Raises Failure for a task that is gone."""
    try:
        return client.get_task_phases(task.owner_name, task.id)
    except ApiError as error:
        if error.status != 404:
            raise
    try:
        client.get_task(task.owner_name, task.id)  # a server of an earlier release has no phases
    except ApiError as error:
        if error.status != 404:
            raise
        raise Failure(f"the task {full_name(task)} was deleted.") from error
    return None


def _fatal(found: TaskPhasesResponse) -> PhaseFailure | None:
    """Why the start came to a bad end; None while it goes on."""
    failure = found.failure
    if failure is None or failure.phase is Phase.SCRIPTS:
        return None
    goes_on = any(phase.state is PhaseState.RUNNING for phase in found.phases)
    return None if goes_on or failure.cause is FailureCause.LOST else failure


def _is_usable(phases: Sequence[TaskPhase]) -> bool:
    return all(phase.state in ENDED for phase in phases if phase.phase in TO_BE_USABLE)


def _failed(task: Task, failure: PhaseFailure) -> Failure:
    """What a command ends with whose task did not come up."""
    return Failure(
        f"the start of {full_name(task)} failed at {named(failure.phase)}: {plain(failure.reason)}",
        hint=plain(failure.advice),
        lines=tuple(plain(line) for line in failure.lines),
    )
