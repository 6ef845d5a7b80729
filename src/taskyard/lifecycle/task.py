"""What a task is and what may be done with it: pure functions of stored facts."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import assert_never

from taskyard.lifecycle.job import is_active
from taskyard.lifecycle.workspace import workspace_status
from taskyard.wire.enums import (
    AgentLifecycle,
    AppHealth,
    AppStatusState,
    JobStatus,
    TaskState,
    TaskStatus,
    Transition,
    WorkspaceStatus,
)
from taskyard.wire.link import Waiting


@dataclass(frozen=True, slots=True)
class AppReport:
    """What a coding agent last reported of itself, through any app and in any build."""

    state: AppStatusState
    message: str
    uri: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """Everything that decides over a task.

    transition, job and build_created_at are of the newest build of the task's workspace and null
    together when there is none. agent_lifecycle and app_health are of the agent and app chosen by
    exactly that build, null where it chose none. report is the newest of the workspace, null for none.
    waiting is what the coding agent that runs now waits for a person to answer.
    """

    has_workspace: bool
    transition: Transition | None
    job: JobStatus | None
    agent_lifecycle: AgentLifecycle | None
    app_health: AppHealth | None
    build_created_at: datetime | None = None
    report: AppReport | None = None
    waiting: Waiting | None = None


class StatusReason(StrEnum):
    """Which fact decided a task's status."""

    NO_WORKSPACE = "no_workspace"
    NO_BUILD = "no_build"
    BUILD_FAILED = "build_failed"
    BUILD_CANCELING = "build_canceling"
    BUILD_CANCELED = "build_canceled"
    STOPPED = "stopped"
    DELETED = "deleted"
    START_QUEUED = "start_queued"
    STOPPING = "stopping"
    DELETING = "deleting"
    JOB_UNKNOWN = "job_unknown"
    NO_AGENT = "no_agent"
    AGENT_CREATED = "agent_created"
    AGENT_STARTING = "agent_starting"
    AGENT_ENDING = "agent_ending"
    NO_APP = "no_app"
    APP_INITIALIZING = "app_initializing"
    APP_UNHEALTHY = "app_unhealthy"
    USABLE = "usable"


@dataclass(frozen=True, slots=True)
class DerivedStatus:
    """A task's status and the fact that decided it."""

    status: TaskStatus
    reason: StatusReason


def derive_status(facts: TaskFacts) -> DerivedStatus:
    """What a task is. Total: every combination of facts has an answer. Source: tasks-api 5, T60-T72."""
    if not facts.has_workspace:
        return DerivedStatus(TaskStatus.PENDING, StatusReason.NO_WORKSPACE)
    if facts.transition is None or facts.job is None:
        return DerivedStatus(TaskStatus.PENDING, StatusReason.NO_BUILD)
    return _of_build(facts.transition, facts.job) or _of_agent(facts)


def _of_build(transition: Transition, job: JobStatus) -> DerivedStatus | None:
    """What the newest build says; None where it is a start that got as far as the agent."""
    match job:
        case JobStatus.FAILED:
            return DerivedStatus(TaskStatus.ERROR, StatusReason.BUILD_FAILED)
        case JobStatus.CANCELING:
            return DerivedStatus(TaskStatus.ERROR, StatusReason.BUILD_CANCELING)
        case JobStatus.CANCELED:
            return DerivedStatus(TaskStatus.ERROR, StatusReason.BUILD_CANCELED)
        case JobStatus.UNKNOWN:
            return DerivedStatus(TaskStatus.UNKNOWN, StatusReason.JOB_UNKNOWN)
        case JobStatus.PENDING | JobStatus.RUNNING | JobStatus.SUCCEEDED:
            return _of_transition(transition, job)
    assert_never(job)


def _of_transition(transition: Transition, job: JobStatus) -> DerivedStatus | None:
    succeeded = job is JobStatus.SUCCEEDED
    match transition:
        case Transition.START if job is JobStatus.PENDING:
            return DerivedStatus(TaskStatus.PENDING, StatusReason.START_QUEUED)
        case Transition.START:
            return None
        case Transition.STOP if succeeded:
            return DerivedStatus(TaskStatus.PAUSED, StatusReason.STOPPED)
        case Transition.STOP:
            return DerivedStatus(TaskStatus.UNKNOWN, StatusReason.STOPPING)
        case Transition.DELETE if succeeded:
            return DerivedStatus(TaskStatus.PAUSED, StatusReason.DELETED)
        case Transition.DELETE:
            return DerivedStatus(TaskStatus.UNKNOWN, StatusReason.DELETING)
    assert_never(transition)


