"""What somebody tries who means harm: stale rights, orphans, lists that never end, others locked out."""

import asyncio
import json
from contextlib import suppress
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from bench.seed import seed
from taskyard.control import operator, sign_in
from taskyard.control.actors import Origin
from taskyard.control.passwords import hash_password
from taskyard.control.services import Services
from taskyard.control.task_list import BATCH
from taskyard.db import askers
from taskyard.errors import LoginLimited
from taskyard.server import call
from tests.api.conftest import serving
from tests.api.edge_kit import no_hashes
from tests.api.seed import Api, Json, Person, connected, fields, reason
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse 1"

BLOCKED = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"


async def blocked(api: Api) -> None:
    """Returns once a statement waits for a lock."""
    async with asyncio.timeout(DEADLINE_S):
        while not await api.value(BLOCKED):
            await asyncio.sleep(0.005)


class SlowRequest:
    """A request whose head and first byte are sent, and whose body waits."""

    def __init__(self, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        self._reader, self._writer = streams
        self._last = b""

    @classmethod
    async def begun(cls, api: Api, method: str, path: str, by: Person, body: Json) -> "SlowRequest":
        """The request with all of its body but the last byte."""
        parts = urlsplit(api.url)
        request = cls(await asyncio.open_connection(parts.hostname, parts.port))
        raw = json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(raw)}\r\n"
            f"Connection: close\r\nCoder-Session-Token: {by.token}\r\n\r\n"
        )
        request._writer.write(head.encode() + raw[:-1])
        await request._writer.drain()
        request._last = raw[-1:]
        return request

    async def end(self) -> int:
        """Sends the last byte; the status of the answer."""
        self._writer.write(self._last)
        async with asyncio.timeout(DEADLINE_S):
            status = int((await self._reader.readline()).split()[1])
        self._writer.close()
        return status


@pytest.mark.parametrize(
    ("sql", "status"),
    [
        ("update users set roles = '{}' where id = $1", 403),
        ("update users set status = 'suspended' where id = $1", 401),
        ("delete from api_keys where user_id = $1", 401),
    ],
)
@pytest.mark.attack(
    "A right is taken away while the body of a request is still arriving",
    wall="rights are looked at again when the body is there",
)
async def test_rights_do_not_outlive_a_slow_body(
    api: Api, monkeypatch: pytest.MonkeyPatch, sql: str, status: int
) -> None:
    """Who is put out while the body is on its way does nothing with it, however early the request began."""
    monkeypatch.setattr(call, "RECHECK_S", 0.0)
    fallen, friend = await api.person("fallen", "owner"), await api.person("friend")
    path = f"/api/v2/users/{friend.username}/roles"
    used = "select last_used_at > created_at - interval '1 hour' from api_keys where user_id = $1"
    request = await SlowRequest.begun(api, "PUT", path, fallen, {"roles": ["owner"]})
    async with asyncio.timeout(DEADLINE_S):
        while not await api.value(used, fallen.id):
            await asyncio.sleep(0.005)
    await api.execute(sql, fallen.id)
    assert await request.end() == status
    assert await api.value("select roles from users where id = $1", friend.id) == []


@pytest.mark.parametrize(
    "size", ["0000000011001", "000000001999999999999999999", "1001", "1" * 5000]
)
async def test_a_page_has_an_end(api: Api, size: str) -> None:
    """However the number is spelt, no page is larger than pages may be."""
    answer = await api.get(f"/api/v2/tasks?page_size={size}")
    assert (answer.status_code, fields(answer)) == (400, {"page_size"})


async def test_a_deleted_user_gets_no_workspace(api: Api) -> None:
    """A workspace that is made while its owner is deleted is not made."""
    template = await api.template()
    bob = await api.person("bob")
    body = {"template_version_id": str(template.version_id), "input": "x"}
    async with asyncio.TaskGroup() as group, api.services.db.transaction() as conn:
        await conn.execute("update users set deleted = true where id = $1", bob.id)
        await conn.execute("select 1 from users where id = $1 for update", bob.id)
        making = group.create_task(api.post("/api/v2/tasks/bob", body))
        await blocked(api)
    assert reason(making.result()) == (404, "not_found")
    assert await api.value("select count(*) from workspaces") == 0


@pytest.mark.attack(
    "Wrong passwords shall lock the owner of an account out",
    wall="tries are counted for each network",
)
async def test_guesses_from_elsewhere_lock_nobody_out(api: Api) -> None:
    """Who spends all tries of one network at an account does not keep its owner, elsewhere, from signing in."""
    walker = await api.person("walker")
    await api.execute(
        "update users set login_type = 'password', password_hash = $2 where id = $1",
        walker.id,
        await hash_password(PASSWORD),
    )
    tries = sign_in.subjects("walker@example.com", Origin(ip="203.0.113.7"))
    with suppress(LoginLimited):
        for _ in range(sign_in.MAX_PER_NETWORK):
            await sign_in.count_tries(api.services, tries, api.now)
    body = {"email": "walker@example.com", "password": PASSWORD}
    assert (await api.post("/api/v2/users/login", body)).status_code == 201


