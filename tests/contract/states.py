"""Every state that a task can be in, and how a test gets it there."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.api.seed import Api, Json

Put = Callable[[Api, Json], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class State:
    """What a new task is put through, and the words that it and its workspace then show."""

    put: Put
    status: str
    workspace_status: str


async def queued(_api: Api, _task: Json) -> None:
    """A start that nobody has begun."""


async def building(api: Api, task: Json) -> None:
    """A start that a worker has."""
    await api.claim(task["workspace_id"])


async def failed(api: Api, task: Json) -> None:
    """A start that failed."""
    await api.finish(await api.claim(task["workspace_id"]), "broken")


async def canceled(api: Api, task: Json) -> None:
    """A start that was canceled while it waited."""
    assert (await cancel(api, task)).status_code == 200


async def canceling(api: Api, task: Json) -> None:
    """A start whose worker is asked to stop."""
    await api.claim(task["workspace_id"])
    assert (await cancel(api, task)).status_code == 200


async def cancel(api: Api, task: Json) -> Json:
    """The answer to canceling the newest build."""
    build = await newest_build(api, task)
    return await api.call("PATCH", f"/api/v2/workspacebuilds/{build['id']}/cancel")


async def newest_build(api: Api, task: Json) -> Json:
    """The newest build of a task's workspace."""
    [build, *_] = (await api.get(f"/api/v2/workspaces/{task['workspace_id']}/builds")).json()
    return build


def started(lifecycle: str, health: str) -> Put:
    """A start that succeeded, with an agent and an app in these states."""

    async def put(api: Api, task: Json) -> None:
        await api.start(task["workspace_id"], lifecycle, health)

    return put


async def without_app(api: Api, task: Json) -> None:
    """A start that succeeded with an agent, but chose no app."""
    await api.start(task["workspace_id"], "ready", "healthy")
    await api.execute(
        "update workspace_builds set app_id = null where workspace_id = $1::text::uuid",
        task["workspace_id"],
    )


async def without_agent(api: Api, task: Json) -> None:
    """A start that succeeded and chose no agent."""
    await api.succeed(task["workspace_id"])


async def pausing(api: Api, task: Json) -> None:
    """A stop that nobody has begun."""
    await api.start(task["workspace_id"], "ready", "healthy")
    assert (await api.post(f"/api/v2/tasks/me/{task['id']}/pause")).status_code == 202


async def stopping(api: Api, task: Json) -> None:
    """A stop that a worker has."""
    await pausing(api, task)
    await api.claim(task["workspace_id"])


async def paused(api: Api, task: Json) -> None:
    """A stop that succeeded."""
    await pausing(api, task)
    await api.succeed(task["workspace_id"])


async def stop_failed(api: Api, task: Json) -> None:
    """A stop that failed."""
    await pausing(api, task)
    await api.finish(await api.claim(task["workspace_id"]), "broken")


async def resuming(api: Api, task: Json) -> None:
    """A start after a pause that nobody has begun."""
    await paused(api, task)
    assert (await api.post(f"/api/v2/tasks/me/{task['id']}/resume")).status_code == 202


async def delete_queued(api: Api, task: Json) -> None:
    """A workspace that is to be deleted by its own route, with its task still there."""
    await api.start(task["workspace_id"], "ready", "healthy")
    path = f"/api/v2/workspaces/{task['workspace_id']}/builds"
    assert (await api.post(path, {"transition": "delete"})).status_code == 201


async def deleting(api: Api, task: Json) -> None:
    """The same, with a worker at it."""
    await delete_queued(api, task)
    await api.claim(task["workspace_id"])


async def delete_failed(api: Api, task: Json) -> None:
    """The same, gone wrong: the task lives on. Source: tasks-api 8.4."""
    await delete_queued(api, task)
    await api.finish(await api.claim(task["workspace_id"]), "broken")


async def delete_done(api: Api, task: Json) -> None:
    """The same, done, in the moment before the task is taken along."""
    await delete_queued(api, task)
    await api.succeed(task["workspace_id"])


STATES = {
    "queued": State(queued, "pending", "pending"),
    "resuming": State(resuming, "pending", "pending"),
    "building": State(building, "initializing", "starting"),
    "failed": State(failed, "error", "failed"),
    "canceled": State(canceled, "error", "canceled"),
    "canceling": State(canceling, "error", "canceling"),
    "stop_failed": State(stop_failed, "error", "failed"),
    "delete_failed": State(delete_failed, "error", "failed"),
    "pausing": State(pausing, "unknown", "pending"),
    "stopping": State(stopping, "unknown", "stopping"),
    "paused": State(paused, "paused", "stopped"),
    "delete_queued": State(delete_queued, "unknown", "pending"),
    "deleting": State(deleting, "unknown", "deleting"),
    "delete_done": State(delete_done, "paused", "deleted"),
    "without_agent": State(without_agent, "initializing", "running"),
    "created": State(started("created", "initializing"), "initializing", "running"),
    "starting": State(started("starting", "initializing"), "initializing", "running"),
    "shutting_down": State(started("shutting_down", "healthy"), "unknown", "running"),
    "shutdown_timeout": State(started("shutdown_timeout", "healthy"), "unknown", "running"),
    "shutdown_error": State(started("shutdown_error", "healthy"), "unknown", "running"),
    "off": State(started("off", "healthy"), "unknown", "running"),
    "app_initializing": State(started("ready", "initializing"), "initializing", "running"),
    "app_unhealthy": State(started("ready", "unhealthy"), "error", "running"),
    "app_healthy": State(started("ready", "healthy"), "active", "running"),
    "app_disabled": State(started("ready", "disabled"), "active", "running"),
    "start_error": State(started("start_error", "healthy"), "active", "running"),
    "start_timeout": State(started("start_timeout", "healthy"), "active", "running"),
    "without_app": State(without_app, "unknown", "running"),
}
"""All of them by name."""
