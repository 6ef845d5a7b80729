"""The phases of a start: their order, what ends them, and what to do when one fails. Pure functions.

The database holds to the same rules in its function end_phases, which writes them in one statement.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from taskyard.wire.phases import FailureCause, Phase, PhaseOutcome, PhaseState

ORDER: Final = tuple(Phase)
"""All phases, the first first."""

PLACE: Final[Mapping[Phase, int]] = MappingProxyType({p: n for n, p in enumerate(ORDER)})
"""Where a phase stands in the order."""

JOB_PHASES: Final = frozenset({Phase.QUEUED, Phase.PREPARING, Phase.STARTING})
"""Phases that the log of the build's job tells of; of all others the log of the agent does."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A phase that has begun, or was skipped. ended_at and outcome are null together, while it goes on."""

    phase: Phase
    began_at: datetime
    ended_at: datetime | None = None
    outcome: PhaseOutcome | None = None
    cause: FailureCause | None = None
    reason: str | None = None

    @property
    def runs(self) -> bool:
        """Whether it goes on."""
        return self.ended_at is None


@dataclass(frozen=True, slots=True)
class End:
    """Something that ends a phase; phase null: whichever goes on."""

    phase: Phase | None
    at: datetime
    outcome: PhaseOutcome = PhaseOutcome.DONE
    cause: FailureCause | None = None
    reason: str | None = None


def begin(at: datetime) -> list[Stage]:
    """A start that has just been asked for."""
    return [Stage(Phase.QUEUED, at)]


def skip(stages: Sequence[Stage], phases: Sequence[Phase], at: datetime) -> list[Stage]:
    """The stages with those too that this start will not go through; what has begun stays."""
    known = {stage.phase for stage in stages}
    skipped = [Stage(p, at, at, PhaseOutcome.SKIPPED) for p in phases if p not in known]
    return _ordered([*stages, *skipped])


def end(stages: Sequence[Stage], event: End) -> list[Stage]:
    """The stages after something ended a phase: it, all before it, and the next one that begins.

    A phase ends once; only one that failed may turn out well after all, or get its reason later.
    """
    found = {stage.phase: stage for stage in stages}
    name = event.phase or next((s.phase for s in stages if s.runs), None)
    if name is None or not stages or _is_early(name, found):
        return list(stages)
    stage = found.get(name)
    if stage is not None and stage.outcome in (PhaseOutcome.DONE, PhaseOutcome.SKIPPED):
        return list(stages)
    if stage is not None and stage.outcome and event.outcome is not PhaseOutcome.DONE:
        if stage.reason is None and event.outcome is PhaseOutcome.FAILED:
            found[name] = replace(stage, reason=event.reason, cause=event.cause)
        return _ordered(found.values())
    _pass_by(found, name, event.at)
    began_at = event.at if stage is None else stage.began_at
    ended_at = max(event.at, began_at)
    found[name] = Stage(name, began_at, ended_at, event.outcome, event.cause, event.reason)
    if _goes_on(name, event.outcome):
        _begin_next(found, name, ended_at)
    return _ordered(found.values())


def _is_early(name: Phase, found: Mapping[Phase, Stage]) -> bool:
    """Whether an agent tells something that this round does not wait for yet: it is that of the round before."""
    return PLACE[name] >= PLACE[Phase.CONNECTING] and Phase.CONNECTING not in found


def _pass_by(found: dict[Phase, Stage], name: Phase, at: datetime) -> None:
    """Whatever ran before a phase is over, and what was not seen was passed over."""
    for phase in ORDER[: PLACE[name]]:
        stage = found.get(phase)
        if stage is None:
            found[phase] = Stage(phase, at, at, PhaseOutcome.SKIPPED)
        elif stage.runs:
            ended_at = max(at, stage.began_at)
            found[phase] = replace(stage, ended_at=ended_at, outcome=PhaseOutcome.DONE)


