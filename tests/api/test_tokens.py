"""Keys and tokens: what is refused, listed, and ended."""

from datetime import timedelta

import pytest

from tests.api.seed import Api, Json, fields, reason

pytestmark = pytest.mark.anyio

TOKENS = "/api/v2/users/me/keys/tokens"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"lifetime": -1}, "lifetime"),
        ({"lifetime": 2**63 - 1}, "lifetime"),
        ({"scope": "application_connect"}, "scope"),
        ({"scopes": ["all", "workspace:read"]}, "scopes"),
        ({"allow_list": ["workspace:123"]}, "allow_list"),
        ({"token_name": "x" * 65}, "token_name"),
        ({"token_name": "a/b"}, "token_name"),
        ({"token_name": "tokenconfig"}, "token_name"),
    ],
)
async def test_a_token_that_cannot_be_had(api: Api, body: Json, field: str) -> None:
    """A limit that would not hold is refused instead of left out, and the field is named."""
    answer = await api.post(TOKENS, body)
    assert (answer.status_code, fields(answer)) == (400, {field})


async def test_a_token_is_what_was_asked(api: Api) -> None:
    """Lifetime in nanoseconds, a made name, the default lifetime, and every word for a whole scope."""
    hour_ns = 3600 * 10**9
    whole = {"scope": "all", "scopes": ["coder:all"], "allow_list": ["*:*"]}
    key = (await api.post(TOKENS, {"lifetime": hour_ns, **whole})).json()["key"]
    token = (await api.get(f"/api/v2/users/me/keys/{key[:10]}")).json()
    assert (token["lifetime_seconds"], token["scope"], token["scopes"]) == (3600, "all", ["all"])
    assert token["token_name"]
    plain = (await api.post(TOKENS, {"token_name": "plain"})).json()["key"]
    assert (await api.get(f"{TOKENS}/plain")).json()["id"] == plain[:10]
    config = (await api.get(f"{TOKENS}/tokenconfig")).json()
    longest = {"lifetime": config["max_token_lifetime"], "token_name": "longest"}
    assert (await api.post(TOKENS, longest)).status_code == 201
    assert (
        await api.post(
            TOKENS, longest | {"token_name": "x", "lifetime": longest["lifetime"] + 1000}
        )
    ).status_code == 400


async def test_an_expired_key_is_dead_but_listed(api: Api) -> None:
    """PUT expire ends a key at once, may be said twice, and include_expired still shows it."""
    key = (await api.post(TOKENS, {"token_name": "ci"})).json()["key"]
    path = f"/api/v2/users/me/keys/{key[:10]}/expire"
    ended = await api.call("PUT", path)
    assert (ended.status_code, ended.content) == (204, b"")
    dead = await api.call("GET", "/api/v2/users/me", headers={"Coder-Session-Token": key})
    assert reason(dead) == (401, "key_expired")
    expires_at = (await api.get(f"{TOKENS}/ci")).json()["expires_at"]
    assert (await api.call("PUT", path)).status_code == 204
    assert (await api.get(f"{TOKENS}/ci")).json()["expires_at"] == expires_at
    live = [token["token_name"] for token in (await api.get(TOKENS)).json()]
    every = [
        token["token_name"] for token in (await api.get(f"{TOKENS}?include_expired=true")).json()
    ]
    assert ("ci" in live, "ci" in every) == (False, True)
    assert (await api.call("PUT", "/api/v2/users/me/keys/0123456789/expire")).status_code == 404
    bob = await api.person("bob")
    foreign = f"/api/v2/users/me/keys/{key[:10]}/expire"
    assert (await api.call("PUT", foreign, by=bob)).status_code == 404


async def test_whose_tokens_are_listed(api: Api) -> None:
    """An owner sees everybody's with their names; others see their own, whatever they ask for."""
    bob = await api.person("bob")
    everybody = (await api.get(f"{TOKENS}?include_all=true")).json()
    assert {token["username"] for token in everybody} == {"bob", "boss"}
    own = (await api.get(f"{TOKENS}?include_all=true", by=bob)).json()
    assert {token["username"] for token in own} == {"bob"}
    of_bob = (await api.get("/api/v2/users/bob/keys/tokens")).json()
    assert {token["username"] for token in of_bob} == {"bob"}
    bad = await api.get(f"{TOKENS}?include_all=perhaps")
    assert (bad.status_code, fields(bad)) == (400, {"include_all"})


async def test_the_audit_tells_of_keys(api: Api) -> None:
    """Made, expired and deleted, by the name of the owner and of the token; the secret is nowhere."""
    key = (await api.post(TOKENS, {"token_name": "ci"})).json()["key"]
    await api.call("PUT", f"/api/v2/users/me/keys/{key[:10]}/expire")
    await api.call("DELETE", f"/api/v2/users/me/keys/{key[:10]}")
    async with api.services.db.connection() as conn:
        rows = await conn.fetch(
            "select action, resource_id, resource_name, a::text from audit_logs a order by at"
        )
    assert [tuple(row)[:3] for row in rows] == [
        (action, key[:10], "boss/ci") for action in ("create", "write", "delete")
    ]
    assert not any(key[11:] in row["a"] for row in rows)


async def test_a_used_key_says_when(api: Api) -> None:
    """last_used is kept to the minute."""
    await api.execute("update api_keys set last_used_at = now() - interval '1 day'")
    await api.get("/api/v2/users/me")
    [token] = (await api.get(TOKENS)).json()
    assert token["last_used"] > f"{api.now - timedelta(minutes=5):%Y-%m-%dT%H:%M}"
