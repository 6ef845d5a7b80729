"""`taskyard task permissions` and `taskyard task answer`."""

import sys
from collections.abc import Mapping, Sequence
from typing import Final

import click

from taskyard.cli.connection import Status, signed_in
from taskyard.cli.failures import Failure
from taskyard.cli.find import find_task, full_name
from taskyard.cli.output import Column, at, one_line, output_option, plain, print_list
from taskyard.sdk import Client
from taskyard.wire.enums import PermissionAnswerer, PermissionOutcome
from taskyard.wire.tasks import (
    AnswerTaskPermissionRequest,
    PermissionOption,
    Task,
    TaskPermission,
)

ALLOW: Final = ("allow_once",)
"""Kinds of options that permit this one thing; what permits more is chosen by its own id only."""

DENY: Final = ("reject_once", "reject_always")
"""Kinds of options that forbid; a request without one is cancelled, which forbids as well."""

MAX_TITLE: Final = 300
"""Characters of a request's title in a sentence."""


def answer_text(permission: TaskPermission) -> str:
    """How a request was answered and by whom, as one says it; nothing while it is open."""
    answer = permission.answer
    if answer is None:
        return "waits for you"
    names = {option.option_id: option.name for option in permission.options}
    chosen = names.get(answer.option_id or "") or answer.option_id or "cancelled"
    match answer.by:
        case PermissionAnswerer.PERSON:
            who = f" by {answer.username or 'somebody'}"
        case PermissionAnswerer.POLICY:
            who = " by the template's rule"
        case PermissionAnswerer.TIMEOUT:
            who = ", as nobody answered in time"
        case PermissionAnswerer.CANCEL:
            who = ", as the turn was over"
    return f"{chosen}{who}"


COLUMNS: Final[Mapping[str, Column[TaskPermission]]] = {
    "id": lambda p: p.id,
    "title": lambda p: p.title,
    "options": lambda p: ", ".join(o.option_id for o in p.options),
    "asked_at": lambda p: at(p.asked_at),
    "expires_at": lambda p: at(p.expires_at) if p.expires_at else "",
    "answer": answer_text,
    "answered_at": lambda p: at(p.answer.at) if p.answer else "",
}

OPEN_COLUMNS: Final = ("id", "title", "options", "asked_at")
ALL_COLUMNS: Final = ("id", "title", "asked_at", "answer", "answered_at")


@click.command()
@click.argument("name", metavar="TASK")
@click.option(
    "-a", "--all", "everything", is_flag=True, help="Also what was answered, and by whom."
)
@output_option
@signed_in
def permissions(client: Client, *, name: str, everything: bool, output: str) -> Status:
    """List what the coding agent of TASK asks somebody to permit."""
    task = find_task(client, name)
    found = client.list_task_permissions("me", task.id, answered=everything).permissions
    columns = ALL_COLUMNS if everything else OPEN_COLUMNS
    empty = f"The task {full_name(task)} {'never asked' if everything else 'is not asking'} for a permission."
    print_list(found, COLUMNS, columns, output=output, empty=empty)
    return None


@click.command()
@click.argument("name", metavar="TASK")
@click.argument("permission", metavar="[ID]", required=False)
@click.option("--allow", is_flag=True, help="Permit this once.")
@click.option("--deny", is_flag=True, help="Forbid this.")
@click.option("--option", metavar="ID", help="Take this one of the request's options.")
@signed_in
def answer(
    client: Client,
    *,
    name: str,
    permission: str | None,
    allow: bool,
    deny: bool,
    option: str | None,
) -> Status:
    """Answer what the coding agent of TASK asks.

    ID may be left out while it asks one thing only; the first characters that no other request has are
    enough. Without --allow, --deny or --option you are asked.
    """
    if allow + deny + (option is not None) > 1:
        raise click.UsageError("Give one of --allow, --deny and --option.")
    task = find_task(client, name)
    request = _chosen(task, client.list_task_permissions("me", task.id).permissions, permission)
    if allow or deny:
        given = request_of(request, ALLOW if allow else DENY)
    elif option is not None:
        given = _with_option(request, option)
    else:
        given = _asked(request)
    client.answer_task_permission("me", task.id, request.id, given)
    names = {o.option_id: o.name for o in request.options}
    said = plain(names.get(given.option_id) or given.option_id) or PermissionOutcome.CANCELLED
    print(f'Answered {full_name(task)}: "{one_line(said, MAX_TITLE)}".')
    return None


def _chosen(task: Task, found: Sequence[TaskPermission], wanted: str | None) -> TaskPermission:
    """The request that is meant. Raises Failure for none, or more than one."""
    if not found and task.waiting_for and not task.waiting_for.id:
        raise Failure(
            f"what the task {full_name(task)} asks is on its screen and is answered there.",
            hint=f"To answer: taskyard task attach {full_name(task)}",
        )
    if not found:
        raise Failure(
            f"the task {full_name(task)} waits for no answer.",
            hint=f"To see what was answered: taskyard task permissions {full_name(task)} --all",
        )
    matching = [p for p in found if p.id == wanted] or [
        p for p in found if wanted is None or p.id.startswith(wanted)
    ]
    if len(matching) == 1:
        return matching[0]
    listed = tuple(f"  {plain(p.id)}  {one_line(p.title, MAX_TITLE)}" for p in found)
    if not matching:
        message = f"the task {full_name(task)} asks nothing by the id {plain(wanted or '')!r}."
    else:
        message = f"the task {full_name(task)} asks {len(found)} things; say which by its id."
    raise Failure(message, lines=listed)


def request_of(permission: TaskPermission, kinds: Sequence[str]) -> AnswerTaskPermissionRequest:
    """The answer of the first of these kinds. Raises Failure where permitting has none."""
    for kind in kinds:
        for option in permission.options:
            if option.kind == kind:
                return AnswerTaskPermissionRequest(option_id=option.option_id)
    if kinds == DENY:
        return AnswerTaskPermissionRequest(outcome=PermissionOutcome.CANCELLED)
    raise Failure(
        "this request cannot be permitted just once.",
        hint="Take one of its options with --option.",
        lines=_listed(permission.options),
    )


def _with_option(permission: TaskPermission, option_id: str) -> AnswerTaskPermissionRequest:
    if all(option.option_id != option_id for option in permission.options):
        raise Failure(
            f"this request takes no answer {plain(option_id)!r}.",
            lines=_listed(permission.options),
        )
    return AnswerTaskPermissionRequest(option_id=option_id)


def _listed(options: Sequence[PermissionOption]) -> tuple[str, ...]:
    return tuple(f"  {plain(o.option_id)}  {one_line(o.name, MAX_TITLE)}" for o in options)


def _asked(permission: TaskPermission) -> AnswerTaskPermissionRequest:
    """What the person at the terminal chooses. Raises UsageError where there is nobody."""
    if not sys.stdin.isatty():
        raise click.UsageError("Nobody can be asked here; give --allow, --deny or --option.")
    print(plain(permission.title))
    for place, option in enumerate(permission.options, 1):
        print(f"  {place}  {one_line(option.name, MAX_TITLE) or plain(option.option_id)}")
    print("  0  Cancel it")
    limits = click.IntRange(0, len(permission.options))
    number = click.prompt("Your answer", type=limits)
    if number == 0:
        return AnswerTaskPermissionRequest(outcome=PermissionOutcome.CANCELLED)
    return AnswerTaskPermissionRequest(option_id=permission.options[number - 1].option_id)
