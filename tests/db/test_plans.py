"""How Postgres finds tasks among 100,000: by indexes, whoever looks and whatever for."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import pytest

from bench.crowd import TASKS
from bench.seed import identify, seed
from taskyard.control.task_list import BATCH
from taskyard.db.pool import Database
from taskyard.db.statements import BOUND
from taskyard.db.tasks import TaskFilter, TaskPath, narrowed
from taskyard.db.viewer import Viewer
from taskyard.wire.enums import TaskStatus

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

pytestmark = [pytest.mark.anyio, pytest.mark.all_tier]

SMALL = {"templates", "organizations"}
"""Tables of some twenty rows, which are read as a whole for good reason."""

MEMBER = Viewer(identify("user7"), sees_all=False, admin_of=frozenset())
ADMIN = Viewer(identify("user7"), sees_all=False, admin_of=frozenset([identify("organization7")]))
OWNER = Viewer(identify("user0"), sees_all=True, admin_of=frozenset())

HIS = TaskFilter(owner_id=identify("user9"))
THERE = TaskFilter(organization_id=identify("organization3"))
PAUSED = TaskFilter(status=TaskStatus.PAUSED)
NOWHERE = TaskFilter(status=TaskStatus.UNKNOWN)

WHOLE: dict[str, tuple[Viewer, TaskFilter]] = {
    "a member, no query": (MEMBER, TaskFilter()),
    "a member, owner:me": (MEMBER, TaskFilter(owner_id=MEMBER.user_id)),
    "a member, somebody else": (MEMBER, HIS),
    "a member, a status": (MEMBER, PAUSED),
    "an organization admin, somebody": (ADMIN, HIS),
    "the owner, somebody": (OWNER, HIS),
    "the owner, somebody's of a status": (OWNER, msgspec.structs.replace(HIS, status="paused")),
}
"""Lists of 50 that are asked for as a whole, so in one batch."""

PAGES: dict[str, tuple[Viewer, TaskFilter]] = {
    **WHOLE,
    "an organization admin, no query": (ADMIN, TaskFilter()),
    "an organization admin, a status": (ADMIN, PAUSED),
    "the owner, no query": (OWNER, TaskFilter()),
    "the owner, an organization": (OWNER, THERE),
    "the owner, an organization's of a status": (
        OWNER,
        msgspec.structs.replace(THERE, status="active"),
    ),
    "the owner, a status": (OWNER, PAUSED),
    "the owner, a status of nobody": (OWNER, NOWHERE),
}
"""Lists by pages of 50."""

PATHS = {
    "an id": TaskPath(
        owner="me", owner_id=None, task=str(identify("task7")), task_id=identify("task7")
    ),
    "a name": TaskPath(owner="crowd-7", owner_id=None, task="crowd-7", task_id=None),
    "a user's id": TaskPath(
        owner=str(identify("user7")), owner_id=identify("user7"), task="crowd-7", task_id=None
    ),
}


@pytest.fixture
async def crowd(database: Database, database_url: str) -> Database:
    """A database with 100,000 tasks of 2,000 owners in 20 organizations."""
    await seed(database_url, TASKS)
    return database


async def test_lists_and_reads_use_indexes(crowd: Database) -> None:
    """No list of 50 tasks and no read of one goes through a big table from its beginning to its end."""
    wrong: list[str] = []
    async with crowd.connection() as conn:
        for limit, cases in ((BATCH, WHOLE), (51, PAGES)):
            for name, (viewer, only) in cases.items():
                values = msgspec.structs.asdict(narrowed(viewer, only)) | viewer.values()
                plan = await planned(conn, "tasks.list_tasks", values | {"limit": limit})
                wrong.extend(f"{name}, limit {limit}: {found}" for found in whole_reads(plan))
        after = narrowed(OWNER, TaskFilter(before_at=await middle(conn), before_id=UUID(int=0)))
        values = msgspec.structs.asdict(after) | OWNER.values()
        plan = await planned(conn, "tasks.list_tasks", values | {"limit": 51})
        wrong.extend(f"a page in the middle: {found}" for found in whole_reads(plan))
        one = {**MEMBER.values(), "task_id": identify("task7")}
        for generic in (False, True):
            for name, path in PATHS.items():
                values = msgspec.structs.asdict(path) | {"key_id": "0123456789"}
                plan = await planned(conn, "tasks.get_asker_with_task", values, generic=generic)
                wrong.extend(f"{name}, generic {generic}: {found}" for found in whole_reads(plan))
            plan = await planned(conn, "tasks.get_task", one, generic=generic)
            wrong.extend(f"get_task, generic {generic}: {found}" for found in whole_reads(plan))
            key = {"key_id": "0123456789"}
            plan = await planned(conn, "askers.get_asker_as_system", key, generic=generic)
            wrong.extend(f"the key, generic {generic}: {found}" for found in whole_reads(plan))
    assert wrong == []


async def planned(
    conn: "Connection", name: str, values: Mapping[str, object], *, generic: bool = False
) -> dict[str, Any]:
    """How a statement is run: for these values, or in the way that fits all, which Postgres settles on for reads."""
    [bound] = [b for b in BOUND if b.name == name]
    assert set(bound.parameters) == set(values)
    mode = "force_generic_plan" if generic else "force_custom_plan"
    literals = ", ".join(literal(values[parameter]) for parameter in bound.parameters)
    await conn.execute(f"set plan_cache_mode = {mode}; prepare look as {bound.sql}")
    raw = await conn.fetchval(f"explain (format json) execute look ({literals})")
    await conn.execute("deallocate look; reset plan_cache_mode")
    [explained] = json.loads(raw)
    plan: dict[str, Any] = explained["Plan"]
    return plan


def whole_reads(plan: dict[str, Any]) -> Iterator[str]:
    """The big tables that a plan reads as a whole."""
    if plan["Node Type"] == "Seq Scan" and plan["Relation Name"] not in SMALL:
        yield f"reads all of {plan['Relation Name']}"
    for part in plan.get("Plans", ()):
        yield from whole_reads(part)


def literal(value: object) -> str:
    """A value as it stands in SQL; those of these tests need no escape."""
    match value:
        case None:
            return "null"
        case list():
            return "'{" + ",".join(str(item) for item in value) + "}'"
        case _:
            return f"'{value}'"


async def middle(conn: "Connection") -> datetime:
    """When the task in the middle of the list was made."""
    found: datetime = await conn.fetchval(
        "select created_at from tasks where id = $1", identify(f"task{TASKS // 2}")
    )
    return found
