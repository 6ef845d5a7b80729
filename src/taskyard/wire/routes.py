"""Every endpoint, once: the server mounts this table, the documentation is made from it; wire/paths.py says where.

The order counts where patterns overlap: a path with a fixed word stands before one with a parameter.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec

from taskyard.wire import (
    apps,
    audit,
    health,
    identity,
    network,
    phases,
    repository,
    secrets,
    tasks,
    templates,
    terminal,
    transcript,
    workspaces,
)
from taskyard.wire import workspace_details as details
from taskyard.wire import workspace_requests as requests
from taskyard.wire.base import Response
from taskyard.wire.paths import PATHS, Method

TASKS_PREFIX: Final = "/api/v2/tasks"
TASKS_ALIAS: Final = "/api/experimental/tasks"
"""The second place of every task route, for clients that know only that one. Source: T1."""


class Auth(StrEnum):
    """Which token a route asks for."""

    NONE = "none"
    SESSION = "session"
    AGENT = "agent"


class Body(StrEnum):
    """A body that is no JSON of ours: the word `null`, bytes as they are, events as they come, or a WebSocket."""

    NULL = "null"
    BYTES = "bytes"
    EVENTS = "events"
    WEBSOCKET = "websocket"


class Route(msgspec.Struct, frozen=True):
    """One endpoint. status is that of success; request or response None means no body.

    query None means that the route takes no query.
    websocket tells that the path also, or only, speaks WebSocket. own: a task route that no client but ours
    knows, which therefore has no second place.
    """

    operation: str
    response: type | Body | None
    summary: str
    tags: tuple[str, ...]
    auth: Auth = Auth.SESSION
    request: type | Body | None = None
    status: int = 200
    query: type | None = None
    websocket: bool = False
    own: bool = False

    @property
    def method(self) -> Method:
        """How it is asked."""
        return PATHS[self.operation][0]

    @property
    def path(self) -> str:
        """Its usual path."""
        return PATHS[self.operation][1]

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path the route is served under, the usual one first."""
        if self.path.startswith(TASKS_PREFIX) and not self.own:
            return (self.path, TASKS_ALIAS + self.path.removeprefix(TASKS_PREFIX))
        return (self.path,)


_NONE: Final = Auth.NONE
_AGENT: Final = Auth.AGENT
_META: Final = ("meta",)
_TASK: Final = ("tasks",)
_AGENTS: Final = ("agents",)
_LOGIN: Final = ("authentication",)
_USERS: Final = ("users",)
_KEYS: Final = ("keys",)
_SECRETS: Final = ("secrets",)
_ORGANIZATIONS: Final = ("organizations",)
_FILES: Final = ("files",)
_TEMPLATES: Final = ("templates",)
_VERSIONS: Final = ("template versions",)
_WORKSPACES: Final = ("workspaces",)
_BUILDS: Final = ("builds",)
_AUDIT: Final = ("audit",)

