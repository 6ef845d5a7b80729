"""How often somebody may try to sign in, passwords changed, and what the audit keeps of it."""

import asyncio
import contextlib
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from taskyard.control import sign_in
from taskyard.control.actors import Origin
from taskyard.control.passwords import hash_password
from taskyard.control.services import Services
from taskyard.errors import LoginLimited
from tests.api.conftest import serving
from tests.api.seed import Api, Person, connected, fields, reason

pytestmark = pytest.mark.anyio

LOGIN = "/api/v2/users/login"
PASSWORD = "correct horse 1"
NEW = "another horse 2"


async def walker(api: Api, name: str = "walker") -> Person:
    """A person who signs in by PASSWORD, with a session and a token."""
    person = await api.person(name)
    await api.execute(
        "update users set login_type = 'password', password_hash = $2 where id = $1",
        person.id,
        await hash_password(PASSWORD),
    )
    return person


def credentials(name: str, password: str) -> dict[str, str]:
    return {"email": f"{name}@example.com", "password": password}


async def session_of(api: Api, name: str, password: str = PASSWORD) -> Person:
    """The person with the token of a new session."""
    answer = await api.post(LOGIN, credentials(name, password))
    assert answer.status_code == 201, answer.text
    api.client.cookies.clear()  # it would go before the token of everybody else
    return Person(UUID(int=0), name, answer.json()["session_token"])


async def exhaust(api: Api, email: str, tries: int) -> None:
    """That many tries at an account before the test, from everywhere."""
    _, subject = sign_in.subjects(email, Origin())
    for moment in (api.now, api.now + sign_in.WINDOW):
        await api.execute(
            "insert into login_attempts (subject, window_start, attempts) values ($1, $2, $3)",
            subject,
            sign_in.window_start(moment),
            tries,
        )


@pytest.mark.attack(
    "Passwords of one account are guessed",
    wall="ten tries in five minutes from one network",
)
async def test_guesses_at_an_account_are_limited(api: Api) -> None:
    """After so many wrong ones even the right password is 429, with the time to wait; others sign in as before."""
    await walker(api)
    await walker(api, "other")
    await exhaust(api, "Walker@Example.com", sign_in.MAX_ANYWHERE)
    limited = await api.post(LOGIN, credentials("walker", PASSWORD))
    assert reason(limited) == (429, "login_limited")
    wait_s = int(limited.headers["Retry-After"])
    assert 1 <= wait_s <= sign_in.WINDOW.total_seconds() + 1
    await session_of(api, "other")
    await api.execute("update login_attempts set window_start = window_start - interval '1 hour'")
    await session_of(api, "walker")


async def test_nobody_is_limited_like_somebody(api: Api) -> None:
    """An address without an account is limited too, so that the limit does not tell who has one."""
    await exhaust(api, "nobody@example.com", sign_in.MAX_ANYWHERE)
    limited = await api.post(LOGIN, credentials("nobody", "any password"))
    assert reason(limited) == (429, "login_limited")


async def test_tries_at_the_same_moment_count_one_by_one(services: Services) -> None:
    """As many as are allowed get to the password, and none more, whichever server they ask."""
    tries, now = sign_in.subjects("ada@example.com", Origin()), services.now()
    passed = []

    async def one() -> None:
        with contextlib.suppress(LoginLimited):
            await sign_in.count_tries(services, tries, now)
            passed.append(now)

    async with asyncio.TaskGroup() as group:
        for _ in range(2 * sign_in.MAX_PER_ACCOUNT):
            group.create_task(one())
    assert len(passed) == sign_in.MAX_PER_ACCOUNT


async def test_only_what_fails_counts(services: Services) -> None:
    """Who signs in is not counted, whoever fails is, for the account and for the network; old windows are forgotten."""
    moment = services.now()  # the clock stands still: a window may end between two tries
    still = replace(services, now=lambda: moment)
    async with serving(still) as url, connected(still, url) as api:
        await walker(api)
        long_ago = api.now - timedelta(days=1)
        await api.execute("insert into login_attempts values ('old', $1, 7)", long_ago)
        await session_of(api, "walker")
        counted = "select array_agg(attempts) from login_attempts"
        assert await api.value(counted) == [0, 0, 0]
        await api.post(LOGIN, credentials("walker", "not the one"))
        assert await api.value(counted) == [1, 1, 1]


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
    ],
)
async def test_a_network_is_what_one_person_has(ip: str, network: str) -> None:
    """Of IPv6 the first half counts; an address in both spellings is one."""
    here, account, found = sign_in.subjects("Ada@example.com ", Origin(ip=ip))
    assert (here, found) == (f"{account} from {network}", f"network {network}")
    assert account in sign_in.subjects("ada@example.com", Origin())
    assert "ada" not in account


