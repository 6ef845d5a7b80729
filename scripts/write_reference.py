"""Writes the generated reference pages from the code they describe; `./yard docs` runs it.

With --check it writes nothing and exits 1 when a page is stale.
"""

import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import get_args, get_origin

import msgspec

from taskyard.lifecycle.permissions import TABLE, Role, Verb
from taskyard.wire.openapi import openapi_file
from taskyard.wire.routes import ROUTES, Auth, Body, Route

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = "docs/reference"
OPENAPI = "src/taskyard/server/openapi.json"
"""Inside the package: servers give it away as it is."""

GOLDENS = ROOT / "tests" / "wire" / "goldens"

HEAD = """\
# HTTP endpoints

This page is made from `src/taskyard/wire/routes.py` by `./yard docs`. Each line is one endpoint: what
it takes and gives are the names of its Structs in `src/taskyard/wire/`. Every path below
`/api/v2/tasks` is also served below `/api/experimental/tasks`.

[openapi.json](../../src/taskyard/server/openapi.json) says the same and more to programs; a server
gives it at `/api/openapi.json`, and shows it to people at `/api/docs`.

A request carries the token of a session or of an agent; *none* means that anybody may ask.

Every `POST` takes a header `Idempotency-Key`, 1 to 255 visible ASCII characters of the client's choice. The same
user's same request with the same key is done once: it is answered as the first time, with `Idempotency-Replayed:
true`, for as long as `keep_idempotency` says. Another request with that key is 409 (`idempotency_mismatch`). A key can
be used again at once after 400, 401, 403, 408, 413, 429, and after 5xx where nothing was done. Where it was done but its
answer is gone, it is made again from what is there, or 409 (`idempotency_unknown`) says to what it was done; of what
goes to a coding agent, that it may have arrived. A user has 100,000 keys at a time, then 429 (`too_many_keys`). What
was sent without a token is kept for an hour at most, and only if it did something.
"""

ROLES_HEAD = """\
# Roles

The table is made from `src/taskyard/lifecycle/permissions.py` by `./yard docs`; the server reads the same one.

*own*: things of one's own. *organization*: all in the organizations where one is a member, or for its admin where
one has that role. *all*: everything. An empty cell: never. To write is to make, change and delete. What
somebody may not read looks to them as if it were not there (404); what they may read but not change is 403.
"""

ROLES_TAIL = """
Everybody with an account is a member. Owner, template admin, user admin and auditor are roles of the whole server:
`taskyard users roles NAME ROLE...` sets them. Organization admin is a role in one organization: `taskyard
organizations members roles ORGANIZATION USER ROLE...`.

## Who makes whom what

- Nobody hands out, or takes away, a role that they could not give: owners give all, an organization's admin gives
  that role and membership in it, a user admin makes users and members. Nobody changes their own roles.
- Whoever has a role, of the server or of an organization, is changed by owners and by themselves only; a user admin
  changes those without: else a new password would be a way to somebody's role.
- Nobody suspends or deletes themself. The last owner who can act stays an owner, is not suspended and not deleted.
- An organization's admin adds a user by the exact name or id, even one whom they do not see. The answer tells them
  that there is such a user, and nothing else of them.
- Email and GitHub number are set by owners and user admins, not by users for themselves: one signs in by the
  first, and by the second tasks of that GitHub account find their owner.

## Service accounts

A user whose way to sign in is `none` has no password and never gets one: it lives by tokens, which owners make for
it, and user admins too as long as it has no role. `taskyard users create --service-account` makes one,
`taskyard tokens create --user NAME` its token. It is dormant until a token is used.

## Being kept out

- A suspended user's keys are refused from the next request on (401) and are good again once the user is activated.
- Deleting a user ends their keys for good and frees name and email. It is refused while they have workspaces; what they
  did stays in the audit log.
- A new password ends all sessions of the user but the one that asked. Named tokens go on: they are ended by `taskyard
  tokens remove` or `expire`.
- In five minutes, ten tries to sign in to an account from one network address (of IPv6: one /64) may fail, a hundred from that
  address whatever the account, and 120 at an account from everywhere. Then every try is 429 with `Retry-After`, the right
  password's too. All servers on one database count together. A change of one's password counts its own ten wrong old ones.
- Whoever could act as a user before may still do so when the user gets a role: a user admin who set their password or made
  their tokens. Before giving a role, have them set a new password, and end the tokens of a service account.
- Each of these is kept in the audit log, sign-ins that were refused included.
"""

AUTH = {Auth.NONE: "none", Auth.SESSION: "session", Auth.AGENT: "agent"}