async def test_nobody_is_called_like_an_id(api: Api) -> None:
    """A name that reads as a UUID would be taken for the user of that id once they are gone."""
    answer = await api.call("PATCH", "/api/v2/users/me", {"username": uuid4().hex})
    assert (answer.status_code, fields(answer)) == (400, {"username"})


@pytest.mark.parametrize("name", ["\x1b[2Jboss", "bob\r\nroot", "\u202eeve"])
async def test_a_name_is_what_it_looks_like(api: Api, name: str) -> None:
    """Names that people read hold nothing that moves a cursor or turns text around."""
    answer = await api.call("PATCH", "/api/v2/users/me", {"name": name})
    assert (answer.status_code, fields(answer)) == (400, {"name"})


async def test_an_address_counts_as_it_is_found(api: Api) -> None:
    """No spelling of an address that finds the account has tries of its own, whatever the database thinks of case."""
    counted = {
        tuple(sign_in.subjects(spelt, Origin()))
        for spelt in ("walker@example.com", " WALKER@example.com", "wal\u212aer@example.com")
    }
    assert len(counted) == 1


@pytest.mark.attack(
    "Many people read their lists as slowly as they can",
    wall="no connection to the database waits for a reader",
)
async def test_slow_readers_stop_nobody(services: Services, database_url: str) -> None:
    """More people than there are connections for lists read theirs as slowly as they may; others read as ever."""
    await seed(database_url, 4 * BATCH)
    async with serving(services) as url, connected(services, url) as api:
        await api.execute("update tasks set input = repeat('x', 16000)")
        parts = urlsplit(api.url)
        head = f"GET /api/v2/tasks HTTP/1.1\r\nHost: x\r\nCoder-Session-Token: {api.owner.token}\r\n\r\n"
        writers = []
        for _ in range(6):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1024)
            writer.write(head.encode())
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            writers.append(writer)
        async with asyncio.timeout(DEADLINE_S):
            while services.db.connections[0]:
                await asyncio.sleep(0.005)
            assert (await api.get("/api/v2/tasks?page_size=1")).status_code == 200
        for writer in writers:
            writer.transport.abort()


async def test_a_reset_password_waits_for_who_is_seen(api: Api) -> None:
    """The keys of a user are held before the user, as by a request that writes down that it was made."""
    walker = await api.person("walker")
    sql = "update users set login_type = 'password', password_hash = 'x' where id = $1"
    await api.execute(sql, walker.id)
    await api.execute("update api_keys set login_type = 'password', token_name = ''")
    key_id = walker.token.partition("-")[0]
    now = api.now
    async with asyncio.TaskGroup() as group, api.services.db.transaction() as conn:
        await conn.execute("select 1 from api_keys where id = $1 for update", key_id)
        group.create_task(operator.reset_password(api.services, "walker", PASSWORD, now))
        await blocked(api)
        await askers.use_api_key_as_system(conn, key_id, expires_at=None, before=now, now=now)
    assert await api.value("select count(*) from api_keys where id = $1", key_id) == 0


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/roles", {"roles": []}),
        ("PUT", "/status/suspend", None),
        ("DELETE", "", None),
    ],
)
async def test_the_last_owner_stays(api: Api, method: str, path: str, body: Json) -> None:
    """Owners who put each other out at the same moment leave one who can act."""
    owners = [api.owner, *[await api.person(f"boss{n}", "owner") for n in range(3)]]
    async with asyncio.TaskGroup() as group:
        asked = [
            group.create_task(api.call(method, f"/api/v2/users/{other.id}{path}", body, by=one))
            for one, other in zip(owners, [*owners[1:], owners[0]], strict=True)
        ]
    assert {task.result().status_code for task in asked} <= {200, 204, 400, 401, 403, 404}
    left = "select count(*) from users where 'owner' = any(roles) and not deleted and status <> 'suspended'"
    assert await api.value(left) >= 1


async def test_a_user_is_changed_while_they_get_a_workspace(api: Api) -> None:
    """Whoever makes a workspace holds its owner, then names who asks for it; a change of the owner is not in the way."""
    bob = await api.person("bob")
    async with asyncio.TaskGroup() as group, api.services.db.transaction() as conn:
        await conn.execute("select 1 from users where id = $1 for share", bob.id)
        renaming = group.create_task(api.call("PATCH", "/api/v2/users/bob", {"name": "Bob"}))
        await blocked(api)
        await conn.execute("select 1 from users where id = $1 for key share", api.owner.id)
    assert renaming.result().status_code == 200


