"""Tasks that are made, work and are deleted leave nothing behind: not on the machine, not in the server, not in the tables."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from uuid import UUID

import pytest

from taskyard.sdk import ApiError, Client
from taskyard.wire.enums import TaskStatus
from taskyard.wire.tasks import CreateTaskRequest
from tests.system.kit import LASTING, World, open_folder, processes_of, pushed, serving
from tests.waiting import until

pytestmark = pytest.mark.all_tier

ECHO_CYCLES = int(os.environ.get("TASKYARD_SOAK_ECHO_CYCLES", "20"))
SANDBOX_CYCLES = int(os.environ.get("TASKYARD_SOAK_SANDBOX_CYCLES", "4"))
"""Tasks that are made, work and are deleted; a soak has 1,000 and 100."""

AT_ONCE = 4
"""Clients beside each other."""

WARM_UP = 8
"""Tasks before the first look: pools fill, modules are loaded, caches get their size."""

ECHO = {
    "taskyard.toml": '[task]\napp = "agent"\n[agent]\ntype = "shell"\n[workspace]\ndriver = "echo"\n',
    "echo.json": '{"ensure": [{"log": "made"}], "agent": {}}',
}
"""A template whose workspaces are scripts."""

GROWN_FROM_START = 1.5
"""How much larger than after the warm-up a server may be at the end, whatever the number of tasks: leaks of a soak are
more, and the figure that is printed tells of less."""

CONNECTIONS = 12
"""To Postgres that a server may have: ten in the pool, one that listens, one that rings. More of them count."""

THREADS = 16
"""That a server may have for what blocks: pools that grow up to their sizes. More of them count."""

LIVE = {
    "tasks": "select count(*) from tasks where deleted_at is null",
    "workspaces": "select count(*) from workspaces where not deleted",
    "agents": "select count(*) from workspace_agents where lifecycle <> 'off' or server_id is not null",
    "jobs": "select count(*) from provisioner_jobs where completed_at is null",
    "builds": "select count(*) from workspace_builds where not settled",
    "prompts": "select count(*) from task_prompts p join tasks t on t.id = p.task_id"
    " where p.state in ('waiting', 'sending') and t.deleted_at is null",
}
"""Rows of things that are alive."""


@dataclass(frozen=True)
class Look:
    """What there is of a server at rest."""

    processes: int
    descriptors: int
    threads: int
    folders: int
    cgroups: int
    connections: int
    rows: int
    rss_kb: int

    def more_than(self, before: "Look") -> dict[str, tuple[int, int]]:
        """What there is more of than before, memory apart."""
        names = [field.name for field in fields(self) if field.name != "rss_kb"]
        pairs = {name: (getattr(before, name), getattr(self, name)) for name in names}
        return {name: pair for name, pair in pairs.items() if pair[1] > pair[0]}


def look(world: World) -> Look:
    """The server as it is now."""
    data, pid = world.server.data_dir, world.server.process.pid
    status = Path(f"/proc/{pid}/status").read_text()
    facts = dict(line.split(":", 1) for line in status.splitlines())
    rows = asyncio.run(_rows(world))
    return Look(
        # Postgres starts and ends workers of its own as it likes; its connections are counted below.
        processes=sum("postgres" not in line for line in processes_of(data).values()),
        # Without those of connections to Postgres: their pool grows up to its size, when it likes.
        descriptors=len(list(Path(f"/proc/{pid}/fd").iterdir())) - rows["connections"],
        threads=max(0, int(facts["Threads"]) - THREADS),
        folders=len(_entries(data / "workspaces")) + len(_entries(data / "echo")),
        cgroups=_groups(pid),
        connections=max(0, rows.pop("connections") - CONNECTIONS),
        rows=sum(rows.values()),
        rss_kb=int(facts["VmRSS"].split()[0]),
    )


def _groups(pid: int) -> int:
    """Control groups that bear the server's number."""
    # Not by a glob, which fails where others take their groups away meanwhile.
    names = (Path(path).name for path, _, _ in os.walk("/sys/fs/cgroup"))
    return sum(name.startswith("taskyard") and str(pid) in name for name in names)