# One row is one route: a table, which the formatter would spread over a thousand lines.
# fmt: off
ROUTES: Final[tuple[Route, ...]] = (
    Route("health", Body.BYTES, "Say that the server is up.", _META, _NONE),
    Route("api_root", Response, "Greet whoever looks for the API.", _META, _NONE),
    Route("get_build_info", identity.BuildInfo, "Say which version the server speaks.", _META, _NONE),
    Route("get_openapi", dict[str, object], "Describe this API as an OpenAPI document.", _META, _NONE),
    Route("get_api_docs", Body.BYTES, "Show this API as a page for people.", _META, _NONE),
    Route("get_health", health.Health, "Say how the server and all that it works with are.", _META),
    Route("list_experiments", list[str], "List the experiments that are on.", _META),

    Route("list_tasks", tasks.TasksListResponse, "List the tasks that the caller may see, newest first.", _TASK, query=tasks.ListTasksQuery),
    Route("create_task", tasks.Task, "Create a task and the workspace it runs in.", _TASK, request=tasks.CreateTaskRequest, status=201),
    Route("get_task", tasks.Task, "Get one task by id or name.", _TASK),
    Route("delete_task", None, "Delete a task and its workspace.", _TASK, status=202, query=tasks.ForceQuery),
    Route("update_task", tasks.Task, "Give a task another display name.", _TASK, request=tasks.UpdateTaskRequest, own=True),
    Route("update_task_input", None, "Change the prompt of a paused task.", _TASK, request=tasks.UpdateTaskInputRequest, status=204),
    Route("send_task_input", None, "Send a message to the coding agent of a task.", _TASK, request=tasks.TaskSendRequest, status=204),
    Route("get_task_logs", tasks.TaskLogsResponse, "Get the conversation of a task.", _TASK),
    Route("get_task_transcript", transcript.TaskTranscript, "Get what a task said and did, item by item.", _TASK, query=transcript.TranscriptQuery, own=True),
    Route("follow_task", Body.EVENTS, "Follow a task from any item on, as server-sent events.", _TASK, query=transcript.FollowTaskQuery, own=True),
    Route("follow_tasks", Body.EVENTS, "Follow what becomes of all tasks that the caller may see, as server-sent events.", _TASK, query=transcript.FollowTasksQuery),
    Route("pause_task", tasks.PauseTaskResponse, "Stop the workspace of a task and keep its files.", _TASK, status=202, query=tasks.ForceQuery),
    Route("resume_task", tasks.ResumeTaskResponse, "Start the workspace of a paused task again.", _TASK, status=202),
    Route("retry_task", tasks.RetryTaskResponse, "Do again what the newest build of a task failed at.", _TASK, status=202, own=True),
    Route("get_task_phases", phases.TaskPhasesResponse, "Show what a start of a task went through, and why it failed.", _TASK, query=phases.TaskPhasesQuery, own=True),
    Route("get_task_network", network.TaskNetworkResponse, "Show what the workspace of a task tried to reach, and what became of it.", _TASK, own=True),
    Route("list_task_permissions", tasks.TaskPermissionsResponse, "List what the coding agent of a task asks somebody to permit.", _TASK, query=tasks.ListTaskPermissionsQuery, own=True),
    Route("answer_task_permission", None, "Answer what the coding agent of a task asks.", _TASK, request=tasks.AnswerTaskPermissionRequest, status=204, own=True),
    Route("list_task_prompts", tasks.TaskPromptsResponse, "List the prompts that wait for their turn, and what became of the newest others.", _TASK, own=True),
    Route("update_task_prompt", tasks.TaskPrompt, "Move or change a prompt that waits for its turn.", _TASK, request=tasks.UpdateTaskPromptRequest, own=True),
    Route("delete_task_prompt", None, "Take back a prompt that waits for its turn.", _TASK, status=204, own=True),
    Route("interrupt_task", None, "End the turn of the coding agent; its workspace goes on.", _TASK, status=204, own=True),
    Route("attach_task", Body.WEBSOCKET, "See and steer the coding agent of a task while it works.", _TASK, status=101, websocket=True, own=True),

    Route("open_terminal", Body.WEBSOCKET, "Open a shell in the workspace of a task, or come back to one.", _TASK, status=101, query=terminal.TerminalQuery, websocket=True, own=True),

    Route("get_task_diff", repository.TaskDiff, "Show what a task changed in its repository.", _TASK, own=True),
    Route("push_task", repository.TaskPushed, "Push the work branch of a task.", _TASK, request=repository.PushTaskRequest, own=True),

    Route("upload_task_log_snapshot", None, "Keep the end of a task's conversation for while it is paused.", _AGENTS, _AGENT, tasks.SnapshotUpload, 204),
    Route("update_app_status", Body.NULL, "Report what the coding agent does.", _AGENTS, _AGENT, workspaces.PatchAppStatus),
    Route("agent_link", Body.WEBSOCKET, "Connect a workspace agent to the server.", _AGENTS, _AGENT, status=101, websocket=True),
    Route("create_log_source", workspaces.WorkspaceAgentLogSource, "Name a writer of the agent's log.", _AGENTS, _AGENT, workspaces.CreateLogSourceRequest, 201),
    Route("append_agent_logs", Body.NULL, "Add lines to the agent's log.", _AGENTS, _AGENT, workspaces.AppendAgentLogsRequest),
    Route("get_workspace_agent", workspaces.WorkspaceAgent, "Get a workspace agent with its apps.", _AGENTS),
    Route("get_workspace_agent_logs", list[workspaces.WorkspaceAgentLog], "Get or follow the log of a workspace agent.", _AGENTS, query=requests.AgentLogsQuery, websocket=True),
    Route("list_listening_ports", details.ListeningPorts, "List the open ports of a workspace; none are told yet.", _AGENTS),

    Route("get_first_user", Response, "Say whether the first user exists.", _LOGIN, _NONE),
    Route("create_first_user", identity.CreateFirstUserResponse, "Create the first user, who owns the server.", _LOGIN, _NONE, identity.CreateFirstUserRequest, 201),
    Route("login", identity.LoginResponse, "Sign in with a password.", _LOGIN, _NONE, identity.LoginRequest, 201),
    Route("logout", Response, "End the session that asks.", _LOGIN),
    Route("get_auth_methods", identity.AuthMethods, "Say how users may sign in.", _LOGIN, _NONE),

    Route("list_users", identity.UsersResponse, "List the users that the caller may see.", _USERS, query=identity.ListUsersQuery),
    Route("create_user", identity.User, "Create a user.", _USERS, request=identity.CreateUserRequest, status=201),
    Route("get_user", identity.User, "Get one user.", _USERS),
    Route("update_user", identity.User, "Change what is given of a user.", _USERS, request=identity.UpdateUserRequest),
    Route("delete_user", Response, "Delete a user who has no workspaces.", _USERS),
    Route("update_user_profile", identity.User, "Change how a user is called.", _USERS, request=identity.UpdateProfileRequest),
    Route("suspend_user", identity.User, "Keep a user out; their keys are dead at once.", _USERS),
    Route("activate_user", identity.User, "Let a user in again.", _USERS),
    Route("update_user_password", None, "Change a password and end all other sessions.", _USERS, request=identity.UpdatePasswordRequest, status=204),
    Route("get_user_roles", identity.UserRoles, "Get the roles of a user.", _USERS),
    Route("update_user_roles", identity.User, "Set the roles that a user has on the whole site.", _USERS, request=identity.UpdateRolesRequest),
    Route("get_git_ssh_key", identity.GitSSHKey, "Get the public half of a user's SSH key.", _USERS),
    Route("regenerate_git_ssh_key", identity.GitSSHKey, "Make a user a new SSH key.", _USERS),
    Route("list_user_secrets", list[secrets.Secret], "List the secrets of a user, without their values.", _SECRETS),
    Route("set_user_secret", secrets.Secret, "Give a secret of a user its value.", _SECRETS, request=secrets.SetSecretRequest),
    Route("delete_user_secret", None, "Delete a secret of a user.", _SECRETS, status=204),
    Route("list_organization_secrets", list[secrets.Secret], "List the secrets of an organization, without their values.", _SECRETS),
    Route("set_organization_secret", secrets.Secret, "Give a secret of an organization its value.", _SECRETS, request=secrets.SetSecretRequest),
    Route("delete_organization_secret", None, "Delete a secret of an organization.", _SECRETS, status=204),
    Route("list_template_secrets", list[secrets.Secret], "List the secrets of a template, without their values.", _SECRETS),
    Route("set_template_secret", secrets.Secret, "Give a secret of a template its value.", _SECRETS, request=secrets.SetSecretRequest),
    Route("delete_template_secret", None, "Delete a secret of a template.", _SECRETS, status=204),
    Route("list_user_organizations", list[identity.Organization], "List the organizations of a user.", _USERS),
    Route("get_user_organization", identity.Organization, "Get one organization of a user.", _USERS),

    Route("create_session_key", identity.CreateKeyResponse, "Make a session key.", _KEYS, status=201),
    Route("create_token", identity.CreateKeyResponse, "Make a named token.", _KEYS, request=identity.CreateTokenRequest, status=201),
    Route("list_tokens", list[identity.APIKey], "List tokens, without their secrets.", _KEYS, query=identity.ListTokensQuery),
    Route("get_token_config", identity.TokenConfig, "Say how long tokens may live.", _KEYS),
    Route("get_token", identity.APIKey, "Get one token by its name.", _KEYS),
    Route("get_key", identity.APIKey, "Get one key by its id.", _KEYS),
    Route("delete_key", None, "Delete a key; it is dead at once.", _KEYS, status=204),
    Route("expire_key", None, "End a key at once and keep it in the lists of expired ones.", _KEYS, status=204),

    Route("list_organizations", list[identity.Organization], "List the organizations that the caller may see.", _ORGANIZATIONS),
    Route("create_organization", identity.Organization, "Make an organization.", _ORGANIZATIONS, request=identity.CreateOrganizationRequest, status=201),
    Route("get_organization", identity.Organization, "Get one organization by id or name.", _ORGANIZATIONS),
    Route("update_organization", identity.Organization, "Change what is given of an organization.", _ORGANIZATIONS, request=identity.UpdateOrganizationRequest),
    Route("list_members", list[identity.MemberWithUserData], "List the members of an organization.", _ORGANIZATIONS),
    Route("list_paginated_members", identity.PaginatedMembersResponse, "Search the members of an organization page by page.", _ORGANIZATIONS, query=identity.ListMembersQuery),
    Route("get_member", identity.MemberWithUserData, "Get one member of an organization.", _ORGANIZATIONS),
    Route("add_member", identity.OrganizationMember, "Put a user into an organization.", _ORGANIZATIONS),
    Route("remove_member", None, "Take a user out of an organization.", _ORGANIZATIONS, status=204),
    Route("update_member_roles", identity.OrganizationMember, "Set the roles that a user has in an organization.", _ORGANIZATIONS, request=identity.UpdateRolesRequest),

    Route("upload_file", templates.UploadResponse, "Store the archive of a template.", _FILES, request=Body.BYTES, status=201),
    Route("get_file", Body.BYTES, "Get a stored archive.", _FILES, query=templates.GetFileQuery),

    Route("create_template", templates.Template, "Make a template around a version.", _TEMPLATES, request=templates.CreateTemplateRequest, status=201),
    Route("list_organization_templates", list[templates.Template], "List the templates of an organization.", _TEMPLATES, query=templates.ListTemplatesQuery),
    Route("list_template_examples", list[templates.TemplateExample], "List the templates that come with the server.", _TEMPLATES),
    Route("get_organization_template", templates.Template, "Get one template by its name.", _TEMPLATES),
    Route("get_organization_template_version", templates.TemplateVersion, "Get a version by the names of its template and its own.", _TEMPLATES),
    Route("get_previous_template_version", templates.TemplateVersion, "Get the version that was made before this one; 204 when it is the first.", _TEMPLATES),
    Route("list_templates", list[templates.Template], "List the templates that the caller may see.", _TEMPLATES, query=templates.ListTemplatesQuery),
    Route("get_template", templates.Template, "Get one template.", _TEMPLATES),
    Route("update_template", templates.Template, "Change the settings of a template.", _TEMPLATES, request=templates.UpdateTemplateRequest),
    Route("delete_template", Response, "Delete a template that no workspace is of.", _TEMPLATES),
    Route("archive_template_versions", templates.ArchiveVersionsResponse, "Archive the versions of a template that nothing uses.", _TEMPLATES, request=templates.ArchiveVersionsRequest),
    Route("list_template_versions", list[templates.TemplateVersion], "List the versions of a template, oldest first.", _TEMPLATES, query=templates.ListTemplateVersionsQuery),
    Route("get_template_version_by_name", templates.TemplateVersion, "Get a version of a template by its name.", _TEMPLATES),
    Route("promote_template_version", Response, "Make new workspaces use this version.", _TEMPLATES, request=templates.PromoteTemplateVersionRequest),

    Route("create_template_version", templates.TemplateVersion, "Import an archive as a new version.", _VERSIONS, request=templates.CreateTemplateVersionRequest, status=201),
    Route("get_template_version", templates.TemplateVersion, "Get one version.", _VERSIONS),
    Route("update_template_version", templates.TemplateVersion, "Give a version another name or message.", _VERSIONS, request=templates.UpdateTemplateVersionRequest),
    Route("cancel_template_version", Response, "Cancel the import of a version.", _VERSIONS, query=requests.CancelJobQuery),
    Route("archive_template_version", Response, "Archive a version, so that nothing new is made of it.", _VERSIONS),
    Route("unarchive_template_version", Response, "Take a version out of the archive.", _VERSIONS),
    Route("list_presets", list[templates.Preset], "List the presets of a version.", _VERSIONS),
    Route("list_rich_parameters", list[templates.TemplateVersionParameter], "List what a version asks for a workspace.", _VERSIONS),
    Route("get_template_version_logs", list[workspaces.ProvisionerJobLog], "Get or follow the log of an import.", _VERSIONS, query=requests.JobLogsQuery, websocket=True),
    Route("list_template_version_resources", list[workspaces.WorkspaceResource], "List what a version makes.", _VERSIONS),
    Route("list_template_variables", list[templates.TemplateVersionVariable], "List what a version asked for its import.", _VERSIONS),
    Route("list_external_auth", list[templates.TemplateVersionExternalAuth], "List the foreign services a version wants a sign-in for.", _VERSIONS),

    Route("list_workspaces", workspaces.WorkspacesResponse, "List the workspaces that the caller may see.", _WORKSPACES, query=requests.ListWorkspacesQuery),
    Route("create_workspace", workspaces.Workspace, "Create a workspace without a task.", _WORKSPACES, request=requests.CreateWorkspaceRequest, status=201),
    Route("create_member_workspace", workspaces.Workspace, "Create a workspace for a member of an organization.", _WORKSPACES, request=requests.CreateWorkspaceRequest, status=201),
    Route("get_workspace", workspaces.Workspace, "Get one workspace.", _WORKSPACES, query=requests.GetWorkspaceQuery),
    Route("watch_workspace", Body.EVENTS, "Get a workspace now and after each change, as server-sent events.", _WORKSPACES),
    Route("watch_workspace_ws", Body.WEBSOCKET, "Get a workspace now and after each change, as messages.", _WORKSPACES, status=101, websocket=True),
    Route("set_workspace_ttl", None, "Set how long a workspace runs after each start.", _WORKSPACES, request=requests.UpdateWorkspaceTtlRequest, status=204),
    Route("extend_workspace", Response, "Move when a workspace that runs stops by itself.", _WORKSPACES, request=requests.ExtendWorkspaceRequest),
    Route("favorite_workspace", None, "Show a workspace of one's own before others.", _WORKSPACES, status=204),
    Route("unfavorite_workspace", None, "Show a workspace of one's own where the others are.", _WORKSPACES, status=204),
    Route("get_workspace_by_name", workspaces.Workspace, "Get one workspace by owner and name.", _WORKSPACES, query=requests.GetWorkspaceQuery),
    Route("get_workspace_build_by_number", workspaces.WorkspaceBuild, "Get one build by its workspace and number.", _WORKSPACES),
    Route("create_app_ticket", apps.AppTicket, "Get an address that shows an app of a workspace in a browser.", _WORKSPACES, request=apps.AppTicketRequest, status=201),
    Route("list_workspace_builds", list[workspaces.WorkspaceBuild], "List the builds of a workspace, newest first.", _WORKSPACES, query=requests.ListBuildsQuery),
    Route("create_workspace_build", workspaces.WorkspaceBuild, "Start, stop or delete a workspace.", _WORKSPACES, request=workspaces.CreateWorkspaceBuildRequest, status=201),

    Route("get_workspace_build", workspaces.WorkspaceBuild, "Get one build.", _BUILDS),
    Route("cancel_workspace_build", Response, "Cancel a build.", _BUILDS, query=requests.CancelJobQuery),
    Route("get_workspace_build_logs", list[workspaces.ProvisionerJobLog], "Get or follow the log of a build.", _BUILDS, query=requests.JobLogsQuery, websocket=True),
    Route("list_build_parameters", list[workspaces.WorkspaceBuildParameter], "List the parameter values of a build.", _BUILDS),
    Route("list_build_resources", list[workspaces.WorkspaceResource], "List what a build made.", _BUILDS),
    Route("get_build_timings", details.WorkspaceBuildTimings, "Say where the time of a build went.", _BUILDS),
    Route("get_build_state", Body.BYTES, "Get what the driver keeps of a build for itself, which is nothing.", _BUILDS),

    Route("list_audit_logs", audit.AuditLogsResponse, "List who did what to which thing, newest first.", _AUDIT, query=audit.ListAuditLogsQuery),
    Route("export_audit_logs", Body.BYTES, "Get the whole audit, a line of JSON for each deed, newest first.", _AUDIT, query=audit.ExportAuditLogsQuery),
)
# fmt: on

BY_OPERATION: Final[Mapping[str, Route]] = MappingProxyType(
    {route.operation: route for route in ROUTES}
)
"""The same routes, to be found by name."""
