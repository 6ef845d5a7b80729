"""A started task as its workspace agent sees it: the token, and requests with it."""

from dataclasses import dataclass
from uuid import UUID, uuid4

import httpx2

from taskyard.control.keys import hash_agent_token
from tests.api.seed import Api, Json


@dataclass(frozen=True)
class AgentSeat:
    """The agent of a task's newest start."""

    api: Api
    task: Json
    agent_id: UUID
    token: str

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content: bytes | None = None,
        token: str | None = None,
    ) -> httpx2.Response:
        """The answer to a request of a program in the workspace."""
        headers = {"Coder-Session-Token": self.token if token is None else token}
        url = f"/api/v2/workspaceagents/me/{path}"
        return await self.api.call(method, url, body, headers=headers, content=content)

    async def upload(
        self, content: bytes, *, query: str = "?format=agentapi", task: str | None = None
    ) -> httpx2.Response:
        """The answer to the upload of a snapshot."""
        path = f"tasks/{task or self.task['id']}/log-snapshot{query}"
        return await self.call("POST", path, content=content)

    async def report(self, **body: object) -> httpx2.Response:
        """The answer to a status of the task's app."""
        known = {"app_slug": "shell", "state": "working", "message": "m", "uri": ""}
        return await self.call("PATCH", "app-status", known | body)


async def started(
    api: Api, lifecycle: str = "ready", health: str = "healthy", *, task: Json = None
) -> AgentSeat:
    """A task whose newest start succeeded, a new one unless told."""
    found = task or await api.task(await api.template(f"shell-{uuid4().hex[:8]}"))
    agent_id = await api.start(found["workspace_id"], lifecycle, health)
    token = str(uuid4())
    await api.execute(
        "update workspace_agents set token_hash = $2 where id = $1",
        agent_id,
        hash_agent_token(token),
    )
    return AgentSeat(api, found, agent_id, token)
