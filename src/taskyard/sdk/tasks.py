"""Methods of the blocking client: tasks, and what workspace agents send."""

from collections.abc import Iterator
from typing import TYPE_CHECKING
from uuid import UUID

from taskyard.sdk.caller import Caller
from taskyard.sdk.calls import NEXT_PAGE_HEADER, PAGE_SIZE, PathPart, Query, decoded, queued_prompt
from taskyard.wire import network, phases, tasks, workspaces

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection


class TaskCalls(Caller):
    """See wire/routes.py for the order of path parts and what each call takes and gives."""

    def list_tasks(
        self, q: str = "", *, page_size: int | None = None, page_token: str | None = None
    ) -> tasks.TasksListResponse:
        """List the tasks that the caller may see, newest first."""
        return self.request(
            tasks.TasksListResponse,
            "list_tasks",
            query={"q": q or None, "page_size": page_size, "page_token": page_token},
        )

    def iterate_tasks(self, q: str = "") -> Iterator[tasks.Task]:
        """List all tasks that the caller may see, newest first, page by page."""
        page_token: str | None = None
        while True:
            query: Query = {"q": q or None, "page_size": PAGE_SIZE, "page_token": page_token}
            reply = self.exchange("list_tasks", query=query)
            page = decoded(tasks.TasksListResponse, reply, "list_tasks", self.url)
            yield from page.tasks
            page_token = reply.headers.get(NEXT_PAGE_HEADER)
            if not page_token:
                return

    def create_task(self, user: PathPart, request: tasks.CreateTaskRequest) -> tasks.Task:
        """Create a task and the workspace it runs in."""
        return self.request(tasks.Task, "create_task", user, body=request)

    def get_task(self, user: PathPart, task: PathPart) -> tasks.Task:
        """Get one task by id or name."""
        return self.request(tasks.Task, "get_task", user, task)

    def delete_task(self, user: PathPart, task: PathPart, *, force: bool = False) -> None:
        """Delete a task and its workspace; by force whatever is in the way, and whatever its driver says."""
        self.exchange("delete_task", user, task, query={"force": force or None})

    def update_task(
        self, user: PathPart, task: PathPart, request: tasks.UpdateTaskRequest
    ) -> tasks.Task:
        """Give a task another display name."""
        return self.request(tasks.Task, "update_task", user, task, body=request)

    def update_task_input(
        self, user: PathPart, task: PathPart, request: tasks.UpdateTaskInputRequest
    ) -> None:
        """Change the prompt of a paused task."""
        self.exchange("update_task_input", user, task, body=request)

    def send_task_input(
        self, user: PathPart, task: PathPart, request: tasks.TaskSendRequest
    ) -> tasks.QueuedPrompt | None:
        """Send a message to the coding agent of a task; what it gives is the place of a message that waits."""
        reply = self.exchange("send_task_input", user, task, body=request)
        return queued_prompt(reply, self.url)

    def get_task_logs(self, user: PathPart, task: PathPart) -> tasks.TaskLogsResponse:
        """Get the conversation of a task."""
        return self.request(tasks.TaskLogsResponse, "get_task_logs", user, task)

    def get_task_phases(
        self, user: PathPart, task: PathPart, *, build: int | None = None
    ) -> phases.TaskPhasesResponse:
        """Show what a start of a task went through, and why it failed."""
        return self.request(
            phases.TaskPhasesResponse, "get_task_phases", user, task, query={"build": build}
        )

    def get_task_network(self, user: PathPart, task: PathPart) -> network.TaskNetworkResponse:
        """Show what the workspace of a task tried to reach, and what became of it."""
        return self.request(network.TaskNetworkResponse, "get_task_network", user, task)

    def list_task_permissions(
        self, user: PathPart, task: PathPart, *, answered: bool = False
    ) -> tasks.TaskPermissionsResponse:
        """List what the coding agent of a task asks somebody to permit, and on demand what was answered."""
        return self.request(
            tasks.TaskPermissionsResponse,
            "list_task_permissions",
            user,
            task,
            query={"all": answered or None},
        )

    def answer_task_permission(
        self,
        user: PathPart,
        task: PathPart,
        permission: PathPart,
        request: tasks.AnswerTaskPermissionRequest,
    ) -> None:
        """Answer what the coding agent of a task asks."""
        self.exchange("answer_task_permission", user, task, permission, body=request)

    def list_task_prompts(self, user: PathPart, task: PathPart) -> tasks.TaskPromptsResponse:
        """List the prompts that wait for their turn, and what became of the newest others."""
        return self.request(tasks.TaskPromptsResponse, "list_task_prompts", user, task)

    def update_task_prompt(
        self,
        user: PathPart,
        task: PathPart,
        prompt: PathPart,
        request: tasks.UpdateTaskPromptRequest,
    ) -> tasks.TaskPrompt:
        """Move or change a prompt that waits for its turn."""
        return self.request(
            tasks.TaskPrompt, "update_task_prompt", user, task, prompt, body=request
        )

    def delete_task_prompt(self, user: PathPart, task: PathPart, prompt: PathPart) -> None:
        """Take back a prompt that waits for its turn."""
        self.exchange("delete_task_prompt", user, task, prompt)

    def interrupt_task(self, user: PathPart, task: PathPart) -> None:
        """End the turn of the coding agent; its workspace goes on."""
        self.exchange("interrupt_task", user, task)

    def attach_task(self, user: PathPart, task: PathPart) -> "ClientConnection":
        """See and steer the coding agent of a task while it works; wire/attached.py has the messages."""
        return self.open_socket("attach_task", user, task)

    def open_terminal(
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
        return self.open_socket("open_terminal", user, task, query=query)

    def pause_task(
        self, user: PathPart, task: PathPart, *, force: bool = False
    ) -> tasks.PauseTaskResponse:
        """Stop the workspace of a task and keep its files; by force without grace, whatever is in the way."""
        return self.request(
            tasks.PauseTaskResponse, "pause_task", user, task, query={"force": force or None}
        )

    def resume_task(self, user: PathPart, task: PathPart) -> tasks.ResumeTaskResponse:
        """Start the workspace of a paused task again."""
        return self.request(tasks.ResumeTaskResponse, "resume_task", user, task)

    def retry_task(self, user: PathPart, task: PathPart) -> tasks.RetryTaskResponse:
        """Do again what the newest build of a task failed at."""
        return self.request(tasks.RetryTaskResponse, "retry_task", user, task)

    def upload_task_log_snapshot(self, task: PathPart, request: tasks.SnapshotUpload) -> None:
        """Keep the end of a task's conversation for while it is paused."""
        query = {"format": "agentapi"}
        self.exchange("upload_task_log_snapshot", task, query=query, body=request)

    def update_app_status(self, request: workspaces.PatchAppStatus) -> None:
        """Report what the coding agent does."""
        self.exchange("update_app_status", body=request)

    def agent_link(self) -> "ClientConnection":
        """Connect a workspace agent to the server."""
        return self.open_socket("agent_link")

    def create_log_source(
        self, request: workspaces.CreateLogSourceRequest
    ) -> workspaces.WorkspaceAgentLogSource:
        """Name a writer of the agent's log."""
        return self.request(workspaces.WorkspaceAgentLogSource, "create_log_source", body=request)

    def append_agent_logs(self, request: workspaces.AppendAgentLogsRequest) -> None:
        """Add lines to the agent's log."""
        self.exchange("append_agent_logs", body=request)

    def get_workspace_agent(self, agent: PathPart) -> workspaces.WorkspaceAgent:
        """Get a workspace agent with its apps."""
        return self.request(workspaces.WorkspaceAgent, "get_workspace_agent", agent)

    def get_workspace_agent_logs(
        self, agent: PathPart, *, after: int | None = None
    ) -> list[workspaces.WorkspaceAgentLog]:
        """Get or follow the log of a workspace agent."""
        return self.request(
            list[workspaces.WorkspaceAgentLog],
            "get_workspace_agent_logs",
            agent,
            query={"after": after},
        )

    def follow_workspace_agent_logs(
        self, agent: PathPart, *, after: int | None = None
    ) -> Iterator[workspaces.WorkspaceAgentLog]:
        """The lines after that id as they come, until the log is whole."""
        return self.follow(
            workspaces.WorkspaceAgentLog, "get_workspace_agent_logs", agent, after=after
        )