def _of_agent(facts: TaskFacts) -> DerivedStatus:
    match facts.agent_lifecycle:
        case None:
            return DerivedStatus(TaskStatus.INITIALIZING, StatusReason.NO_AGENT)
        case AgentLifecycle.CREATED:
            return DerivedStatus(TaskStatus.INITIALIZING, StatusReason.AGENT_CREATED)
        case AgentLifecycle.STARTING:
            return DerivedStatus(TaskStatus.INITIALIZING, StatusReason.AGENT_STARTING)
        case AgentLifecycle.READY | AgentLifecycle.START_TIMEOUT | AgentLifecycle.START_ERROR:
            return _of_app(facts.app_health)
        case (
            AgentLifecycle.SHUTTING_DOWN
            | AgentLifecycle.SHUTDOWN_TIMEOUT
            | AgentLifecycle.SHUTDOWN_ERROR
            | AgentLifecycle.OFF
        ):
            return DerivedStatus(TaskStatus.UNKNOWN, StatusReason.AGENT_ENDING)
    assert_never(facts.agent_lifecycle)


def _of_app(health: AppHealth | None) -> DerivedStatus:
    match health:
        case None:
            return DerivedStatus(TaskStatus.UNKNOWN, StatusReason.NO_APP)
        case AppHealth.INITIALIZING:
            return DerivedStatus(TaskStatus.INITIALIZING, StatusReason.APP_INITIALIZING)
        case AppHealth.UNHEALTHY:
            return DerivedStatus(TaskStatus.ERROR, StatusReason.APP_UNHEALTHY)
        case AppHealth.HEALTHY | AppHealth.DISABLED:
            return DerivedStatus(TaskStatus.ACTIVE, StatusReason.USABLE)
    assert_never(health)


def status_of_workspace(facts: TaskFacts) -> WorkspaceStatus | None:
    """The status of the task's workspace; None when there is no workspace or no build of it."""
    if not facts.has_workspace or facts.transition is None or facts.job is None:
        return None
    return workspace_status(facts.job, facts.transition)


@dataclass(frozen=True, slots=True)
class CurrentState:
    """What the coding agent of a task does, in the shape the wire shows."""

    timestamp: datetime
    state: TaskState
    message: str
    uri: str


_STATES = {
    AppStatusState.WORKING: TaskState.WORKING,
    AppStatusState.IDLE: TaskState.IDLE,
    AppStatusState.COMPLETE: TaskState.COMPLETE,
    AppStatusState.FAILURE: TaskState.FAILED,
}


def derive_current_state(facts: TaskFacts, status: TaskStatus) -> CurrentState | None:
    """What the coding agent does: its last report where that counts, else how far the start got.

    A report made before the newest start is of an earlier life and does not count. None means that
    nothing is known. Source: tasks-api 6, T80-T85.
    """
    report = facts.report
    if report is not None and _counts(report, facts):
        return CurrentState(report.created_at, _STATES[report.state], report.message, report.uri)
    if status is TaskStatus.INITIALIZING and facts.build_created_at is not None:
        message = _progress(facts)
        return CurrentState(facts.build_created_at, TaskState.WORKING, message, "")
    return None


def derive_waiting(facts: TaskFacts, status: TaskStatus) -> Waiting | None:
    """What somebody has to answer before the coding agent goes on; nobody can while the task is not active."""
    return facts.waiting if status is TaskStatus.ACTIVE else None


def _counts(report: AppReport, facts: TaskFacts) -> bool:
    if facts.transition is not Transition.START or facts.build_created_at is None:
        return True
    return report.created_at > facts.build_created_at


_BUILD_PROGRESS = {
    WorkspaceStatus.PENDING: "The workspace waits for its turn.",
    WorkspaceStatus.STARTING: "The workspace is being prepared.",
}
_AGENT_PROGRESS = {
    None: "The workspace is coming up.",
    AgentLifecycle.CREATED: "The workspace agent has not called yet.",
    AgentLifecycle.STARTING: "The start script is running.",
    AgentLifecycle.READY: "The workspace's apps are starting.",
}


