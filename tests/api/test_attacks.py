"""What somebody tries who means harm: stale rights, orphans, lists that never end, others locked out."""

import asyncio
import json
from contextlib import suppress
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest

from taskyard.control import sign_in
from taskyard.control.actors import Origin
from taskyard.control.passwords import hash_password
from taskyard.server import call
from tests.api.seed import Api, Json, Person, fields, reason

pytestmark = pytest.mark.anyio

DEADLINE_S = 5.0

PASSWORD = "correct horse 1"

BLOCKED = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"


async def blocked(api: Api) -> None:
    """Returns once a statement waits for a lock."""
    async with asyncio.timeout(DEADLINE_S):
        while not await api.value(BLOCKED):
            await asyncio.sleep(0.005)


class SlowRequest:
    """A request whose head and first byte are sent, and whose body waits."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def begun(cls, api: Api, method: str, path: str, by: Person, body: Json) -> "SlowRequest":
        """The request with all of its body but the last byte."""
        parts = urlsplit(api.url)
        request = cls(*await asyncio.open_connection(parts.hostname, parts.port))
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


@pytest.mark.parametrize("size", ["0000000019", "000000001999999999999999999", "1001", "1" * 5000])
async def test_a_page_has_an_end(api: Api, size: str) -> None:
    """However the number is spelt, no page is larger than pages may be."""
    answer = await api.get(f"/api/v2/tasks?page_size={size}")
    assert (answer.status_code, fields(answer)) == (400, {"page_size"})


async def test_a_deleted_user_gets_no_workspace(api: Api) -> None:
    """A workspace that is made while its owner is deleted is not made."""
    template = await api.template()
    bob = await api.person("bob")
    body = {"template_version_id": str(template.version_id), "input": "x"}
    async with asyncio.TaskGroup() as group:
        async with api.services.db.transaction() as conn:
            await conn.execute("update users set deleted = true where id = $1", bob.id)
            await conn.execute("select 1 from users where id = $1 for update", bob.id)
            making = group.create_task(api.post("/api/v2/tasks/bob", body))
            await blocked(api)
    assert reason(making.result()) == (404, "not_found")
    assert await api.value("select count(*) from workspaces") == 0


async def test_guesses_from_elsewhere_lock_nobody_out(api: Api) -> None:
    """Who spends all tries of one network at an account does not keep its owner, elsewhere, from signing in."""
    walker = await api.person("walker")
    await api.execute(
        "update users set login_type = 'password', password_hash = $2 where id = $1",
        walker.id,
        await hash_password(PASSWORD),
    )
    tries = sign_in.subjects("walker@example.com", Origin(ip="203.0.113.7"))
    with suppress(sign_in.LoginLimited):
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
