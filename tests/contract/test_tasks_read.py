"""Reading tasks: one of them, the list and its query."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from tests.api.seed import UNKNOWN, Api, Person, fields, reason

pytestmark = pytest.mark.anyio


async def ids(api: Api, q: str = "", *, by: Person | None = None) -> list[str]:
    """The ids of the tasks that a query lists."""
    headers = {"Coder-Session-Token": (by or api.owner).token}
    response = await api.client.get("/api/v2/tasks", params={"q": q}, headers=headers)
    assert response.status_code == 200, response.text
    body = response.json()
    assert body["count"] == len(body["tasks"])
    return [task["id"] for task in body["tasks"]]


async def test_T40_T43_ways_to_name_a_task(api: Api) -> None:
    """By id and by name in any case, behind `me`, a user name and a user id; unknown users are 404."""
    task = await api.task(await api.template(), name="One")
    for user in ("me", "boss", "BOSS", str(api.owner.id)):
        for name in (task["id"], task["id"].upper(), "One", "oNE", UUID(task["id"]).hex):
            response = await api.get(f"/api/v2/tasks/{user}/{name}")
            assert response.json()["id"] == task["id"], (user, name)
    for path in ("nobody/One", f"{UNKNOWN}/One", f"me/{UNKNOWN}", "me/Two", "me/a%00b"):
        assert reason(await api.get(f"/api/v2/tasks/{path}")) == (404, "not_found")


async def test_T41_ids_of_other_peoples_tasks(api: Api) -> None:
    """Administrators reach any task by id behind `me`; members do not see it at all."""
    template = await api.template()
    ada, bob = await api.person("ada"), await api.person("bob")
    admin = await api.person("ann", organization_roles=("organization-admin",))
    task = await api.task(template, by=ada)
    path = f"/api/v2/tasks/me/{task['id']}"
    for person, status in ((api.owner, 200), (admin, 200), (ada, 200), (bob, 404)):
        assert (await api.get(path, by=person)).status_code == status
    for method, rest in (("POST", "/pause"), ("POST", "/resume"), ("DELETE", ""), ("GET", "/logs")):
        assert reason(await api.call(method, path + rest, by=bob)) == (404, "not_found")


async def test_T42_names_that_look_like_ids(api: Api) -> None:
    """A task named with 32 hexadecimal digits is found by that name, and one by its id without hyphens."""
    name = uuid4().hex
    task = await api.task(await api.template(), name=name)
    for found in (name, name.upper(), UUID(task["id"]).hex, task["id"]):
        assert (await api.get(f"/api/v2/tasks/me/{found}")).json()["id"] == task["id"]


async def test_workspace_ids_are_tried_last(api: Api) -> None:
    """The id of a workspace leads to its task, as far as the caller may see it."""
    task = await api.task(await api.template())
    path = f"/api/v2/tasks/me/{task['workspace_id']}"
    assert (await api.get(path)).json()["id"] == task["id"]
    assert (await api.get(path, by=await api.person("ada"))).status_code == 404


async def test_T44_newest_first(api: Api) -> None:
    """The newest task comes first, and limit and offset change nothing."""
    template = await api.template()
    made = [(await api.task(template))["id"] for _ in range(3)]
    assert await ids(api) == made[::-1]
    response = await api.get("/api/v2/tasks?limit=1&offset=1")
    assert response.json()["count"] == 3


async def test_pages_of_our_own(api: Api) -> None:
    """Who asks for pages walks through all tasks, each once, and the last page names no next one."""
    template = await api.template()
    made = [(await api.task(template))["id"] for _ in range(5)]
    await api.execute("update tasks set created_at = '2026-01-01T00:00:00Z'")
    seen: list[str] = []
    token = ""
    while True:
        response = await api.get(f"/api/v2/tasks?page_size=2&page_token={token}")
        seen += [task["id"] for task in response.json()["tasks"]]
        token = response.headers.get("X-Taskyard-Next-Page", "")
        if not token:
            break
    assert len(seen) == 5
    assert set(seen) == set(made)


@pytest.mark.parametrize(
    "query", ["page_size=0", "page_size=x", "page_size=1001", "page_token=x", "page_token=eA=="]
)
async def test_pages_that_are_none(api: Api, query: str) -> None:
    """A page that cannot be had is refused with the key's name."""
    response = await api.get(f"/api/v2/tasks?{query}")
    assert reason(response) == (400, "invalid_query")
    assert fields(response) == {query.partition("=")[0]}


