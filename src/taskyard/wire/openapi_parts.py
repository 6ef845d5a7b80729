"""What the OpenAPI document says that no route does: parameters of paths, tokens, groups, media types."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from taskyard.wire.openapi_document import Header, Info, Parameter, Schema, SecurityScheme
from taskyard.wire.routes import Auth
from taskyard.wire.tasks import QueuedPrompt

TEXT: Final[Schema] = {"type": "string"}


@dataclass(frozen=True, slots=True)
class Segment:
    """A parameter of a path: what may stand there, and of what form it must be."""

    description: str
    schema: Schema


def _text(description: str) -> Segment:
    return Segment(description, TEXT)


def _uuid(description: str) -> Segment:
    return Segment(description, {**TEXT, "format": "uuid"})


SEGMENTS: Final[Mapping[str, Segment]] = MappingProxyType(
    {
        "agent": _uuid("The id of a workspace agent."),
        "app": _text("The slug of an app of the workspace."),
        "build": _uuid("The id of a build."),
        "buildnumber": Segment("The number of a build.", {"type": "integer", "format": "int32"}),
        "file": _uuid("The id of a stored file."),
        "keyid": _text("The id of a key: what stands before its dash."),
        "keyname": _text("The name of a token."),
        "secret": _text("The name of a secret, which is that of an environment variable."),
        "name": _text("The name of what the path leads to."),
        "organization": _text("The id or the name of an organization, or `default`."),
        "organizationname": _text("The name of an organization."),
        "permission": _text("The id of what a coding agent asks to be permitted."),
        "preset": _uuid("The id of a preset."),
        "prompt": _uuid("The id of a prompt."),
        "task": _text("The id or the name of a task."),
        "template": _uuid("The id of a template."),
        "user": _text("The id or the name of a user, or `me`."),
        "version": _uuid("The id of a template version."),
        "workspace": _uuid("The id of a workspace."),
        "upload_task_log_snapshot.task": _uuid("The id of the agent's own task."),
        "get_organization_template_version.version": _text("The name of a template version."),
    }
)
"""Parameters of paths by their name, or by operation and name where one route differs."""

IDEMPOTENCY_KEY: Final = Parameter(
    name="Idempotency-Key",
    place="header",
    schema={**TEXT, "minLength": 1, "maxLength": 255, "pattern": "^[!-~]*$"},
    description="A key of your own, new for each thing to be done: the same request with the same key is done once, and answered the same.",
)
"""What every POST takes."""

SECURITY: Final[Mapping[Auth, list[str]]] = MappingProxyType(
    {
        Auth.NONE: [],
        Auth.SESSION: ["sessionHeader", "sessionBearer", "sessionCookie"],
        Auth.AGENT: ["agentToken"],
    }
)
"""Ways to show who asks, each good by itself."""

SCHEMES: Final = {
    "sessionHeader": SecurityScheme(
        type="apiKey",
        place="header",
        name="Coder-Session-Token",
        description="An API key or the token of a session.",
    ),
    "sessionBearer": SecurityScheme(
        type="http", scheme="bearer", description="The same token as a bearer token."
    ),
    "sessionCookie": SecurityScheme(
        type="apiKey",
        place="cookie",
        name="coder_session_token",
        description="The same token as a cookie; it counts before all others.",
    ),
    "agentToken": SecurityScheme(
        type="apiKey",
        place="header",
        name="Coder-Session-Token",
        description="The token of a workspace agent, a UUID; a bearer token will do as well.",
    ),
}

INFO: Final = Info(
    title="Taskyard",
    version="2",
    description=(
        "The HTTP interface of a Taskyard server.\n\n"
        "Bodies are JSON in UTF-8. A request may hold keys that are not listed, which are ignored, and its "
        "keys match whatever their case; null says the same as an absent key. An answer holds the listed "
        "keys and no others in this release; clients must not mind new ones. Times are RFC 3339 in UTC, "
        "ids are UUIDs.\n\n"
        "Each failed request is answered with a `Response` and the header `X-Taskyard-Reason`, one word "
        "for programs. Every answer carries `X-Taskyard-Request-Id`, under which the server's log knows "
        "the request, and `X-Coder-Build-Version`. Unknown paths are 404 and unknown methods 405, with "
        "the same body. HEAD is answered wherever GET is."
    ),
)

TAGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "meta": "What the server says of itself.",
        "tasks": "A task is a prompt that a coding agent works on in a workspace of its own. Most paths below `/api/v2/tasks` are also served below `/api/experimental/tasks`; those that other servers of this API do not have are not.",
        "agents": "What runs in a workspace: read by its owner, written by the workspace itself with a token of its own.",
        "authentication": "The first user, signing in and signing out.",
        "users": "People and service accounts, and what they may do.",
        "keys": "Keys of sessions, and tokens with names and lifetimes.",
        "secrets": "What workspaces get as environment: of a user, a template or an organization. Values go in and never come out.",
        "organizations": "Who belongs together, and what its members may do.",
        "files": "Archives of templates, as they were uploaded.",
        "templates": "What tasks and workspaces are made from.",
        "template versions": "What a template was at one time, and the import that read it.",
        "workspaces": "Where coding agents run.",
        "builds": "Each start, stop and deletion of a workspace, with its log.",
        "audit": "Who did what to which thing, from where. It is only added to.",
    }
)
"""What each group of operations is about."""

ARCHIVES: Final = ("application/x-tar", "application/zip")

MEDIA: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "health": ("text/plain",),
        "get_api_docs": ("text/html",),
        "export_audit_logs": ("application/x-ndjson",),
        "get_build_state": ("application/octet-stream",),
        "get_file": ARCHIVES,
        "upload_file": ARCHIVES,
    }
)
"""Media types of bodies that are bytes as they are, by operation; others are of no type of ours."""

MEDIA_TOO: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "get_workspace_build_logs": ("text/plain",),
        "get_template_version_logs": ("text/plain",),
        "get_task_transcript": ("application/x-ndjson", "text/markdown"),
    }
)
"""Media types beside JSON in which operations answer where the query asks for it."""

SUCCESS_HEADERS: Final[Mapping[str, dict[str, Header]]] = MappingProxyType(
    {
        "list_tasks": {
            "X-Taskyard-Next-Page": Header(
                "The page_token of the next page; absent on the last one.", TEXT
            )
        },
    }
)
"""Headers of a good answer that a client goes on by, by operation."""

OTHER_SUCCESS: Final[Mapping[str, tuple[int, str]]] = MappingProxyType(
    {
        "get_previous_template_version": (204, "It is the first one."),
        "upload_file": (200, "The same bytes were stored before."),
        "send_task_input": (202, "It waits for its turn."),
    }
)
"""A second good status, by operation, with the body of the first unless it is 204. Source: U9."""

OTHER_BODY: Final[Mapping[str, type]] = MappingProxyType({"send_task_input": QueuedPrompt})
"""The body of the second good status, where the first one's is another."""