@pytest.mark.attack(
    "Somebody signs in by the old password while it is changed",
    wall="the password is compared again when the session is made",
)
async def test_a_password_that_changes_meanwhile_opens_nothing(api: Api) -> None:
    """Who signs in by the old password while it is changed gets no session that outlives the change."""
    walker = await api.person("walker")
    sql = "update users set login_type = 'password', password_hash = $2 where id = $1"
    await api.execute(sql, walker.id, await hash_password(PASSWORD))
    subject, *_ = sign_in.subjects("walker@example.com", Origin(ip="127.0.0.1"))
    body = {"email": "walker@example.com", "password": PASSWORD}
    counted = "select count(*) from login_attempts where subject = $1 and attempts > 0"
    async with asyncio.TaskGroup() as group, api.services.db.transaction() as conn:
        async with no_hashes():
            signing_in = group.create_task(api.post("/api/v2/users/login", body))
            async with asyncio.timeout(DEADLINE_S):
                while not await api.value(counted, subject):
                    await asyncio.sleep(0.002)
            # Whoever is let in takes the try back first, and so waits here.
            await conn.execute("select 1 from login_attempts for update")
        await blocked(api)
        await conn.execute(sql, walker.id, "another")
    assert reason(signing_in.result()) == (401, "login_refused")
    left = "select count(*) from api_keys where user_id = $1 and login_type = 'password'"
    assert await api.value(left, walker.id) == 0


STEPS = [
    ("user-admin", "PUT", "/users/boss/roles", {"roles": []}),
    ("user-admin", "PUT", "/users/self/roles", {"roles": ["owner"]}),
    ("user-admin", "PUT", "/users/plain/roles", {"roles": ["owner"]}),
    ("user-admin", "PUT", "/users/plain/roles", {"roles": ["user-admin"]}),
    ("user-admin", "PUT", "/users/boss/password", {"password": "a stolen horse"}),
    ("user-admin", "PUT", "/users/chief/password", {"password": "a stolen horse"}),
    ("user-admin", "PATCH", "/users/boss", {"email": "eve@example.com"}),
    ("user-admin", "PATCH", "/users/chief", {"email": "eve@example.com"}),
    ("user-admin", "PUT", "/users/boss/status/suspend", None),
    ("user-admin", "DELETE", "/users/chief", None),
    ("user-admin", "POST", "/users/boss/keys", None),
    ("user-admin", "POST", "/users/chief/keys/tokens", {}),
    (
        "user-admin",
        "PUT",
        "/organizations/default/members/self/roles",
        {"roles": ["organization-admin"]},
    ),
    (
        "user-admin",
        "PUT",
        "/organizations/default/members/plain/roles",
        {"roles": ["organization-admin"]},
    ),
    ("organization-admin", "PUT", "/users/plain/roles", {"roles": ["owner"]}),
    ("organization-admin", "PUT", "/users/boss/password", {"password": "a stolen horse"}),
    ("organization-admin", "PUT", "/users/plain/password", {"password": "a stolen horse"}),
    ("organization-admin", "POST", "/users/plain/keys", None),
    ("organization-admin", "DELETE", "/users/plain", None),
    ("organization-admin", "POST", "/users", {"username": "new-one", "email": "n@example.com"}),
    ("organization-admin", "POST", "/organizations", {"name": "mine"}),
    ("auditor", "PUT", "/users/plain/roles", {"roles": []}),
    ("auditor", "PUT", "/users/plain/password", {"password": "a stolen horse"}),
    ("auditor", "POST", "/users/plain/keys", None),
    ("auditor", "GET", "/users/plain/keys/tokens", None),
    ("auditor", "GET", "/users/plain/gitsshkey", None),
    ("auditor", "POST", "/organizations/default/members/plain", None),
    ("template-admin", "PUT", "/users/plain/roles", {"roles": []}),
    ("template-admin", "DELETE", "/organizations/default/members/plain", None),
]
"""What somebody with some role tries, to get more."""


@pytest.mark.attack(
    "Every role but the owner's tries to get more rights, others' keys, or others' passwords",
    wall="one table of roles, and who is below whom",
)
async def test_nobody_climbs(api: Api) -> None:
    """No role but the owner's leads to another role, to somebody else's keys, or to a password of who has a role."""
    await api.person("plain")
    admin = ("organization-admin",)
    climbers = {
        "organization-admin": await api.person("chief", organization_roles=admin),
        **{
            role: await api.person(role, role)
            for role in ("user-admin", "auditor", "template-admin")
        },
    }
    await api.execute(
        "update users set login_type = 'password', password_hash = 'x' where username <> 'boss'"
    )
    state = """select (select jsonb_agg(to_jsonb(u) - 'last_seen_at' order by id) from users u)
        || (select jsonb_agg(to_jsonb(m) order by user_id) from organization_members m)
        || (select jsonb_agg(k.id order by k.id) from api_keys k)"""
    before = await api.value(state)
    for role, method, path, body in STEPS:
        climber = climbers[role]
        answer = await api.call(
            method, f"/api/v2{path.replace('self', climber.username)}", body, by=climber
        )
        assert answer.status_code in (400, 403, 404), (role, method, path, answer.text)
    assert await api.value(state) == before