def _goes_on(name: Phase, outcome: PhaseOutcome) -> bool:
    """Whether a start goes on: a start script that failed does not keep the coding agent from coming up."""
    failed_script = name is Phase.SCRIPTS and outcome is PhaseOutcome.FAILED
    return outcome is PhaseOutcome.DONE or failed_script


def _begin_next(found: dict[Phase, Stage], name: Phase, at: datetime) -> None:
    if any(stage.runs for stage in found.values()):
        return
    rest = (phase for phase in ORDER[PLACE[name] + 1 :] if phase not in found)
    following = next(rest, None)
    if following is not None:
        found[following] = Stage(following, at)


def _ordered(stages: Iterable[Stage]) -> list[Stage]:
    return sorted(stages, key=lambda stage: PLACE[stage.phase])


def state_of(stage: Stage | None) -> PhaseState:
    """Where a phase is; None: it has not begun."""
    if stage is None:
        return PhaseState.WAITING
    return PhaseState.RUNNING if stage.outcome is None else PhaseState(stage.outcome)


def lasted_ms(stage: Stage, now: datetime) -> int:
    """Milliseconds that a phase took, or has taken so far; never less than none, whatever a clock did."""
    took = (stage.ended_at or now) - stage.began_at
    return max(took // timedelta(milliseconds=1), 0)


def failed_stage(stages: Sequence[Stage]) -> Stage | None:
    """The phase by which a start came to a bad end, None when none failed: the first, as it led to others.

    But a start script that failed leads to nothing, so any other phase goes before that.
    """
    failed = [stage for stage in stages if stage.outcome is PhaseOutcome.FAILED]
    others = [stage for stage in failed if stage.phase is not Phase.SCRIPTS]
    return next(iter(others or failed), None)


_RETRY: Final = "start it again: taskyard task retry {name}"
_RESUME: Final = "start it anew: taskyard task pause {name}, then taskyard task resume {name}"

_ADVICE: Final[Mapping[FailureCause, str]] = MappingProxyType(
    {
        FailureCause.DRIVER: (
            "Put right what the driver names, on the server's machine or in the template's [workspace], and "
            + _RETRY
        ),
        FailureCause.TEMPLATE: (
            "Correct the template, push it (taskyard templates push), and create the task again from its new version"
        ),
        FailureCause.SECRETS: "Give the secret a value (taskyard secrets set NAME), and " + _RETRY,
        FailureCause.CANCELED: "If it shall run after all, " + _RETRY,
        FailureCause.WORKERS_LOST: (
            "See the server's log for what ended its workers, memory above all, and " + _RETRY
        ),
        FailureCause.INTERNAL: "See the server's log for the cause, and " + _RETRY,
        FailureCause.LOST: (
            "The server brings it back by itself. If it is lost again, give it more memory in the template's "
            "[workspace], or " + _RESUME
        ),
        FailureCause.NEVER_CONNECTED: (
            "See the build's log (taskyard task phases {name}) for the last words of the agent and the server's log "
            "for refused links, and " + _RESUME
        ),
        FailureCause.PROTOCOL: (
            "Agent and server are of different releases. Restart the server, so that it hands out its own agent, and "
            + _RESUME
        ),
        FailureCause.SCRIPT: (
            "Correct the start script by its last lines, push the template (taskyard templates push), and create the "
            "task again; what is there can be used as it is"
        ),
        FailureCause.SCRIPT_TIMEOUT: (
            "Let the start script end: put what goes on for ever behind `&`, or into an [[app]] with a command. If it "
            "only takes long, give it more time with the server's setting start_script_s"
        ),
        FailureCause.PROGRAM_MISSING: (
            "Install the program as the reason says where workspaces see it, or in the start script, and "
            + _RESUME
        ),
        FailureCause.AGENT_EXITED: (
            "See the last lines for why it ended, correct the template's [agent] or what it needs, and "
            + _RESUME
        ),
        FailureCause.SIGN_IN: (
            "Give the coding agent its key (taskyard secrets set NAME, as the reason names it), and "
            + _RESUME
        ),
        FailureCause.APP_UNHEALTHY: (
            "See the last lines of the app's log and the address of its health check in the template, and "
            + _RESUME
        ),
        FailureCause.PROMPT_REFUSED: "The input was not taken. Once its reason is gone, " + _RESUME,
        FailureCause.PROMPT_UNCERTAIN: (
            "Look whether the input is in the conversation (taskyard task logs {name}), and send it again if it is not: "
            "taskyard task send {name}"
        ),
        FailureCause.TURN_FAILED: (
            "See the last lines for what the model or the coding agent said, and send the input again: "
            "taskyard task send {name}"
        ),
    }
)
"""What to do about a failure of this kind, whichever phase it is in."""

_ADVICE_IN_PHASE: Final[Mapping[tuple[Phase, FailureCause], str]] = MappingProxyType(
    {
        (Phase.PREPARING, FailureCause.TEMPLATE): (
            "Correct the template or the parameter that the reason names, push it (taskyard templates push), and create "
            "the task again from its new version"
        ),
        (Phase.QUEUED, FailureCause.CANCELED): "It never began. If it shall run after all, "
        + _RETRY,
        (Phase.CONNECTING, FailureCause.LOST): (
            "The workspace ended before its agent called. The server tries again by itself; if that is no help, see the "
            "server's log, and " + _RESUME
        ),
        (Phase.FIRST_PROMPT, FailureCause.AGENT_EXITED): (
            "The coding agent ended before it took the input. See the last lines for why, and "
            + _RESUME
        ),
        (Phase.FIRST_ANSWER, FailureCause.AGENT_EXITED): (
            "The coding agent ended while it worked on the input. See the last lines for why, and send the input again: "
            "taskyard task send {name}"
        ),
    }
)
"""What to do where a phase makes a difference."""

_NO_START: Final = (
    "See the reason, and try it again: taskyard task retry {name}; or go on without grace for what runs: "
    "taskyard task delete --force {name}"
)
"""What to do about a stop or a delete that failed."""

_REASONS: Final[Mapping[FailureCause, str]] = MappingProxyType(
    {
        FailureCause.CANCELED: "The start was canceled.",
        FailureCause.APP_UNHEALTHY: "The task's app does not answer its health check.",
        FailureCause.SCRIPT: "The start script failed.",
        FailureCause.AGENT_EXITED: "The coding agent ended.",
    }
)
"""What to say of a failure that nobody gave a reason of."""


def advice(phase: Phase | None, cause: FailureCause, name: str) -> str:
    """What to do next, in one sentence, about the task of that name; phase null: a stop or a delete failed."""
    if phase is None:
        return f"{_NO_START.format(name=name)}."
    sentence = _ADVICE_IN_PHASE.get((phase, cause)) or _ADVICE[cause]
    return f"{sentence.format(name=name)}."


def reason_of(cause: FailureCause, reason: str | None) -> str:
    """Why a phase failed, in a sentence."""
    return reason or _REASONS.get(cause, "It failed, and nobody said why.")


def cause_of_agent(reason: str) -> FailureCause:
    """What kind of failure the bridge's words tell of. They come from a workspace, so only advice follows from them."""
    if "wants to be logged in" in reason:
        return FailureCause.SIGN_IN
    if "not found" in reason:
        return FailureCause.PROGRAM_MISSING
    return FailureCause.AGENT_EXITED


_INTERNAL: Final = "internal: "
"""How the error of a job begins that is the server's own fault."""


def cause_of_job(error: str, phase: Phase | None) -> FailureCause:
    """What kind of failure the error of a start's job tells of that came up in this phase."""
    if error.startswith(_INTERNAL):
        lost = "workers of this job were lost" in error
        return FailureCause.WORKERS_LOST if lost else FailureCause.INTERNAL
    if phase is Phase.STARTING or phase is None:
        return FailureCause.DRIVER
    return FailureCause.SECRETS if "taskyard secrets set" in error else FailureCause.TEMPLATE
