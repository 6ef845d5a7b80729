"""Handlers: workspaces, their builds, their agents, and the logs of both."""

import contextlib
from datetime import UTC, datetime
from uuid import UUID

from starlette.websockets import WebSocket

from taskyard.control import build_logs, workspace_builds, workspaces
from taskyard.control.workspace_builds import BuildPage, BuildRequest
from taskyard.control.workspace_list import list_workspaces as list_page
from taskyard.errors import Invalid, RequestRefused
from taskyard.server.call import Call, Handler, SocketHandler
from taskyard.server.deps import user_param
from taskyard.server.following import (
    boolean,
    follow_job_logs,
    integer,
    job_logs,
    refuse_plain_follow,
    send_all,
)
from taskyard.wire import workspaces as wire
from taskyard.wire.base import Response
from taskyard.wire.enums import BuildReason, JobStatus, Transition

REASONS = frozenset(
    {
        BuildReason.DASHBOARD,
        BuildReason.CLI,
        BuildReason.SSH_CONNECTION,
        BuildReason.VSCODE_CONNECTION,
        BuildReason.JETBRAINS_CONNECTION,
        BuildReason.TASK_MANUAL_PAUSE,
    }
)
"""Reasons that a person may give for a build. Source: supporting-api 9 row 68, U21."""


async def list_workspaces(call: Call) -> object:
    """The workspaces that the caller may see, running ones first."""
    limit, offset = _page(call)
    q = call.query("q") or ""
    return await list_page(call.services, call.actor, q, limit=limit, offset=offset, now=call.now)


async def get_workspace(call: Call) -> object:
    """One workspace. Source: U14, U22."""
    workspace_id = call.uuid("workspace")
    deleted = boolean(call, "include_deleted")
    return await workspaces.get_workspace(
        call.services, call.actor, workspace_id, deleted=deleted, now=call.now
    )


async def get_workspace_by_name(call: Call) -> object:
    """One workspace by owner and name."""
    owner = await user_param(call)
    deleted = boolean(call, "include_deleted")
    workspace_id = await workspaces.get_workspace_by_name(
        call.services, call.actor, owner.id, call.path("name"), deleted=deleted
    )
    return await workspaces.get_workspace(
        call.services, call.actor, workspace_id, deleted=deleted, now=call.now
    )


async def list_workspace_builds(call: Call) -> object:
    """The builds of a workspace, newest first. Source: U15."""
    workspace_id = call.uuid("workspace")
    limit, offset = _page(call)
    page = BuildPage(_since(call), _after_id(call), limit, offset)
    return await workspace_builds.list_builds(
        call.services, call.actor, workspace_id, page, now=call.now
    )


async def create_workspace_build(call: Call) -> object:
    """Starts, stops or deletes a workspace. Source: U16, U21."""
    workspace_id = call.uuid("workspace")
    await workspaces.require_visible(call.services, call.actor, workspace_id)
    body = await call.body(wire.CreateWorkspaceBuildRequest)
    return await workspace_builds.create_build(
        call.services, call.actor, workspace_id, _wanted(body), now=call.now
    )


async def get_workspace_build(call: Call) -> object:
    """One build."""
    return await workspace_builds.get_build(call.services, call.actor, call.uuid("build"), call.now)


async def cancel_workspace_build(call: Call) -> object:
    """Cancels a build. Source: U19, U20."""
    build_id = call.uuid("build")
    expected = _expected(call)
    await workspace_builds.cancel_build(call.services, call.actor, build_id, expected, now=call.now)
    return Response(message="The build is canceled, or will be as soon as its worker lets go.")


async def get_workspace_build_logs(call: Call) -> object:
    """The log of a build as JSON or text. Source: U18."""
    job_id = await workspace_builds.job_of_build(call.services, call.actor, call.uuid("build"))
    return await job_logs(call, job_id)


async def follow_workspace_build_logs(call: Call, socket: WebSocket) -> None:
    """The log of a build as it grows, a line a message. Source: U17, U24."""
    job_id = await workspace_builds.job_of_build(call.services, call.actor, call.uuid("build"))
    await follow_job_logs(call, socket, job_id)


async def list_build_parameters(call: Call) -> object:
    """The parameter values of a build, by name."""
    rows = await workspace_builds.list_parameters(call.services, call.actor, call.uuid("build"))
    return [wire.WorkspaceBuildParameter(name=row.name, value=row.value) for row in rows]