async def test_a_suspended_person_is_told_with_the_right_password_only(api: Api) -> None:
    """With a wrong one the answer is that of everybody else."""
    await walker(api)
    await api.execute("update users set status = 'suspended' where username = 'walker'")
    wrong = await api.post(LOGIN, credentials("walker", "not the one"))
    right = await api.post(LOGIN, credentials("walker", PASSWORD))
    assert (reason(wrong), reason(right)) == ((401, "login_refused"), (401, "user_suspended"))


async def test_the_audit_tells_who_signed_in(api: Api) -> None:
    """A sign-in, a refusal and a logout are rows, with where they came from."""
    person = await walker(api)
    await api.post(LOGIN, credentials("walker", "not the one"))
    await api.post(LOGIN, credentials("nobody", "not the one"))
    session = await session_of(api, "walker")
    await api.post("/api/v2/users/logout", by=session)
    async with api.services.db.connection() as conn:
        rows = await conn.fetch(
            "select action, succeeded, user_id, username, ip from audit_logs order by at"
        )
    assert [tuple(row) for row in rows] == [
        ("login", False, person.id, "walker@example.com", "127.0.0.1"),
        ("login", False, None, "nobody@example.com", "127.0.0.1"),
        ("login", True, person.id, "walker", "127.0.0.1"),
        ("logout", True, person.id, "walker", "127.0.0.1"),
    ]


async def test_a_new_password_ends_all_other_sessions(api: Api) -> None:
    """The session that asks and named tokens go on; the old password signs nobody in any more."""
    token = await walker(api)
    here, there = await session_of(api, "walker"), await session_of(api, "walker")
    body = {"old_password": PASSWORD, "password": NEW}
    changed = await api.call("PUT", "/api/v2/users/me/password", body, by=here)
    assert (changed.status_code, changed.content) == (204, b"")
    alive = [
        (await api.get("/api/v2/users/me", by=who)).status_code for who in (here, there, token)
    ]
    assert alive == [200, 401, 200]
    old = await api.post(LOGIN, credentials("walker", PASSWORD))
    assert reason(old) == (401, "login_refused")
    await session_of(api, "walker", NEW)
    told = await api.value("select changes from audit_logs where action = 'write'")
    assert b"password" in told
    assert b"argon2" not in told


async def test_a_password_that_is_not_taken(api: Api) -> None:
    """The old one must be right, the new one good and another; guesses at the old one are limited like sign-ins."""
    person = await walker(api)
    path = "/api/v2/users/me/password"
    bodies = {
        "old_password": {"old_password": "not the one", "password": NEW},
        "password": {"old_password": PASSWORD, "password": "short"},
    }
    for field, body in bodies.items():
        answer = await api.call("PUT", path, body, by=person)
        assert (answer.status_code, fields(answer)) == (400, {field}), field
    same = {"old_password": PASSWORD, "password": PASSWORD}
    answer = await api.call("PUT", path, same, by=person)
    assert (answer.status_code, fields(answer)) == (400, {"password"})
    await exhaust(api, "walker@example.com", sign_in.MAX_ANYWHERE)
    body = {"old_password": "not the one", "password": NEW}
    for _ in range(sign_in.MAX_PER_ACCOUNT - 1):
        assert (await api.call("PUT", path, body, by=person)).status_code == 400
    body = {"old_password": PASSWORD, "password": NEW}
    assert reason(await api.call("PUT", path, body, by=person)) == (429, "login_limited")


async def test_admins_set_passwords_of_those_below(api: Api) -> None:
    """A user admin needs no old one, but may not for anybody with a role; members see nobody else."""
    await walker(api)
    admin, eve = await api.person("admin", "user-admin"), await api.person("eve")
    session = await session_of(api, "walker")
    path = "/api/v2/users/walker/password"
    assert (await api.call("PUT", path, {"password": NEW}, by=eve)).status_code == 404
    assert (await api.call("PUT", path, {"password": NEW}, by=admin)).status_code == 204
    assert (await api.get("/api/v2/users/me", by=session)).status_code == 401
    await api.execute("update organization_members set roles = '{organization-admin}'")
    for name in ("walker", "boss"):
        taken = await api.call(
            "PUT", f"/api/v2/users/{name}/password", {"password": PASSWORD}, by=admin
        )
        assert reason(taken) == (403, "forbidden")
