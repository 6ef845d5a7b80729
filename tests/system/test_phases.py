"""Starts that go well and starts that do not: each tells its phases, why it failed, and what to do, by real programs."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest

from taskyard.wire.enums import JobStatus, TaskStatus
from taskyard.wire.phases import FailureCause, Phase, PhaseState, TaskPhasesResponse
from taskyard.wire.tasks import CreateTaskRequest, Task
from tests.system.kit import World, pushed
from tests.waiting import until


@dataclass(frozen=True, slots=True)
class Case:
    """A template that does not come up: where and why it fails, words of its reason, its log and the advice."""

    toml: str
    phase: Phase
    cause: FailureCause
    reason: str
    line: str
    advice: str
    script: str = ""
    status: TaskStatus = TaskStatus.ERROR


AGENT = "[task]\napp = 'agent'\n[agent]\ntype = 'custom'\n"
SERVER = "[task]\napp = 'own'\n[[app]]\nslug = 'own'\nurl = 'http://127.0.0.1:3999'\n"

CASES = {
    "a start script that fails": Case(
        "[task]\napp = 'agent'\n[agent]\ntype = 'shell'\n[scripts]\nstart = 'setup.sh'\n",
        Phase.SCRIPTS,
        FailureCause.SCRIPT,
        "start script failed",
        "the mirror is down",
        "taskyard templates push",
        script="#!/bin/sh\necho the mirror is down >&2\nexit 3\n",
        status=TaskStatus.ACTIVE,
    ),
    "a program that is missing": Case(
        f"{AGENT}transport = 'acp'\ncommand = ['no-such-program']\n",
        Phase.CODING_AGENT,
        FailureCause.PROGRAM_MISSING,
        "`no-such-program` not found",
        "no-such-program",
        "Install the program",
    ),
    "a coding agent that ends at once": Case(
        f"{AGENT}transport = 'acp'\ncommand = ['bash', '-c', 'echo I cannot >&2; exit 4']\n",
        Phase.CODING_AGENT,
        FailureCause.AGENT_EXITED,
        "I cannot",
        "exit code 4",
        "taskyard task resume",
    ),
    "a screen that ends at once": Case(
        f"{AGENT}transport = 'pty'\ncommand = ['bash', '-c', 'echo I have no model; exit 5']\n",
        Phase.CODING_AGENT,
        FailureCause.AGENT_EXITED,
        "exit code 5",
        "I have no model",
        "taskyard task resume",
    ),
    "a secret without a value": Case(
        "[task]\napp = 'agent'\nrequires_env = ['A_KEY_OF_NOBODY']\n[agent]\ntype = 'shell'\n",
        Phase.PREPARING,
        FailureCause.SECRETS,
        "A_KEY_OF_NOBODY",
        "A_KEY_OF_NOBODY",
        "taskyard task retry",
    ),
    "a server that answers nothing": Case(
        f"{SERVER}command = 'echo I listen elsewhere; sleep 100'\n"
        "healthcheck = { url = 'http://127.0.0.1:3999/status', interval = 1, threshold = 1 }\n",
        Phase.CODING_AGENT,
        FailureCause.APP_UNHEALTHY,
        "health check",
        "I listen elsewhere",
        "address of its health check",
    ),
}


@pytest.fixture(scope="module")
def failing(lasting: World) -> Iterator[dict[str, UUID]]:
    """A task of each template, all at once: they spend most of their time waiting."""

    def create(case: Case) -> UUID:
        files = {"taskyard.toml": case.toml} | ({"setup.sh": case.script} if case.script else {})
        version = pushed(lasting, f"bad-{uuid4().hex[:8]}", files)
        assert version.job.status is JobStatus.SUCCEEDED, version.job.error
        request = CreateTaskRequest(template_version_id=version.id, input="echo hello")
        return lasting.owner.create_task("me", request).id

    yield {name: create(case) for name, case in CASES.items()}
    lasting.tidy()


def phases_of(world: World, task_id: UUID) -> TaskPhasesResponse:
    """What the newest start went through."""
    return world.owner.get_task_phases("me", task_id)


@pytest.mark.parametrize("name", CASES)
def test_a_bad_start_says_where_why_and_what_next(
    lasting: World, failing: dict[str, UUID], name: str
) -> None:
    """The phase that failed, its reason, the end of the log that tells of it, advice; in error the task shows them too."""
    case, task_id = CASES[name], failing[name]

    def failed() -> Task | None:
        if phases_of(lasting, task_id).failure is None:
            return None
        return lasting.status(task_id, case.status)

    until(f"the failure of {name}", failed)

    def told() -> TaskPhasesResponse | None:
        found = phases_of(lasting, task_id)
        assert found.failure is not None
        is_whole = any(case.line in line for line in found.failure.lines)
        # The cause is told by the coding agent's last words, which may come after its end.
        return found if is_whole and found.failure.cause == case.cause else None

    found = until(f"{case.line!r} among the lines", told)
    failure = found.failure
    assert failure is not None
    # Sentence and health come by calls of their own: what the task shows may be a moment older than the lines.
    task = lasting.owner.get_task("me", task_id)
    assert (failure.phase, failure.cause) == (case.phase, case.cause)
    assert case.reason in failure.reason
    assert case.advice in failure.advice
    assert len(failure.lines) <= 20
    states = {phase.phase: phase.state for phase in found.phases}
    assert states[case.phase] is PhaseState.FAILED
    if case.status is TaskStatus.ERROR:
        assert task.failure
        assert (task.failure.phase, task.failure.reason) == (failure.phase, failure.reason)
        assert not any(phase.state is PhaseState.RUNNING for phase in found.phases)
    else:
        assert not task.failure


def test_a_good_start_is_timed(lasting: World) -> None:
    """All phases are done in their order, by one clock; the transcript tells them, the conversation does not."""
    task = lasting.create("echo hello")
    lasting.says(task.id, "hello")

    def through() -> TaskPhasesResponse | None:
        found = phases_of(lasting, task.id)
        return found if found.phases[-1].state is PhaseState.DONE else None

    found = until("the first answer", through)
    skipped = [phase.phase for phase in found.phases if phase.state is PhaseState.SKIPPED]
    assert set(skipped) <= {Phase.SCRIPTS}
    assert found.failure is None
    ends = [phase.ended_at for phase in found.phases if phase.ended_at is not None]
    assert ends == sorted(ends)
    lasting.owner.pause_task("me", task.id)
    until("the pause", lambda: lasting.status(task.id, TaskStatus.PAUSED))
    lasting.owner.resume_task("me", task.id)
    lasting.active(task.id)
    second = until("the second start", lambda: second_of(lasting, task.id))
    states = {phase.phase: phase.state for phase in second.phases}
    assert states[Phase.FIRST_PROMPT] is PhaseState.SKIPPED  # there is nothing new to say
    assert lasting.owner.get_task_phases("me", task.id, build=1).phases == found.phases
    assert "coding_agent" not in lasting.text(task.id)


def second_of(world: World, task_id: UUID) -> TaskPhasesResponse | None:
    """The newest start, once its coding agent is up and it is known whether there is something to say."""
    found = phases_of(world, task_id)
    states = {phase.phase: phase.state for phase in found.phases}
    is_known = states[Phase.FIRST_PROMPT] in (
        PhaseState.DONE,
        PhaseState.SKIPPED,
        PhaseState.FAILED,
    )
    up = states[Phase.CODING_AGENT] is PhaseState.DONE
    return found if found.build_number > 1 and up and is_known else None
