"""A small world for the tests of workers and the reconciler: one user, one template, the echo driver."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from uuid import UUID, uuid4

import msgspec

from taskyard.control.build_run import run_build, run_repair
from taskyard.control.builds import insert_build
from taskyard.control.services import Services
from taskyard.control.worker import Executor, Worker
from taskyard.db import builds, jobs
from taskyard.db.builds import BuildRow
from taskyard.db.jobs import JobKind, JobLogRow
from taskyard.db.pool import ring
from taskyard.drivers.base import Driver
from taskyard.drivers.echo.driver import EchoDriver
from taskyard.lifecycle.template_model import (
    Agent,
    AgentType,
    App,
    DriverName,
    HealthCheck,
    Permissions,
    Scripts,
    Share,
    Template,
    Transport,
    Workspace,
)
from taskyard.wire.enums import BuildReason, Transition
from tests.archives import tar_of

T = TypeVar("T")

EXECUTORS: dict[str, Executor] = {JobKind.BUILD: run_build, JobKind.REPAIR: run_repair}


def template_tar(script: Mapping[str, object]) -> bytes:
    """A template's files with this echo.json."""
    return tar_of({"echo.json": json.dumps(script)})


TEMPLATE = Template(
    display_name="",
    description="",
    icon="",
    tags={},
    task_app="agent",
    agent=None,
    workspace=Workspace(
        driver=DriverName.ECHO,
        cpu=None,
        memory_bytes=None,
        processes=None,
        disk_bytes=None,
        ttl_s=None,
        env={},
        egress=[],
    ),
    scripts=Scripts(start=None, stop=None),
    parameters=[],
    presets=[],
    apps=[
        App("web", "", "", "http://127.0.0.1:8000", None, None, Share.OWNER),
        App(
            "agent",
            "Agent",
            "",
            "http://127.0.0.1:3284",
            None,
            HealthCheck("http://127.0.0.1:3284/status", 1, 30),
            Share.OWNER,
        ),
    ],
    warnings=[],
)

BRIDGED = msgspec.structs.replace(
    TEMPLATE,
    agent=Agent(AgentType.SHELL, Transport.ACP, ["sh"], Permissions.ALLOW),
)
"""The same with a coding agent that our bridge runs."""


@dataclass(frozen=True)
class Place:
    """A workspace of the world, with its task."""

    id: UUID
    task_id: UUID


