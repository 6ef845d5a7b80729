"""Tasks: the task itself, its requests, its log. Source: T10-T14, T20-T37, T90-T120."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from taskyard.wire.base import ZERO_TIME, Int64, Request, Time
from taskyard.wire.enums import (
    AgentLifecycle,
    LogEntryType,
    PermissionAnswerer,
    PermissionOutcome,
    PromptSource,
    PromptState,
    QueueReason,
    QueueWait,
    TaskState,
    TaskStatus,
    WorkspaceStatus,
)
from taskyard.wire.phases import TaskFailure
from taskyard.wire.workspaces import ParameterValue, WorkspaceAgentHealth, WorkspaceBuild


class SendWhen(StrEnum):
    """When a message is sent that cannot go out at once."""

    QUEUE = "queue"


class TaskStateEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What the coding agent of a task does, since when, in its own words. Source: T80-T85."""

    timestamp: Time
    state: TaskState
    message: str
    uri: str


class WaitingFor(msgspec.Struct, frozen=True, kw_only=True):
    """What a task waits for a person to answer; kind is a word such as `permission`."""

    kind: str
    id: str
    title: str


class TaskQueue(msgspec.Struct, frozen=True, kw_only=True):
    """Where a task stands whose start waits: its place from 1 among those that wait for the same thing.

    limit is the limit that it waits for; it is left out where the task waits for a place on the server.
    """

    position: int
    size: int
    reason: QueueReason
    limit: int | UnsetType = UNSET


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A task with what is known of its workspace. Source: T10-T14, C2.

    Without workspace data, template_id is nil, the names are empty and updated_at is the zero time.
    current_state is null while nothing was reported. waiting_for and queue are keys of ours; queue is there
    while the task's start waits.
    """

    id: UUID
    organization_id: UUID
    owner_id: UUID
    owner_name: str
    owner_avatar_url: str | UnsetType = UNSET
    name: str
    display_name: str
    template_id: UUID
    template_version_id: UUID
    template_name: str
    template_display_name: str
    template_icon: str
    workspace_id: UUID | None
    workspace_name: str
    workspace_status: WorkspaceStatus | UnsetType = UNSET
    workspace_build_number: int | UnsetType = UNSET
    workspace_agent_id: UUID | None
    workspace_agent_lifecycle: AgentLifecycle | None
    workspace_agent_health: WorkspaceAgentHealth | None
    workspace_app_id: UUID | None
    initial_prompt: str
    status: TaskStatus
    current_state: TaskStateEntry | None
    waiting_for: WaitingFor | UnsetType = UNSET
    queue: TaskQueue | UnsetType = UNSET
    failure: TaskFailure | UnsetType = UNSET
    created_at: Time
    updated_at: Time


class TasksListResponse(msgspec.Struct, frozen=True, kw_only=True):
    """Tasks, newest first; count is how many are here. Source: T13, T44."""

    tasks: list[Task]
    count: int


PageSize = Annotated[int, msgspec.Meta(ge=1, le=1000)]
"""Tasks of one page; without a page size all come at once."""


class ListTasksQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which tasks to list. page_size and page_token are ours; without them all come. Source: T44-T50."""

    q: str = ""
    page_size: PageSize | None = None
    page_token: str = ""


class CreateTaskRequest(Request, frozen=True, kw_only=True):
    """A new task; an empty name or display name is made from the input. Source: T20-T37.

    rich_parameter_values is ours, as for a workspace: what is given goes before what the preset says.
    """

    template_version_id: UUID | None = None
    template_version_preset_id: UUID | None = None
    input: str = ""
    name: str = ""
    display_name: str = ""
    rich_parameter_values: list[ParameterValue] = msgspec.field(default_factory=list)


class UpdateTaskRequest(Request, frozen=True, kw_only=True):
    """Another display name for a task, empty for one made from the input as at first; null leaves it.

    The name stays: it stands in addresses that people gave to others.
    """

    display_name: str | None = None