def _progress(facts: TaskFacts) -> str:
    """How far the start of a task got, for people: the build first, then the agent, then the app."""
    build = status_of_workspace(facts)
    if build in _BUILD_PROGRESS:
        return _BUILD_PROGRESS[build]
    lifecycle = facts.agent_lifecycle
    if lifecycle is AgentLifecycle.READY and facts.app_health is AppHealth.INITIALIZING:
        return "The task's app is starting."
    return _AGENT_PROGRESS.get(lifecycle, "The workspace agent is coming up.")


class TaskVerb(StrEnum):
    """What people do with a task."""

    INPUT = "input"
    SEND = "send"
    LOGS = "logs"
    PAUSE = "pause"
    RESUME = "resume"
    DELETE = "delete"
    ANSWER = "answer"
    ATTACH = "attach"
    QUEUE = "queue"
    INTERRUPT = "interrupt"
    RETRY = "retry"


class RefusalCode(StrEnum):
    """Why a verb is not legal now; these words are the X-Taskyard-Reason of the answer."""

    TASK_PENDING = "task_pending"
    TASK_INITIALIZING = "task_initializing"
    TASK_PAUSED = "task_paused"
    TASK_NOT_ACTIVE = "task_not_active"
    TASK_NOT_PAUSED = "task_not_paused"
    TASK_UNREACHABLE = "task_unreachable"
    LOGS_UNAVAILABLE = "logs_unavailable"
    BUILD_ACTIVE = "build_active"
    WORKSPACE_RUNNING = "workspace_running"
    WORKSPACE_DELETED = "workspace_deleted"
    NO_WORKSPACE = "no_workspace"
    NOTHING_TO_RETRY = "nothing_to_retry"