EXAMPLES = {
    "APIKey": "api_key",
    "AuditLogsResponse": "audit_page",
    "AuthMethods": "auth_methods",
    "BuildInfo": "build_info",
    "CreateFirstUserResponse": "first_user_made",
    "CreateKeyResponse": "key_made",
    "GitSSHKey": "git_ssh_key",
    "LoginResponse": "session_made",
    "Organization": "organization",
    "OrganizationMember": "member",
    "PaginatedMembersResponse": "members_page",
    "PauseTaskResponse": "pause_response",
    "Response": "response",
    "ResumeTaskResponse": "resume_response",
    "RetryTaskResponse": "retry_response",
    "Task": "task_active",
    "TaskLogsResponse": "task_logs_live",
    "TasksListResponse": "task_list",
    "Template": "template",
    "TemplateVersion": "version_attached",
    "TokenConfig": "token_config",
    "UploadResponse": "uploaded",
    "User": "user",
    "UserRoles": "user_roles",
    "UsersResponse": "users_page",
    "Workspace": "workspace",
    "WorkspaceAgent": "agent_well",
    "WorkspaceBuild": "build_running",
    "WorkspacesResponse": "workspaces_page",
    "list of APIKey": "api_keys",
    "list of MemberWithUserData": "members",
    "list of Preset": "presets",
    "list of TemplateVersionExternalAuth": "external_auth",
    "list of TemplateVersionParameter": "parameters",
    "list of TemplateVersionVariable": "variables",
}
"""The golden that shows each shape of an answer, where there is one."""


def pages() -> dict[str, bytes]:
    """Every generated file, by its path from the root of the repository."""
    return {
        f"{REFERENCE}/http.md": page(ROUTES).encode(),
        f"{REFERENCE}/roles.md": roles_page().encode(),
        OPENAPI: openapi_file(ROUTES, examples(ROUTES)),
    }


def roles_page() -> str:
    """The table of roles and verbs as Markdown, a row for each verb."""
    heads = [role.replace("-", " ") for role in Role]
    lines = [ROLES_HEAD, f"| | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for verb in Verb:
        cells = [TABLE[role].get(verb, "") for role in Role]
        lines.append(f"| {verb.replace('_', ' ')} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n" + ROLES_TAIL


def examples(routes: Iterable[Route]) -> dict[str, object]:
    """The golden of each operation's answer, by operation; a list of one where only the item has a golden."""
    found: dict[str, object] = {}
    for route in routes:
        name = "" if route.response is None else shape(route.response).replace("`", "")
        item = name.removeprefix("list of ")
        if name in EXAMPLES:
            found[route.operation] = golden(EXAMPLES[name])
        elif item in EXAMPLES:
            found[route.operation] = [golden(EXAMPLES[item])]
    return found


def golden(name: str) -> object:
    """The body in a golden's file."""
    return msgspec.json.decode((GOLDENS / f"{name}.json").read_bytes())


def is_fresh(name: str, text: bytes) -> bool:
    """Whether the file holds this text already."""
    file = ROOT / name
    return file.exists() and file.read_bytes() == text


def page(routes: Iterable[Route]) -> str:
    """The whole page as Markdown, one table for each group of routes, in their order."""
    parts = [HEAD]
    for tag, group in groupby(routes, key=lambda route: route.tags[0]):
        parts.append(f"\n## {tag[0].upper()}{tag[1:]}\n\n")
        parts.append("| Endpoint | What it does | Token | Takes | Gives |\n|---|---|---|---|---|\n")
        parts.extend(f"{row(route)}\n" for route in group)
    return "".join(parts)


def row(route: Route) -> str:
    """One line of a table."""
    takes = [shape(route.request)] if route.request is not None else []
    takes += [f"query {shape(route.query)}"] if route.query is not None else []
    gives = f"{route.status}" + (f" {shape(route.response)}" if route.response is not None else "")
    socket = (
        "; also as WebSocket" if route.websocket and route.response is not Body.WEBSOCKET else ""
    )
    cells = (
        f"`{route.method} {route.path}`",
        route.summary,
        AUTH[route.auth],
        ", ".join(takes),
        gives + socket,
    )
    return f"| {' | '.join(cells)} |"


BODIES = {
    Body.NULL: "`null`",
    Body.BYTES: "bytes",
    Body.EVENTS: "events",
    Body.WEBSOCKET: "WebSocket",
}


def shape(kind: type | Body) -> str:
    """The name of a body or query, for a reader."""
    if isinstance(kind, Body):
        return BODIES[kind]
    if get_origin(kind) is dict:
        return "JSON object"
    if get_origin(kind) is list:
        return f"list of {shape(get_args(kind)[0])}"
    return f"`{kind.__name__}`"


def main(arguments: list[str]) -> int:
    """The exit status: 1 when --check finds a stale page."""
    if arguments == ["--check"]:
        return int(any(not is_fresh(name, text) for name, text in pages().items()))
    for name, text in pages().items():
        (ROOT / name).write_bytes(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
