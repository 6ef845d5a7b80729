"""Templates over the real edge: made, found, listed, moved to another version."""

from uuid import uuid4

import pytest

from tests.api.seed import Api, Json, fields, reason
from tests.api.template_kit import TASK, imported, importing, push, template_of

pytestmark = pytest.mark.anyio

TEMPLATES = "/api/v2/organizations/default/templates"


async def names(api: Api, q: str, path: str = "/api/v2/templates") -> list[str]:
    """The names of the templates that a query finds, in their order."""
    response = await api.client.get(
        path, params={"q": q}, headers={"Coder-Session-Token": api.owner.token}
    )
    assert response.status_code == 200, response.text
    return [row["name"] for row in response.json()]


async def refusal(api: Api, q: str) -> tuple[int, str, set[str]]:
    """How a query is refused, and which keys are named."""
    response = await api.client.get(
        "/api/v2/templates", params={"q": q}, headers={"Coder-Session-Token": api.owner.token}
    )
    return (*reason(response), fields(response))


async def create(api: Api, version: Json, name: str = "shell", **body: object) -> tuple[int, str]:
    """Status and reason of an attempt to make a template that fails."""
    request = {"name": name, "template_version_id": version["id"], **body}
    return reason(await api.post(TEMPLATES, request))


async def test_a_template_is_found_by_id_and_by_name(api: Api) -> None:
    """The same object each way, whatever the name's case; defaults as clients know them."""
    made = await template_of(api, await push(api), "Shell-1")
    paths = (f"/api/v2/templates/{made['id']}", f"{TEMPLATES}/shell-1")
    for path in paths:
        assert (await api.get(path)).json() == made
    assert (await api.get(TEMPLATES)).json() == [made]
    assert made["activity_bump_ms"] == 3_600_000
    assert made["allow_user_autostart"] is made["allow_user_autostop"] is True
    assert made["allow_user_cancel_workspace_jobs"] is False
    assert made["autostop_requirement"] == {"days_of_week": [], "weeks": 1}
    assert len(made["autostart_requirement"]["days_of_week"]) == 7
    assert made["organization_name"] == "default"
    assert made["created_by_name"] == "boss"
    assert made["active_user_count"] == 0


async def test_what_a_request_says_of_a_template_is_kept(api: Api) -> None:
    """Milliseconds and switches come back under the keys of the answer."""
    body = {"default_ttl_ms": 1, "failure_ttl_ms": 2, "dormant_ttl_ms": 3, "delete_ttl_ms": 4}
    made = await template_of(
        api, await push(api), "shell", **body, display_name=" Mine ", require_active_version=True
    )
    assert made["default_ttl_ms"] == 1
    assert made["failure_ttl_ms"] == 2
    assert made["time_til_dormant_ms"] == 3
    assert made["time_til_dormant_autodelete_ms"] == 4
    assert made["require_active_version"] is True
    assert made["display_name"] == "Mine"


async def test_the_checks_of_a_new_template_have_an_order(api: Api) -> None:
    """Fields, name in use, version unknown, archived, taken, and only then numbers."""
    used, free = await push(api), await push(api)
    await template_of(api, used, "shell")
    unknown, bad = {"id": str(uuid4())}, {"default_ttl_ms": -1}
    assert await create(api, unknown, "-x-", **bad) == (400, "invalid")
    assert await create(api, unknown, "SHELL", **bad) == (409, "template_name_taken")
    assert await create(api, unknown, "other", **bad) == (404, "template_version_not_found")
    assert await create(api, used, "other", **bad) == (400, "template_version_attached")
    assert await create(api, free, "other", **bad) == (400, "invalid")
    await api.execute("update template_versions set archived = true")
    assert await create(api, used, "other", **bad) == (400, "template_version_archived")