class World:
    """A user with a template, whose workspaces are scripts of the echo driver."""

    def __init__(self, services: Services, folder: Path) -> None:
        self.services = services
        self.folder = folder
        self.driver = EchoDriver(folder)
        self.drivers: dict[str, Driver] = {"echo": self.driver}
        self.organization_id, self.user_id = uuid4(), uuid4()
        self._count = 0

    @property
    def now(self) -> datetime:
        return self.services.now()

    def tuned(self, **settings: object) -> "World":
        """The same world with other settings."""
        changed = msgspec.structs.replace(self.services.settings, **settings)
        self.services = replace(self.services, settings=changed)
        return self

    def worker(
        self, executors: dict[str, Executor] | None = None, worker_id: UUID | None = None
    ) -> Worker:
        chosen = executors or EXECUTORS
        return Worker(self.services, self.drivers, chosen, "test", worker_id=worker_id)

    async def found(self) -> None:
        async with self.services.db.transaction() as conn:
            await conn.execute(
                "insert into organizations values ($1, 'main', '', '', '', true, $2, $2)",
                self.organization_id,
                self.now,
            )
            await conn.execute(
                "insert into users (id, username, email, name, avatar_url, login_type, status, roles,"
                " created_at, updated_at, last_seen_at)"
                " values ($1, 'ann', 'ann@example.com', '', '', 'none', 'active', '{}', $2, $2, $2)",
                self.user_id,
                self.now,
            )

    async def version(
        self, script: Mapping[str, object], template: Template = TEMPLATE
    ) -> tuple[UUID, UUID]:
        """A template with one version that plays this script: their ids."""
        self._count += 1
        template_id, version_id, job_id, file_id = uuid4(), uuid4(), uuid4(), uuid4()
        async with self.services.db.transaction() as conn:
            data = template_tar(script) + bytes(self._count)
            await conn.execute(
                "insert into files values ($1, sha256($2), $3, 'application/x-tar', $2, $4)",
                file_id,
                data,
                self.user_id,
                self.now,
            )
            await conn.execute(
                "insert into provisioner_jobs (id, type, organization_id, initiator_id, file_id,"
                " template_version_id, tags, run_at, created_at, updated_at, completed_at)"
                " values ($1, 'template_version_import', $2, $3, $4, $5, $7, $6, $6, $6, $6)",
                job_id,
                self.organization_id,
                self.user_id,
                file_id,
                version_id,
                self.now,
                b"{}",
            )
            await conn.execute(
                "insert into templates values ($1, $2, $3, '', '', '', 'echo', $4, 0, 0, 0, 0, 0,"
                " true, true, true, false, '', false, $5, $6, $6)",
                template_id,
                self.organization_id,
                f"t{self._count}",
                version_id,
                self.user_id,
                self.now,
            )
            await conn.execute(
                "insert into template_versions values ($1, $2, $3, 'v1', '', '', $4, $5, true, false,"
                " $6, $7, $7)",
                version_id,
                template_id,
                self.organization_id,
                job_id,
                msgspec.json.encode(template),
                self.user_id,
                self.now,
            )
        return template_id, version_id

    async def workspace(
        self,
        script: Mapping[str, object],
        *,
        template: Template = TEMPLATE,
        ttl_ms: int | None = None,
    ) -> Place:
        """A workspace with a task, whose first start is pending."""
        template_id, version_id = await self.version(script, template)
        place = Place(uuid4(), uuid4())
        async with self.services.db.transaction() as conn:
            await conn.execute(
                "insert into workspaces (id, owner_id, organization_id, template_id, name, ttl_ms,"
                " created_at, updated_at, last_used_at) values ($1, $2, $3, $4, $5, $6, $7, $7, $7)",
                place.id,
                self.user_id,
                self.organization_id,
                template_id,
                f"w{self._count}",
                ttl_ms,
                self.now,
            )
            await conn.execute(
                "insert into tasks (id, organization_id, owner_id, name, display_name, workspace_id,"
                " template_version_id, input, created_at) values ($1, $2, $3, $4, '', $5, $6, 'go', $7)",
                place.task_id,
                self.organization_id,
                self.user_id,
                f"w{self._count}",
                place.id,
                version_id,
                self.now,
            )
            await insert_build(
                conn,
                workspace=place,
                transition=Transition.START,
                reason=BuildReason.INITIATOR,
                initiator_id=self.user_id,
                template_version_id=version_id,
                preset_id=None,
                parameters={"colour": "red"},
                now=self.now,
            )
        return place

    async def build(self, place: Place, transition: Transition, *, force: bool = False) -> BuildRow:
        """One more build of a workspace."""
        newest = await self.newest(place)
        async with self.services.db.transaction() as conn:
            return await insert_build(
                conn,
                workspace=place,
                transition=transition,
                reason=BuildReason.INITIATOR,
                initiator_id=self.user_id,
                template_version_id=newest.template_version_id,
                preset_id=None,
                parameters=None,
                force=force,
                now=self.now,
            )

    async def newest(self, place: Place) -> BuildRow:
        async with self.services.db.connection() as conn:
            build = await builds.get_newest_build(conn, place.id)
        assert build is not None
        return build

    async def settled(self, place: Place) -> BuildRow:
        """The newest build, once its job is over."""

        async def over() -> BuildRow | None:
            build = await self.newest(place)
            return build if build.job_completed_at is not None else None

        return await eventually(over)

    async def say(self, place: Place, text: str) -> None:
        """An item of the task's transcript: the coding agent said this."""
        await self.execute(
            "with t as (update tasks set last_number = last_number + 1 where id = $1 returning last_number)"
            " insert into task_items (task_id, number, seq, generation, kind, turn, data, time, stored_at)"
            " select $1, t.last_number, 1, 1, 'agent_message', 1, $2, $3, $3 from t",
            place.task_id,
            msgspec.json.encode({"message_id": 1, "text": text}),
            self.now,
        )

    async def begun(self, place: Place) -> None:
        """Returns once the driver has begun with the workspace."""

        async def known() -> bool | None:
            return (await self.driver.observe(place.id)).generation > 0 or None

        await eventually(known)

    async def idle(self) -> None:
        """Returns once somebody listens for jobs and none is being worked on or about to be."""

        async def quiet() -> bool | None:
            listening = await self.value(
                "select count(*) from pg_stat_activity where datname = current_database()"
                " and query like 'LISTEN%'"
            )
            leased = await self.value(
                "select count(*) from provisioner_jobs where completed_at is null and worker_id is not null"
            )
            return (listening, leased) == (1, 0) or None

        await eventually(quiet)

    async def hurry(self) -> None:
        """Lets every job that waits for its next try be tried at once, again and again."""
        await hurried(self.services)

    async def logs(self, build: BuildRow) -> list[JobLogRow]:
        async with self.services.db.connection() as conn:
            return await jobs.list_job_logs(conn, build.job_id, 0)

    async def value(self, sql: str, *arguments: object) -> object:
        async with self.services.db.connection() as conn:
            value: object = await conn.fetchval(sql, *arguments)
        return value

    async def execute(self, sql: str, *arguments: object) -> None:
        async with self.services.db.connection() as conn:
            await conn.execute(sql, *arguments)

    @asynccontextmanager
    async def working(self, *workers: Worker) -> AsyncIterator[None]:
        """Workers at work, the doorbell wired, until the block ends; one plain worker by default."""
        chosen = workers or (self.worker(),)
        async with background(self.services.doorbell.run(), *(w.run() for w in chosen)):
            yield


async def hurried(services: Services) -> None:
    """Lets every job that waits for its next try be tried at once, again and again."""
    while True:
        async with services.db.connection() as conn:
            await conn.execute(
                "update provisioner_jobs set run_at = created_at, lease_expires_at = created_at"
                " where completed_at is null and lease_expires_at <= run_at"
            )
            await ring(conn, jobs.JOBS)
        await asyncio.sleep(0.02)


@asynccontextmanager
async def background(*work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Runs coroutines beside the block and cancels them after it."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in work]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def eventually(check: Callable[[], Awaitable[T | None]], timeout_s: float = 60) -> T:
    """What check returns once that is not None."""
    async with asyncio.timeout(timeout_s):
        while (found := await check()) is None:
            await asyncio.sleep(0.005)
    return found
