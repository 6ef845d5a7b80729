"""Methods of the asyncio client: secrets, and the repositories of tasks."""

from taskyard.sdk.aio.caller import AsyncCaller
from taskyard.sdk.calls import PathPart
from taskyard.wire import repository, secrets


class AsyncSecretCalls(AsyncCaller):
    """See wire/routes.py for the order of path parts and what each call takes and gives."""

    async def list_user_secrets(self, user: PathPart) -> list[secrets.Secret]:
        """List the secrets of a user, without their values."""
        return await self.request(list[secrets.Secret], "list_user_secrets", user)

    async def set_user_secret(
        self, user: PathPart, secret: PathPart, request: secrets.SetSecretRequest
    ) -> secrets.Secret:
        """Give a secret of a user its value."""
        return await self.request(secrets.Secret, "set_user_secret", user, secret, body=request)

    async def delete_user_secret(self, user: PathPart, secret: PathPart) -> None:
        """Delete a secret of a user."""
        await self.exchange("delete_user_secret", user, secret)

    async def list_organization_secrets(self, organization: PathPart) -> list[secrets.Secret]:
        """List the secrets of an organization, without their values."""
        return await self.request(list[secrets.Secret], "list_organization_secrets", organization)

    async def set_organization_secret(
        self, organization: PathPart, secret: PathPart, request: secrets.SetSecretRequest
    ) -> secrets.Secret:
        """Give a secret of an organization its value."""
        return await self.request(
            secrets.Secret, "set_organization_secret", organization, secret, body=request
        )

    async def delete_organization_secret(self, organization: PathPart, secret: PathPart) -> None:
        """Delete a secret of an organization."""
        await self.exchange("delete_organization_secret", organization, secret)

    async def list_template_secrets(self, template: PathPart) -> list[secrets.Secret]:
        """List the secrets of a template, without their values."""
        return await self.request(list[secrets.Secret], "list_template_secrets", template)

    async def set_template_secret(
        self, template: PathPart, secret: PathPart, request: secrets.SetSecretRequest
    ) -> secrets.Secret:
        """Give a secret of a template its value."""
        return await self.request(
            secrets.Secret, "set_template_secret", template, secret, body=request
        )

    async def delete_template_secret(self, template: PathPart, secret: PathPart) -> None:
        """Delete a secret of a template."""
        await self.exchange("delete_template_secret", template, secret)

    async def get_task_diff(self, user: PathPart, task: PathPart) -> repository.TaskDiff:
        """Show what a task changed in its repository."""
        return await self.request(repository.TaskDiff, "get_task_diff", user, task)

    async def push_task(
        self, user: PathPart, task: PathPart, request: repository.PushTaskRequest
    ) -> repository.TaskPushed:
        """Push the work branch of a task."""
        return await self.request(repository.TaskPushed, "push_task", user, task, body=request)
