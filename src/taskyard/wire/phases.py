"""The phases of a start: what a task goes through from the queue to its first answer, and why one failed."""

from enum import StrEnum
from typing import Annotated

import msgspec

from taskyard.wire.base import Time


class Phase(StrEnum):
    """What a start goes through, in this order.

    queued: it waits for a worker. preparing: template, secrets and repository are looked at. starting: the driver
    brings the workspace up. connecting: its agent has not called yet. scripts: the repository is cloned and the
    start script runs. coding_agent: it comes up, or the task's own server does. first_prompt: the input is on its
    way to it. first_answer: it has not said or done anything yet.
    """

    QUEUED = "queued"
    PREPARING = "preparing"
    STARTING = "starting"
    CONNECTING = "connecting"
    SCRIPTS = "scripts"
    CODING_AGENT = "coding_agent"
    FIRST_PROMPT = "first_prompt"
    FIRST_ANSWER = "first_answer"


class PhaseOutcome(StrEnum):
    """How a phase ended. skipped: there was nothing to do in it, or nobody waits for its end any more."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


class PhaseState(StrEnum):
    """Where a phase is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


class FailureCause(StrEnum):
    """What kind of thing went wrong in a phase.

    driver: the workspace cannot be made or started. template: the version cannot be used. secrets: one that it
    needs has no value. canceled: by a person. workers_lost: each worker that tried it died. internal: a fault of the
    server. lost: the workspace ended by itself. never_connected: nothing was heard of its agent. protocol: its agent
    is of another release. script, script_timeout: the start script. program_missing, agent_exited, sign_in: the
    coding agent. app_unhealthy: the task's own server. prompt_refused, prompt_uncertain: the input. turn_failed: the
    first turn.
    """

    DRIVER = "driver"
    TEMPLATE = "template"
    SECRETS = "secrets"
    CANCELED = "canceled"
    WORKERS_LOST = "workers_lost"
    INTERNAL = "internal"
    LOST = "lost"
    NEVER_CONNECTED = "never_connected"
    PROTOCOL = "protocol"
    SCRIPT = "script"
    SCRIPT_TIMEOUT = "script_timeout"
    PROGRAM_MISSING = "program_missing"
    AGENT_EXITED = "agent_exited"
    SIGN_IN = "sign_in"
    APP_UNHEALTHY = "app_unhealthy"
    PROMPT_REFUSED = "prompt_refused"
    PROMPT_UNCERTAIN = "prompt_uncertain"
    TURN_FAILED = "turn_failed"


class TaskPhase(msgspec.Struct, frozen=True, kw_only=True):
    """One phase of a start, by the server's clock.

    began_at is null while it waits, ended_at while it waits or runs. ms: how long it took, or has taken so far; null
    while it waits. reason: why it failed, or why nobody waits for it any more.
    """

    phase: Phase
    state: PhaseState
    began_at: Time | None
    ended_at: Time | None
    ms: int | None
    reason: str | None


class PhaseFailure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a start did not come to a good end; lines: the end of the log that tells of it; advice: what to do next."""

    phase: Phase
    cause: FailureCause
    reason: str
    lines: list[str]
    advice: str


class TaskPhasesResponse(msgspec.Struct, frozen=True, kw_only=True):
    """What a start of a task went through. round: 1, and one more for each time the server brought it back.

    phases is empty for a start of a release that kept none. failure null: none so far.
    """

    build_number: int
    round: int
    phases: list[TaskPhase]
    failure: PhaseFailure | None


class TaskFailure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a task is in error, as the task itself shows it; its phases have the log lines too.

    phase null: it was stopped or deleted, and that failed.
    """

    phase: Phase | None
    cause: FailureCause
    reason: str
    advice: str


BuildNumber = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
"""The number of a build of a workspace."""


class TaskPhasesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which start to show; null: the newest."""

    build: BuildNumber | None = None