async def list_build_resources(call: Call) -> object:
    """What a build made."""
    return await workspace_builds.list_resources(
        call.services, call.actor, call.uuid("build"), call.now
    )


async def get_workspace_agent(call: Call) -> object:
    """A workspace agent with its apps."""
    return await workspace_builds.get_agent(call.services, call.actor, call.uuid("agent"), call.now)


async def get_workspace_agent_logs(call: Call) -> object:
    """The log of a workspace agent."""
    refuse_plain_follow(call)
    agent_id, after, before = call.uuid("agent"), integer(call, "after"), integer(call, "before")
    return await build_logs.list_agent_logs(
        call.services, call.actor, agent_id, after=after or 0, before=before
    )


async def follow_workspace_agent_logs(call: Call, socket: WebSocket) -> None:
    """The log of a workspace agent as it grows, several lines a message. Source: U24."""
    agent_id, after, before = call.uuid("agent"), integer(call, "after"), integer(call, "before")
    batches = build_logs.follow_agent_logs(
        call.services, call.actor, agent_id, after=after or 0, before=before
    )
    await send_all(socket, batches, lambda batch: [batch] if batch else [])


def _wanted(body: wire.CreateWorkspaceBuildRequest) -> BuildRequest:
    """What is to be built; raises Invalid with every field that is not right."""
    violations: list[tuple[str, str]] = []
    if body.transition not in set(Transition):
        violations.append(("transition", f"give one of {', '.join(Transition)}"))
    if body.reason and body.reason not in REASONS:
        violations.append(("reason", f"give one of {', '.join(sorted(REASONS))}, or none"))
    if body.log_level not in {"", "debug"}:
        violations.append(("log_level", "give debug, or none"))
    if body.dry_run:
        violations.append(("dry_run", "builds cannot be tried without being done"))
    if violations:
        raise Invalid("A field is not valid.", violations)
    return BuildRequest(
        Transition(body.transition),
        BuildReason(body.reason) if body.reason else BuildReason.INITIATOR,
        body.template_version_id,
        body.template_version_preset_id,
        {entry.name: entry.value for entry in body.rich_parameter_values},
    )


def _page(call: Call) -> tuple[int | None, int]:
    """Limit, null for none, and offset; raises Invalid. Source: supporting-api 3."""
    found: dict[str, int] = {}
    violations: list[tuple[str, str]] = []
    for name in ("limit", "offset"):
        raw = call.query(name) or "0"
        if raw.isascii() and raw.isdigit() and len(raw) <= 9:
            found[name] = int(raw)
        else:
            violations.append((name, f'"{raw}" is no number from 0 on'))
    if violations:
        raise Invalid("A query parameter is not valid.", violations)
    return found["limit"] or None, found["offset"]


def _since(call: Call) -> datetime | None:
    raw = call.query("since")
    if not raw:
        return None
    at = None
    with contextlib.suppress(ValueError, OverflowError):
        found = datetime.fromisoformat(raw)
        # A time that UTC has no year for is none that the database could compare with.
        at = found.astimezone(UTC) if found.tzinfo else None
    if at is None:
        raise RequestRefused(
            "invalid_query", 'The query parameter "since" must be a time.', "Give RFC 3339."
        )
    return at


def _after_id(call: Call) -> UUID | None:
    raw = call.query("after_id")
    try:
        return UUID(raw) if raw else None
    except ValueError as error:
        raise Invalid("A query parameter is not valid.", [("after_id", "give a UUID")]) from error


def _expected(call: Call) -> JobStatus | None:
    raw = call.query("expect_status")
    if not raw:
        return None
    if raw in {JobStatus.RUNNING, JobStatus.PENDING}:
        return JobStatus(raw)
    raise RequestRefused(
        "invalid_expect_status", f'expect_status cannot be "{raw}".', "Give running or pending."
    )


HANDLERS: dict[str, Handler] = {
    handler.__name__: handler
    for handler in (
        list_workspaces,
        get_workspace,
        get_workspace_by_name,
        list_workspace_builds,
        create_workspace_build,
        get_workspace_build,
        cancel_workspace_build,
        get_workspace_build_logs,
        list_build_parameters,
        list_build_resources,
        get_workspace_agent,
        get_workspace_agent_logs,
    )
}

SOCKETS: dict[str, SocketHandler] = {
    "get_workspace_build_logs": follow_workspace_build_logs,
    "get_workspace_agent_logs": follow_workspace_agent_logs,
}
