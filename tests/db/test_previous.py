"""Servers of the release before work on the newest schema: statements as they were, each of them."""

import re
from pathlib import Path

import asyncpg
import pytest

from taskyard.db.pool import Database

pytestmark = pytest.mark.anyio

PREVIOUS = Path(__file__).parent / "previous"
"""The statements of the release before migration 4; a release that changes the schema puts its forerunner's here."""

NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)
PARAMETER = re.compile(r"(?<![:\w]):([a-z_]\w*)")


def numbered(body: str) -> str:
    """A statement as Postgres takes it: `:name` becomes `$n`, comments are left out."""
    lines = [line for line in body.splitlines() if not line.lstrip().startswith("--")]
    order: dict[str, int] = {}

    def number(match: re.Match[str]) -> str:
        return f"${order.setdefault(match[1], len(order) + 1)}"

    return PARAMETER.sub(number, "\n".join(lines))


def named() -> dict[str, str]:
    """Every statement by file and name."""
    found: dict[str, str] = {}
    for file in sorted(PREVIOUS.glob("*.sql")):
        parts = NAME.split(file.read_text(encoding="utf-8"))
        for name, body in zip(parts[1::2], parts[2::2], strict=True):
            found[f"{file.stem}.{name}"] = numbered(body)
    return found


async def test_each_statement_still_prepares(database: Database) -> None:
    """No column, table, view or function that they name has gone, or changed its type."""
    wrong: dict[str, str] = {}
    async with database.connection() as conn:
        for name, sql in named().items():
            try:
                await conn.prepare(sql)
            except asyncpg.PostgresError as error:
                wrong[name] = str(error)
    assert not wrong
