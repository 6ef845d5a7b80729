"""Methods of the asyncio client: workspaces and their builds."""

from collections.abc import AsyncIterator

from taskyard.sdk.aio.caller import AsyncCaller
from taskyard.sdk.calls import PathPart
from taskyard.wire import workspaces
from taskyard.wire.base import Response
from taskyard.wire.enums import JobStatus


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

    async def list_workspace_builds(
        self, workspace: PathPart, *, limit: int | None = None, offset: int | None = None
    ) -> list[workspaces.WorkspaceBuild]:
        """List the builds of a workspace, newest first."""
        return await self.request(
            list[workspaces.WorkspaceBuild],
            "list_workspace_builds",
            workspace,
            query={"limit": limit, "offset": offset},
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
