"""Users: made, searched, changed, kept out, deleted, and their roles."""

import asyncio
from datetime import timedelta
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.api.seed import Api, Json, Person, fields, reason

pytestmark = pytest.mark.anyio

USERS = "/api/v2/users"


async def names(api: Api, query: str, *, by: Person | None = None) -> list[str]:
    """Usernames that a query finds."""
    answer = await api.get(f"{USERS}?{query}", by=by)
    assert answer.status_code == 200, answer.text
    return [user["username"] for user in answer.json()["users"]]


async def deeds(api: Api) -> list[tuple[str, str, str]]:
    """Action, kind and name of everything that the audit holds."""
    async with api.services.db.connection() as conn:
        rows = await conn.fetch(
            "select action, resource_type, resource_name from audit_logs order by at"
        )
    return [tuple(row) for row in rows]


async def works(api: Api, person: Person) -> bool:
    """Whether somebody's token is good."""
    return (await api.get(f"{USERS}/me", by=person)).status_code == 200


async def test_a_search_has_every_key(api: Api) -> None:
    """Words, status, role, way to sign in and times narrow the list; lists of words mean any of them."""
    bob, eve = await api.person("bob", "auditor"), await api.person("eve")
    await api.execute("update users set status = 'suspended' where id = $1", eve.id)
    early = api.now - timedelta(days=400)
    await api.execute(
        "update users set created_at = $2, last_seen_at = $3 where id = $1", bob.id, early, api.now
    )
    middle = f'"{(api.now - timedelta(days=30)):%Y-%m-%dT%H:%M:%SZ}"'
    found = {
        "": ["bob", "boss", "eve"],
        "bo": ["bob", "boss"],
        "BOB@example": ["bob"],
        "%": [],
        "b_b": [],
        "status:suspended": ["eve"],
        "status:active,suspended": ["bob", "boss", "eve"],
        "status:dormant": [],
        "role:auditor": ["bob"],
        "role:owner,auditor": ["bob", "boss"],
        "role:member": ["bob", "boss", "eve"],
        "login_type:none": ["bob", "boss", "eve"],
        "login_type:password": [],
        f"created_before:{middle}": ["bob"],
        f"created_after:{middle}": ["boss", "eve"],
        f"last_seen_after:{middle}": ["bob"],
        f"last_seen_before:{middle} status:suspended": ["eve"],
    }
    # The owner's own visit would count as seen.
    await api.execute("update users set last_seen_at = created_at where username <> 'bob'")
    await api.execute("update users set last_seen_at = '0001-01-01Z' where username = 'eve'")
    for q, expected in found.items():
        await api.execute("update users set last_seen_at = '0001-01-01Z' where username = 'boss'")
        assert await names(api, f"q={quote(q)}") == expected, q


@pytest.mark.parametrize(
    ("q", "field"),
    [
        ("nonsense:1", "nonsense"),
        ("status:gone", "status"),
        ("status:active,gone", "status"),
        ("role:king", "role"),
        ("login_type:magic", "login_type"),
        ("created_after:yesterday", "created_after"),
        ('created_after:"0001-01-01T00:00:00%2B23:00"', "created_after"),
        ("github_com_user_id:-1", "github_com_user_id"),
        ("status:active status:dormant", "status"),
        ("a:b:c", "q"),
    ],
)
async def test_a_bad_search_names_the_key(api: Api, q: str, field: str) -> None:
    """Who cannot be understood is told which key it is."""
    answer = await api.get(f"{USERS}?q={q}")
    assert reason(answer) == (400, "invalid_query")
    assert fields(answer) == {field}


async def test_a_list_is_read_page_by_page(api: Api) -> None:
    """limit, offset and after_id cut a page; count is the whole list's, whatever the page holds."""
    people = [await api.person(name) for name in ("Ann", "bert", "Cleo", "dora")]
    everybody = ["Ann", "bert", "boss", "Cleo", "dora"]
    assert await names(api, "limit=2") == everybody[:2]
    assert await names(api, "limit=2&offset=2") == everybody[2:4]
    assert await names(api, "limit=0") == everybody
    assert await names(api, f"limit=2&after_id={people[1].id}") == everybody[2:4]
    for query in ("limit=1", "offset=99", f"after_id={people[-1].id}", "limit=&offset="):
        assert (await api.get(f"{USERS}?{query}")).json()["count"] == 5, query
    bad = {
        "limit=-1": "limit",
        "limit=ten": "limit",
        "offset=1.5": "offset",
        "limit=99999999999999999999": "limit",
        "after_id=nobody": "after_id",
        f"after_id={uuid4()}": "after_id",
    }
    for query, field in bad.items():
        answer = await api.get(f"{USERS}?{query}")
        assert (answer.status_code, fields(answer)) == (400, {field}), query


