"""How each error looks over HTTP: one table, total over errors.py (a test holds that).

The sentence of an error is `str(error)` unless its row says otherwise. `X-Taskyard-Reason` carries a
word that programs can match; the sentences are for people and may change.
"""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import Response

from taskyard import errors
from taskyard.errors import templates
from taskyard.server.call import UuidInvalid
from taskyard.wire.base import Response as Problem
from taskyard.wire.base import ValidationItem, encode, unless_empty

NOT_FOUND = "This does not exist, or you may not see it."
FORBIDDEN = "You may see this, but not do that with it."

CHALLENGE = 'Bearer realm="coder", error="invalid_token"'
"""How to authenticate, on every 401. Source: tasks-api 2.1."""


@dataclass(frozen=True, slots=True)
class Row:
    """Status and reason of one error class; message and detail default to the sentence and to none."""

    status: int
    reason: str
    message: Callable[[errors.TaskyardError], str] = str
    detail: Callable[[errors.TaskyardError], str] = lambda _: ""


def _detail(error: errors.TaskyardError) -> str:
    """The detail that an error carries itself."""
    return str(getattr(error, "detail", ""))


TABLE: dict[type[errors.TaskyardError], Row] = {
    errors.TaskyardError: Row(
        500, "internal", lambda _: "Something went wrong in the server.", str
    ),
    errors.DriverError: Row(500, "driver", lambda _: "The workspace driver failed.", str),
    errors.StartupError: Row(500, "startup"),
    errors.DatabaseBusy: Row(503, "busy", lambda _: "The server is busy. Try again in a moment."),
    errors.ServerBusy: Row(503, "busy", lambda _: "The server is busy. Try again in a moment."),
    errors.DatabaseAway: Row(
        503,
        "database_away",
        lambda _: "The database of this server does not answer. Try again in a moment.",
    ),
    errors.DatabaseFull: Row(
        503,
        "database_full",
        lambda _: (
            "The database of this server has no room left, and nothing of this was kept. Free space on its "
            "disk, then try again."
        ),
    ),
    errors.NotFound: Row(404, "not_found", lambda _: NOT_FOUND),
    UuidInvalid: Row(400, "invalid_uuid", lambda e: f"In the path, {e}."),
    errors.NoUserYet: Row(
        404, "no_user_yet", lambda _: "This server has no user yet. Create the first one."
    ),
    errors.Forbidden: Row(403, "forbidden", lambda _: FORBIDDEN, str),
    errors.BodyInvalid: Row(
        400,
        "invalid_json",
        lambda _: "The request body must be valid JSON of the right shape.",
        str,
    ),
    errors.Invalid: Row(400, "invalid"),
    errors.JobCompleted: Row(400, "job_completed"),
    errors.JobCancelRequested: Row(400, "job_cancel_requested"),
    errors.BuildActive: Row(409, "build_active", detail=str),
    errors.AgentUnreachable: Row(502, "agent_unreachable"),
    errors.HeldElsewhere: Row(502, "agent_unreachable"),
    errors.AppFailed: Row(502, "app_failed"),
    errors.AppUrlEmpty: Row(500, "app_url_empty"),
    errors.AppUrlScheme: Row(400, "app_url_scheme"),
    errors.StaleGeneration: Row(409, "stale_generation"),
    errors.ItemsMissing: Row(409, "items_missing"),
    errors.StatusStateInvalid: Row(400, "app_status_state"),
    errors.StatusMessageTooLong: Row(400, "app_status_message", detail=_detail),
    errors.LogsOverflowed: Row(413, "logs_overflowed"),
    errors.UserSuspended: Row(401, "user_suspended"),
    errors.LoginRefused: Row(401, "login_refused"),
    errors.LoginsBusy: Row(429, "logins_busy"),
    errors.LoginLimited: Row(429, "login_limited"),
    errors.TooManyFollowed: Row(503, "too_many_followed"),
    errors.UserHasWorkspaces: Row(417, "user_has_workspaces"),
    errors.OrganizationNameTaken: Row(409, "organization_name_taken"),
    errors.LoginTypeWrong: Row(403, "login_type"),
    errors.FirstUserExists: Row(409, "first_user_exists"),
    errors.UserExists: Row(409, "user_exists"),
    errors.TokenNameTaken: Row(409, "token_name_taken"),
    errors.Refused: Row(400, "refused", detail=_detail),
    errors.RefusedNow: Row(409, "refused", detail=_detail),
    errors.RefusedBroken: Row(500, "refused", detail=_detail),
    errors.RequestRefused: Row(400, "refused", detail=_detail),
    templates.VersionArchived: Row(500, "template_version_archived"),
    templates.VersionImporting: Row(406, "template_version_importing"),
    templates.TemplateDeleted: Row(404, "template_deleted"),
    errors.WorkspaceNameTaken: Row(409, "workspace_name_taken"),
    errors.WorkspaceGone: Row(410, "workspace_gone"),
    errors.QueryInvalid: Row(400, "invalid_query"),
    errors.ParametersInvalid: Row(400, "invalid_parameters"),
    errors.JobStatusUnexpected: Row(412, "job_status"),
    errors.AppRefused: Row(502, "app_refused", detail=_detail),
    errors.Missing: Row(404, "missing"),
    templates.ArchiveTooLarge: Row(413, "archive_too_large"),
    templates.ArchiveInvalid: Row(400, "archive_invalid"),
    templates.TemplateNameTaken: Row(409, "template_name_taken"),
    templates.VersionNameTaken: Row(409, "template_version_name_taken"),
    templates.VersionRenameTaken: Row(400, "template_version_name_taken"),
    templates.ImportUnfinished: Row(425, "import_unfinished"),
    templates.VersionNotReady: Row(403, "refused", detail=_detail),
    errors.SecretKeyWrong: Row(500, "secret_key"),
    errors.SecretUnreadable: Row(500, "secret_unreadable"),
    errors.IdempotencyKeyInvalid: Row(400, "idempotency_key"),
    errors.IdempotencyMismatch: Row(409, "idempotency_mismatch"),
    errors.IdempotencyBusy: Row(409, "idempotency_in_progress"),
    errors.TooManyKeys: Row(429, "too_many_keys"),
    errors.WorkspaceBusy: Row(429, "workspace_busy"),
    errors.IdempotencyLost: Row(409, "idempotency_in_progress"),
    errors.IdempotencyUnknown: Row(409, "idempotency_unknown"),
    errors.QuotaReached: Row(409, "quota_reached"),
}


