"""What a read cannot be cheaper than: its own statements, asked of asyncpg without anything around, and encoded."""

from urllib.parse import parse_qs
from uuid import UUID

import asyncpg
import msgspec

from taskyard.db.statements import BOUND, Statement
from taskyard.db.tasks import TaskFilter, TaskPath, narrowed
from taskyard.db.viewer import Viewer

LIMIT = 51
"""Tasks that a page of 50 is read with: one more tells whether there are others."""


class Floors:
    """The statements of GET of one task and of a list, on a pool of their own."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        self._one = _statement("tasks.get_asker_with_task")
        self._asker = _statement("askers.get_asker_as_system")
        self._list = _statement("tasks.list_tasks")

    async def one(self, key: str, query: bytes) -> bytes:
        """`task` of whoever has the key, by its id."""
        task = parse_qs(query.decode())["task"][0]
        path = TaskPath(owner="me", owner_id=None, task=task, task_id=UUID(task))
        values = {**msgspec.structs.asdict(path), "key_id": _key_id(key)}
        async with self._pool.acquire() as conn:
            row = await conn.fetchrow(self._one.sql, *_in_order(self._one, values))
        if row is None or row["task"] is None:
            raise RuntimeError(f"there is no task {task}")
        return msgspec.json.encode({**row, "task": msgspec.Raw(row["task"].encode())})

    async def list(self, key: str, query: bytes) -> bytes:
        """The newest tasks as an owner sees them: of `owner`, `organization` and `status` where they are given."""
        given = {name: values[0] for name, values in parse_qs(query.decode()).items()}
        only = msgspec.convert(given, TaskFilter)
        async with self._pool.acquire() as conn, conn.transaction():
            await conn.execute("set local plan_cache_mode = force_custom_plan")
            asker = await conn.fetchrow(self._asker.sql, _key_id(key))
            assert asker is not None
            viewer = Viewer(asker["user_id"], "owner" in asker["roles"], frozenset())
            values = {
                **msgspec.structs.asdict(narrowed(viewer, only)),
                **viewer.values(),
                "limit": LIMIT,
            }
            rows = await conn.fetch(self._list.sql, *_in_order(self._list, values))
        return msgspec.json.encode({"tasks": [dict(row) for row in rows], "count": len(rows)})


def _statement(name: str) -> Statement[object]:
    [found] = [one for one in BOUND if one.name == name]
    return found


def _in_order(statement: Statement[object], values: dict[str, object]) -> list[object]:
    return [values[name] for name in statement.parameters]


def _key_id(key: str) -> str:
    return key.partition("-")[0]
