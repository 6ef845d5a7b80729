"""Every named statement is what its Python side says it is."""

import importlib
import pkgutil
import types
import typing
from datetime import datetime
from enum import StrEnum
from importlib.resources import files
from uuid import UUID

import asyncpg
import msgspec
import pytest

import taskyard.db
from taskyard.db.statements import BOUND, NoRow, Statement

TYPES: dict[str, type] = {
    "uuid": UUID,
    "text": str,
    "bytea": bytes,
    "json": bytes,
    "jsonb": bytes,
    "bool": bool,
    "int2": int,
    "int4": int,
    "int8": int,
    "float8": float,
    "timestamptz": datetime,
    "name": str,
}


def _load_all() -> list[Statement[object]]:
    for module in pkgutil.iter_modules(taskyard.db.__path__):
        importlib.import_module(f"taskyard.db.{module.name}")
    return sorted(BOUND, key=lambda s: s.name)


def _plain(annotation: object) -> tuple[object, bool]:
    """The type without None, and whether None may stand there."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        rest = [a for a in typing.get_args(annotation) if a is not type(None)]
        return rest[0], len(rest) < len(typing.get_args(annotation))
    return annotation, False


def _fits(annotation: object, postgres: str) -> bool:
    plain, _ = _plain(annotation)
    if typing.get_origin(plain) in (list, frozenset, tuple):
        return postgres.endswith("[]") and _fits(typing.get_args(plain)[0], postgres[:-2])
    wanted = TYPES[postgres]
    if isinstance(plain, type) and issubclass(plain, StrEnum):
        return wanted is str
    return plain is wanted


@pytest.mark.anyio
async def test_each_statement_prepares_and_yields_its_row(database_url: str) -> None:
    """Column names, order and types of every statement equal the fields of its row type."""
    conn = await asyncpg.connect(database_url)
    wrong: list[str] = []
    try:
        for bound in _load_all():
            prepared = await conn.prepare(bound.sql)
            columns = [(a.name, a.type.name) for a in prepared.get_attributes() or ()]
            row = (
                ()
                if bound.row is NoRow
                else msgspec.structs.fields(typing.cast("type[msgspec.Struct]", bound.row))
            )
            if [f.name for f in row] != [name for name, _ in columns]:
                wrong.append(f"{bound.name}: columns {columns} are not {[f.name for f in row]}")
                continue
            wrong.extend(
                f"{bound.name}.{field.name}: {kind} is not {field.type}"
                for field, (_, kind) in zip(row, columns, strict=True)
                if not _fits(field.type, kind)
            )
    finally:
        await conn.close()
    assert wrong == []


def test_every_statement_of_a_file_is_bound() -> None:
    """No statement lies in a file unused, and none is bound twice."""
    names = [s.name for s in _load_all()]
    assert len(set(names)) == len(names)
    folder = files("taskyard.db") / "sql"
    written = {
        f"{entry.name[:-4]}.{line.removeprefix('-- name:').strip()}"
        for entry in folder.iterdir()
        for line in entry.read_text(encoding="utf-8").splitlines()
        if line.startswith("-- name:")
    }
    assert written == set(names)
