"""Methods of the blocking client: secrets, and the repositories of tasks."""

from taskyard.sdk.caller import Caller
from taskyard.sdk.calls import PathPart
from taskyard.wire import repository, secrets


class SecretCalls(Caller):
    """See wire/routes.py for the order of path parts and what each call takes and gives."""

    def list_user_secrets(self, user: PathPart) -> list[secrets.Secret]:
        """List the secrets of a user, without their values."""
        return self.request(list[secrets.Secret], "list_user_secrets", user)

    def set_user_secret(
        self, user: PathPart, secret: PathPart, request: secrets.SetSecretRequest
    ) -> secrets.Secret:
        """Give a secret of a user its value."""
        return self.request(secrets.Secret, "set_user_secret", user, secret, body=request)

    def delete_user_secret(self, user: PathPart, secret: PathPart) -> None:
        """Delete a secret of a user."""
        self.exchange("delete_user_secret", user, secret)

    def list_organization_secrets(self, organization: PathPart) -> list[secrets.Secret]:
        """List the secrets of an organization, without their values."""
        return self.request(list[secrets.Secret], "list_organization_secrets", organization)

    def set_organization_secret(
        self, organization: PathPart, secret: PathPart, request: secrets.SetSecretRequest
    ) -> secrets.Secret:
        """Give a secret of an organization its value."""
        return self.request(
            secrets.Secret, "set_organization_secret", organization, secret, body=request
        )

    def delete_organization_secret(self, organization: PathPart, secret: PathPart) -> None:
        """Delete a secret of an organization."""
        self.exchange("delete_organization_secret", organization, secret)

    def list_template_secrets(self, template: PathPart) -> list[secrets.Secret]:
        """List the secrets of a template, without their values."""
        return self.request(list[secrets.Secret], "list_template_secrets", template)

    def set_template_secret(
        self, template: PathPart, secret: PathPart, request: secrets.SetSecretRequest
    ) -> secrets.Secret:
        """Give a secret of a template its value."""
        return self.request(secrets.Secret, "set_template_secret", template, secret, body=request)

    def delete_template_secret(self, template: PathPart, secret: PathPart) -> None:
        """Delete a secret of a template."""
        self.exchange("delete_template_secret", template, secret)

    def get_task_diff(self, user: PathPart, task: PathPart) -> repository.TaskDiff:
        """Show what a task changed in its repository."""
        return self.request(repository.TaskDiff, "get_task_diff", user, task)

    def push_task(
        self, user: PathPart, task: PathPart, request: repository.PushTaskRequest
    ) -> repository.TaskPushed:
        """Push the work branch of a task."""
        return self.request(repository.TaskPushed, "push_task", user, task, body=request)
