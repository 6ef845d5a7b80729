"""What the reaper removes, what it never does, and that nobody waits for it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskyard.control.meters import Meters
from taskyard.control.reaper import BATCH, Reaper
from taskyard.control.services import Services
from taskyard.db import retention
from tests.api.conftest import serving
from tests.api.seed import Api, Json, SeededTemplate, connected

pytestmark = pytest.mark.anyio

LATER = timedelta(days=400)
"""How much later the reaper comes: all that is there is old then, by every setting."""

HANDLED = {
    *("tasks", "task_items", "task_prompts", "workspace_app_statuses", "workspace_agents"),
    *("workspace_resources", "workspace_builds", "provisioner_jobs", "workspaces"),
}
"""Tables of which the reaper removes rows by itself, before those that they refer to."""

REMOVED = HANDLED | {"workspace_apps", "files", "workspace_agent_log_sources"}
"""Tables whose rows go, by themselves or with others."""

LAST = {
    "template_versions": "of a file's or an import's job: the reaper leaves jobs of imports alone"
}
"""Tables that keep what they refer to."""


@pytest.fixture
async def api(services: Services) -> AsyncIterator[Api]:
    """A server whose owner's key lasts."""
    async with serving(services) as url, connected(services, url) as connection:
        await connection.execute("update api_keys set expires_at = $1", connection.now + 9 * LATER)
        yield connection


