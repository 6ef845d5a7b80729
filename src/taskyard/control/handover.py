"""What a workspace is handed when its agent says hello: secrets as environment, and its repository."""

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from taskyard.control.secrets import open_secrets
from taskyard.control.services import Services
from taskyard.db.agents import ManifestRow
from taskyard.db.secrets import get_agent_template_as_system
from taskyard.lifecycle.repository import plan_repository
from taskyard.lifecycle.secret_names import GIT_TOKEN, GIT_USERNAME
from taskyard.lifecycle.template_model import Template
from taskyard.wire import link

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

DEFAULT_USERNAME = "x-access-token"
"""As whom git signs in with a token: what GitHub asks for, and others take any name."""


@dataclass(frozen=True, slots=True)
class Handover:
    """env is of scripts, apps and the coding agent. complaints are sentences for the agent's log."""

    env: dict[str, str]
    repository: link.Repository | None
    complaints: list[str]


async def hand_over(
    conn: "Connection", services: Services, agent_id: UUID, row: ManifestRow
) -> Handover:
    """What the workspace of this agent gets now. Raises SecretKeyWrong."""
    template = msgspec.json.decode(row.definition, type=Template)
    values, broken = await open_secrets(conn, services, agent_id, template)
    complaints = [str(error) for error in broken]
    credentials = _credentials(values)
    try:
        repository = _repository(row, template, credentials)
    except ValueError as error:
        complaints.append(f"No repository is cloned: {error}.")
        repository = None
    return Handover(values, repository, complaints)


async def git_credentials(services: Services, agent_id: UUID | None) -> link.GitCredentials | None:
    """What git signs in with for a workspace, as it is set now; None without. Raises SecretKeyWrong."""
    if agent_id is None:
        return None
    async with services.db.connection() as conn:
        row = await get_agent_template_as_system(conn, agent_id)
        if row is None:
            return None
        template = msgspec.json.decode(row.definition, type=Template)
        values, _ = await open_secrets(conn, services, agent_id, template)
    return _credentials(values)


def _credentials(values: dict[str, str]) -> link.GitCredentials | None:
    """What git signs in with, taken out of the values: nothing else gets to see it."""
    token, username = values.pop(GIT_TOKEN, None), values.pop(GIT_USERNAME, None)
    if token is None:
        return None
    return link.GitCredentials((username or DEFAULT_USERNAME).strip(), token.strip())


def _repository(
    row: ManifestRow, template: Template, credentials: link.GitCredentials | None
) -> link.Repository | None:
    parameters = msgspec.json.decode(row.parameters, type=dict[str, str])
    plan = plan_repository(template, parameters, row.workspace_name)
    if plan is None:
        return None
    return link.Repository(
        url=plan.url,
        branch=plan.branch,
        work_branch=plan.work_branch,
        folder=plan.folder,
        credentials=credentials,
    )
