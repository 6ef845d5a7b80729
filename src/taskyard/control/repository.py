"""What a task did to its repository: asked of its workspace, and pushed out by it."""

from datetime import datetime
from typing import TypeVar

import msgspec

from taskyard.control.actors import Actor
from taskyard.control.audit import deed_of, record
from taskyard.control.handover import git_credentials
from taskyard.control.services import Services
from taskyard.control.tasks import refused
from taskyard.db import tasks as db
from taskyard.errors import (
    AppRefused,
    Forbidden,
    Refused,
    RefusedNow,
    RequestRefused,
)
from taskyard.lifecycle.observed import one_line
from taskyard.lifecycle.permissions import Verb, can
from taskyard.lifecycle.repository import repository_refusal
from taskyard.wire import link
from taskyard.wire import repository as wire
from taskyard.wire.enums import AuditAction, AuditResource
from taskyard_agent.mux import UNKNOWN_METHOD, CallFailed, LinkLost

DIFF_TIMEOUT_S = 30.0
"""Seconds for a comparison; the workspace itself gives up after 28."""

PUSH_TIMEOUT_S = 55.0
"""Seconds for a push; the workspace itself gives up after 50, and clients wait 60 for an answer."""

MAX_MESSAGE_BYTES = 64 * 1024
"""Largest message of a commit."""

Result = TypeVar("Result", bound=msgspec.Struct)


async def task_diff(services: Services, task: db.TaskRow) -> wire.TaskDiff:
    """What changed in the task's repository. Raises Refused, AgentUnreachable, AppRefused."""
    found = await _ask(
        services,
        task,
        "repository_diff",
        link.Nothing(),
        result=link.Difference,
        timeout_s=DIFF_TIMEOUT_S,
    )
    return wire.TaskDiff(
        branch=found.branch,
        base_branch=found.base_branch,
        base=found.base,
        diff=found.diff.decode(errors="replace"),
        truncated=found.truncated,
        files=[
            wire.ChangedFile(path=file.path, added=file.added, removed=file.removed)
            for file in found.files
        ],
        uncommitted=found.uncommitted,
    )


async def push_task(
    services: Services,
    actor: Actor,
    task: db.TaskRow,
    request: wire.PushTaskRequest,
    *,
    now: datetime,
) -> wire.TaskPushed:
    """What was pushed. Raises Forbidden, Refused, AgentUnreachable, AppRefused, SecretKeyWrong."""
    if not can(actor, Verb.TASK_WRITE, task.owner_id, task.organization_id):
        raise Forbidden("push the work of this task")
    if len(request.commit.encode(errors="replace")) > MAX_MESSAGE_BYTES or "\0" in request.commit:
        raise RequestRefused(
            "commit_message",
            "The message of the commit cannot be used.",
            f"It must be text of at most {MAX_MESSAGE_BYTES} bytes, without NUL.",
        )
    _refuse(task)
    order = link.Push(
        commit=request.commit.strip() or None,
        force_with_lease=request.force_with_lease,
        credentials=await git_credentials(services, task.agent_id),
    )
    found = await _ask(
        services, task, "repository_push", order, result=link.Pushed, timeout_s=PUSH_TIMEOUT_S
    )
    async with services.db.transaction() as conn:
        told = one_line(
            f"{found.branch} {found.commit}"
        )  # by the workspace, which may say anything
        changes = {"pushed": {"old": None, "new": told}}
        deed = deed_of(AuditResource.TASK, task, AuditAction.PUSH, changes)
        await record(conn, actor, deed, now)
    return wire.TaskPushed(
        branch=found.branch,
        url=found.url,
        commit=found.commit,
        changed=found.changed,
        uncommitted=found.uncommitted,
        output=found.output,
    )


def _refuse(task: db.TaskRow) -> None:
    """Nothing when the task's workspace may answer; raises Refused."""
    refusal = repository_refusal(task.facts)
    if refusal is not None:
        raise refused(refusal)


async def _ask(
    services: Services,
    task: db.TaskRow,
    method: str,
    params: msgspec.Struct,
    *,
    result: type[Result],
    timeout_s: float,
) -> Result:
    _refuse(task)
    if task.agent_id is None:
        raise RefusedNow("no_agent", "This task has no workspace that runs.", "Resume it.")
    mux = await services.links.get(task.agent_id)
    try:
        return await mux.call(method, params, result, timeout_s=timeout_s)
    except CallFailed as error:
        raise _failure(error) from error
    except LinkLost as error:
        raise AppRefused(
            "workspace_gone",
            "The workspace went away while it was asked.",
            "Ask again once it is back.",
        ) from error


def _failure(error: CallFailed) -> Refused | AppRefused:
    """What a workspace answers when it cannot, as what the caller is told."""
    match error.code:
        case "no_repository":
            return RequestRefused(
                error.code,
                "This task has no repository.",
                "Give the template a repo in [workspace], or a parameter of that name.",
            )
        case "not_cloned" | "no_work_branch" | "wrong_branch":
            return RefusedNow(error.code, "The repository of this task is not ready.", str(error))
        case "push_rejected":
            detail = f"{error}\nForce it with a lease, if what is there is to be replaced."
            return RefusedNow(error.code, "The other side has commits that are not here.", detail)
        case code if code == UNKNOWN_METHOD:
            return RefusedNow(
                "agent_too_old",
                "This workspace was started by an older release.",
                "Pause the task and resume it.",
            )
        case _:
            return AppRefused(error.code, "Git could not do it.", str(error))
