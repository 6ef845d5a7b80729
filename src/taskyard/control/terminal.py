"""Shells that people open in the workspace of a task, over its agent's link."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from taskyard.control.actors import Actor
from taskyard.control.audit import deed_of, record
from taskyard.control.services import Services
from taskyard.control.tasks import refused
from taskyard.db.tasks import TaskRow
from taskyard.errors import AgentUnreachable, AppRefused, NotFound, RefusedNow, RequestRefused
from taskyard.lifecycle.permissions import Verb, can
from taskyard.lifecycle.repository import repository_refusal
from taskyard.wire import link
from taskyard.wire.enums import AuditAction, AuditResource
from taskyard_agent.mux import UNKNOWN_METHOD, CallFailed, LinkLost, Mux, Stream, StreamRefused

OPEN_S: Final = 10.0
"""Seconds until a shell is there: it is one program, on a machine that may be busy."""

MAX_COMMAND_BYTES: Final = 4 * 1024
"""Longest command to begin with: it travels in an address, of which WebSockets take 8 KiB."""


@dataclass(frozen=True, slots=True)
class Shell:
    """An open shell in the workspace of the task. fresh: it was not there before."""

    task: TaskRow
    id: UUID
    stream: Stream
    fresh: bool
    mux: Mux

    async def resize(self, cols: int, rows: int) -> None:
        """Its terminal has that size. Raises RequestRefused, AppRefused, AgentUnreachable."""
        order = link.ShellResize(self.id, cols, rows)
        try:
            await self.mux.call("shell_resize", order, link.Nothing, timeout_s=OPEN_S)
        except CallFailed as error:
            raise _failure(error) from error
        except LinkLost as error:
            raise _gone() from error


def may_enter(actor: Actor, task: TaskRow) -> bool:
    """Whether the caller may have a shell: as for whoever tells the coding agent what to do there."""
    return can(actor, Verb.TASK_WRITE, task.owner_id, task.organization_id)


async def open_shell(
    services: Services, actor: Actor, task: TaskRow, order: link.ShellOpen
) -> Shell:
    """A shell in the workspace of the task, kept in the audit before it is there.

    Raises NotFound, Refused, AgentUnreachable, AppRefused.
    """
    if not may_enter(actor, task):
        raise NotFound
    if (refusal := repository_refusal(task.facts)) is not None:
        raise refused(refusal)
    if task.agent_id is None:
        raise RefusedNow("no_agent", "This task has no workspace that runs.", "Resume it.")
    if sum(len(part.encode(errors="replace")) for part in order.command) > MAX_COMMAND_BYTES:
        raise RequestRefused(
            "command_too_long",
            "That command cannot be run.",
            f"It must have at most {MAX_COMMAND_BYTES} bytes. Put it into a file of the workspace.",
        )
    mux = await services.links.get(task.agent_id)
    changes = {"terminal": {"old": None, "new": str(order.id)}}
    async with services.db.transaction() as conn:
        deed = deed_of(AuditResource.TASK, task, AuditAction.ATTACH, changes)
        await record(conn, actor, deed, services.now())
    try:
        opened = await mux.call("shell_open", order, link.ShellOpened, timeout_s=OPEN_S)
        stream = await mux.open_stream(opened.number)
    except CallFailed as error:
        raise _failure(error) from error
    except StreamRefused as error:
        raise AppRefused("shell_gone", "The shell ended as it was opened.", str(error)) from error
    except LinkLost as error:
        raise AgentUnreachable(task.agent_id) from error
    return Shell(task, order.id, stream, opened.fresh, mux)


def _gone() -> AppRefused:
    return AppRefused("workspace_gone", "The workspace went away.", "Open a shell once it is back.")


def _failure(error: CallFailed) -> RefusedNow | RequestRefused | AppRefused:
    """What a workspace answers when it cannot, as what the caller is told."""
    match error.code:
        case "too_many_shells":
            return RefusedNow(
                error.code, "There are too many shells in this workspace.", str(error)
            )
        case "not_ready":
            return RefusedNow(error.code, "There is no shell yet.", "Try again in a moment.")
        case "size_invalid":
            return RequestRefused(error.code, "A terminal of that size is none.", str(error))
        case code if code == UNKNOWN_METHOD:
            return RefusedNow(
                "agent_too_old",
                "This workspace was started by an older release.",
                "Pause the task and resume it.",
            )
        case _:
            return AppRefused("no_shell", "The workspace could not open a shell.", str(error))