async def test_bad_fields_of_a_new_template_are_all_named(api: Api) -> None:
    """One answer for everything that is wrong with the words."""
    body = {
        "name": "x" * 33,
        "display_name": "d" * 65,
        "description": "d" * 128,
        "icon": "i" * 2049,
    }
    response = await api.post(TEMPLATES, body)
    assert reason(response) == (400, "invalid")
    assert fields(response) == {*body, "template_version_id"}
    numbers: Json = {
        "default_ttl_ms": -1,
        "activity_bump_ms": -1,
        "failure_ttl_ms": -1,
        "dormant_ttl_ms": -1,
        "delete_ttl_ms": 2**62,
        "max_port_share_level": "friends",
        "cors_behavior": "none",
    }
    requirements: Json = {
        "autostop_requirement": {"days_of_week": ["someday"], "weeks": 17},
        "autostart_requirement": {"days_of_week": ["never"]},
    }
    version = await push(api)
    refused = {"name": "x", "template_version_id": version["id"], **numbers, **requirements}
    response = await api.post(TEMPLATES, refused)
    assert reason(response) == (400, "invalid")
    assert fields(response) == {
        *numbers,
        "autostop_requirement.days_of_week",
        "autostop_requirement.weeks",
        "autostart_requirement.days_of_week",
    }


async def test_templates_are_made_by_those_who_may(api: Api) -> None:
    """A member sees and reads, but makes and moves none; another organization sees nothing."""
    version = await push(api)
    template = await template_of(api, version)
    path = f"/api/v2/templates/{template['id']}"
    member = await api.person("ann")
    elsewhere = await api.organization("elsewhere")
    stranger = await api.person("eve", organization=elsewhere)
    admin = await api.person("tom", organization_roles=("organization-admin",))
    body = {"name": "x", "template_version_id": version["id"]}
    assert reason(await api.post(TEMPLATES, body, by=member)) == (403, "forbidden")
    patch = await api.call("PATCH", f"{path}/versions", {"id": version["id"]}, by=member)
    assert reason(patch) == (403, "forbidden")
    assert (await api.get(path, by=member)).status_code == 200
    assert (await api.get("/api/v2/templates", by=stranger)).json() == []
    assert reason(await api.get(path, by=stranger)) == (404, "not_found")
    assert reason(await api.get(f"{path}/versions", by=stranger)) == (404, "not_found")
    assert reason(await api.get(f"{TEMPLATES}/shell", by=stranger)) == (404, "not_found")
    assert (await push(api, by=admin))["created_by"]["username"] == "tom"


async def test_a_query_narrows_templates(api: Api) -> None:
    """Each key, and bare words, which look into both names."""
    await template_of(api, await push(api), "alpha", display_name="First One")
    await template_of(api, await push(api), "beta", display_name="Second One")
    other = await api.person("tom", "template-admin")
    version = await push(api, by=other)
    body = {"name": "gamma", "template_version_id": version["id"], "display_name": "Third"}
    await api.post(TEMPLATES, body, by=other)
    found = {
        "": ["alpha", "beta", "gamma"],
        "one": ["alpha", "beta"],
        "GAM": ["gamma"],
        "name:et": ["beta"],
        "exact_name:et": [],
        "exact_name:Beta": ["beta"],
        'display_name:"second one"': ["beta"],
        "author:me": ["alpha", "beta"],
        "author:tom": ["gamma"],
        f"author_id:{other.id}": ["gamma"],
        "organization:default": ["alpha", "beta", "gamma"],
        f"organization:{uuid4()}": [],
        "has_external_agent:true": [],
        "has_external_agent:false": ["alpha", "beta", "gamma"],
        "deleted:true": [],
    }
    for q, expected in found.items():
        assert await names(api, q) == expected, q
    assert await names(api, "name:a", TEMPLATES) == ["alpha", "beta", "gamma"]
    assert await names(api, f"organization:{uuid4()}", TEMPLATES) == []


async def test_deprecated_templates_are_shown_when_asked_for(api: Api) -> None:
    """Left out by themselves; the object says so, and is still found by its name."""
    await template_of(api, await push(api), "old")
    await template_of(api, await push(api), "fresh")
    await api.execute("update templates set deprecation_message = 'use fresh' where name = 'old'")
    assert await names(api, "") == ["fresh"]
    assert await names(api, "deprecated:true") == ["old"]
    assert (await api.get(f"{TEMPLATES}/old")).json()["deprecated"] is True


async def test_a_query_that_makes_no_sense_is_refused(api: Api) -> None:
    """Unknown keys, words that are neither yes nor no, people and places that are not there."""
    expected = {
        "colour:red": {"colour"},
        "has-ai-task:maybe": {"has-ai-task"},
        "author:nobody": {"author"},
        "author_id:x": {"author_id"},
        "organization:nowhere": {"organization"},
        ":x": {"q"},
    }
    for q, keys in expected.items():
        assert await refusal(api, q) == (400, "invalid_query", keys), q
    assert await names(api, "a\0b") == []


