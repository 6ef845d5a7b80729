"""Organizations and who is what in them: rows 27 to 34 of the supporting routes."""

from uuid import uuid4

import pytest

from tests.api.seed import Api, Person, fields, reason

pytestmark = pytest.mark.anyio

ORGANIZATIONS = "/api/v2/organizations"
CREW = f"{ORGANIZATIONS}/crew"


async def crew(api: Api) -> Person:
    """The administrator of an organization named crew."""
    organization = await api.organization("crew")
    roles = ("organization-admin",)
    return await api.person("chief", organization=organization, organization_roles=roles)


async def test_an_organization_is_made_by_an_owner(api: Api) -> None:
    """It is of whoever made it; a name is taken once, and follows the rule of names."""
    bob, admin = await api.person("bob"), await api.person("admin", "user-admin")
    body = {"name": "crew", "display_name": "The Crew", "description": "of a ship", "icon": "/x"}
    made = await api.post(ORGANIZATIONS, body)
    assert made.status_code == 201
    assert made.json() | body == made.json()
    assert not made.json()["is_default"]
    assert (await api.get(CREW)).json() == made.json()
    me = (await api.get("/api/v2/users/me")).json()
    assert made.json()["id"] in me["organization_ids"]
    taken = await api.post(ORGANIZATIONS, {"name": "CREW"})
    assert (reason(taken), fields(taken)) == ((409, "organization_name_taken"), {"name"})
    for name in ("", "no_underscores", "Default", "x" * 33):
        bad = await api.post(ORGANIZATIONS, {"name": name})
        assert (bad.status_code, fields(bad)) == (400, {"name"}), name
    for person in (bob, admin):
        refused = await api.post(ORGANIZATIONS, {"name": "mine"}, by=person)
        assert reason(refused) == (403, "forbidden")


async def test_who_sees_which_organization(api: Api) -> None:
    """Members see theirs; whoever has a role of the site that reads organizations sees all."""
    await crew(api)
    member = await api.person("member")
    assert (await api.get(CREW, by=member)).status_code == 404
    for role in ("template-admin", "user-admin", "auditor"):
        person = await api.person(role, role)
        assert (await api.get(CREW, by=person)).status_code == 200, role
        assert len((await api.get(ORGANIZATIONS, by=person)).json()) == 2, role
        for things in ("templates", "workspaces", "tasks"):
            asked = await api.get(f"/api/v2/{things}?q=organization:crew", by=person)
            assert asked.status_code == 200, (role, things)
    assert len((await api.get(ORGANIZATIONS, by=member)).json()) == 1


async def test_members_come_and_go(api: Api) -> None:
    """An administrator adds by the exact name, sees, and removes; twice is refused, and so is oneself."""
    chief = await crew(api)
    bob = await api.person("bob")
    path = f"{CREW}/members/bob"
    assert (await api.get(f"{CREW}/members/bob", by=chief)).status_code == 404
    added = await api.post(path, by=chief)
    assert added.status_code == 200
    assert set(added.json()) == {"user_id", "organization_id", "created_at", "updated_at", "roles"}
    assert (added.json()["user_id"], added.json()["roles"]) == (str(bob.id), [])
    assert reason(await api.post(path, by=chief)) == (400, "already_member")
    one = await api.get(path, by=chief)
    listed = (await api.get(f"{CREW}/members", by=chief)).json()
    assert one.json() in listed
    assert [member["username"] for member in listed] == ["bob", "chief"]
    assert reason(await api.post(f"{CREW}/members/nobody", by=chief)) == (404, "not_found")
    own = await api.call("DELETE", f"{CREW}/members/me", by=chief)
    assert reason(own) == (400, "own_membership")
    gone = await api.call("DELETE", path, by=chief)
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await api.get(path, by=chief)).status_code == 404
    assert (await api.call("DELETE", path, by=chief)).status_code == 404
    told = await api.value(
        "select array_agg(action order by at) from audit_logs where resource_type = 'organization_member'"
    )
    assert told == ["create", "delete"]


async def test_members_without_a_role_change_nothing(api: Api) -> None:
    """A member reads the organization and themself in it; adding, removing and giving roles is 403 or 404."""
    await crew(api)
    organization = await api.value("select id from organizations where name = 'crew'")
    bob = await api.person("bob", organization=organization)
    await api.person("eve")
    assert (await api.get(f"{CREW}/members/me", by=bob)).json()["username"] == "bob"
    for verb, path in (
        ("POST", "members/eve"),
        ("POST", "members/chief"),
        ("DELETE", "members/chief"),
        ("PUT", "members/chief/roles"),
    ):
        answer = await api.call(verb, f"{CREW}/{path}", {"roles": []}, by=bob)
        assert answer.status_code == 404, path
    assert (await api.post(f"{CREW}/members/me", by=bob)).status_code == 403


async def test_roles_of_an_organization(api: Api) -> None:
    """Its administrators make others such; user admins may not, nobody changes their own, and words are checked."""
    chief = await crew(api)
    admin, bob = await api.person("admin", "user-admin"), await api.person("bob")
    await api.post(f"{CREW}/members/bob", by=admin)
    path = f"{CREW}/members/bob/roles"
    roles = {"roles": ["organization-admin", "organization-member"]}
    refused = await api.call("PUT", path, roles, by=admin)
    assert reason(refused) == (403, "forbidden")
    given = await api.call("PUT", path, roles, by=chief)
    organization = given.json()["organization_id"]
    assert given.status_code == 200
    assert given.json()["roles"] == [
        {
            "name": "organization-admin",
            "display_name": "Organization Admin",
            "organization_id": organization,
        }
    ]
    shown = (await api.get("/api/v2/users/bob/roles", by=bob)).json()["organization_roles"]
    assert shown[organization] == ["organization-admin"]
    own = await api.call("PUT", f"{CREW}/members/me/roles", {"roles": []}, by=chief)
    assert reason(own) == (400, "own_roles")
    bad = await api.call("PUT", path, {"roles": ["owner"]}, by=chief)
    assert (bad.status_code, fields(bad)) == (400, {"roles"})
    assert reason(await api.call("DELETE", f"{CREW}/members/bob", by=admin)) == (403, "forbidden")
    stranger = await api.call("PUT", f"{CREW}/members/{api.owner.id}/roles", roles, by=chief)
    assert stranger.status_code == 404


async def test_members_are_searched_page_by_page(api: Api) -> None:
    """The search is that of users, count is the whole list's, and a member finds themself only."""
    chief = await crew(api)
    organization = await api.value("select id from organizations where name = 'crew'")
    people = [await api.person(name, organization=organization) for name in ("Ann", "bert")]
    path = f"{CREW}/paginated-members"

    async def found(query: str, by: Person = chief) -> tuple[list[str], int]:
        answer = (await api.get(f"{path}?{query}", by=by)).json()
        assert set(answer) == {"members", "count"}
        return [member["username"] for member in answer["members"]], answer["count"]

    assert await found("") == (["Ann", "bert", "chief"], 3)
    assert await found("limit=2&offset=1") == (["bert", "chief"], 3)
    assert await found("offset=9") == ([], 3)
    assert await found("q=ann") == (["Ann"], 1)
    assert await found("q=status:suspended") == ([], 0)
    assert await found("", by=people[0]) == (["Ann"], 1)
    assert fields(await api.get(f"{path}?q=x:1", by=chief)) == {"x"}
    assert fields(await api.get(f"{path}?limit=x", by=chief)) == {"limit"}
    assert (await api.get(f"{ORGANIZATIONS}/{uuid4()}/paginated-members")).status_code == 404