async def test_whom_one_finds(api: Api) -> None:
    """A member finds themself, an organization's admin its members, and user admins and auditors everybody."""
    elsewhere = await api.organization("elsewhere")
    await api.person("far", organization=elsewhere)
    near = await api.person(
        "near", organization=elsewhere, organization_roles=("organization-admin",)
    )
    member = await api.person("member")
    admin, auditor = await api.person("admin", "user-admin"), await api.person("audrey", "auditor")
    everybody = ["admin", "audrey", "boss", "far", "member", "near"]
    assert await names(api, "", by=member) == ["member"]
    assert await names(api, "", by=near) == ["far", "near"]
    assert await names(api, "", by=admin) == await names(api, "", by=auditor) == everybody
    hidden = await api.get(f"{USERS}?after_id={api.owner.id}", by=member)
    assert fields(hidden) == {"after_id"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"username": ""}, "username"),
        ({"username": "no_underscores"}, "username"),
        ({"username": "me"}, "username"),
        ({"email": "ada@localhost"}, "email"),
        ({"email": "two@at@example.com"}, "email"),
        ({"email": ".ada@example.com"}, "email"),
        ({"name": "x" * 129}, "name"),
        ({"login_type": "magic"}, "login_type"),
        ({"login_type": "oidc"}, "login_type"),
        ({"login_type": "none", "password": "correct horse 1"}, "password"),
        ({"login_type": "password"}, "password"),
        ({"user_status": "suspended"}, "user_status"),
        ({"github_com_user_id": -1}, "github_com_user_id"),
    ],
)
async def test_a_bad_new_user_names_the_field(api: Api, change: Json, field: str) -> None:
    """A bad field is named, and nobody is made."""
    good = {"username": "ada", "email": "ada@example.com"}
    answer = await api.post(USERS, good | change)
    assert (answer.status_code, fields(answer)) == (400, {field})
    assert await names(api, "") == ["boss"]


async def test_lenient_clients_make_users(api: Api) -> None:
    """No organization, disable_login, or neither type nor password: a member of the default one with tokens only."""
    bodies: list[Json] = [
        {"organization_ids": []},
        {"disable_login": True},
        {"login_type": ""},
        {"login_type": "none", "organization_ids": [str(api.organization_id)]},
        {"user_status": "active"},
    ]
    for place, body in enumerate(bodies):
        fresh = {"username": f"bob{place}", "email": f"bob{place}@example.com"}
        made = (await api.post(USERS, fresh | body)).json()
        assert (made["login_type"], made["is_service_account"]) == ("none", True)
        assert made["organization_ids"] == [str(api.organization_id)]
        assert made["status"] == body.get("user_status", "dormant")
    lost = {"username": "x", "email": "x@example.com", "organization_ids": [str(uuid4())]}
    assert reason(await api.post(USERS, lost)) == (404, "not_found")
    taken = await api.post(USERS, {"username": "BOB0", "email": "new@example.com"})
    assert (reason(taken), fields(taken)) == ((409, "user_exists"), {"username"})
    taken = await api.post(USERS, {"username": "newbie", "email": "Bob0@Example.com"})
    assert (reason(taken), fields(taken)) == ((409, "user_exists"), {"email"})


async def test_a_service_account_lives_by_tokens(api: Api) -> None:
    """A user admin makes it and its tokens, it works with them, and it cannot sign in or get a password."""
    admin = await api.person("admin", "user-admin")
    body = {"username": "robot", "email": "robot@example.com", "login_type": "none"}
    robot = await api.post(USERS, body, by=admin)
    assert robot.json()["status"] == "dormant"
    key = await api.post(f"{USERS}/robot/keys/tokens", {"token_name": "ci"}, by=admin)
    token = Person(robot.json()["id"], "robot", key.json()["key"])
    assert (await api.get(f"{USERS}/me", by=token)).json()["username"] == "robot"
    assert (await api.get(f"{USERS}/me", by=token)).json()["status"] == "active"
    assert [
        t["token_name"] for t in (await api.get(f"{USERS}/robot/keys/tokens", by=admin)).json()
    ] == ["ci"]
    login = await api.post(f"{USERS}/login", {"email": "robot@example.com", "password": "any"})
    assert reason(login) == (403, "login_type")
    password = {"password": "correct horse 1"}
    refused = await api.call("PUT", f"{USERS}/robot/password", password, by=admin)
    assert reason(refused) == (400, "no_password_login")
    assert (
        "create",
        "api_key",
        "robot/ci",
    ) in await deeds(api)


