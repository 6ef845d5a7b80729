"""Methods of the asyncio client: workspaces and their builds."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from taskyard.sdk.aio.caller import AsyncCaller
from taskyard.sdk.calls import PathPart
from taskyard.sdk.following import decoded_event
from taskyard.wire import apps, workspaces
from taskyard.wire import workspace_details as details
from taskyard.wire import workspace_requests as requests
from taskyard.wire.base import Response
from taskyard.wire.enums import JobStatus

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection


class AsyncWorkspaceCalls(AsyncCaller):
    """See wire/routes.py for the order of path parts and what each call takes and gives."""

    async def list_workspaces(
        self, q: str = "", *, limit: int | None = None, offset: int | None = None
    ) -> workspaces.WorkspacesResponse:
        """List the workspaces that the caller may see."""
        return await self.request(
            workspaces.WorkspacesResponse,
            "list_workspaces",
            query={"q": q or None, "limit": limit, "offset": offset},
        )

    async def get_workspace(
        self, workspace: PathPart, *, include_deleted: bool = False
    ) -> workspaces.Workspace:
        """Get one workspace."""
        return await self.request(
            workspaces.Workspace,
            "get_workspace",
            workspace,
            query={"include_deleted": include_deleted or None},
        )

    async def get_workspace_by_name(
        self, user: PathPart, name: PathPart, *, include_deleted: bool = False
    ) -> workspaces.Workspace:
        """Get one workspace by owner and name."""
        return await self.request(
            workspaces.Workspace,
            "get_workspace_by_name",
            user,
            name,
            query={"include_deleted": include_deleted or None},
        )

    async def create_app_ticket(
        self, workspace: PathPart, app: PathPart, request: apps.AppTicketRequest
    ) -> apps.AppTicket:
        """Get an address that shows an app of a workspace in a browser."""
        return await self.request(apps.AppTicket, "create_app_ticket", workspace, app, body=request)

    async def list_workspace_builds(
        self,
        workspace: PathPart,
        *,
        since: datetime | None = None,
        after_id: UUID | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> list[workspaces.WorkspaceBuild]:
        """List the builds of a workspace, newest first."""
        return await self.request(
            list[workspaces.WorkspaceBuild],
            "list_workspace_builds",
            workspace,
            query={
                "since": None if since is None else since.isoformat(),
                "after_id": None if after_id is None else str(after_id),
                "limit": limit,
                "offset": offset,
            },
        )

    async def create_workspace_build(
        self, workspace: PathPart, request: workspaces.CreateWorkspaceBuildRequest
    ) -> workspaces.WorkspaceBuild:
        """Start, stop or delete a workspace."""
        return await self.request(
            workspaces.WorkspaceBuild, "create_workspace_build", workspace, body=request
        )

    async def get_workspace_build(self, build: PathPart) -> workspaces.WorkspaceBuild:
        """Get one build."""
        return await self.request(workspaces.WorkspaceBuild, "get_workspace_build", build)

    async def cancel_workspace_build(
        self, build: PathPart, *, expect_status: JobStatus | None = None
    ) -> Response:
        """Cancel a build."""
        return await self.request(
            Response, "cancel_workspace_build", build, query={"expect_status": expect_status}
        )

    async def get_workspace_build_logs(
        self, build: PathPart, *, after: int | None = None
    ) -> list[workspaces.ProvisionerJobLog]:
        """Get or follow the log of a build."""
        return await self.request(
            list[workspaces.ProvisionerJobLog],
            "get_workspace_build_logs",
            build,
            query={"after": after},
        )

    def follow_workspace_build_logs(
        self, build: PathPart, *, after: int | None = None
    ) -> AsyncIterator[workspaces.ProvisionerJobLog]:
        """The lines after that id as they come, until the log is whole."""
        return self.follow(
            workspaces.ProvisionerJobLog, "get_workspace_build_logs", build, after=after
        )

    async def list_build_parameters(
        self, build: PathPart
    ) -> list[workspaces.WorkspaceBuildParameter]:
        """List the parameter values of a build."""
        return await self.request(
            list[workspaces.WorkspaceBuildParameter], "list_build_parameters", build
        )

    async def list_build_resources(self, build: PathPart) -> list[workspaces.WorkspaceResource]:
        """List what a build made."""
        return await self.request(list[workspaces.WorkspaceResource], "list_build_resources", build)

    async def create_workspace(
        self, user: PathPart, request: requests.CreateWorkspaceRequest
    ) -> workspaces.Workspace:
        """Create a workspace without a task."""
        return await self.request(workspaces.Workspace, "create_workspace", user, body=request)

    async def create_member_workspace(
        self, organization: PathPart, user: PathPart, request: requests.CreateWorkspaceRequest
    ) -> workspaces.Workspace:
        """Create a workspace for a member of an organization."""
        return await self.request(
            workspaces.Workspace, "create_member_workspace", organization, user, body=request
        )

    async def watch_workspace(self, workspace: PathPart) -> AsyncIterator[workspaces.Workspace]:
        """Get a workspace now and after each change, over watch_workspace_ws, until it is deleted."""
        async with await self.watch_workspace_ws(workspace) as socket:
            async for message in socket:
                event = decoded_event(message, self.url)
                if event.data:
                    yield event.data

    async def watch_workspace_ws(self, workspace: PathPart) -> "ClientConnection":
        """Get a workspace now and after each change, as messages."""
        return await self.open_socket("watch_workspace_ws", workspace)

    async def set_workspace_ttl(
        self, workspace: PathPart, request: requests.UpdateWorkspaceTtlRequest
    ) -> None:
        """Set how long a workspace runs after each start."""
        await self.exchange("set_workspace_ttl", workspace, body=request)

    async def extend_workspace(
        self, workspace: PathPart, request: requests.ExtendWorkspaceRequest
    ) -> Response:
        """Move when a workspace that runs stops by itself."""
        return await self.request(Response, "extend_workspace", workspace, body=request)

    async def favorite_workspace(self, workspace: PathPart) -> None:
        """Show a workspace of one's own before others."""
        await self.exchange("favorite_workspace", workspace)

    async def unfavorite_workspace(self, workspace: PathPart) -> None:
        """Show a workspace of one's own where the others are."""
        await self.exchange("unfavorite_workspace", workspace)

    async def get_workspace_build_by_number(
        self, user: PathPart, name: PathPart, buildnumber: PathPart
    ) -> workspaces.WorkspaceBuild:
        """Get one build by its workspace and number."""
        return await self.request(
            workspaces.WorkspaceBuild, "get_workspace_build_by_number", user, name, buildnumber
        )

    async def get_build_timings(self, build: PathPart) -> details.WorkspaceBuildTimings:
        """Say where the time of a build went."""
        return await self.request(details.WorkspaceBuildTimings, "get_build_timings", build)

    async def get_build_state(self, build: PathPart) -> bytes:
        """Get what the driver keeps of a build for itself, which is nothing."""
        return (await self.exchange("get_build_state", build)).body

    async def list_listening_ports(self, agent: PathPart) -> details.ListeningPorts:
        """List the open ports of a workspace; none are told yet."""
        return await self.request(details.ListeningPorts, "list_listening_ports", agent)
