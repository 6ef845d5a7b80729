"""Methods of the asyncio client: files, templates and their versions."""

from collections.abc import AsyncIterator
from http import HTTPStatus

from taskyard.sdk.aio.caller import AsyncCaller
from taskyard.sdk.calls import PathPart, Raw, decoded
from taskyard.wire import templates, workspaces
from taskyard.wire.base import Response
from taskyard.wire.enums import JobStatus


class AsyncTemplateCalls(AsyncCaller):
    """See wire/routes.py for the order of path parts and what each call takes and gives."""

    async def upload_file(
        self, data: bytes, media_type: str = "application/x-tar"
    ) -> templates.UploadResponse:
        """Store the archive of a template."""
        body = Raw(data, media_type)
        return await self.request(templates.UploadResponse, "upload_file", body=body)

    async def get_file(self, file: PathPart, *, as_zip: bool = False) -> bytes:
        """Get a stored archive."""
        reply = await self.exchange("get_file", file, query={"format": "zip" if as_zip else None})
        return reply.body

    async def create_template(
        self, organization: PathPart, request: templates.CreateTemplateRequest
    ) -> templates.Template:
        """Make a template around a version."""
        return await self.request(templates.Template, "create_template", organization, body=request)

    async def list_organization_templates(
        self, organization: PathPart, q: str = ""
    ) -> list[templates.Template]:
        """List the templates of an organization."""
        return await self.request(
            list[templates.Template],
            "list_organization_templates",
            organization,
            query={"q": q or None},
        )

    async def get_organization_template(
        self, organization: PathPart, name: PathPart
    ) -> templates.Template:
        """Get one template by its name."""
        return await self.request(
            templates.Template, "get_organization_template", organization, name
        )

    async def get_organization_template_version(
        self, organization: PathPart, name: PathPart, version: PathPart
    ) -> templates.TemplateVersion:
        """Get a version by the names of its template and its own."""
        return await self.request(
            templates.TemplateVersion,
            "get_organization_template_version",
            organization,
            name,
            version,
        )

    async def list_templates(self, q: str = "") -> list[templates.Template]:
        """List the templates that the caller may see."""
        return await self.request(
            list[templates.Template], "list_templates", query={"q": q or None}
        )

    async def get_template(self, template: PathPart) -> templates.Template:
        """Get one template."""
        return await self.request(templates.Template, "get_template", template)

    async def list_template_versions(
        self,
        template: PathPart,
        *,
        include_archived: bool = False,
        limit: int | None = None,
        offset: int | None = None,
        after_id: PathPart | None = None,
    ) -> list[templates.TemplateVersion]:
        """List the versions of a template, oldest first."""
        return await self.request(
            list[templates.TemplateVersion],
            "list_template_versions",
            template,
            query={
                "include_archived": include_archived or None,
                "limit": limit,
                "offset": offset,
                "after_id": None if after_id is None else str(after_id),
            },
        )

    async def get_template_version_by_name(
        self, template: PathPart, name: PathPart
    ) -> templates.TemplateVersion:
        """Get a version of a template by its name."""
        return await self.request(
            templates.TemplateVersion, "get_template_version_by_name", template, name
        )

    async def promote_template_version(
        self, template: PathPart, request: templates.PromoteTemplateVersionRequest
    ) -> Response:
        """Make new workspaces use this version."""
        return await self.request(Response, "promote_template_version", template, body=request)

    async def create_template_version(
        self, organization: PathPart, request: templates.CreateTemplateVersionRequest
    ) -> templates.TemplateVersion:
        """Import an archive as a new version."""
        return await self.request(
            templates.TemplateVersion, "create_template_version", organization, body=request
        )

    async def get_template_version(self, version: PathPart) -> templates.TemplateVersion:
        """Get one version."""
        return await self.request(templates.TemplateVersion, "get_template_version", version)

    async def cancel_template_version(
        self, version: PathPart, *, expect_status: JobStatus | None = None
    ) -> Response:
        """Cancel the import of a version."""
        return await self.request(
            Response, "cancel_template_version", version, query={"expect_status": expect_status}
        )

    async def list_template_examples(
        self, organization: PathPart
    ) -> list[templates.TemplateExample]:
        """List the templates that come with the server."""
        return await self.request(
            list[templates.TemplateExample], "list_template_examples", organization
        )

    async def get_previous_template_version(
        self, organization: PathPart, name: PathPart, version: PathPart
    ) -> templates.TemplateVersion | None:
        """Get the version that was made before this one; None when it is the first."""
        reply = await self.exchange("get_previous_template_version", organization, name, version)
        if reply.status == HTTPStatus.NO_CONTENT:
            return None
        return decoded(templates.TemplateVersion, reply, "get_previous_template_version", self.url)

    async def update_template(
        self, template: PathPart, request: templates.UpdateTemplateRequest
    ) -> templates.Template:
        """Change the settings of a template."""
        return await self.request(templates.Template, "update_template", template, body=request)

    async def delete_template(self, template: PathPart) -> Response:
        """Delete a template that no workspace is of."""
        return await self.request(Response, "delete_template", template)

    async def archive_template_versions(
        self, template: PathPart, request: templates.ArchiveVersionsRequest
    ) -> templates.ArchiveVersionsResponse:
        """Archive the versions of a template that nothing uses."""
        return await self.request(
            templates.ArchiveVersionsResponse, "archive_template_versions", template, body=request
        )

    async def update_template_version(
        self, version: PathPart, request: templates.UpdateTemplateVersionRequest
    ) -> templates.TemplateVersion:
        """Give a version another name or message."""
        return await self.request(
            templates.TemplateVersion, "update_template_version", version, body=request
        )

    async def archive_template_version(self, version: PathPart) -> Response:
        """Archive a version, so that nothing new is made of it."""
        return await self.request(Response, "archive_template_version", version)

    async def unarchive_template_version(self, version: PathPart) -> Response:
        """Take a version out of the archive."""
        return await self.request(Response, "unarchive_template_version", version)

    async def list_presets(self, version: PathPart) -> list[templates.Preset]:
        """List the presets of a version."""
        return await self.request(list[templates.Preset], "list_presets", version)

    async def list_rich_parameters(
        self, version: PathPart
    ) -> list[templates.TemplateVersionParameter]:
        """List what a version asks for a workspace."""
        return await self.request(
            list[templates.TemplateVersionParameter], "list_rich_parameters", version
        )

    async def get_template_version_logs(
        self, version: PathPart, *, after: int | None = None
    ) -> list[workspaces.ProvisionerJobLog]:
        """Get or follow the log of an import."""
        return await self.request(
            list[workspaces.ProvisionerJobLog],
            "get_template_version_logs",
            version,
            query={"after": after},
        )

    def follow_template_version_logs(
        self, version: PathPart, *, after: int | None = None
    ) -> AsyncIterator[workspaces.ProvisionerJobLog]:
        """The lines after that id as they come, until the log is whole."""
        return self.follow(
            workspaces.ProvisionerJobLog, "get_template_version_logs", version, after=after
        )

    async def list_template_version_resources(
        self, version: PathPart
    ) -> list[workspaces.WorkspaceResource]:
        """List what a version makes."""
        return await self.request(
            list[workspaces.WorkspaceResource], "list_template_version_resources", version
        )

    async def list_template_variables(
        self, version: PathPart
    ) -> list[templates.TemplateVersionVariable]:
        """List what a version asked for its import."""
        return await self.request(
            list[templates.TemplateVersionVariable], "list_template_variables", version
        )

    async def list_external_auth(
        self, version: PathPart
    ) -> list[templates.TemplateVersionExternalAuth]:
        """List the foreign services a version wants a sign-in for."""
        return await self.request(
            list[templates.TemplateVersionExternalAuth], "list_external_auth", version
        )
