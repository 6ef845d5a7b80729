"""A server under test and what tests put into it: people, templates, and builds in any state."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import cycle
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import httpx2
import msgspec

from taskyard.control import keys
from taskyard.control.services import Services
from taskyard.db import builds, identity, jobs
from taskyard.db.builds import BuildRow
from taskyard.lifecycle.template import parse_template
from taskyard.wire.base import ZERO_TIME
from taskyard.wire.enums import LoginType, UserStatus
from taskyard.wire.routes import ROUTES, TASKS_ALIAS, TASKS_PREFIX
from tests.contract.shapes import CheckedClient
from tests.waiting import DEADLINE_S

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

Json = Any
"""A parsed body: tests look into it key by key."""

UNKNOWN = "11111111-2222-4333-8444-555555555555"
"""An id that nothing has."""

NIL = "00000000-0000-0000-0000-000000000000"


def behind_task(path: str) -> str:
    """What stands behind a task in a path, empty for nothing."""
    return "".join(path.partition("?")[0].split("/")[6:7])


OWN = frozenset((route.method, behind_task(route.path)) for route in ROUTES if route.own)
"""What only our servers do with a task."""

TOML = """
[template]
display_name = "Shell"

[task]
app = "agent"

[agent]
type = "shell"
"""
"""The smallest template that runs tasks."""


@dataclass(frozen=True, slots=True)
class Person:
    """A user with a token."""

    id: UUID
    username: str
    token: str


@dataclass(frozen=True, slots=True)
class SeededTemplate:
    """A template with one version that was imported."""

    id: UUID
    name: str
    version_id: UUID
    organization_id: UUID


@dataclass(frozen=True, slots=True)
class Held:
    """A job in the hands of a worker that only exists in a test."""

    build: BuildRow
    lease: jobs.Lease


class Api:
    """A client of a running server, and ways to seed the database behind it."""

    def __init__(self, services: Services, client: httpx2.AsyncClient, url: str) -> None:
        self.services = services
        self.client = client
        self.url = url
        self.organization_id = uuid4()
        self.owner: Person
        self._prefixes = cycle((TASKS_PREFIX, TASKS_ALIAS))

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        by: Person | None = None,
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx2.Response:
        """The answer to a request with the person's token, the owner's unless told.

        Task routes are asked below either prefix in turn, so that all that is known of one holds of both, but for
        those of ours, which have one. Source: T1.
        """
        if path.startswith(TASKS_PREFIX) and (method, behind_task(path)) not in OWN:
            path = next(self._prefixes) + path.removeprefix(TASKS_PREFIX)
        sent = {"Coder-Session-Token": (by or self.owner).token, **(headers or {})}
        raw = content if body is None else json.dumps(body).encode()
        return await self.client.request(method, path, content=raw, headers=sent)

    async def get(self, path: str, *, by: Person | None = None) -> httpx2.Response:
        """The answer to a GET."""
        return await self.call("GET", path, by=by)

    async def post(
        self, path: str, body: object = None, *, by: Person | None = None
    ) -> httpx2.Response:
        """The answer to a POST."""
        return await self.call("POST", path, body, by=by)

    @property
    def now(self) -> datetime:
        """The server's time."""
        return self.services.now()

    async def execute(self, sql: str, *values: object) -> None:
        """Runs a statement on the server's database."""
        async with self.services.db.connection() as conn:
            await conn.execute(sql, *values)

    async def value(self, sql: str, *values: object) -> Json:
        """The first column of the first row of a query."""
        async with self.services.db.connection() as conn:
            return await conn.fetchval(sql, *values)

    async def organization(self, name: str, *, default: bool = False) -> UUID:
        """A new organization's id."""
        organization_id = self.organization_id if default else uuid4()
        async with self.services.db.transaction() as conn:
            await identity.insert_organization(
                conn, organization_id=organization_id, name=name, is_default=default, now=self.now
            )
        return organization_id

    async def person(
        self,
        username: str,
        *roles: str,
        organization: UUID | None = None,
        organization_roles: tuple[str, ...] = (),
    ) -> Person:
        """A new user with site roles, member of the default organization unless told, and a token."""
        user_id, now = uuid4(), self.now
        key, row = keys.new_key(
            user_id,
            login_type=LoginType.TOKEN,
            token_name="t",
            lifetime=timedelta(hours=1),
            now=now,
        )
        user = identity.UserRow(
            id=user_id,
            username=username,
            email=f"{username}@example.com",
            name="",
            avatar_url="",
            password_hash=None,
            login_type=LoginType.NONE,
            status=UserStatus.ACTIVE,
            roles=list(roles),
            github_user_id=None,
            created_at=now,
            updated_at=now,
            last_seen_at=ZERO_TIME,
            organization_ids=[],
        )
        async with self.services.db.transaction() as conn:
            await identity.insert_user(conn, user, now)
            await identity.insert_member(
                conn,
                organization or self.organization_id,
                user_id,
                roles=list(organization_roles),
                now=now,
            )
            await identity.insert_api_key(conn, row, now)
        return Person(user_id, username, key)

    async def template(
        self, name: str = "shell", toml: str = TOML, *, organization: UUID | None = None
    ) -> SeededTemplate:
        """A template whose only version was imported from this text."""
        ids = SeededTemplate(uuid4(), name, uuid4(), organization or self.organization_id)
        async with self.services.db.transaction() as conn:
            await conn.execute(
                _TEMPLATE, ids.id, ids.organization_id, name, ids.version_id, self.owner.id
            )
            await self._version(conn, ids.organization_id, ids.id, ids.version_id, toml)
        return ids

    async def version(self, template: SeededTemplate | None, toml: str = TOML) -> UUID:
        """A further version of a template, or of none, imported from this text; its id."""
        version_id = uuid4()
        organization_id = template.organization_id if template else self.organization_id
        async with self.services.db.transaction() as conn:
            template_id = template.id if template else None
            await self._version(conn, organization_id, template_id, version_id, toml)
        return version_id

    async def _version(
        self,
        conn: "Connection",
        organization_id: UUID,
        template_id: UUID | None,
        version_id: UUID,
        toml: str,
    ) -> None:
        definition = parse_template({"taskyard.toml": toml.encode()})
        job_id, file_id, now, owner = uuid4(), uuid4(), self.now, self.owner.id
        await conn.execute(_FILE, file_id, file_id.bytes * 2, owner, now)
        await conn.execute(
            _IMPORT, job_id, organization_id, owner, file_id, version_id, now, uuid4()
        )
        await conn.execute(
            _VERSION,
            version_id,
            template_id,
            organization_id,
            f"v-{version_id.hex[:8]}",
            job_id,
            msgspec.json.encode(definition),
            definition.has_ai_task,
            owner,
            now,
        )
        for place, preset in enumerate(definition.presets):
            values = [{"name": k, "value": v} for k, v in preset.parameters.items()]
            raw = json.dumps(values).encode()
            await conn.execute(
                _PRESET, uuid4(), version_id, place, preset.name, preset.default, raw
            )

    async def task(
        self, template: SeededTemplate, *, by: Person | None = None, **body: object
    ) -> Json:
        """A new task of the person who asks, the owner unless told."""
        request = {"template_version_id": str(template.version_id), "input": "do it", **body}
        response = await self.post("/api/v2/tasks/me", request, by=by)
        assert response.status_code == 201, response.text
        return response.json()

    async def fresh(self, task: Json) -> Json:
        """The task as it is now."""
        response = await self.get(f"/api/v2/tasks/me/{task['id']}")
        assert response.status_code == 200, response.text
        return response.json()

    async def claim(self, workspace_id: str) -> Held:
        """The newest build of a workspace, its job taken by a worker."""
        worker, now = uuid4(), self.now
        async with self.services.db.transaction() as conn:
            build = await builds.get_newest_build(conn, UUID(workspace_id))
            assert build is not None
            await conn.execute(_CLAIM, build.job_id, worker, now, now + timedelta(minutes=5))
        return Held(build, jobs.Lease(build.job_id, 1, worker))

    async def finish(self, held: Held, error: str | None = None) -> None:
        """Ends the job, well unless there is an error."""
        async with self.services.db.transaction() as conn:
            await jobs.finish_job(conn, held.lease, self.now, error=error)

    async def succeed(self, workspace_id: str) -> Held:
        """Claims and ends the newest build of a workspace, which has made nothing."""
        held = await self.claim(workspace_id)
        await self.finish(held)
        return held

    async def start(
        self, workspace_id: str, lifecycle: str = "created", health: str = "initializing"
    ) -> UUID:
        """Claims and ends a start, with an agent and its app in these states; the agent's id."""
        held = await self.claim(workspace_id)
        agent_id, _ = await self.agent(held, lifecycle, health)
        await self.finish(held)
        return agent_id

    async def agent(self, held: Held, lifecycle: str, health: str) -> tuple[UUID, UUID]:
        """The ids of an agent and an app that the build chose for the task."""
        build, now = held.build, self.now
        resource_id, agent_id, app_id = uuid4(), uuid4(), uuid4()
        check_url = "" if health == "disabled" else "http://127.0.0.1:3284/status"
        async with self.services.db.transaction() as conn:
            generation = await conn.fetchval(
                "update workspaces set generation = generation + 1 where id = $1 returning generation",
                build.workspace_id,
            )
            await builds.insert_resource(
                conn,
                id=resource_id,
                job_id=build.job_id,
                transition="start",
                type="sandbox",
                name="main",
                now=now,
            )
            await builds.insert_agent(
                conn,
                id=agent_id,
                workspace_id=build.workspace_id,
                build_id=build.id,
                resource_id=resource_id,
                name="main",
                token_hash=agent_id.bytes * 2,
                generation=generation,
                directory="",
                now=now,
            )
            await builds.insert_app(
                conn,
                id=app_id,
                agent_id=agent_id,
                ordinal=0,
                slug="shell",
                display_name="Shell",
                icon="",
                url="http://127.0.0.1:3284",
                command="",
                sharing_level="owner",
                healthcheck_url=check_url,
                healthcheck_interval_s=5,
                healthcheck_threshold=3,
                health=health,
                now=now,
            )
            await builds.choose_agent(
                conn,
                build_id=build.id,
                agent_id=agent_id,
                app_id=app_id,
                deadline=None,
                max_deadline=None,
                now=now,
            )
        await self.lifecycle(agent_id, lifecycle)
        return agent_id, app_id

    async def lifecycle(self, agent_id: UUID, lifecycle: str) -> None:
        """Puts an agent into this state."""
        await self.execute(
            "update workspace_agents set lifecycle = $2 where id = $1", agent_id, lifecycle
        )

    async def health(self, agent_id: UUID, health: str) -> None:
        """Gives the apps of an agent this health."""
        await self.execute(
            "update workspace_apps set health = $2 where agent_id = $1", agent_id, health
        )

    async def report(self, task: Json, state: str, message: str = "said", uri: str = "") -> None:
        """What the coding agent of a started task says of itself."""
        await self.execute(
            _REPORT, UUID(task["workspace_id"]), uuid4(), state, message, uri, self.now
        )

    async def snapshot(self, task: Json, data: object, format_: str = "agentapi") -> None:
        """Keeps this as the end of the task's conversation."""
        await self.execute(
            "insert into task_snapshots (task_id, format, data, created_at) values ($1, $2, $3, $4)",
            UUID(task["id"]),
            format_,
            json.dumps(data).encode(),
            self.now,
        )