async def test_user_admins_make_no_tokens_of_people_or_of_the_mighty(api: Api) -> None:
    """They make them for service accounts without roles only: else they could act as anybody."""
    admin = await api.person("admin", "user-admin")
    await api.execute("update users set login_type = 'password' where username = 'boss'")
    await api.person("lady")
    await api.execute("update users set login_type = 'password' where username = 'lady'")
    await api.person("strong", "template-admin")
    await api.person("chief", organization_roles=("organization-admin",))
    for name in ("boss", "lady", "strong", "chief"):
        answer = await api.post(f"{USERS}/{name}/keys/tokens", {"token_name": "x"}, by=admin)
        assert answer.status_code == 403, name
        assert (await api.get(f"{USERS}/{name}/keys/tokens", by=admin)).status_code == 403, name
        assert (
            await api.post(f"{USERS}/{name}/keys/tokens", {"token_name": "x"})
        ).status_code == 201


async def test_a_user_is_renamed(api: Api) -> None:
    """PUT profile sets username and name; PATCH changes what it holds; what others have is 409."""
    bob = await api.person("bob")
    profile = {"username": "robert", "name": "Robert B"}
    renamed = await api.call("PUT", f"{USERS}/me/profile", profile, by=bob)
    assert (renamed.json()["username"], renamed.json()["name"]) == ("robert", "Robert B")
    patched = (await api.call("PATCH", f"{USERS}/robert", {"name": ""}, by=bob)).json()
    assert (patched["username"], patched.get("name")) == ("robert", None)
    assert (await api.get(f"{USERS}/robert", by=bob)).json() == patched
    taken = await api.call("PUT", f"{USERS}/me/profile", {"username": "BOSS"}, by=bob)
    assert (reason(taken), fields(taken)) == ((409, "user_exists"), {"username"})
    bad = await api.call("PUT", f"{USERS}/me/profile", {"name": "x"}, by=bob)
    assert (bad.status_code, fields(bad)) == (400, {"username"})
    assert ("write", "user", "robert") in await deeds(api)


async def test_a_github_account_is_set_by_admins_only(api: Api) -> None:
    """By its number others find a user, so nobody takes one for themself; 0 takes it away."""
    bob, admin = await api.person("bob"), await api.person("admin", "user-admin")
    for body in ({"github_com_user_id": 7}, {"email": "new@example.com"}):
        assert (await api.call("PATCH", f"{USERS}/me", body, by=bob)).status_code == 403
    given = await api.call("PATCH", f"{USERS}/bob", {"github_com_user_id": 7}, by=admin)
    assert given.status_code == 200
    assert await names(api, "q=github_com_user_id:7") == ["bob"]
    await api.call("PATCH", f"{USERS}/bob", {"github_com_user_id": 0}, by=admin)
    assert await names(api, "q=github_com_user_id:7") == []
    assert (await api.call("PATCH", f"{USERS}/boss", {"name": "x"}, by=admin)).status_code == 403


async def test_a_suspended_user_is_out_at_once(api: Api) -> None:
    """Their tokens are 401 from then on, are good again after the activation, and both are told in the audit."""
    bob, admin = await api.person("bob"), await api.person("admin", "user-admin")
    suspended = await api.call("PUT", f"{USERS}/bob/status/suspend", by=admin)
    assert (suspended.status_code, suspended.json()["status"]) == (200, "suspended")
    out = await api.get(f"{USERS}/me", by=bob)
    assert reason(out) == (401, "user_suspended")
    assert out.headers["WWW-Authenticate"].startswith("Bearer")
    active = await api.call("PUT", f"{USERS}/bob/status/activate", by=admin)
    assert (active.status_code, active.json()["status"]) == (200, "active")
    assert await works(api, bob)
    assert (await deeds(api)).count(("write", "user", "bob")) == 2


