"""The first user, signing in, keys, and the names of an organization: U1 to U8."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from taskyard.control.services import Services
from tests.api.conftest import serving
from tests.api.seed import NIL, Api, fields, reason
from tests.contract.shapes import CheckedClient

pytestmark = pytest.mark.anyio

FIRST = {"username": "ada", "email": "ada@example.com", "password": "correct horse 1"}
ME = "/api/v2/users/me"


@pytest.fixture
async def fresh(services: Services) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a server that nobody has used yet."""
    async with serving(services) as url, CheckedClient(base_url=url) as client:
        yield client


async def test_U1_a_fresh_server_says_so_with_its_version(fresh: httpx2.AsyncClient) -> None:
    """The 404 of a server without users carries the version header that clients insist on."""
    answer = await fresh.get("/api/v2/users/first")
    assert answer.status_code == 404
    assert answer.headers["X-Coder-Build-Version"] == "v2.34.0"
    assert set(answer.json()) == {"message"}


async def test_U2_the_first_user_is_created_once(fresh: httpx2.AsyncClient) -> None:
    """The second try is a conflict that changes nothing, and the question is answered with 200 from then on."""
    extra = {"trial": True, "trial_info": {"country": "x"}, "onboarding_info": {}}
    created = await fresh.post("/api/v2/users/first", json=FIRST | extra)
    again = await fresh.post(
        "/api/v2/users/first", json=FIRST | {"username": "bob", "password": "another horse"}
    )
    assert (created.status_code, again.status_code) == (201, 409)
    assert set(created.json()) == {"user_id", "organization_id"}
    assert (await fresh.get("/api/v2/users/first")).status_code == 200
    token = (await fresh.post("/api/v2/users/login", json=FIRST)).json()["session_token"]
    me = (await fresh.get(ME, headers={"Coder-Session-Token": token})).json()
    assert (me["id"], me["username"]) == (created.json()["user_id"], "ada")
    assert [role["name"] for role in me["roles"]] == ["owner"]
    assert me["organization_ids"] == [created.json()["organization_id"]]


async def test_U3_a_wrong_password_is_like_an_unknown_email(fresh: httpx2.AsyncClient) -> None:
    """Status, reason and body are the same, to the byte."""
    await fresh.post("/api/v2/users/first", json=FIRST)
    answers = [
        await fresh.post("/api/v2/users/login", json={"email": email, "password": "not the one"})
        for email in (FIRST["email"], "nobody@example.com")
    ]
    wrong, unknown = answers
    assert reason(wrong) == reason(unknown) == (401, "login_refused")
    assert wrong.content == unknown.content


async def test_U4_a_login_works_until_the_logout(fresh: httpx2.AsyncClient) -> None:
    """The token works as header and as cookie, is set as a cookie that scripts cannot read, and dies with the logout."""
    await fresh.post("/api/v2/users/first", json=FIRST)
    good = await fresh.post("/api/v2/users/login", json=FIRST)
    token = good.json()["session_token"]
    assert good.status_code == 201
    parts = good.headers["Set-Cookie"].split("; ")
    assert parts[0] == f"coder_session_token={token}"
    assert {"Path=/", "HttpOnly", "SameSite=Lax"} <= set(parts)
    fresh.cookies.clear()
    header, cookie = {"Coder-Session-Token": token}, {"Cookie": f"coder_session_token={token}"}
    for way in (header, cookie):
        assert (await fresh.get(ME, headers=way)).status_code == 200, way
    out = await fresh.post("/api/v2/users/logout", headers=header)
    assert out.status_code == 200
    assert out.headers["Set-Cookie"].startswith("coder_session_token=;")
    for way in (header, cookie):
        assert (await fresh.get(ME, headers=way)).status_code == 401, way


async def test_U5_a_session_key_comes_without_a_cookie(api: Api) -> None:
    """POST of keys takes no body; what it gives works at once and sets no cookie."""
    session = await api.post(f"{ME}/keys")
    assert session.status_code == 201
    assert "Set-Cookie" not in session.headers
    header = {"Coder-Session-Token": session.json()["key"]}
    me = await api.call("GET", ME, headers=header)
    assert me.json()["id"] == str(api.owner.id)


async def test_U6_a_deleted_key_is_dead_at_once(api: Api) -> None:
    """The request after the deletion is 401, and there is nothing left to delete."""
    key = (await api.post(f"{ME}/keys/tokens", {"token_name": "ci"})).json()["key"]
    header = {"Coder-Session-Token": key}
    assert (await api.call("GET", ME, headers=header)).status_code == 200
    assert (await api.call("DELETE", f"{ME}/keys/{key[:10]}")).status_code == 204
    dead = await api.call("GET", ME, headers=header)
    assert reason(dead) == (401, "key_unknown")
    assert reason(await api.call("DELETE", f"{ME}/keys/{key[:10]}")) == (404, "not_found")


async def test_U7_a_user_is_found_by_github_account(api: Api) -> None:
    """Exactly one or none is found by the number of the account, as the action asks and as it may be written."""
    body = {"username": "bob", "email": "bob@example.com", "github_com_user_id": 4711}
    created = await api.post("/api/v2/users", body)
    assert created.status_code == 201
    for q in ("github_com_user_id%3A4711", "github_com_user_id:4711", 'github_com_user_id:"4711"'):
        found = (await api.get(f"/api/v2/users?q={q}")).json()
        assert ([u["username"] for u in found["users"]], found["count"]) == (["bob"], 1)
    none = (await api.get("/api/v2/users?q=github_com_user_id%3A1")).json()
    assert none == {"users": [], "count": 0}
    bad = await api.get("/api/v2/users?q=github_com_user_id%3Abob")
    assert (bad.status_code, fields(bad)) == (400, {"github_com_user_id"})
    twin = {"username": "twin", "email": "twin@example.com", "github_com_user_id": 4711}
    taken = await api.post("/api/v2/users", twin)
    assert (taken.status_code, fields(taken)) == (409, {"github_com_user_id"})


async def test_U8_the_default_organization_has_many_names(api: Api) -> None:
    """`default`, its id, its name and the nil UUID are one organization, and nothing else is."""
    await api.organization("elsewhere")
    by_word = (await api.get("/api/v2/organizations/default")).json()
    assert by_word["is_default"]
    for name in (by_word["id"], by_word["name"], by_word["name"].upper(), NIL):
        assert (await api.get(f"/api/v2/organizations/{name}")).json() == by_word, name
    assert (await api.get("/api/v2/organizations/elsewhere")).json()["id"] != by_word["id"]
    assert reason(await api.get("/api/v2/organizations/nowhere")) == (404, "not_found")
