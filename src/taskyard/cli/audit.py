"""`taskyard audit`: who did what."""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import click

from taskyard.cli.connection import Status, signed_in
from taskyard.cli.failures import Failure
from taskyard.cli.output import Column, at, columns_option, output_option, print_list
from taskyard.lifecycle.quantity import parse_duration
from taskyard.sdk import Client, SdkError
from taskyard.wire.audit import AuditLog
from taskyard.wire.base import encode

PAGE: Final = 1000
"""What is read at once for an export: the largest page that servers give."""


def _what(log: AuditLog) -> str:
    return f"{log.action}{'' if log.succeeded else ' (refused)'}"


def _changes(log: AuditLog) -> str:
    return ", ".join(log.changes)


COLUMNS: Final[Mapping[str, Column[AuditLog]]] = {
    "id": lambda log: str(log.id),
    "at": lambda log: at(log.at),
    "user": lambda log: log.username or "(server)",
    "key": lambda log: log.key_id or "",
    "action": _what,
    "type": lambda log: log.resource_type.replace("_", " "),
    "name": lambda log: log.resource_name,
    "resource_id": lambda log: log.resource_id,
    "changes": _changes,
    "ip": lambda log: log.ip or "",
    "user_agent": lambda log: log.user_agent or "",
    "request_id": lambda log: log.request_id or "",
}
SHOWN: Final = ("at", "user", "action", "type", "name", "changes", "ip")


@click.group()
def audit() -> None:
    """See and keep who did what to which thing; for owners, auditors and admins of organizations."""


def _since(_ctx: click.Context, _option: click.Parameter, value: str | None) -> str:
    """What a search says for a time, a day, or a while ago; empty for none."""
    if value is None:
        return ""
    seconds = parse_duration(value)
    if seconds is not None:
        moment = datetime.now(UTC) - timedelta(seconds=seconds)
        return f'from:"{moment:%Y-%m-%dT%H:%M:%SZ}"'
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        return f"from:{value}"
    if '"' in value:
        raise click.BadParameter("a time has no quotes")
    return f'from:"{value}"'


search_option = click.option(
    "-q",
    "--search",
    default="",
    help="Like 'user:ada action:delete resource_type:task'; also resource, organization, from, to, "
    "request_id, ip and succeeded. Bare words are looked for in names.",
)
since_option = click.option(
    "--since",
    metavar="TIME",
    callback=_since,
    help="Only what was done since then: 2h, 7d, 2026-01-31 or 2026-01-31T08:00:00Z.",
)


@audit.command("list")
@search_option
@since_option
@click.option("--limit", type=click.IntRange(1, PAGE), default=100, help="Default: 100.")
@output_option
@columns_option(COLUMNS, SHOWN)
@signed_in
def list_logs(
    client: Client, *, search: str, since: str, limit: int, output: str, columns: list[str]
) -> Status:
    """List who did what, newest first."""
    found = client.list_audit_logs(f"{search} {since}".strip(), limit=limit)
    empty = "Nothing of the kind was done, or it is not for you to read."
    print_list(found.audit_logs, COLUMNS, columns, output=output, empty=empty)
    if len(found.audit_logs) < found.count and output == "table":
        click.echo(f"({len(found.audit_logs)} of {found.count}; more with --limit)", err=True)
    return None


@audit.command()
@click.option(
    "-o",
    "--output",
    "file",
    metavar="FILE",
    required=True,
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Where to write it; - for standard output.",
)
@search_option
@since_option
@signed_in
def export(client: Client, *, file: Path, search: str, since: str) -> Status:
    """Write the audit to FILE, a line of JSON for each deed, newest first."""
    logs = _all(client, f"{search} {since}".strip())
    if str(file) == "-":
        for log in logs:
            sys.stdout.write(encode(log).decode() + "\n")
        return None
    try:
        count = _write(file, logs)
    except SdkError:  # some of them are errors of the system too
        raise
    except FileExistsError as error:
        hint = "Another export may be writing it; else remove it and try again."
        raise Failure(f"{error.filename} is there already.", hint=hint) from error
    except OSError as error:
        raise Failure(f"cannot write {file}: {error.strerror}.") from error
    print(f"Wrote {count} deeds to {file}.")
    return None


def _write(file: Path, logs: Iterator[AuditLog]) -> int:
    """How many lines the file has now; it is there as a whole, or as it was. Raises OSError."""
    part = file.with_name(file.name + ".part")
    with part.open("xb") as out:
        try:
            count = 0
            for log in logs:
                out.write(encode(log) + b"\n")
                count += 1
            out.flush()
            os.fsync(out.fileno())
            part.rename(file)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    return count


def _all(client: Client, q: str) -> Iterator[AuditLog]:
    """Every deed that a search finds, page by page."""
    found = client.list_audit_logs(q, limit=PAGE).audit_logs
    while found:
        yield from found
        if len(found) < PAGE:
            return
        found = client.list_audit_logs(q, limit=PAGE, after=found[-1].id).audit_logs
