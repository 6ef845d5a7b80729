"""Methods of the blocking client: workspaces and their builds."""

from collections.abc import Iterator

from taskyard.sdk.caller import Caller
from taskyard.sdk.calls import PathPart
from taskyard.wire import workspaces
from taskyard.wire.base import Response
from taskyard.wire.enums import JobStatus


class WorkspaceCalls(Caller):
    """See wire/routes.py for the order of path parts and what each call takes and gives."""

    def list_workspaces(
        self, q: str = "", *, limit: int | None = None, offset: int | None = None
    ) -> workspaces.WorkspacesResponse:
        """List the workspaces that the caller may see."""
        return self.request(
            workspaces.WorkspacesResponse,
            "list_workspaces",
            query={"q": q or None, "limit": limit, "offset": offset},
        )

    def get_workspace(
        self, workspace: PathPart, *, include_deleted: bool = False
    ) -> workspaces.Workspace:
        """Get one workspace."""
        return self.request(
            workspaces.Workspace,
            "get_workspace",
            workspace,
            query={"include_deleted": include_deleted or None},
        )

    def get_workspace_by_name(
        self, user: PathPart, name: PathPart, *, include_deleted: bool = False
    ) -> workspaces.Workspace:
        """Get one workspace by owner and name."""
        return self.request(
            workspaces.Workspace,
            "get_workspace_by_name",
            user,
            name,
            query={"include_deleted": include_deleted or None},
        )

    def list_workspace_builds(
        self, workspace: PathPart, *, limit: int | None = None, offset: int | None = None
    ) -> list[workspaces.WorkspaceBuild]:
        """List the builds of a workspace, newest first."""
        return self.request(
            list[workspaces.WorkspaceBuild],
            "list_workspace_builds",
            workspace,
            query={"limit": limit, "offset": offset},
        )

    def create_workspace_build(
        self, workspace: PathPart, request: workspaces.CreateWorkspaceBuildRequest
    ) -> workspaces.WorkspaceBuild:
        """Start, stop or delete a workspace."""
        return self.request(
            workspaces.WorkspaceBuild, "create_workspace_build", workspace, body=request
        )

    def get_workspace_build(self, build: PathPart) -> workspaces.WorkspaceBuild:
        """Get one build."""
        return self.request(workspaces.WorkspaceBuild, "get_workspace_build", build)

    def cancel_workspace_build(
        self, build: PathPart, *, expect_status: JobStatus | None = None
    ) -> Response:
        """Cancel a build."""
        return self.request(
            Response, "cancel_workspace_build", build, query={"expect_status": expect_status}
        )

    def get_workspace_build_logs(
        self, build: PathPart, *, after: int | None = None
    ) -> list[workspaces.ProvisionerJobLog]:
        """Get or follow the log of a build."""
        return self.request(
            list[workspaces.ProvisionerJobLog],
            "get_workspace_build_logs",
            build,
            query={"after": after},
        )

    def follow_workspace_build_logs(
        self, build: PathPart, *, after: int | None = None
    ) -> Iterator[workspaces.ProvisionerJobLog]:
        """The lines after that id as they come, until the log is whole."""
        return self.follow(
            workspaces.ProvisionerJobLog, "get_workspace_build_logs", build, after=after
        )

    def list_build_parameters(self, build: PathPart) -> list[workspaces.WorkspaceBuildParameter]:
        """List the parameter values of a build."""
        return self.request(
            list[workspaces.WorkspaceBuildParameter], "list_build_parameters", build
        )

    def list_build_resources(self, build: PathPart) -> list[workspaces.WorkspaceResource]:
        """List what a build made."""
        return self.request(list[workspaces.WorkspaceResource], "list_build_resources", build)
