"""How much one user may keep."""

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx2
import msgspec
import pytest

from taskyard.control.services import Services
from tests.api.conftest import serving
from tests.api.seed import Api, Person, connected, reason
from tests.archives import tar_of

pytestmark = pytest.mark.anyio


@pytest.fixture
async def tight(services: Services) -> AsyncIterator[Api]:
    """A server where a user has two tokens and 20,000 bytes of archives."""
    settings = msgspec.structs.replace(
        services.settings, max_tokens_per_user=2, max_files_bytes_per_user=20_000
    )
    narrow = replace(services, settings=settings)
    async with serving(narrow) as url, connected(narrow, url) as connection:
        yield connection


async def token(api: Api, name: str, *, by: Person | None = None) -> httpx2.Response:
    """The answer to somebody who makes a token."""
    return await api.post("/api/v2/users/me/keys/tokens", {"token_name": name}, by=by)


async def test_a_user_has_so_many_tokens(tight: Api) -> None:
    """One more is 409, with the number, and what to do; one that ended makes room, as does one that is somebody else's."""
    assert (await token(tight, "one")).status_code == 201  # the owner of this test has one already
    refused = await token(tight, "two")
    assert reason(refused) == (409, "quota_reached")
    assert "boss has 2 tokens" in refused.json()["message"]
    assert "taskyard tokens list" in refused.json()["message"]
    await tight.call("PUT", f"/api/v2/users/me/keys/{await _id(tight)}/expire")
    assert (await token(tight, "two")).status_code == 201
    assert (await token(tight, "mine", by=await tight.person("ada"))).status_code == 201


async def test_a_user_has_so_many_sessions(tight: Api) -> None:
    """One more, by a sign-in or by a key, ends the one that was used least lately, and the audit says so."""
    ada = await tight.person("ada")
    made = [(await tight.post("/api/v2/users/me/keys", by=ada)).json()["key"] for _ in range(4)]
    found = [
        (
            await tight.call("GET", "/api/v2/users/me", headers={"Coder-Session-Token": key})
        ).status_code
        for key in made
    ]
    assert found == [401, 401, 200, 200]
    ended = "select count(*) from audit_logs where action = 'logout' and user_id is null"
    assert await tight.value(ended) >= 2


async def _id(api: Api) -> str:
    found: str = await api.value("select id from api_keys where token_name = 'one'")
    return found


async def test_a_user_has_so_many_bytes_of_archives(tight: Api) -> None:
    """One that goes beyond is 409 and not stored; bytes that are there already cost nothing, others have room of their own."""

    async def upload(word: str, by: Person | None = None) -> tuple[int, str]:
        data = tar_of({"taskyard.toml": "", "data": word * 8000})
        headers = {"Content-Type": "application/x-tar"}
        answer = await tight.call("POST", "/api/v2/files", content=data, headers=headers, by=by)
        return (answer.status_code, "") if answer.status_code < 300 else reason(answer)

    assert [await upload(word) for word in "aab"] == [
        (201, ""),
        (200, ""),
        (409, "quota_reached"),
    ]
    assert await tight.value("select count(*) from files") == 1
    assert await upload("b", await tight.person("ada", "template-admin")) == (201, "")
