"""Named SQL from `db/sql/*.sql`: loaded once, typed by the row it yields.

A statement in a file reads

    -- name: get_task
    -- What it is for, in one or more lines.
    select ... where id = :task_id

and is bound to its row type where its function stands: `_GET = statement("tasks", "get_task", TaskRow)`.
A test prepares every bound statement and compares parameters, columns and types with the row.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

if TYPE_CHECKING:
    from asyncpg import Record

    from taskyard.db.pool import Connection

Row = TypeVar("Row")

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]\w*)")

BOUND: "list[Statement[object]]" = []
"""Every statement that code is bound to, for the test that checks them all."""


@dataclass(frozen=True, slots=True)
class Statement(Generic[Row]):
    """One named statement; parameters are given by name, rows come back as `row`."""

    name: str
    sql: str
    parameters: tuple[str, ...]
    row: type[Row]

    async def one(self, conn: "Connection", **values: object) -> Row | None:
        """The first row, or None when there is none."""
        record = await conn.fetchrow(self.sql, *self._arguments(values))
        return None if record is None else self._read(record)

    async def many(self, conn: "Connection", **values: object) -> list[Row]:
        """Every row, in the statement's order."""
        return [self._read(r) for r in await conn.fetch(self.sql, *self._arguments(values))]

    async def execute(self, conn: "Connection", **values: object) -> int:
        """How many rows were inserted, updated or deleted."""
        tag = await conn.execute(self.sql, *self._arguments(values))
        return int(tag.rpartition(" ")[2])

    async def execute_many(self, conn: "Connection", rows: list[Mapping[str, object]]) -> None:
        """Runs the statement once a row, in one round trip, all or nothing."""
        await conn.executemany(self.sql, [self._arguments(row) for row in rows])

    def _arguments(self, values: Mapping[str, object]) -> list[object]:
        if values.keys() != set(self.parameters):
            given = ", ".join(sorted(values))
            raise TypeError(f"{self.name} takes {', '.join(self.parameters)}, was given {given}")
        return [values[name] for name in self.parameters]

    def _read(self, record: "Record") -> Row:
        return msgspec.convert(dict(record), self.row)


class NoRow(msgspec.Struct, frozen=True):
    """The row type of statements that return nothing."""


def statement(file: str, name: str, row: type[Row]) -> Statement[Row]:
    """The statement of that name in `sql/<file>.sql`; raises KeyError for an unknown name."""
    numbered, parameters = _number(_load(file)[name])
    bound = Statement(f"{file}.{name}", numbered, parameters, row)
    BOUND.append(bound)  # type: ignore[arg-type]  # invariant in Row, only read by the test
    return bound


@cache
def _load(file: str) -> dict[str, str]:
    text = (files("taskyard.db") / "sql" / f"{file}.sql").read_text(encoding="utf-8")
    parts = _NAME.split(text)
    names, bodies = parts[1::2], parts[2::2]
    if len(set(names)) != len(names):
        raise ValueError(f"a name stands twice in sql/{file}.sql")
    return {name: body.strip() for name, body in zip(names, bodies, strict=True)}


def _number(sql: str) -> tuple[str, tuple[str, ...]]:
    """`:name` becomes `$n`; the same name gets the same number. Comment lines are left out."""
    text = "\n".join(line for line in sql.splitlines() if not line.lstrip().startswith("--"))
    order: dict[str, int] = {}

    def number(match: re.Match[str]) -> str:
        return f"${order.setdefault(match[1], len(order) + 1)}"

    return _PARAMETER.sub(number, text), tuple(order)
