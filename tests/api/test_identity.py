"""Signing in, keys, and whom one sees. Source: T2-T6."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from taskyard.control import passwords
from taskyard.control.services import Services
from tests.api.conftest import serving
from tests.api.edge_kit import no_hashes
from tests.api.seed import Api
from tests.waiting import DEADLINE_S

FIRST = {"username": "ada", "email": "ada@example.com", "password": "correct horse 1"}


@pytest.fixture
async def fresh(services: Services) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a server that nobody has used yet."""
    async with (
        serving(services) as url,
        httpx2.AsyncClient(base_url=url, timeout=DEADLINE_S) as client,
    ):
        yield client


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("field", "value"),
    [("username", "no_underscores"), ("username", ""), ("email", "nowhere"), ("password", "short")],
)
async def test_a_bad_first_user_names_the_field(
    fresh: httpx2.AsyncClient, field: str, value: str
) -> None:
    """A bad field is named in a validation, and nobody is created."""
    answer = await fresh.post("/api/v2/users/first", json=FIRST | {field: value})
    assert answer.status_code == 400
    assert [v["field"] for v in answer.json()["validations"]] == [field]
    assert (await fresh.get("/api/v2/users/first")).status_code == 404


@pytest.mark.anyio
async def test_a_suspended_user_is_out_and_a_dormant_one_is_back(api: Api) -> None:
    """Suspension ends access at once; being seen ends dormancy."""
    bob = await api.person("bob")
    await api.execute("update users set status = 'suspended' where id = $1", bob.id)
    assert (await api.get("/api/v2/users/me", by=bob)).status_code == 401
    await api.execute("update users set status = 'dormant' where id = $1", bob.id)
    assert (await api.get("/api/v2/users/me", by=bob)).json()["status"] in ("active", "dormant")
    assert (await api.get("/api/v2/users/me", by=bob)).json()["status"] == "active"


@pytest.mark.anyio
async def test_a_token_lives_as_long_as_asked(api: Api) -> None:
    """The lifetime is in nanoseconds, kept in seconds, and bounded."""
    hour = int(timedelta(hours=1).total_seconds() * 1e9)
    await api.post("/api/v2/users/me/keys/tokens", {"token_name": "hour", "lifetime": hour})
    token = (await api.get("/api/v2/users/me/keys/tokens/hour")).json()
    assert token["lifetime_seconds"] == 3600
    for lifetime in (-1, 2**63 - 1):
        answer = await api.post("/api/v2/users/me/keys/tokens", {"lifetime": lifetime})
        assert answer.status_code == 400, lifetime


@pytest.mark.anyio
async def test_members_see_themselves_only(api: Api) -> None:
    """Another user is the same 404 as one who is not there; the owner sees all."""
    bob, eve = await api.person("bob"), await api.person("eve")
    unknown = await api.get("/api/v2/users/nobody", by=bob)
    foreign = await api.get(f"/api/v2/users/{eve.username}", by=bob)
    assert (unknown.status_code, foreign.status_code) == (404, 404)
    assert unknown.json() == foreign.json()
    assert [u["username"] for u in (await api.get("/api/v2/users", by=bob)).json()["users"]] == [
        "bob"
    ]
    everybody = (await api.get("/api/v2/users")).json()
    assert everybody["count"] == len(everybody["users"]) == 3
    assert (await api.get("/api/v2/users/EVE")).json()["id"] == str(eve.id)


@pytest.mark.anyio
async def test_only_admins_create_users(api: Api) -> None:
    """A member who tries is told 403."""
    bob = await api.person("bob")
    answer = await api.call(
        "POST", "/api/v2/users", {"username": "x", "email": "x@example.com"}, by=bob
    )
    assert answer.status_code == 403


@pytest.mark.anyio
async def test_a_cookie_from_another_origin_is_refused(api: Api) -> None:
    """A page of another origin cannot act with a browser's cookie; a header token is not affected."""
    cookie = {"Cookie": f"coder_session_token={api.owner.token}", "Origin": "https://evil.example"}
    foreign = await api.call("POST", "/api/v2/users/me/keys", headers=cookie)
    own = await api.call("POST", "/api/v2/users/me/keys", headers=cookie | {"Origin": api.url})
    assert (foreign.status_code, own.status_code) == (403, 201)


@pytest.mark.anyio
async def test_a_page_of_another_origin_cannot_sign_in_or_follow(api: Api) -> None:
    """It cannot sign a browser in as somebody else, take a new server, or read a log by the browser's cookie."""
    foreign = {"Origin": "https://evil.example", "Content-Type": "text/plain"}
    for path in ("/api/v2/users/login", "/api/v2/users/first"):
        answer = await api.client.post(path, content=b"{}", headers=foreign)
        assert answer.status_code == 403
        assert (await api.client.post(path, content=b"{}")).status_code != 403
    cookie = {"Cookie": f"coder_session_token={api.owner.token}", **foreign}
    url = f"ws{api.url.removeprefix('http')}/api/v2/workspaceagents/{UUID(int=0)}/logs?follow"
    with pytest.raises(InvalidStatus) as refused:
        await connect(url, additional_headers=cookie, proxy=None)
    assert refused.value.response.status_code == 403


@pytest.mark.anyio
async def test_guessing_has_a_queue_that_ends(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sign-ins wait for their turn, but not any number of them: the rest is told to come back."""
    monkeypatch.setattr(passwords, "MAX_WAITING", 1)
    guess = {"email": "boss@example.com", "password": "a wrong guess"}
    async with asyncio.TaskGroup() as group, no_hashes():
        tries = [group.create_task(api.post("/api/v2/users/login", guess)) for _ in range(8)]
        await asyncio.wait(tries, return_when=asyncio.FIRST_COMPLETED)
    statuses = [each.result().status_code for each in tries]
    assert 429 in statuses
    assert set(statuses) - {429}
    assert (await api.post("/api/v2/users/login", guess)).status_code != 429
