"""The phases of a start: their order, what ends them, what is said of one that failed."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise, product

from hypothesis import given
from hypothesis import strategies as st

from taskyard.lifecycle.phases import (
    ORDER,
    PLACE,
    End,
    Stage,
    advice,
    begin,
    cause_of_agent,
    cause_of_job,
    end,
    failed_stage,
    lasted_ms,
    reason_of,
    skip,
    state_of,
)
from taskyard.lifecycle.secret_names import missing_sentence
from taskyard.wire.phases import FailureCause, Phase, PhaseOutcome, PhaseState
from taskyard_agent.agent_types import TYPES
from taskyard_agent.bridge.launch import login_needed, not_found

THEN = datetime(2026, 3, 1, 9, tzinfo=UTC)
LATER = THEN + timedelta(seconds=90)

ENDS = st.builds(
    lambda phase, seconds, failed: End(
        phase,
        THEN + timedelta(seconds=seconds),
        PhaseOutcome.FAILED if failed else PhaseOutcome.DONE,
        FailureCause.INTERNAL if failed else None,
        failed or None,
    ),
    st.sampled_from([None, *Phase]),
    st.integers(-3600, 3600),
    st.sampled_from(["", "", "", "why"]),
)
"""Anything that may end a phase, at any time: clocks jump."""


def done(*phases: Phase) -> list[Stage]:
    """A start in which these ended well, one after the other."""
    stages = begin(THEN)
    for phase in phases:
        stages = end(stages, End(phase, LATER))
    return stages


def states(stages: list[Stage]) -> dict[Phase, PhaseState]:
    """Where each phase is."""
    found = {stage.phase: stage for stage in stages}
    return {phase: state_of(found.get(phase)) for phase in ORDER}


@given(st.lists(ENDS, max_size=14), st.sets(st.sampled_from(ORDER[3:])))
def test_whatever_comes_phases_stay_in_order(events: list[End], skips: set[Phase]) -> None:
    """One goes on at most, none without those before it, none ends before it began, and what ended well stays."""
    stages = skip(begin(THEN), sorted(skips, key=PLACE.__getitem__), THEN)
    for event in events:
        before = {stage.phase: stage for stage in stages}
        stages = end(stages, event)
        found = {stage.phase: stage for stage in stages}
        assert list(found) == sorted(found, key=PLACE.__getitem__)
        assert sum(stage.runs for stage in stages) <= 1
        assert all(stage.ended_at is None or stage.ended_at >= stage.began_at for stage in stages)
        for phase, stage in before.items():
            if stage.outcome is PhaseOutcome.DONE:
                assert found[phase] == stage
        running = next((PLACE[stage.phase] for stage in stages if stage.runs), 0)
        assert all(phase in found for phase in ORDER[:running])


def test_a_start_that_goes_well() -> None:
    """Each phase begins when the one before it ended."""
    stages = done(*Phase)
    assert set(states(stages).values()) == {PhaseState.DONE}
    assert all(after.began_at == before.ended_at for before, after in pairwise(stages))
    assert failed_stage(stages) is None


def test_what_there_is_nothing_to_do_in_is_passed_over() -> None:
    """Without a start script the coding agent comes up as soon as the agent has called."""
    stages = done(Phase.QUEUED, Phase.PREPARING, Phase.STARTING)
    stages = end(skip(stages, [Phase.SCRIPTS], LATER), End(Phase.CONNECTING, LATER))
    assert states(stages)[Phase.SCRIPTS] is PhaseState.SKIPPED
    assert states(stages)[Phase.CODING_AGENT] is PhaseState.RUNNING


def test_a_script_that_failed_stops_nothing() -> None:
    """Any other phase that fails is the last one."""
    for phase in ORDER:
        stages = done(*ORDER[: PLACE[phase]])
        stages = end(stages, End(None, LATER, PhaseOutcome.FAILED, FailureCause.SCRIPT, "no"))
        failed = failed_stage(stages)
        assert failed is not None
        assert failed.phase is phase
        assert any(stage.runs for stage in stages) is (phase is Phase.SCRIPTS)


def test_a_failure_gets_its_reason_later_and_may_be_made_good() -> None:
    """An unhealthy app is heard of before its reason; a coding agent that comes up after all is up."""
    stages = done(*ORDER[:5])
    stages = end(
        stages, End(Phase.CODING_AGENT, LATER, PhaseOutcome.FAILED, FailureCause.APP_UNHEALTHY)
    )
    told = End(Phase.CODING_AGENT, LATER, PhaseOutcome.FAILED, FailureCause.AGENT_EXITED, "gone")
    stages = end(stages, told)
    failed = failed_stage(stages)
    assert failed is not None
    assert (failed.cause, failed.reason) == (FailureCause.AGENT_EXITED, "gone")
    stages = end(stages, End(Phase.CODING_AGENT, LATER))
    assert failed_stage(stages) is None
    assert states(stages)[Phase.FIRST_PROMPT] is PhaseState.RUNNING


def test_an_agent_of_an_earlier_round_ends_nothing() -> None:
    """Before this round's driver was done, whatever an agent tells is old."""
    stages = done(Phase.QUEUED)
    assert end(stages, End(Phase.CODING_AGENT, LATER)) == stages


