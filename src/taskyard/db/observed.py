"""What is observed of coding agents, reported by them and asked by them: one function a statement of sql/observed.sql."""

from datetime import datetime
from typing import TYPE_CHECKING, Literal
from uuid import UUID

import msgspec

from taskyard.db.statements import NoRow, statement
from taskyard.lifecycle.observed import Observed, Outcome, Report
from taskyard.wire.enums import AppStatusState
from taskyard.wire.link import AgentState, Waiting

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


class ObservationRow(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a task's coding agent.

    Of the first eight, number, generation, state and session are null together: nothing was observed yet; waiting_*
    are null unless it waits. report_number, summary and link are null together: it never said anything; outcome is
    null when what it said is void. shown_* and of_this_start are null together: nothing was shown yet.
    """

    number: int | None
    generation: int | None
    state: AgentState | None
    session: str | None
    reason: str | None
    waiting_kind: str | None
    waiting_id: str | None
    waiting_title: str | None
    report_number: int | None
    summary: str | None
    link: str | None
    outcome: Outcome | None
    shown_state: AppStatusState | None
    shown_message: str | None
    shown_uri: str | None
    shown_agent_id: UUID | None
    shown_app_id: UUID | None
    of_this_start: bool | None

    @property
    def observed(self) -> Observed | None:
        """What it does."""
        if self.state is None:
            return None
        waiting = None
        if self.waiting_kind is not None:
            waiting = Waiting(self.waiting_kind, self.waiting_id or "", self.waiting_title or "")
        return Observed(self.state, self.session or "", self.reason, waiting)

    @property
    def report(self) -> Report | None:
        """What it says of itself, as long as that holds."""
        if self.outcome is None:
            return None
        return Report(self.summary or "", self.link or "", self.outcome)


class TaskOfWorkspaceRow(msgspec.Struct, frozen=True):
    """A workspace's task and the generation of the workspace."""

    task_id: UUID
    generation: int


class PermissionOptionRow(msgspec.Struct, frozen=True):
    """One of the answers that a request takes."""

    option_id: str
    name: str
    kind: str


class PermissionRow(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked. answered_at, outcome and answered_by are null together: it is open.

    options is the JSON of a list of PermissionOptionRow; answerer is there when a person answered.
    """

    id: str
    title: str
    options: bytes
    asked_at: datetime
    expires_at: datetime | None
    answered_at: datetime | None
    outcome: str | None
    option_id: str | None
    answered_by: str | None
    answerer: str | None

    def read_options(self) -> list[PermissionOptionRow]:
        """The answers that it takes, in the coding agent's order."""
        return _OPTIONS.decode(self.options)


class NewPermission(msgspec.Struct, frozen=True, kw_only=True):
    """A request to be stored, by the item of that number."""

    number: int
    id: str
    generation: int
    title: str
    options: list[PermissionOptionRow]
    expires_at: datetime | None


class PermissionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How a request was answered; option_id null: it was cancelled. answerer null: by nobody with a name."""

    id: str
    option_id: str | None
    answered_by: Literal["policy", "person", "timeout", "cancel"]
    answerer: str | None


_OPTIONS = msgspec.json.Decoder(list[PermissionOptionRow])
_GET = statement("observed", "get_observation_as_system", ObservationRow)
_TASK = statement("observed", "get_task_of_workspace_as_system", TaskOfWorkspaceRow)
_OBSERVED = statement("observed", "upsert_observed_as_system", NoRow)
_REPORT = statement("observed", "upsert_report_as_system", NoRow)
_INSERT_PERMISSION = statement("observed", "insert_permission_as_system", NoRow)
_ANSWER = statement("observed", "answer_permission_as_system", NoRow)
_CLOSE = statement("observed", "close_permissions_as_system", NoRow)
_KEEP = statement("observed", "keep_permissions_as_system", NoRow)
_LIST = statement("observed", "list_permissions_as_system", PermissionRow)
_GET_PERMISSION = statement("observed", "get_permission_as_system", PermissionRow)


async def get_observation_as_system(conn: "Connection", task_id: UUID) -> ObservationRow:
    """What is known of the coding agent of a task that is there."""
    row = await _GET.one(conn, task_id=task_id)
    assert row is not None  # a task always has one
    return row


async def get_task_of_workspace_as_system(
    conn: "Connection", workspace_id: UUID
) -> TaskOfWorkspaceRow | None:
    """The task of a workspace, live or deleted; None when it has none."""
    return await _TASK.one(conn, workspace_id=workspace_id)


async def upsert_observed_as_system(
    conn: "Connection",
    task_id: UUID,
    number: int,
    observed: Observed,
    *,
    generation: int,
    now: datetime,
) -> None:
    """What the coding agent does, by the `state` item of that number; an older one changes nothing."""
    waiting = observed.waiting
    await _OBSERVED.execute(
        conn,
        task_id=task_id,
        number=number,
        generation=generation,
        state=observed.state,
        session=observed.session,
        reason=observed.reason,
        waiting_kind=waiting and waiting.kind,
        waiting_id=waiting and waiting.id,
        waiting_title=waiting and waiting.title,
        now=now,
    )


async def upsert_report_as_system(
    conn: "Connection", task_id: UUID, number: int, report: Report | None, *, now: datetime
) -> None:
    """What the coding agent says of itself, by the item of that number; None makes it void."""
    await _REPORT.execute(
        conn,
        task_id=task_id,
        number=number,
        summary="" if report is None else report.summary,
        link="" if report is None else report.link,
        outcome=None if report is None else report.outcome,
        now=now,
    )


async def insert_permission_as_system(
    conn: "Connection", task_id: UUID, permission: NewPermission, now: datetime
) -> None:
    """Something that a coding agent asks to be permitted."""
    values = msgspec.structs.asdict(permission)
    values["options"] = msgspec.json.encode(permission.options)
    await _INSERT_PERMISSION.execute(conn, task_id=task_id, now=now, **values)


async def answer_permission_as_system(
    conn: "Connection", task_id: UUID, answer: PermissionAnswer, now: datetime
) -> bool:
    """How a request was answered; False when it is unknown, or that was known already."""
    rows = await _ANSWER.execute(
        conn,
        task_id=task_id,
        outcome="cancelled" if answer.option_id is None else "selected",
        now=now,
        **msgspec.structs.asdict(answer),
    )
    return rows > 0


async def close_permissions_as_system(conn: "Connection", task_id: UUID, now: datetime) -> None:
    """Whatever is open will not be answered any more."""
    await _CLOSE.execute(conn, task_id=task_id, now=now)


async def keep_permissions_as_system(conn: "Connection", task_id: UUID, generation: int) -> None:
    """Whatever is open was asked by what goes on in this generation."""
    await _KEEP.execute(conn, task_id=task_id, generation=generation)


async def list_permissions_as_system(
    conn: "Connection", task_id: UUID, *, answered: bool, limit: int
) -> list[PermissionRow]:
    """What the task's coding agent asked, newest first: what is open, and on demand what was answered."""
    return await _LIST.many(conn, task_id=task_id, answered=answered, limit=limit)


async def get_permission_as_system(
    conn: "Connection", task_id: UUID, permission_id: str
) -> PermissionRow | None:
    """The newest request of that id."""
    return await _GET_PERMISSION.one(conn, task_id=task_id, id=permission_id)