class RefusalKind(StrEnum):
    """What a refusal means to the caller.

    later: the same call may work once the task has moved on. never: it cannot in this state.
    broken: the task itself is not as it should be.
    """

    LATER = "later"
    NEVER = "never"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a verb is not legal now; message says what is wrong, detail what to do next."""

    code: RefusalCode
    kind: RefusalKind
    message: str
    detail: str


class LogOrigin(StrEnum):
    """Where the log of a task is read now: from its app, or from what was kept of it."""

    LIVE = "live"
    SNAPSHOT = "snapshot"


def allowed(verb: TaskVerb, facts: TaskFacts) -> Refusal | None:
    """None when the verb is legal now, else why not. Source: tasks-api 8, 11."""
    match verb:
        case TaskVerb.INPUT:
            return _input(facts)
        case TaskVerb.SEND:
            return _send(facts)
        case TaskVerb.LOGS:
            origin = log_origin(facts)
            return origin if isinstance(origin, Refusal) else None
        case TaskVerb.PAUSE | TaskVerb.RESUME | TaskVerb.RETRY:
            return _build_refused(facts) or _pointless(verb, facts)
        case TaskVerb.DELETE:
            return _active_build(facts)
        case TaskVerb.ANSWER | TaskVerb.ATTACH | TaskVerb.INTERRUPT | TaskVerb.QUEUE:
            return _gone(facts) if verb is TaskVerb.QUEUE else _reach(facts)
    assert_never(verb)


def log_origin(facts: TaskFacts) -> LogOrigin | Refusal:
    """Where the log of a task is read now, or why it cannot be. Source: tasks-api 8.7, T100-T104."""
    status = derive_status(facts).status
    match status:
        case TaskStatus.ACTIVE:
            return LogOrigin.LIVE
        case TaskStatus.PAUSED | TaskStatus.PENDING | TaskStatus.INITIALIZING:
            return LogOrigin.SNAPSHOT
        case TaskStatus.ERROR | TaskStatus.UNKNOWN:
            return Refusal(
                RefusalCode.LOGS_UNAVAILABLE,
                RefusalKind.LATER,
                "The log of this task cannot be read in its present state.",
                f'The task\'s status is "{status}". Pause it, or pause and resume it, and ask again.',
            )
    assert_never(status)


def _input(facts: TaskFacts) -> Refusal | None:
    status = derive_status(facts).status
    if status is TaskStatus.PAUSED:
        return None
    return Refusal(
        RefusalCode.TASK_NOT_PAUSED,
        RefusalKind.LATER,
        "The input of a task can be changed only while the task is paused.",
        f'The task\'s status is "{status}". Pause the task, then change its input.',
    )


def _send(facts: TaskFacts) -> Refusal | None:
    """Source: tasks-api 8.6 rows 3-5, T94."""
    status = derive_status(facts).status
    match status:
        case TaskStatus.ACTIVE:
            return None
        case TaskStatus.PENDING:
            return _not_yet(RefusalCode.TASK_PENDING, "This task waits for its workspace.")
        case TaskStatus.INITIALIZING:
            return _not_yet(RefusalCode.TASK_INITIALIZING, "This task is still starting.")
        case TaskStatus.PAUSED:
            detail = "Resume it, and send again once it is active."
            return Refusal(
                RefusalCode.TASK_PAUSED, RefusalKind.LATER, "This task is paused.", detail
            )
        case TaskStatus.ERROR | TaskStatus.UNKNOWN:
            return Refusal(
                RefusalCode.TASK_NOT_ACTIVE,
                RefusalKind.NEVER,
                "Only an active task takes messages.",
                f'The task\'s status is "{status}". See its build and its log, then resume it.',
            )
    assert_never(status)


def _reach(facts: TaskFacts) -> Refusal | None:
    """Why the coding agent cannot be reached now; a task may come back, so it is never a refusal for good."""
    status = derive_status(facts).status
    if status is TaskStatus.ACTIVE:
        return None
    if status is TaskStatus.PAUSED:
        detail = "The task is paused, so its coding agent does not run. Resume it first."
    elif status in (TaskStatus.PENDING, TaskStatus.INITIALIZING):
        detail = f'The task\'s status is "{status}". Try again once it is active.'
    else:
        detail = f'The task\'s status is "{status}". See its build and its log, then resume it.'
    message = "The coding agent of this task cannot be reached now."
    return Refusal(RefusalCode.TASK_UNREACHABLE, RefusalKind.LATER, message, detail)


def _not_yet(code: RefusalCode, message: str) -> Refusal:
    return Refusal(code, RefusalKind.LATER, message, "Send again once it is active.")


def _build_refused(facts: TaskFacts) -> Refusal | None:
    """Why no stop or start can be built now, whatever runs. Source: tasks-api 8.8, 8.9, 11."""
    return _gone(facts) or _active_build(facts)


def _gone(facts: TaskFacts) -> Refusal | None:
    """Why the task can never be active again, whatever happens."""
    match status_of_workspace(facts):
        case None:
            return Refusal(
                RefusalCode.NO_WORKSPACE,
                RefusalKind.BROKEN,
                "This task has no workspace.",
                "Delete the task and create it anew.",
            )
        case WorkspaceStatus.DELETED:
            return Refusal(
                RefusalCode.WORKSPACE_DELETED,
                RefusalKind.LATER,
                "The workspace of this task was deleted; it can be neither started nor stopped.",
                "Create a new task.",
            )
    return None


def _active_build(facts: TaskFacts) -> Refusal | None:
    if not facts.has_workspace or facts.job is None or not is_active(facts.job):
        return None
    return Refusal(
        RefusalCode.BUILD_ACTIVE,
        RefusalKind.LATER,
        "The workspace of this task is being built already.",
        f"A {facts.transition} build is {facts.job}. Wait until it ends, or cancel it.",
    )


def _pointless(verb: TaskVerb, facts: TaskFacts) -> Refusal | None:
    """Why a build that could be made would change nothing; a pause is always worth it."""
    match verb:
        case TaskVerb.RESUME:
            return _running(facts)
        case TaskVerb.RETRY:
            return _unbroken(facts)
    return None


def _unbroken(facts: TaskFacts) -> Refusal | None:
    """Why the newest build is not made once more: it did what it was to do."""
    if facts.job in (JobStatus.FAILED, JobStatus.CANCELED):
        return None
    return Refusal(
        RefusalCode.NOTHING_TO_RETRY,
        RefusalKind.LATER,
        "The newest build of this task did not fail, so there is nothing to try again.",
        f'The task\'s status is "{derive_status(facts).status}". Pause or resume it, whichever you want.',
    )


def _running(facts: TaskFacts) -> Refusal | None:
    if status_of_workspace(facts) is not WorkspaceStatus.RUNNING:
        return None
    return Refusal(
        RefusalCode.WORKSPACE_RUNNING,
        RefusalKind.LATER,
        "The workspace of this task runs already.",
        "Pause the task first if you want it to start again.",
    )
