"""Migrations run while servers of the release before go on: they add, and take nothing away that those servers use."""

import re
from collections.abc import Iterator

import pytest

from taskyard.db.migrate import Migration, load_migrations

LANDED = 3
"""The migrations up to this one ran before there were several servers; a migration that ran is never changed."""

LARGE = frozenset(
    {
        "audit_logs",
        "provisioner_job_logs",
        "task_items",
        "workspace_agent_logs",
        "workspace_app_statuses",
    }
)
"""Tables that grow with every use. To index one keeps its writers waiting for as long as all its rows take to read."""

WORTH_IT = {
    "audit_logs_organization": "an audit that nobody reads is kept for a year; a million rows take two seconds",
    "audit_logs_request": "as above, and of few rows",
    "workspace_app_statuses_agent": "some twenty rows are kept of each app",
}
"""Indexes on such tables, and why their writers can wait: at most 60 s, which is what a statement of a migration has."""

ADDS = (
    r"create (unique )?index \w+ on \w+ ",
    r"create table \w+ ",
    r"create (or replace )?view \w+ as ",
    r"create (or replace )?function \w+ ?\(",
    r"create (constraint )?trigger \w+ ",
    r"insert into \w+ ",
    r"comment on ",
    r"alter table \w+ add column (?!.* not null(?!.* default ))(?!.* default (?!.* not null))",
    r"alter table \w+ add column .* not null default ",
    r"alter table \w+ alter column \w+ (set default|drop not null|set generated) ",
)
"""What a migration may do, as its statements begin once their white space is one space each."""

WIDER = re.compile(r"alter table (\w+) (drop|add) constraint (\w+) ?(.*)")
"""A constraint makes way for a wider one of its name, which is not checked against the rows that satisfied the other."""

FILLS = re.compile(r"update (\w+) ")
"""Rows get values in columns that are new."""

DOLLARS = re.compile(r"\$\$.*?\$\$", re.DOTALL)
COMMENT = re.compile(r"--[^\n]*")

NEW = [migration for migration in load_migrations() if migration.number > LANDED]


def statements(sql: str) -> Iterator[str]:
    """The statements of a file in lower case, without comments and bodies of functions, white space made one space."""
    plain = COMMENT.sub("", DOLLARS.sub("$$", sql))
    for statement in plain.split(";"):
        if text := " ".join(statement.lower().split()):
            yield f"{text} "


def is_safe(statement: str, before: list[str]) -> bool:
    """Whether servers of the release before go on beside a statement."""
    if found := WIDER.match(statement):
        table, verb, name, rest = found.groups()
        dropped = f"alter table {table} drop constraint {name} "
        return verb == "drop" or (dropped in before and rest.strip().endswith("not valid"))
    if found := FILLS.match(statement):
        return found[1] not in LARGE
    return any(re.match(adds, statement) for adds in ADDS)


@pytest.mark.parametrize("migration", NEW, ids=lambda migration: migration.name)
def test_a_migration_only_adds(migration: Migration) -> None:
    """Nothing is dropped, renamed, changed in its type, or asked of writers that know nothing of it."""
    before: list[str] = []
    for statement in statements(migration.sql):
        assert is_safe(statement, before), f"{migration.name}: {statement}"
        before.append(statement)
    for dropped in (WIDER.match(statement) for statement in before):
        if dropped and dropped[2] == "drop":
            again = f"alter table {dropped[1]} add constraint {dropped[3]} "
            assert any(statement.startswith(again) for statement in before), dropped[0]


@pytest.mark.parametrize("migration", NEW, ids=lambda migration: migration.name)
def test_writers_do_not_wait_long(migration: Migration) -> None:
    """An index on a table that is large where much is done has a reason here."""
    for statement in statements(migration.sql):
        found = re.match(r"create (?:unique )?index (\w+) on (\w+) ", statement)
        assert not found or found[2] not in LARGE or found[1] in WORTH_IT, statement


@pytest.mark.parametrize(
    "bad",
    [
        "drop table tasks",
        "alter table tasks drop column input",
        "alter table tasks rename column input to text",
        "alter table tasks alter column name type varchar(20)",
        "alter table tasks alter column input set not null",
        "alter table tasks add column extra text not null",
        "alter table tasks add constraint more check (name <> '')",
        "create or replace view x as select 1; drop view x",
        "update task_items set turn = 1",
        "truncate tasks",
        "lock table tasks",
        "delete from tasks",
    ],
)
def test_what_is_not_safe(bad: str) -> None:
    """The rule finds what it is for."""
    assert not all(is_safe(statement, []) for statement in statements(bad))


@pytest.mark.parametrize(
    "good",
    [
        "alter table tasks add column extra text",
        "alter table tasks add column extra integer not null default 0 check (extra >= 0)",
        "alter table tasks alter column extra set default 1",
    ],
)
def test_what_is_safe(good: str) -> None:
    """The rule lets through what adds."""
    assert all(is_safe(statement, []) for statement in statements(good))
