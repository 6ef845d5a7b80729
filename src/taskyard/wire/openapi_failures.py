"""How each operation may fail, for the OpenAPI document: statuses, and what each of them means."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from taskyard.wire.openapi_document import Answer, Header, MediaType, Schema
from taskyard.wire.routes import Auth, Route

SERVER: Final = "5XX"
"""The range that stands for a defect, a full disk, or a database out of reach: 500 or 503, on any route."""

_CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "400": "The request is not right; validations name fields.",
        "401": "The token is missing, wrong, past its time, or of the other kind.",
        "403": "The caller may see this, but not do that with it.",
        "404": "This does not exist, or the caller may not see it.",
        "406": "The import of the template version has not ended yet.",
        "409": "What is there now does not allow it: a name is taken, or something is under way.",
        "410": "This was deleted.",
        "412": "The job is not in the state that the caller expected.",
        "413": "This is larger than what is taken here.",
        "417": "Something else still needs this; the message says what.",
        "425": "The import of the template version has not ended yet.",
        "429": "Too many at once, or in a short time; try again later.",
        "500": "What is stored makes the request impossible; the message says what.",
        "502": "The workspace, or the coding agent in it, did not answer as it should.",
        SERVER: "The server could not do it; its log has the cause under the request's id.",
    }
)
"""What each status means, in one sentence."""

_FAILURES: Final[Mapping[str, tuple[int, ...]]] = MappingProxyType(
    {
        "create_task": (406, 409, 500),
        "delete_task": (409, 500),
        "update_task_input": (409,),
        "send_task_input": (409, 500, 502),
        "get_task_logs": (403, 409, 500, 502),
        "answer_task_permission": (409, 500, 502),
        "update_task_prompt": (409,),
        "delete_task_prompt": (409,),
        "interrupt_task": (409, 500, 502),
        "attach_task": (403, 409, 429, 500, 502),
        "pause_task": (406, 409, 500),
        "resume_task": (406, 409, 500),
        "retry_task": (406, 409, 500),
        "open_terminal": (403, 409, 429, 500, 502),
        "create_app_ticket": (502,),
        "get_task_diff": (409, 502),
        "push_task": (409, 500, 502),
        "list_user_secrets": (403,),
        "set_user_secret": (409,),
        "list_organization_secrets": (403,),
        "set_organization_secret": (409,),
        "list_template_secrets": (403,),
        "set_template_secret": (409,),
        "append_agent_logs": (413, 429),
        "create_log_source": (429,),
        "update_app_status": (429,),
        "upload_task_log_snapshot": (429,),
        "get_first_user": (404,),
        "create_first_user": (409,),
        "login": (401, 429),
        "list_users": (403,),
        "create_user": (404, 409),
        "update_user": (409,),
        "update_user_profile": (409,),
        "update_user_password": (429,),
        "delete_user": (417,),
        "get_git_ssh_key": (403,),
        "create_token": (409,),
        "list_tokens": (403,),
        "get_token_config": (403,),
        "get_token": (403,),
        "get_key": (403,),
        "create_organization": (409,),
        "upload_file": (413,),
        "create_template": (409,),
        "update_template": (409,),
        "create_template_version": (409,),
        "cancel_template_version": (412,),
        "list_rich_parameters": (425,),
        "list_template_variables": (403,),
        "get_workspace": (410,),
        "get_workspace_by_name": (410,),
        "watch_workspace": (403, 410),
        "create_workspace": (406, 409, 500),
        "create_member_workspace": (406, 409, 500),
        "create_workspace_build": (406, 409, 410, 500),
        "extend_workspace": (409, 410),
        "set_workspace_ttl": (410,),
        "favorite_workspace": (410,),
        "unfavorite_workspace": (410,),
        "cancel_workspace_build": (412,),
        "get_health": (403,),
        "list_audit_logs": (403,),
        "export_audit_logs": (403,),
    }
)
"""Statuses beyond those that the form of a route leads to, by operation. Tests hold every answer against them."""

_UNSAFE: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})

_TEXT: Final[Schema] = {"type": "string"}
_REASON: Final = Header("Why, in one word for programs; the sentences may change.", _TEXT)
_HEADERS: Final[Mapping[str, dict[str, Header]]] = MappingProxyType(
    {
        "401": {"WWW-Authenticate": Header("How to authenticate.", _TEXT)},
        "429": {"Retry-After": Header("Seconds to wait, where they are known.", _TEXT)},
    }
)
"""Headers that come with a status, beside the reason."""


def codes_of(route: Route) -> list[str]:
    """The statuses by which a route fails, in order, the range of the server's own last."""
    found = set(_FAILURES.get(route.operation, ()))
    if route.request is not None or route.query is not None or "{" in route.path:
        found.add(400)
    if route.auth is not Auth.NONE:
        found.add(401)
    if route.method in _UNSAFE:
        found.add(403)
    if route.method == "POST":
        found |= {400, 409, 429}  # of an Idempotency-Key
    if "{" in route.path:
        found.add(404)
    return [*(str(code) for code in sorted(found)), SERVER]


def name_of(code: str) -> str:
    """The name of the component that tells of a status."""
    return f"Failed{code}"


def components(codes: set[str], schema: Schema) -> dict[str, Answer]:
    """The answers of these statuses by their names: one model for all. Source: T9."""
    return {
        name_of(code): Answer(
            description=text,
            headers={**_HEADERS.get(code, {}), "X-Taskyard-Reason": _REASON},
            content={"application/json": MediaType(schema)},
        )
        for code, text in _CODES.items()
        if code in codes
    }
