"""What tests of workspaces share: builds that are asked for, lines of their logs, sockets that follow."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from websockets.asyncio.client import ClientConnection, connect

from taskyard.db import jobs
from taskyard.wire.enums import LogLevel, LogSource
from tests.api.seed import TOML, Api, Json, Person
from tests.waiting import DEADLINE_S

PARAMETERS = (
    TOML
    + """
[[parameter]]
name = "size"
type = "number"
default = 1

[[parameter]]
name = "mood"
default = "calm"
mutable = true
"""
)


async def newest(api: Api, task: Json) -> Json:
    """The newest build of a task's workspace."""
    return (await api.get(f"/api/v2/workspaces/{task['workspace_id']}")).json()["latest_build"]


async def build(api: Api, task: Json, *, by: Person | None = None, **body: object) -> Json:
    """The answer to a request for a build."""
    return await api.post(f"/api/v2/workspaces/{task['workspace_id']}/builds", body, by=by)


async def log(api: Api, job_id: UUID, *lines: str) -> None:
    """Adds lines to a job's log."""
    async with api.services.db.transaction() as conn:
        rows = [(api.now, LogSource.PROVISIONER, LogLevel.INFO, "Building", line) for line in lines]
        await jobs.append_job_logs(conn, job_id, rows)


@asynccontextmanager
async def following(api: Api, path: str) -> AsyncIterator[ClientConnection]:
    """A WebSocket to a route, with the owner's token."""
    url = api.url.replace("http:", "ws:") + path
    headers = {"Coder-Session-Token": api.owner.token}
    async with (
        asyncio.timeout(DEADLINE_S),
        connect(url, additional_headers=headers, proxy=None) as socket,
    ):
        yield socket
