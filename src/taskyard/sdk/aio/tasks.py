"""Methods of the asyncio client: tasks, and what workspace agents send."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING
from uuid import UUID

from taskyard.sdk.aio.caller import AsyncCaller
from taskyard.sdk.calls import NEXT_PAGE_HEADER, PAGE_SIZE, PathPart, Query, decoded, queued_prompt
from taskyard.wire import network, phases, tasks, workspaces

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection


class AsyncTaskCalls(AsyncCaller):
    """See wire/routes.py for the order of path parts and what each call takes and gives."""

    async def list_tasks(
        self, q: str = "", *, page_size: int | None = None, page_token: str | None = None
    ) -> tasks.TasksListResponse:
        """List the tasks that the caller may see, newest first."""
        return await self.request(
            tasks.TasksListResponse,
            "list_tasks",
            query={"q": q or None, "page_size": page_size, "page_token": page_token},
        )

    async def iterate_tasks(self, q: str = "") -> AsyncIterator[tasks.Task]:
        """List all tasks that the caller may see, newest first, page by page."""
        page_token: str | None = None
        while True:
            query: Query = {"q": q or None, "page_size": PAGE_SIZE, "page_token": page_token}
            reply = await self.exchange("list_tasks", query=query)
            page = decoded(tasks.TasksListResponse, reply, "list_tasks", self.url)
            for task in page.tasks:
                yield task
            page_token = reply.headers.get(NEXT_PAGE_HEADER)
            if not page_token:
                return

    async def create_task(self, user: PathPart, request: tasks.CreateTaskRequest) -> tasks.Task:
        """Create a task and the workspace it runs in."""
        return await self.request(tasks.Task, "create_task", user, body=request)

    async def get_task(self, user: PathPart, task: PathPart) -> tasks.Task:
        """Get one task by id or name."""
        return await self.request(tasks.Task, "get_task", user, task)

    async def delete_task(self, user: PathPart, task: PathPart, *, force: bool = False) -> None:
        """Delete a task and its workspace; by force whatever is in the way, and whatever its driver says."""
        await self.exchange("delete_task", user, task, query={"force": force or None})

    async def update_task(
        self, user: PathPart, task: PathPart, request: tasks.UpdateTaskRequest
    ) -> tasks.Task:
        """Give a task another display name."""
        return await self.request(tasks.Task, "update_task", user, task, body=request)

    async def update_task_input(
        self, user: PathPart, task: PathPart, request: tasks.UpdateTaskInputRequest
    ) -> None:
        """Change the prompt of a paused task."""
        await self.exchange("update_task_input", user, task, body=request)

    async def send_task_input(
        self, user: PathPart, task: PathPart, request: tasks.TaskSendRequest
    ) -> tasks.QueuedPrompt | None:
        """Send a message to the coding agent of a task; what it gives is the place of a message that waits."""
        reply = await self.exchange("send_task_input", user, task, body=request)
        return queued_prompt(reply, self.url)

    async def get_task_logs(self, user: PathPart, task: PathPart) -> tasks.TaskLogsResponse:
        """Get the conversation of a task."""
        return await self.request(tasks.TaskLogsResponse, "get_task_logs", user, task)

    async def get_task_phases(
        self, user: PathPart, task: PathPart, *, build: int | None = None
    ) -> phases.TaskPhasesResponse:
        """Show what a start of a task went through, and why it failed."""
        return await self.request(
            phases.TaskPhasesResponse, "get_task_phases", user, task, query={"build": build}
        )

    async def get_task_network(self, user: PathPart, task: PathPart) -> network.TaskNetworkResponse:
        """Show what the workspace of a task tried to reach, and what became of it."""
        return await self.request(network.TaskNetworkResponse, "get_task_network", user, task)

    async def list_task_permissions(
        self, user: PathPart, task: PathPart, *, answered: bool = False
    ) -> tasks.TaskPermissionsResponse:
        """List what the coding agent of a task asks somebody to permit, and on demand what was answered."""
        return await self.request(
            tasks.TaskPermissionsResponse,
            "list_task_permissions",
            user,
            task,
            query={"all": answered or None},
        )

    async def answer_task_permission(
        self,
        user: PathPart,
        task: PathPart,
        permission: PathPart,
        request: tasks.AnswerTaskPermissionRequest,
    ) -> None:
        """Answer what the coding agent of a task asks."""
        await self.exchange("answer_task_permission", user, task, permission, body=request)

    async def list_task_prompts(self, user: PathPart, task: PathPart) -> tasks.TaskPromptsResponse:
        """List the prompts that wait for their turn, and what became of the newest others."""
        return await self.request(tasks.TaskPromptsResponse, "list_task_prompts", user, task)

    async def update_task_prompt(
        self,
        user: PathPart,
        task: PathPart,
        prompt: PathPart,
        request: tasks.UpdateTaskPromptRequest,
    ) -> tasks.TaskPrompt:
        """Move or change a prompt that waits for its turn."""
        return await self.request(
            tasks.TaskPrompt, "update_task_prompt", user, task, prompt, body=request
        )

    async def delete_task_prompt(self, user: PathPart, task: PathPart, prompt: PathPart) -> None:
        """Take back a prompt that waits for its turn."""
        await self.exchange("delete_task_prompt", user, task, prompt)

    async def interrupt_task(self, user: PathPart, task: PathPart) -> None:
        """End the turn of the coding agent; its workspace goes on."""
        await self.exchange("interrupt_task", user, task)

    async def attach_task(self, user: PathPart, task: PathPart) -> "ClientConnection":
        """See and steer the coding agent of a task while it works; wire/attached.py has the messages."""
        return await self.open_socket("attach_task", user, task)

    async def open_terminal(
        self,
        user: PathPart,
        task: PathPart,
        *,
        id: UUID | None = None,  # noqa: A002 - the query's own key
        cols: int = 80,
        rows: int = 24,
        command: str = "",
    ) -> "ClientConnection":
        """Open a shell in the workspace of a task, or come back to one; wire/terminal.py has the messages."""
        query: Query = {
            "id": None if id is None else str(id),
            "cols": cols,
            "rows": rows,
            "command": command or None,
        }
        return await self.open_socket("open_terminal", user, task, query=query)

    async def pause_task(
        self, user: PathPart, task: PathPart, *, force: bool = False
    ) -> tasks.PauseTaskResponse:
        """Stop the workspace of a task and keep its files; by force without grace, whatever is in the way."""
        return await self.request(
            tasks.PauseTaskResponse, "pause_task", user, task, query={"force": force or None}
        )

    async def resume_task(self, user: PathPart, task: PathPart) -> tasks.ResumeTaskResponse:
        """Start the workspace of a paused task again."""
        return await self.request(tasks.ResumeTaskResponse, "resume_task", user, task)

    async def retry_task(self, user: PathPart, task: PathPart) -> tasks.RetryTaskResponse:
        """Do again what the newest build of a task failed at."""
        return await self.request(tasks.RetryTaskResponse, "retry_task", user, task)

    async def upload_task_log_snapshot(self, task: PathPart, request: tasks.SnapshotUpload) -> None:
        """Keep the end of a task's conversation for while it is paused."""
        query = {"format": "agentapi"}
        await self.exchange("upload_task_log_snapshot", task, query=query, body=request)

    async def update_app_status(self, request: workspaces.PatchAppStatus) -> None:
        """Report what the coding agent does."""
        await self.exchange("update_app_status", body=request)

    async def agent_link(self) -> "ClientConnection":
        """Connect a workspace agent to the server."""
        return await self.open_socket("agent_link")

    async def create_log_source(
        self, request: workspaces.CreateLogSourceRequest
    ) -> workspaces.WorkspaceAgentLogSource:
        """Name a writer of the agent's log."""
        return await self.request(
            workspaces.WorkspaceAgentLogSource, "create_log_source", body=request
        )

    async def append_agent_logs(self, request: workspaces.AppendAgentLogsRequest) -> None:
        """Add lines to the agent's log."""
        await self.exchange("append_agent_logs", body=request)

    async def get_workspace_agent(self, agent: PathPart) -> workspaces.WorkspaceAgent:
        """Get a workspace agent with its apps."""
        return await self.request(workspaces.WorkspaceAgent, "get_workspace_agent", agent)

    async def get_workspace_agent_logs(
        self, agent: PathPart, *, after: int | None = None
    ) -> list[workspaces.WorkspaceAgentLog]:
        """Get or follow the log of a workspace agent."""
        return await self.request(
            list[workspaces.WorkspaceAgentLog],
            "get_workspace_agent_logs",
            agent,
            query={"after": after},
        )

    def follow_workspace_agent_logs(
        self, agent: PathPart, *, after: int | None = None
    ) -> AsyncIterator[workspaces.WorkspaceAgentLog]:
        """The lines after that id as they come, until the log is whole."""
        return self.follow(
            workspaces.WorkspaceAgentLog, "get_workspace_agent_logs", agent, after=after
        )