def _entries(root: Path) -> list[str]:
    """Workspaces, their locks and their user ids."""
    if not root.exists():
        return []
    hidden = [path for path in root.iterdir() if path.name.startswith(".") and path.is_dir()]
    found = [path for folder in (root, *hidden) for path in folder.iterdir()]
    return sorted(str(path.relative_to(root)) for path in found if path not in hidden)


async def _rows(world: World) -> dict[str, int]:
    found = {name: (await world.query(query))[0][0] for name, query in LIVE.items()}
    query = "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
    return found | {"connections": (await world.query(query))[0][0]}


def live(world: World, version_id: UUID, count: int, says: str | None) -> None:
    """So many tasks are made, work, and are deleted, some beside each other."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda number: _one(world, version_id, number, says), range(count)))


def _one(world: World, version_id: UUID, number: int, says: str | None) -> None:
    with Client(world.server.url, world._token) as client:
        text = f"echo {says or 'nothing'} {number}"
        task = client.create_task(
            "me", CreateTaskRequest(template_version_id=version_id, input=text)
        )
        if says is None:
            assert task.workspace_id is not None
            workspace_id = task.workspace_id
            until("a start", lambda: _started(client, workspace_id))
        else:
            until("an active task", lambda: _is_active(client, task.id))
            until("its work", lambda: _said(client, task.id, f"{says} {number}\n"))

        def deleted() -> bool | None:
            try:
                client.delete_task("me", task.id)
            except ApiError as error:
                return True if error.status == 404 else None
            return None

        until("a deleted task", deleted)


def _started(client: Client, workspace_id: UUID) -> bool | None:
    return client.get_workspace(workspace_id).latest_build.status == "running" or None


def _is_active(client: Client, task_id: UUID) -> bool | None:
    return client.get_task("me", task_id).status is TaskStatus.ACTIVE or None


def _said(client: Client, task_id: UUID, wanted: str) -> bool | None:
    try:
        logs = client.get_task_logs("me", task_id).logs
    except ApiError:
        return None
    return any(wanted in entry.content for entry in logs) or None


@pytest.mark.parametrize(("kind", "cycles"), [("echo", ECHO_CYCLES), ("sandbox", SANDBOX_CYCLES)])
def test_nothing_is_left(
    kind: str, cycles: int, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    """After so many tasks there is no more of anything than after the first few; memory is flat."""
    with (
        open_folder() as home,
        serving(
            home / "data", tmp_path / "server.log", LASTING | {"TASKYARD_MAX_RUNNING": "50"}
        ) as world,
    ):
        says = None if kind == "echo" else "said"
        version = pushed(world, "scripted", ECHO).id if kind == "echo" else world.version_id
        live(world, version, min(WARM_UP, cycles), says)
        until("the first tasks to be gone", lambda: _at_rest(world))
        before = look(world)
        live(world, version, cycles, says)
        until("all tasks to be gone", lambda: _at_rest(world))
        more: dict[str, tuple[int, int]] = {}

        def no_more() -> bool | None:
            nonlocal more
            more = look(world).more_than(before)
            return not more or None

        try:
            until("everything to be as before", no_more, within_s=30)
        except AssertionError:
            files = _entries(world.server.data_dir / "workspaces")
            pytest.fail(f"left behind after {cycles} tasks (before, after): {more}; {files}")
        after = look(world)
        each = (after.rss_kb - before.rss_kb) / cycles
        figure(
            f"{kind}: {cycles} tasks made and deleted; server {before.rss_kb // 1024} MB before, "
            f"{after.rss_kb // 1024} MB after, {each:+.1f} KB a task"
        )
        assert after.rss_kb < before.rss_kb * GROWN_FROM_START


def _at_rest(world: World) -> bool | None:
    return (
        sum(n for name, n in asyncio.run(_rows(world)).items() if name != "connections") == 0
        or None
    )
