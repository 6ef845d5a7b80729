"""`taskyard task network`: what a task's workspace tried to reach."""

from collections.abc import Mapping
from typing import Final

import click

from taskyard.cli.connection import Status, signed_in
from taskyard.cli.find import find_task, full_name
from taskyard.cli.output import Column, at, columns_option, note, print_json, print_table
from taskyard.sdk import Client
from taskyard.wire.network import NetworkDecision, NetworkVerdict, TaskNetworkResponse


def place(decision: NetworkDecision) -> str:
    """Where it went, or should have gone, as a template lists it."""
    if decision.port is None:
        return decision.host
    host = f"[{decision.host}]" if ":" in decision.host else decision.host
    return f"{host}:{decision.port}"


def request(decision: NetworkDecision) -> str:
    """Method and path where requests were read."""
    return f"{decision.method or ''} {decision.path or ''}".strip()


COLUMNS: Final[Mapping[str, Column[NetworkDecision]]] = {
    "verdict": lambda d: d.verdict,
    "host": place,
    "request": request,
    "reason": lambda d: d.reason.replace("_", " "),
    "count": lambda d: str(d.count),
    "first_at": lambda d: at(d.first_at),
    "last_at": lambda d: at(d.last_at),
}
SHOWN: Final = ("verdict", "host", "request", "reason", "count", "last_at")


@click.command()
@click.argument("name", metavar="TASK")
@click.option("--refused", is_flag=True, help="Only what was refused.")
@columns_option(list(COLUMNS), SHOWN)
@click.option(
    "-o", "--output", type=click.Choice(("table", "json")), default="table", help="Default: table."
)
@click.option("--json", "as_json", is_flag=True, help="The same as -o json.")
@signed_in
def network(
    client: Client, *, name: str, refused: bool, columns: list[str], output: str, as_json: bool
) -> Status:
    """Show what the workspace of TASK tried to reach, and what became of it; the newest first."""
    task = find_task(client, name)
    found = client.get_task_network(task.owner_name, task.id)
    if refused:
        found = only_refused(found)
    if as_json or output == "json":
        print_json(found)
        return None
    if not found.decisions:
        what = "was refused nothing" if refused else "tried to reach nothing"
        note(f"The workspace of {full_name(task)} {what} so far.")
        return None
    print_table(found.decisions, COLUMNS, columns)
    for more in found.more:
        note(f"And {more.count} times more {more.verdict}, the last at {at(more.last_at)}.")
    return None


def only_refused(found: TaskNetworkResponse) -> TaskNetworkResponse:
    """The same without what was allowed or failed."""
    return TaskNetworkResponse(
        decisions=[d for d in found.decisions if d.verdict is NetworkVerdict.REFUSED],
        more=[m for m in found.more if m.verdict is NetworkVerdict.REFUSED],
    )