def test_time_never_runs_backwards() -> None:
    """A clock that was set back makes a phase short, never negative."""
    [queued, *_] = end(begin(LATER), End(Phase.QUEUED, THEN))
    assert queued.ended_at == queued.began_at == LATER
    assert lasted_ms(Stage(Phase.QUEUED, LATER), THEN) == 0


def test_there_is_advice_for_every_failure() -> None:
    """One sentence that names the task where it names a command for it, and a reason even where nobody gave one."""
    for phase, cause in product([None, *Phase], FailureCause):
        told = advice(phase, cause, "ada/fix")
        assert told.endswith("."), told
        assert not told.endswith(".."), told
        assert "{" not in told
        assert "taskyard task" not in told or "ada/fix" in told, told
        assert reason_of(cause, None).endswith(".")


def test_the_first_failure_counts_but_a_script_s_last() -> None:
    """A prompt that no coding agent took failed because that was gone; a script that failed keeps nothing from coming up."""
    stages = end(
        done(*ORDER[:4]), End(Phase.SCRIPTS, LATER, PhaseOutcome.FAILED, FailureCause.SCRIPT)
    )
    gone = End(Phase.CODING_AGENT, LATER, PhaseOutcome.FAILED, FailureCause.AGENT_EXITED, "gone")
    refused = End(Phase.FIRST_PROMPT, LATER, PhaseOutcome.FAILED, FailureCause.PROMPT_REFUSED, "no")
    for event, phase in (
        (None, Phase.SCRIPTS),
        (gone, Phase.CODING_AGENT),
        (refused, Phase.CODING_AGENT),
    ):
        stages = stages if event is None else end(stages, event)
        failed = failed_stage(stages)
        assert failed is not None
        assert failed.phase is phase


def test_the_bridge_s_words_are_understood() -> None:
    """The sentences of the bridge itself, for every coding agent that we know."""
    for kind in TYPES.values():
        assert cause_of_agent(login_needed(kind, [])) is FailureCause.SIGN_IN
        program = kind.acp[0] if kind.acp else kind.pty[0] if kind.pty else "nothing"
        assert cause_of_agent(not_found(program, {})) is FailureCause.PROGRAM_MISSING
    exited = "The coding agent did not come up. The coding agent ended with exit code 1. It said nothing."
    assert cause_of_agent(exited) is FailureCause.AGENT_EXITED


def test_errors_of_jobs_are_understood() -> None:
    """By their words, and by the phase in which they came."""
    assert cause_of_job(missing_sentence(["KEY"]), Phase.PREPARING) is FailureCause.SECRETS
    assert cause_of_job("no such driver", Phase.PREPARING) is FailureCause.TEMPLATE
    assert cause_of_job("no more disk", Phase.STARTING) is FailureCause.DRIVER
    assert cause_of_job("internal: KeyError: 1", Phase.STARTING) is FailureCause.INTERNAL
    lost = "internal: the workers of this job were lost 5 times, it was given up"
    assert cause_of_job(lost, Phase.QUEUED) is FailureCause.WORKERS_LOST