class Counting(Meters):
    """Keeps what is counted."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def reaped(self, kind: str, count: int) -> None:
        """Adds it."""
        self.counts[kind] = self.counts.get(kind, 0) + count


@dataclass(frozen=True)
class Wish:
    """A task of a made world: how often it was paused and resumed, and whether it is deleted, or was lately."""

    restarts: int
    deleted: bool
    lately: bool


WISHES = st.lists(
    st.builds(Wish, st.integers(0, 2), st.booleans(), st.booleans()), min_size=1, max_size=3
)


@settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(wishes=WISHES)
async def test_what_live_tasks_show_stays_and_old_deleted_ones_leave_nothing(
    api: Api, wishes: list[Wish]
) -> None:
    """Whatever tasks there are: each live one answers all its routes as before; one deleted long ago has no row left."""
    template = await api.template(f"t-{uuid4().hex[:8]}")
    tasks = [(wish, await made(api, template, wish)) for wish in wishes]
    live = [task for wish, task in tasks if not wish.deleted]
    before = {task["id"]: await shown(api, task) for task in live}
    kept = {
        task["id"]: await rows(api, task) for wish, task in tasks if wish.deleted and wish.lately
    }
    await Reaper(api.services).reap(api.now + LATER)
    assert {task["id"]: await shown(api, task) for task in live} == before
    for wish, task in tasks:
        if wish.deleted and not wish.lately:
            assert set((await rows(api, task)).values()) == {0}
        elif wish.deleted:
            now_has = await rows(api, task)
            assert now_has == {**kept[task["id"]], **dict.fromkeys(EARLIER, 0)}


EARLIER = ("provisioner_job_logs", "workspace_agent_logs", "task_events")
"""What goes earlier than the task it is of, by settings of its own."""


async def made(api: Api, template: SeededTemplate, wish: Wish) -> Json:
    """A task with something of everything that tasks have."""
    task = await api.task(template)
    workspace_id = task["workspace_id"]
    for number in range(wish.restarts + 1):
        if number:
            await api.post(f"/api/v2/tasks/me/{task['id']}/pause")
            await api.succeed(workspace_id)
            await api.post(f"/api/v2/tasks/me/{task['id']}/resume")
        agent_id = await api.start(workspace_id, "ready", "healthy")
        await filled(api, task, agent_id, number)
    await api.snapshot(task, {"messages": []})
    if wish.deleted:
        assert (await api.call("DELETE", f"/api/v2/tasks/me/{task['id']}")).status_code == 202
        await api.succeed(workspace_id)
        at = api.now + LATER if wish.lately else api.now
        await api.execute("update tasks set deleted_at = $2 where id = $1", UUID(task["id"]), at)
        await api.execute(
            "update workspaces set deleted = true, updated_at = $2 where id = $1",
            UUID(workspace_id),
            at,
        )
    return task


async def filled(api: Api, task: Json, agent_id: UUID, number: int) -> None:
    """Logs, items, a prompt, a report and a permission of one start."""
    task_id, workspace_id = UUID(task["id"]), UUID(task["workspace_id"])
    await api.report(task, "working")
    await api.execute(
        "insert into provisioner_job_logs (job_id, created_at, source, level, stage, output)"
        " select id, now(), 'provisioner', 'info', 's', 'line' from provisioner_jobs where workspace_id = $1",
        workspace_id,
    )
    await api.execute(
        "insert into workspace_agent_log_sources values ($1, $2, '', '', now())", agent_id, agent_id
    )
    await api.execute(
        "insert into workspace_agent_logs (agent_id, source_id, level, output, created_at)"
        " select $1, $1, 'info', 'said', now() - interval '9000 days' from generate_series(1, 3)",
        agent_id,
    )
    for _ in range(3):
        await api.execute(
            "with n as (update tasks set last_number = last_number + 1 where id = $1 returning last_number)"
            " insert into task_items (task_id, number, kind, turn, data, time, stored_at)"
            " select $1, last_number, 'text', 0, '{\"text\": \"hello\"}', now(), now() from n",
            task_id,
        )
    await api.execute(
        "insert into task_prompts (id, task_id, source, workspace_build_id, content, state, created_at, sent_at,"
        " settled_at) select gen_random_uuid(), $1, 'input', b.id, 'do it', 'delivered', now(), now(), now()"
        " from workspace_builds b where b.workspace_id = $2 and b.agent_id = $3 on conflict do nothing",
        task_id,
        workspace_id,
        agent_id,
    )
    await api.execute(
        "insert into task_permissions (task_id, number, id, generation, title, options, asked_at)"
        " values ($1, $2, 'p', 1, 'Run make', '[]', now())",
        task_id,
        number + 1,
    )


async def shown(api: Api, task: Json) -> list[object]:
    """What a person sees of a task, of its workspace and of the newest build, but for what a clock changes."""
    ws, me = f"/api/v2/workspaces/{task['workspace_id']}", f"/api/v2/tasks/me/{task['id']}"
    builds = (await api.get(f"{ws}/builds")).json()
    newest = builds[0]["id"]
    agent = builds[0]["resources"][0]["agents"][0]["id"]
    paths = [
        *(me, f"{me}/permissions?all=true", f"{me}/transcript", ws, f"{ws}/builds"),
        *(f"/api/v2/workspacebuilds/{newest}/logs", f"/api/v2/workspaceagents/{agent}/logs"),
        *(f"/api/v2/workspacebuilds/{one['id']}/parameters" for one in builds),
    ]
    answers = [await api.get(path) for path in paths]
    assert {answer.status_code for answer in answers} == {200}
    assert answers[5].json()
    assert answers[6].json()
    return [answer.json() for answer in answers]


async def rows(api: Api, task: Json) -> dict[str, int]:
    """How many rows each table has of a task and its workspace."""
    of_task = ("task_items", "task_prompts", "task_permissions", "task_snapshots", "task_events")
    of_workspace = (
        *("workspace_builds", "workspace_agents", "provisioner_jobs", "workspace_app_statuses"),
    )
    counts = {
        table: await api.value(f"select count(*) from {table} where task_id = $1", UUID(task["id"]))
        for table in of_task
    }
    counts |= {
        table: await api.value(
            f"select count(*) from {table} where workspace_id = $1", UUID(task["workspace_id"])
        )
        for table in of_workspace
    }
    counts["tasks"] = await api.value("select count(*) from tasks where id = $1", UUID(task["id"]))
    counts["workspaces"] = await api.value(
        "select count(*) from workspaces where id = $1", UUID(task["workspace_id"])
    )
    counts["provisioner_job_logs"] = await api.value(
        "select count(*) from provisioner_job_logs l join provisioner_jobs j on j.id = l.job_id"
        " where j.workspace_id = $1",
        UUID(task["workspace_id"]),
    )
    counts["workspace_agent_logs"] = await api.value(
        "select count(*) from workspace_agent_logs l join workspace_agents a on a.id = l.agent_id"
        " where a.workspace_id = $1",
        UUID(task["workspace_id"]),
    )
    return counts


async def test_no_table_keeps_the_reaper_from_its_work(api: Api) -> None:
    """Each foreign key to what is removed goes with it, or its table is one that the reaper empties first."""
    async with api.services.db.connection() as conn:
        keys = await conn.fetch(
            "select conrelid::regclass::text as child, confrelid::regclass::text as parent"
            " from pg_constraint where contype = 'f' and confdeltype = 'a'"
        )
    hindering = {
        (key["child"], key["parent"])
        for key in keys
        if key["parent"] in REMOVED and key["child"] not in HANDLED | LAST.keys()
    }
    # Of a workspace's builds, which are removed before it, and go with them.
    assert hindering <= {
        ("workspace_build_phases", "workspaces"),
        ("workspace_agent_logs", "workspace_agent_log_sources"),
    }


async def test_old_things_that_nothing_uses_go(api: Api) -> None:
    """Keys of requests, expired keys, the audit, archives; what is younger, or used by a version, stays."""
    await api.template()
    await api.person("eve")
    used = await api.value("select count(*) from files")
    await api.execute(
        "insert into files (id, sha256, created_by, mimetype, data, created_at)"
        " values (gen_random_uuid(), sha256('x'), $1, 'application/x-tar', 'x', now())",
        api.owner.id,
    )
    await api.call(
        "POST",
        "/api/v2/users/me/keys/tokens",
        {"token_name": "n"},
        headers={"Idempotency-Key": "k"},
    )
    tables = ("idempotency_keys", "audit_logs", "files", "api_keys")

    async def counts() -> list[int]:
        return [await api.value(f"select count(*) from {table}") for table in tables]

    await Reaper(api.services).reap(api.now + timedelta(hours=23))
    assert await counts() == [1, 1, used + 1, 3]
    meters = Counting()
    gone = await Reaper(replace(api.services, meters=meters)).reap(api.now + LATER)
    assert await counts() == [0, 0, used, 1]
    assert (
        gone == meters.counts == {"idempotency_keys": 1, "audit_logs": 1, "files": 1, "api_keys": 2}
    )


async def test_forever_is_for_ever(api: Api) -> None:
    """What is to be kept for ever is there after a hundred years."""
    await api.post("/api/v2/users/me/keys/tokens", {"token_name": "n"})
    kept = msgspec.structs.replace(
        api.services.settings, keep_audit="forever", keep_expired_keys="forever"
    )
    await Reaper(replace(api.services, settings=kept)).reap(api.now + timedelta(days=36500))
    assert await api.value("select count(*) from audit_logs") == 1


async def test_events_go_but_for_the_newest_of_a_live_task(api: Api) -> None:
    """Those who follow a task begin with it; how far events were removed is kept for those who come back."""
    template = await api.template()
    task = await api.task(template)
    await api.start(task["workspace_id"], "ready", "healthy")
    last = await api.value("select max(id) from task_events")
    assert await api.value("select count(*) from task_events") > 1
    await Reaper(api.services).reap(api.now + LATER)
    assert await api.value("select array_agg(id) from task_events") == [last]
    assert 0 < await api.value("select after from task_events_kept") < last


async def test_one_server_at_a_time_and_once_a_turn(api: Api) -> None:
    """Of three reapers that start together one works; while a transaction removes, another removes nothing."""
    await api.execute(
        "insert into audit_logs (id, at, username, action, resource_type, resource_id, resource_name, succeeded,"
        " changes) select gen_random_uuid(), now() - interval '900 days', '', 'write', 'task', '', '', true, '{}'"
        " from generate_series(1, $1::int)",
        BATCH + 1,
    )
    due = [await Reaper(api.services)._is_due() for _ in range(3)]
    assert due == [True, False, False]
    async with api.services.db.transaction() as other:
        assert await retention.hold_reaping_as_system(other)
        assert not await Reaper(api.services).reap(api.now)
    assert await Reaper(api.services).reap(api.now) == {"audit_logs": BATCH + 1}


async def test_nobody_waits_for_the_reaper(api: Api) -> None:
    """A row that somebody holds is left to the next time, and whoever holds it is not kept from going on."""
    template = await api.template()
    task = await made(api, template, Wish(0, deleted=True, lately=False))
    async with api.services.db.transaction() as held:
        await held.execute("select from tasks where id = $1 for update", UUID(task["id"]))
        gone = await Reaper(api.services).reap(api.now + LATER)
        assert "workspaces" not in gone
    assert (await Reaper(api.services).reap(api.now + LATER))["workspaces"] == 1


async def test_no_kind_starves_another(api: Api) -> None:
    """With a share of no time each kind has its turn; a scan goes on where it got to, and begins again at the end."""
    template = await api.template()
    task = await api.task(template)
    await api.start(task["workspace_id"], "ready", "healthy")
    await api.execute(
        "insert into provisioner_job_logs (job_id, created_at, source, level, stage, output)"
        " select j.id, now(), 'provisioner', 'info', 's', 'stays' from provisioner_jobs j, generate_series(1, $2)"
        " where workspace_id = $1",
        UUID(task["workspace_id"]),
        2 * BATCH,
    )
    reaper = Reaper(api.services, share_s=0.001)
    assert not (await reaper.reap(api.now + LATER))["job_logs"]
    assert await api.value("select count(*) from provisioner_job_logs where output = 'stays'")
    reaper._reached["job_logs"] = await api.value("select max(id) from provisioner_job_logs")
    at = api.now + 2 * LATER
    await api.execute("update workspaces set deleted = true, updated_at = $1", at)
    assert not (await reaper.reap(api.now + LATER))["job_logs"]
    assert (await reaper.reap(api.now + LATER))["job_logs"] >= 2 * BATCH


async def test_what_fails_holds_up_nothing_else(api: Api) -> None:
    """A workspace, or a whole kind, that the database refuses to remove is left; all others go."""
    template = await api.template()
    tasks = [await made(api, template, Wish(0, deleted=True, lately=False)) for _ in range(3)]
    await api.execute(
        "create function refuse() returns trigger language plpgsql as $$ begin"
        " raise exception 'too much' using errcode = 'query_canceled'; end $$"
    )
    await api.execute(
        "create trigger refused before delete on workspaces for each row"
        f" when (old.id = '{tasks[0]['workspace_id']}') execute function refuse()"
    )
    await api.execute(
        "create trigger refused before delete on task_events for each row execute function refuse()"
    )
    await api.post("/api/v2/users/me/keys/tokens", {"token_name": "n"})
    reaper = Reaper(api.services)
    gone = await reaper.reap(api.now + LATER)
    assert (gone["workspaces"], gone["audit_logs"] > 0) == (2, True)
    await api.execute("drop trigger refused on workspaces")
    assert (await reaper.reap(api.now + LATER))["workspaces"] == 1


async def test_it_runs_by_itself(api: Api) -> None:
    """A pass is made when the loop starts, without being asked."""
    await api.execute(
        "insert into api_keys select left(md5(id), 10), user_id, secret_hash, login_type, scope, 'old', lifetime_s,"
        " last_used_at, now() - interval '99 days', created_at, updated_at from api_keys"
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(Reaper(api.services).run())
        async with asyncio.timeout(10):
            while await api.value("select count(*) from api_keys where token_name = 'old'"):
                await asyncio.sleep(0.01)
        running.cancel()