async def test_nobody_locks_themself_or_everybody_out(api: Api) -> None:
    """Oneself and the last owner who can act are neither suspended, deleted nor demoted."""
    queen = await api.person("queen", "owner")
    for verb, path in (("PUT", "/status/suspend"), ("DELETE", "")):
        own = await api.call(verb, f"{USERS}/boss{path}")
        assert reason(own) == (400, "own_account")
    own = await api.call("PUT", f"{USERS}/me/roles", {"roles": []})
    assert reason(own) == (400, "own_roles")
    assert (await api.call("PUT", f"{USERS}/queen/status/suspend")).status_code == 200
    assert not await works(api, queen)
    await api.execute("update users set status = 'active' where username = 'queen'")
    async with asyncio.TaskGroup() as group:
        tries = [
            group.create_task(api.call("PUT", f"{USERS}/{name}/roles", {"roles": []}, by=by))
            for name, by in (("boss", queen), ("queen", api.owner))
        ]
    assert min(each.result().status_code for each in tries) == 200
    owners = await api.value("select count(*) from users where 'owner' = any(roles)")
    assert owners == 1


async def test_roles_are_given_by_those_who_hold_them(api: Api) -> None:
    """An owner gives all; a user admin none of the site; a word that is no role is named."""
    bob, admin = await api.person("bob"), await api.person("admin", "user-admin")
    path = f"{USERS}/bob/roles"
    given = await api.call("PUT", path, {"roles": ["template-admin", "auditor", "member"]})
    assert [role["name"] for role in given.json()["roles"]] == ["template-admin", "auditor"]
    shown = (await api.get(path, by=bob)).json()
    assert shown == {
        "roles": ["template-admin", "auditor"],
        "organization_roles": {str(api.organization_id): []},
    }
    for roles in ([], ["template-admin", "auditor", "user-admin"]):
        answer = await api.call("PUT", path, {"roles": roles}, by=admin)
        assert reason(answer) == (403, "forbidden")
    for roles in (["king"], ["organization-admin"]):
        answer = await api.call("PUT", path, {"roles": roles})
        assert (answer.status_code, fields(answer)) == (400, {"roles"})
    assert (await api.get(path, by=bob)).json() == shown
    assert (await api.call("PUT", path, {"roles": []})).json()["roles"] == []
    changes = await api.value(
        "select changes from audit_logs where resource_name = 'bob' order by at desc limit 1"
    )
    assert b'"roles"' in changes


async def test_a_deleted_user_is_gone_but_what_they_did_is_told(api: Api) -> None:
    """Keys die, name and address are free, the audit knows; who has workspaces stays."""
    template = await api.template()
    bob = await api.person("bob")
    await api.task(template, by=bob)
    assert reason(await api.call("DELETE", f"{USERS}/bob")) == (417, "user_has_workspaces")
    assert await works(api, bob)
    await api.execute("update workspaces set deleted = true where owner_id = $1", bob.id)
    gone = await api.call("DELETE", f"{USERS}/bob")
    assert (gone.status_code, set(gone.json())) == (200, {"message"})
    assert reason(await api.get(f"{USERS}/me", by=bob)) == (401, "key_unknown")
    assert (await api.get(f"{USERS}/{bob.id}")).status_code == 404
    members = (await api.get("/api/v2/organizations/default/members")).json()
    assert [member["username"] for member in members] == ["boss"]
    again = await api.post(USERS, {"username": "bob", "email": "bob@example.com"})
    assert again.status_code == 201
    assert ("delete", "user", "bob") in await deeds(api)


async def test_an_ssh_key_is_made_on_first_sight(api: Api) -> None:
    """It stays the same until another is asked for; nobody but its owner and the owner of the server sees it."""
    bob, eve = await api.person("bob"), await api.person("eve", "auditor")
    path = f"{USERS}/bob/gitsshkey"
    async with asyncio.TaskGroup() as group:
        sights = [group.create_task(api.get(path, by=bob)) for _ in range(3)]
    first, *others = [sight.result() for sight in sights]
    assert first.status_code == 200
    assert all(other.json() == first.json() for other in others)
    assert set(first.json()) == {"user_id", "created_at", "updated_at", "public_key"}
    assert first.json()["public_key"].startswith("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI")
    assert (await api.get(path, by=bob)).json() == first.json()
    other = (await api.call("PUT", path, by=bob)).json()
    assert other["public_key"] != first.json()["public_key"]
    assert other["created_at"] == first.json()["created_at"]
    assert (await api.get(path)).json() == other
    assert (await api.get(path, by=eve)).status_code == 403