def row_for(kind: type[BaseException]) -> Row:
    """The row of an error class, or of its nearest ancestor that has one."""
    for ancestor in kind.__mro__:
        row = TABLE.get(ancestor)
        if row is not None:
            return row
    return TABLE[errors.TaskyardError]


def explain(error: errors.TaskyardError) -> tuple[str, str, str]:
    """Reason, message and detail of an error, as a response has them."""
    row = row_for(type(error))
    return str(getattr(error, "code", row.reason)), row.message(error), row.detail(error)


def render(error: errors.TaskyardError) -> Response:
    """The response of an error, by its row; 401s also say how to authenticate."""
    if isinstance(error, errors.Unauthenticated):
        return _unauthenticated(error)
    row = row_for(type(error))
    violations = error.violations if isinstance(error, errors.Invalid) else []
    reason, message, detail = explain(error)
    response = problem(row.status, reason, message, detail, violations=violations)
    if row.status == 401:
        response.headers["WWW-Authenticate"] = CHALLENGE
    if isinstance(error, errors.LoginLimited):
        response.headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, errors.IdempotencyBusy | errors.IdempotencyLost):
        response.headers["Retry-After"] = "1"
    return response


def problem(
    status: int,
    reason: str,
    message: str,
    detail: str = "",
    *,
    violations: list[tuple[str, str]] | None = None,
) -> Response:
    """The answer for an error; detail and violations are left out when empty. Source: T9."""
    items = [ValidationItem(field=field, detail=text) for field, text in violations or []]
    body = Problem(message=message, detail=unless_empty(detail), validations=unless_empty(items))
    return Response(
        encode(body),
        status,
        {"X-Taskyard-Reason": reason},
        media_type="application/json; charset=utf-8",
    )


def _unauthenticated(error: errors.Unauthenticated) -> Response:
    message = "You are signed out or your session has ended. Sign in again to go on."
    response = problem(401, error.code, message, error.detail)
    response.headers["WWW-Authenticate"] = CHALLENGE
    return response