async def test_the_template_with_most_users_comes_first(api: Api) -> None:
    """Users with a workspace of it, not workspaces, are counted."""
    first, second = await api.template("aaa"), await api.template("bbb")
    ann = await api.person("ann")
    await api.task(first)
    await api.task(first)
    await api.task(second)
    await api.task(second, by=ann)
    rows = (await api.get("/api/v2/templates")).json()
    assert [(row["name"], row["active_user_count"]) for row in rows] == [("bbb", 2), ("aaa", 1)]


async def test_versions_are_listed_oldest_first(api: Api) -> None:
    """Pages by limit, offset and after_id; archived ones only when asked for."""
    template = await template_of(api, await push(api, name="v1"))
    made = [await push(api, name=f"v{n}", template_id=template["id"]) for n in (2, 3, 4)]
    await api.execute("update template_versions set archived = true where name = 'v3'")
    path = f"/api/v2/templates/{template['id']}/versions"
    expected = {
        "": ["v1", "v2", "v4"],
        "?include_archived=true": ["v1", "v2", "v3", "v4"],
        "?limit=1": ["v1"],
        "?limit=2&offset=1": ["v2", "v4"],
        "?limit=0": ["v1", "v2", "v4"],
        f"?after_id={made[0]['id']}": ["v4"],
        f"?include_archived=true&after_id={made[0]['id']}&limit=1": ["v3"],
    }
    for query, found in expected.items():
        assert [row["name"] for row in (await api.get(path + query)).json()] == found, query


async def test_bad_pages_of_versions_are_refused(api: Api) -> None:
    """Each wrong parameter is named."""
    template = await template_of(api, await push(api))
    path = f"/api/v2/templates/{template['id']}/versions"
    expected = {
        "limit=-1": "limit",
        "offset=x": "offset",
        "include_archived=perhaps": "include_archived",
        "after_id=x": "after_id",
        f"after_id={uuid4()}": "after_id",
    }
    for query, field in expected.items():
        response = await api.get(f"{path}?{query}")
        assert (reason(response), fields(response)) == ((400, "invalid_query"), {field}), query


async def test_a_version_is_promoted(api: Api) -> None:
    """New workspaces use it; texts that came from the version before come from this one."""
    async with importing(api.services):
        first = await imported(api, await push(api))
        template = await template_of(api, first, description="kept")
        toml = TASK.replace(b"Shell", b"Newer").replace(b"Runs it.", b"Runs more.")
        second = await imported(api, await push(api, toml, template_id=template["id"]))
    path = f"/api/v2/templates/{template['id']}"
    response = await api.call("PATCH", f"{path}/versions", {"id": second["id"]})
    assert response.status_code == 200
    assert response.json()["message"]
    now = (await api.get(path)).json()
    assert now["active_version_id"] == second["id"]
    assert (now["display_name"], now["description"]) == ("Newer", "kept")


async def test_what_cannot_be_promoted_is_refused(api: Api) -> None:
    """Unknown 404, of another template 400, not imported 403, archived 400."""
    template = await template_of(api, await push(api))
    pending = await push(api, template_id=template["id"])
    path = f"/api/v2/templates/{template['id']}/versions"

    async def promote(version_id: str | None) -> tuple[int, str]:
        return reason(await api.call("PATCH", path, {"id": version_id}))

    assert await promote(str(uuid4())) == (404, "template_version_not_found")
    assert await promote(None) == (404, "template_version_not_found")
    stray = await push(api)
    assert await promote(stray["id"]) == (400, "template_version_of_other_template")
    assert await promote(pending["id"]) == (403, "template_version_not_imported")
    async with importing(api.services):
        await imported(api, pending)
    await api.execute("update template_versions set archived = true")
    assert await promote(pending["id"]) == (400, "template_version_archived")


async def test_bad_ids_of_templates_are_400_and_unknown_ones_404(api: Api) -> None:
    """The two answers to an id that leads nowhere."""
    assert reason(await api.get("/api/v2/templates/x")) == (400, "invalid_uuid")
    assert reason(await api.get(f"/api/v2/templates/{uuid4()}")) == (404, "not_found")
    assert reason(await api.get("/api/v2/organizations/x/templates")) == (404, "not_found")
