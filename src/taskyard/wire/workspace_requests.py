"""What people ask of workspaces, builds and agents: bodies and queries. Source: S2-S9."""

from typing import Annotated
from uuid import UUID

import msgspec

from taskyard.wire.base import ZERO_TIME, Int64, PageNumber, Request, Time
from taskyard.wire.workspaces import ParameterValue

LineId = Annotated[int, msgspec.Meta(ge=-(10**18) + 1, lt=10**18)]
"""The id of a line of a log, in a query."""


class CreateWorkspaceRequest(Request, frozen=True, kw_only=True):
    """A new workspace of a template's active version, or of one version: exactly one of the two ids.

    ttl_ms null or 0: the template's. autostart_schedule is kept and shown; nothing starts by it yet.
    """

    template_id: UUID | None = None
    template_version_id: UUID | None = None
    name: str = ""
    autostart_schedule: str = ""
    ttl_ms: Int64 | None = None
    rich_parameter_values: list[ParameterValue] = msgspec.field(default_factory=list)
    automatic_updates: str = ""
    template_version_preset_id: UUID | None = None


class UpdateWorkspaceTtlRequest(Request, frozen=True, kw_only=True):
    """How long a workspace runs after each start, in milliseconds; null or 0 means for ever."""

    ttl_ms: Int64 | None = None


class ExtendWorkspaceRequest(Request, frozen=True, kw_only=True):
    """When a workspace that runs shall stop by itself."""

    deadline: Time = ZERO_TIME


class ListWorkspacesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which workspaces to list: a search, and a page of what it finds; limit 0 means all."""

    q: str = ""
    limit: PageNumber = 0
    offset: PageNumber = 0


class GetWorkspaceQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a workspace that was deleted is shown too."""

    include_deleted: bool = False


class ListBuildsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which builds of a workspace to list.

    since: made at that time or later, RFC 3339. after_id: older than that build. limit 0 means all.
    """

    since: Time | None = None
    after_id: UUID | None = None
    limit: PageNumber = 0
    offset: PageNumber = 0


class CancelJobQuery(msgspec.Struct, frozen=True, kw_only=True):
    """In which status the job must be to be canceled: `pending` or `running`; empty for any. Source: U20."""

    expect_status: str = ""


class JobLogsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines of a job's log, those behind an id, and how: `json` or `text`.

    With the key follow, whatever its value, the path is a WebSocket that sends what comes too. Source: U18.
    """

    after: LineId = 0
    format: str = "json"
    follow: str | None = None


class AgentLogsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines of an agent's log, by ids that are left out themselves.

    With the key follow, whatever its value, the path is a WebSocket that sends what comes too. Messages
    are never compressed, so no_compression changes nothing.
    """

    before: LineId | None = None
    after: LineId = 0
    follow: str | None = None
    no_compression: str | None = None