async def test_T45_whose_tasks_are_listed(api: Api) -> None:
    """Without a query, all that the caller may see: own tasks for members, all for administrators."""
    template = await api.template()
    ada = await api.person("ada")
    auditor = await api.person("al", "auditor", "template-admin", "user-admin")
    mine, hers = await api.task(template), await api.task(template, by=ada)
    assert await ids(api) == [hers["id"], mine["id"]]
    assert await ids(api, by=ada) == [hers["id"]]
    assert await ids(api, by=auditor) == []


async def test_T46_the_owner_in_a_query(api: Api) -> None:
    """`me`, the name and the id mean the same, with and without quotes, key and a comma at the end."""
    template = await api.template()
    await api.task(template, by=await api.person("ada"))
    mine = (await api.task(template))["id"]
    for q in ("owner:me", 'owner:"me"', "me", f"owner:{api.owner.id}", "owner:boss", "owner:Boss,"):
        assert await ids(api, q) == [mine], q


async def test_T47_status_in_a_query(api: Api) -> None:
    """The status that is asked for is the one that tasks show."""
    template = await api.template()
    pending, active = await api.task(template), await api.task(template)
    await api.start(active["workspace_id"], "ready", "healthy")
    assert await ids(api, "status:pending") == [pending["id"]]
    assert await ids(api, "owner:me status:active") == [active["id"]]
    assert await ids(api, 'status:"ERROR"') == []


@pytest.mark.parametrize(
    ("q", "field"),
    [
        (":x", "q"),
        ("x:", "q"),
        ("a:b:c", "q"),
        ("foo:bar", "foo"),
        ("owner:a owner:b", "owner"),
        ("owner:nobody", "owner"),
        ("organization:nothing", "organization"),
        ("status:sleepy", "status"),
        ("owner:a%00b", "owner"),
    ],
)
async def test_T48_queries_that_make_no_sense(api: Api, q: str, field: str) -> None:
    """Each mistake in a query is named with its key."""
    response = await api.get(f"/api/v2/tasks?q={q}")
    assert reason(response) == (400, "invalid_query")
    assert fields(response) == {field}


async def test_T48_all_mistakes_at_once(api: Api) -> None:
    """A query with several mistakes names all of them."""
    response = await api.get("/api/v2/tasks?q=owner:nobody status:sleepy organization:x")
    assert fields(response) == {"owner", "status", "organization"}


async def test_T48_members_cannot_ask_for_others(api: Api) -> None:
    """A user whom the caller may not see is as unknown as nobody."""
    ada = await api.person("ada")
    await api.person("bob")
    response = await api.get("/api/v2/tasks?q=owner:bob", by=ada)
    assert reason(response) == (400, "invalid_query")


async def test_T49_ids_that_match_nothing(api: Api) -> None:
    """An id of nobody is no mistake, only an empty list."""
    await api.task(await api.template())
    assert await ids(api, f"owner:{UNKNOWN}") == []
    assert await ids(api, f"organization:{UNKNOWN}") == []


async def test_T50_organization_in_a_query(api: Api) -> None:
    """An organization is named by its name or its id."""
    other = await api.organization("Other")
    here = (await api.task(await api.template()))["id"]
    there = (await api.task(await api.template(organization=other)))["id"]
    assert await ids(api, "organization:other") == [there]
    assert await ids(api, f"organization:{other}") == [there]
    assert await ids(api, "organization:default") == [here]


async def test_agent_health_is_told_with_its_reason(api: Api) -> None:
    """A connected agent is well; one that is not heard of any more is not, and its task stays active."""
    task = await api.task(await api.template())
    agent = await api.start(task["workspace_id"], "ready", "healthy")
    seen = (
        "update workspace_agents set first_connected_at = $2, last_connected_at = $2 where id = $1"
    )
    await api.execute(seen, agent, api.now)
    assert (await api.fresh(task))["workspace_agent_health"] == {"healthy": True}
    await api.execute(seen, agent, api.now - timedelta(hours=1))
    fresh = await api.fresh(task)
    assert fresh["workspace_agent_health"]["healthy"] is False
    assert fresh["status"] == "active"