class UpdateTaskInputRequest(Request, frozen=True, kw_only=True):
    """The new prompt of a paused task. Source: T90-T92."""

    input: str = ""


class TaskSendRequest(Request, frozen=True, kw_only=True):
    """A message for a task. `when` is ours: null means now or not at all. Source: T93-T99."""

    input: str = ""
    when: SendWhen | None = None


class QueuedPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """A message that waits for its turn, answered with 202; position counts from 1.

    waits_for is there where something has to happen first: a paused task stays paused.
    """

    id: UUID
    position: int
    waits_for: QueueWait | UnsetType = UNSET


class TaskPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt that waits, with its position from 1, or what became of one.

    created_by: the name of who sent it, null for a task's input. item_number: where it stands in the transcript.
    input_truncated: it waits no more, and input is only its first 1,000 characters; the transcript has it whole.
    """

    id: UUID
    position: int | None
    source: PromptSource
    state: PromptState
    input: str
    input_truncated: bool
    created_at: Time
    created_by: str | None
    sent_at: Time | None
    settled_at: Time | None
    error: str | None
    item_number: int | None


class TaskPromptsResponse(msgspec.Struct, frozen=True, kw_only=True):
    """What is under way, what waits in its order, then the newest 50 of the others.

    waits_for: what has to happen until the next one goes out; null where that is now, or where none waits.
    """

    prompts: list[TaskPrompt]
    waits_for: QueueWait | None


class UpdateTaskPromptRequest(Request, frozen=True, kw_only=True):
    """Another place for a prompt that waits, from 1, another text, or both; null leaves it."""

    position: int | None = None
    input: str | None = None


class TaskLogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a task's conversation. Source: T100."""

    id: int
    content: str
    type: LogEntryType
    time: Time


class TaskLogsResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation in order. snapshot is true or left out: whether it was kept from an earlier run.

    snapshot_at is there when such a run left one. Source: T100-T103.
    """

    logs: list[TaskLogEntry]
    snapshot: bool | UnsetType = UNSET
    snapshot_at: Time | UnsetType = UNSET


class PermissionOption(msgspec.Struct, frozen=True, kw_only=True):
    """One of the answers that a request takes; kind is a word such as `allow_once` or `reject_once`."""

    option_id: str
    name: str
    kind: str


class PermissionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How a request was answered; option_id is there when one was selected, username when a person answered."""

    outcome: PermissionOutcome
    option_id: str | None
    by: PermissionAnswerer
    username: str | None
    at: Time


class TaskPermission(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a coding agent asks to be permitted; answer null: it waits, until expires_at if there is one."""

    id: str
    title: str
    options: list[PermissionOption]
    asked_at: Time
    expires_at: Time | None
    answer: PermissionAnswer | None


class TaskPermissionsResponse(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked, oldest first."""

    permissions: list[TaskPermission]


class ListTaskPermissionsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Whether requests are listed too that were answered, the newest 200 of them."""

    all: bool = False


class AnswerTaskPermissionRequest(Request, frozen=True, kw_only=True):
    """One of the request's options, or the outcome `cancelled` in its place."""

    option_id: str = ""
    outcome: str = ""


class ForceQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Whether to pause or delete by force: no grace, whatever is in the way. Ours."""

    force: bool = False


class PauseTaskResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The build that stops the task's workspace. Source: T110, T119."""

    workspace_build: WorkspaceBuild


class ResumeTaskResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The build that starts the task's workspace. Source: T113, T119."""

    workspace_build: WorkspaceBuild


class RetryTaskResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The build that does again what the newest one failed at."""

    workspace_build: WorkspaceBuild


class SnapshotMessage(Request, frozen=True, kw_only=True):
    """One message of a snapshot as the workspace sent it; the role is checked when it is read."""

    id: Int64 = 0
    content: str = ""
    role: str = ""
    time: Time = ZERO_TIME


class SnapshotUpload(Request, frozen=True, kw_only=True):
    """A conversation to keep; null messages are refused, an empty list is fine. Source: T140-T146."""

    messages: list[SnapshotMessage] | None = None