@asynccontextmanager
async def connected(services: Services, url: str) -> AsyncIterator[Api]:
    """A client of the server at this address, with its default organization and its owner."""
    async with CheckedClient(base_url=url, timeout=DEADLINE_S, verify=False) as client:
        api = Api(services, client, url)
        await api.organization("default", default=True)
        api.owner = await api.person("boss", "owner", organization_roles=("organization-admin",))
        yield api


def reason(response: httpx2.Response) -> tuple[int, str]:
    """Status and reason of an error; its body is checked for the shape that all errors have."""
    body = response.json()
    assert body["message"]
    assert body.get("detail") != ""
    assert body.get("validations", [1])
    assert set(body) <= {"message", "detail", "validations"}
    return response.status_code, response.headers["X-Taskyard-Reason"]


def fields(response: httpx2.Response) -> set[str]:
    """The fields that an error names."""
    return {entry["field"] for entry in response.json().get("validations", [])}


_TEMPLATE = """
insert into templates (
    id, organization_id, name, display_name, description, icon, provisioner, active_version_id, default_ttl_ms,
    activity_bump_ms, failure_ttl_ms, dormant_ttl_ms, delete_ttl_ms, allow_user_cancel_workspace_jobs,
    allow_user_autostart, allow_user_autostop, require_active_version, deprecation_message, created_by,
    created_at, updated_at
) values ($1, $2, $3, '', '', '', 'echo', $4, 0, 3600000, 0, 0, 0, false, true, true, false, '', $5, now(), now())
"""
_FILE = "insert into files (id, sha256, created_by, mimetype, data, created_at) values ($1, $2, $3, 'application/x-tar', '', $4)"
_IMPORT = """
insert into provisioner_jobs (
    id, type, organization_id, initiator_id, file_id, template_version_id, tags, attempt, run_at, worker_id,
    worker_name, lease_expires_at, created_at, updated_at, started_at, completed_at
) values ($1, 'template_version_import', $2, $3, $4, $5, '{}', 1, $6, $7, 'w', $6, $6, $6, $6, $6)
"""
_VERSION = """
insert into template_versions (
    id, template_id, organization_id, name, message, readme, job_id, definition, has_ai_task, created_by,
    created_at, updated_at
) values ($1, $2, $3, $4, '', '', $5, $6, $7, $8, $9, $9)
"""
_PRESET = """
insert into template_version_presets (
    id, template_version_id, ordinal, name, description, icon, is_default, parameters
) values ($1, $2, $3, $4, '', '', $5, $6)
"""
_CLAIM = """
update provisioner_jobs
set worker_id = $2, worker_name = 'test', attempt = 1, started_at = $3, lease_expires_at = $4
where id = $1
"""
_REPORT = """
insert into workspace_app_statuses (id, workspace_id, agent_id, app_id, state, message, uri, created_at)
select $2, $1, a.id, app.id, $3, $4, $5, $6
from workspace_agents a
join workspace_apps app on app.agent_id = a.id
where a.workspace_id = $1
order by a.created_at desc
limit 1
"""
