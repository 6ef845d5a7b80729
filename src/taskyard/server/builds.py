"""Handlers: builds of workspaces, what is in them, and their logs."""

from starlette.websockets import WebSocket

from taskyard.control import build_logs, workspace_builds, workspaces
from taskyard.control.build_create import BuildRequest, create_build
from taskyard.errors import Invalid, RequestRefused
from taskyard.server.call import Answer, Call, Handler, SocketHandler
from taskyard.server.deps import user_param
from taskyard.server.following import (
    expected_status,
    follow_job_logs,
    job_logs,
    refuse_plain_follow,
    send_all,
    still_signed_in,
)
from taskyard.wire import workspaces as wire
from taskyard.wire.base import Response
from taskyard.wire.enums import BuildReason, Transition
from taskyard.wire.workspace_details import ListeningPorts
from taskyard.wire.workspace_requests import AgentLogsQuery

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


async def create_workspace_build(call: Call) -> object:
    """Starts, stops or deletes a workspace. Source: U16, U21."""
    workspace_id = call.uuid("workspace")
    await workspaces.require_visible(call.services, call.actor, workspace_id)
    body = await call.body(wire.CreateWorkspaceBuildRequest)
    return await create_build(call.services, call.actor, workspace_id, _wanted(body), now=call.now)


async def get_workspace_build_by_number(call: Call) -> object:
    """The build of that number of an owner's workspace. Source: supporting-api 9 row 64."""
    owner = await user_param(call)
    workspace_id = await workspaces.get_workspace_by_name(
        call.services, call.actor, owner.id, call.path("name"), deleted=False
    )
    return await workspace_builds.get_build_by_number(
        call.services, call.actor, workspace_id, _number(call), now=call.now
    )


async def get_workspace_build(call: Call) -> object:
    """One build."""
    return await workspace_builds.get_build(call.services, call.actor, call.uuid("build"), call.now)


async def cancel_workspace_build(call: Call) -> object:
    """Cancels a build. Source: U19, U20."""
    build_id = call.uuid("build")
    await workspace_builds.job_of_build(call.services, call.actor, build_id)  # else 404 comes first
    await workspace_builds.cancel_build(
        call.services, call.actor, build_id, expected_status(call), now=call.now
    )
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


async def get_build_timings(call: Call) -> object:
    """Where the time of a build went."""
    return await workspace_builds.get_timings(call.services, call.actor, call.uuid("build"))


async def get_build_state(call: Call) -> object:
    """What the driver keeps of a build for itself: drivers of ours keep nothing that could be given away."""
    await workspace_builds.require_build(call.services, call.actor, call.uuid("build"))
    return Answer(b"", media_type="application/octet-stream")


async def get_workspace_agent(call: Call) -> object:
    """A workspace agent with its apps."""
    return await workspace_builds.get_agent(call.services, call.actor, call.uuid("agent"), call.now)


async def get_workspace_agent_logs(call: Call) -> object:
    """The log of a workspace agent."""
    refuse_plain_follow(call)
    agent_id, query = call.uuid("agent"), call.query(AgentLogsQuery)
    return await build_logs.list_agent_logs(
        call.services, call.actor, agent_id, after=query.after, before=query.before
    )


async def follow_workspace_agent_logs(call: Call, socket: WebSocket) -> None:
    """The log of a workspace agent as it grows, several lines a message. Source: U24."""
    agent_id, query = call.uuid("agent"), call.query(AgentLogsQuery)
    batches = build_logs.follow_agent_logs(
        call.services, still_signed_in(call), agent_id, after=query.after, before=query.before
    )
    await send_all(socket, batches, lambda batch: [batch] if batch else [])


async def list_listening_ports(call: Call) -> object:
    """The open ports of a workspace: none are told."""
    await workspace_builds.require_agent(call.services, call.actor, call.uuid("agent"))
    return ListeningPorts(ports=[])


def _wanted(body: wire.CreateWorkspaceBuildRequest) -> BuildRequest:
    """What is to be built; raises Invalid with every field that is not right."""
    violations: list[tuple[str, str]] = []
    if body.transition not in set(Transition):
        violations.append(("transition", f"give one of {', '.join(Transition)}"))
    if body.reason and body.reason not in REASONS:
        violations.append(("reason", f"give one of {', '.join(sorted(REASONS))}, or none"))
    if body.log_level not in {"", "debug"}:
        violations.append(("log_level", "give debug, or none"))
    if body.orphan and body.transition != Transition.DELETE:
        violations.append(("orphan", "only a delete can leave alone what the driver holds"))
    if violations:
        raise Invalid("A field is not valid.", violations)
    return BuildRequest(
        Transition(body.transition),
        BuildReason(body.reason) if body.reason else BuildReason.INITIATOR,
        body.template_version_id,
        body.template_version_preset_id,
        {entry.name: entry.value for entry in body.rich_parameter_values},
        orphan=body.orphan,
        dry_run=body.dry_run,
    )


def _number(call: Call) -> int:
    """The number of a build in the path; raises RequestRefused, and looks for none beyond what is stored."""
    raw = call.path("buildnumber")
    if raw.isascii() and raw.isdigit():
        return min(int(raw[:10]), 2**31 - 1)
    raise RequestRefused(
        "invalid_build_number", f'"{raw}" is no number of a build.', "Builds are counted from 1."
    )


HANDLERS: dict[str, Handler] = {
    handler.__name__: handler
    for handler in (
        create_workspace_build,
        get_workspace_build_by_number,
        get_workspace_build,
        cancel_workspace_build,
        get_workspace_build_logs,
        list_build_parameters,
        list_build_resources,
        get_build_timings,
        get_build_state,
        get_workspace_agent,
        get_workspace_agent_logs,
        list_listening_ports,
    )
}

SOCKETS: dict[str, SocketHandler] = {
    "get_workspace_build_logs": follow_workspace_build_logs,
    "get_workspace_agent_logs": follow_workspace_agent_logs,
}
