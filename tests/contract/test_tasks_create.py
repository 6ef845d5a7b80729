"""Making tasks."""

import re
from uuid import UUID, uuid4

import pytest

from tests.api.build_kit import PARAMETERS
from tests.api.seed import NIL, UNKNOWN, Api, SeededTemplate, fields, reason

pytestmark = pytest.mark.anyio

PLAIN = '[template]\ndisplay_name = "No task"\n[scripts]\n'

PRESETS = (
    PARAMETERS
    + """
[[preset]]
name = "Big"
parameters = { size = 9 }
"""
)


async def create(api: Api, template: SeededTemplate, **body: object) -> tuple[int, str]:
    """Status and reason of a refused request to make a task."""
    request = {"template_version_id": str(template.version_id), "input": "do it", **body}
    return reason(await api.post("/api/v2/tasks/me", request))


async def test_T20_minimal_request(api: Api) -> None:
    """A version and an input are enough: pending, build 1, nothing of agent or app yet."""
    task = await api.task(await api.template())
    assert (task["status"], task["workspace_status"]) == ("pending", "pending")
    assert task["workspace_build_number"] == 1
    assert task["current_state"] is None
    for key in ("workspace_agent_id", "workspace_app_id", "workspace_agent_lifecycle"):
        assert task[key] is None
    assert task["workspace_agent_health"] is None


async def test_T20_the_first_build_is_a_start_by_the_caller(api: Api) -> None:
    """Build 1 starts the workspace, for the reason `initiator`, on behalf of who asked."""
    task = await api.task(await api.template())
    [build] = (await api.get(f"/api/v2/workspaces/{task['workspace_id']}/builds")).json()
    assert (build["transition"], build["reason"]) == ("start", "initiator")
    assert build["initiator_id"] == str(api.owner.id)


@pytest.mark.parametrize("text", ["  two\n\nlines\t \n", "", "ünï → 字 \U0001f600"])
async def test_T21_T35_the_input_is_kept_byte_for_byte(api: Api, text: str) -> None:
    """Blanks, newlines and an empty input come back as they were sent."""
    task = await api.task(await api.template(), input=text)
    assert task["initial_prompt"] == text
    assert (await api.fresh(task))["initial_prompt"] == text


async def test_T22_the_workspace_knows_its_task(api: Api) -> None:
    """A workspace of the same name exists and names the task."""
    task = await api.task(await api.template(), name="one")
    workspace = (await api.get(f"/api/v2/workspaces/{task['workspace_id']}")).json()
    assert (workspace["name"], workspace["task_id"]) == ("one", task["id"])
    assert task["workspace_name"] == task["name"] == "one"


async def test_T23_unknown_version(api: Api) -> None:
    """A version that is absent, null, nil or unknown is a bad request, not a 404, and told in one sentence."""
    await api.template()
    said = set()
    for named in ({}, *({"template_version_id": v} for v in (None, NIL, UNKNOWN))):
        response = await api.post("/api/v2/tasks/me", {"input": "do it", **named})
        assert reason(response) == (400, "template_version_not_found"), named
        said.add(response.json()["message"])
    assert len(said) == 1


async def test_T23_version_of_an_organization_that_is_not_ones_own(api: Api) -> None:
    """A version that the caller may not see is answered like an unknown one."""
    other = await api.template(organization=await api.organization("other"))
    member = await api.person("ada")
    body = {"template_version_id": str(other.version_id), "input": "x"}
    found = reason(await api.post("/api/v2/tasks/me", body, by=member))
    assert found == (400, "template_version_not_found")


async def test_T24_version_without_task(api: Api) -> None:
    """Only versions that declare a task make tasks."""
    template = await api.template(toml=PLAIN)
    assert await create(api, template) == (400, "template_without_task")


async def test_T24_version_whose_import_runs(api: Api) -> None:
    """A version is not known to declare a task before its import succeeded."""
    template = await api.template()
    await api.execute("update template_versions set definition = null, has_ai_task = null")
    assert await create(api, template) == (400, "template_without_task")


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("a_b", "name_malformed"),
        ("-a", "name_malformed"),
        ("a-", "name_malformed"),
        ("a--b", "name_malformed"),
        ("a b", "name_malformed"),
        ("a" * 33, "name_too_long"),
        ("new", "name_reserved"),
        ("create", "name_reserved"),
    ],
)
async def test_T25_bad_names(api: Api, name: str, word: str) -> None:
    """Each rule for names has its own reason, told in the detail."""
    template = await api.template()
    body = {"template_version_id": str(template.version_id), "input": "x", "name": name}
    response = await api.post("/api/v2/tasks/me", body)
    assert reason(response) == (400, word)
    assert response.json()["detail"]


async def test_T26_upper_case_is_kept_and_ignored(api: Api) -> None:
    """A name keeps its capitals and is found without them."""
    task = await api.task(await api.template(), name="Abc-1")
    assert task["name"] == "Abc-1"
    assert (await api.get("/api/v2/tasks/me/abc-1")).json()["id"] == task["id"]


@pytest.mark.parametrize("text", ["Fix the login page, please!", "?!", "x" * 200, "a\tb\nc"])
async def test_T27_names_are_made_of_the_input(api: Api, text: str) -> None:
    """A name that was not given is short, clean and ends with four hexadecimal digits."""
    task = await api.task(await api.template(), input=text, name="")
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*-[0-9a-f]{4}", task["name"])
    assert len(task["name"]) <= 32
    assert task["display_name"]


async def test_T28_the_same_input_twice(api: Api) -> None:
    """Tasks of one input get different names."""
    template = await api.template()
    first, second = await api.task(template), await api.task(template)
    assert first["name"] != second["name"]


async def test_T29_only_the_display_name_is_made(api: Api) -> None:
    """A given name stays, the missing display name comes from the input."""
    task = await api.task(await api.template(), name="one", input="count the words")
    assert (task["name"], task["display_name"]) == ("one", "Count the words")


async def test_T30_long_display_names(api: Api) -> None:
    """64 bytes are taken, blanks around them not counted; one more is refused."""
    template = await api.template()
    task = await api.task(template, display_name="  " + "d" * 64 + " ")
    assert task["display_name"] == "d" * 64
    for long in ("d" * 65, " " + "d" * 65 + " ", "€" * 22):
        found = await create(api, template, display_name=long)
        assert found == (400, "display_name_too_long"), long
    task = await api.task(template, display_name="€" * 21)
    assert task["display_name"] == "€" * 21


async def test_T31_names_in_use(api: Api) -> None:
    """A name in use, in whatever case, is a conflict that names the field."""
    template = await api.template()
    await api.task(template, name="one")
    body = {"template_version_id": str(template.version_id), "input": "x", "name": "ONE"}
    response = await api.post("/api/v2/tasks/me", body)
    assert reason(response) == (409, "workspace_name_taken")
    assert fields(response) == {"name"}


async def test_T31_name_of_a_plain_workspace(api: Api) -> None:
    """A workspace that belongs to no task keeps its name too."""
    template = await api.template()
    task = await api.task(template, name="one")
    await api.execute("delete from tasks where id = $1", UUID(task["id"]))
    assert await create(api, template, name="one") == (409, "workspace_name_taken")


async def test_T32_the_same_name_for_somebody_else(api: Api) -> None:
    """Names are unique for each owner only."""
    template = await api.template()
    member = await api.person("ada")
    await api.task(template, name="one")
    assert (await api.task(template, name="one", by=member))["owner_name"] == "ada"


async def test_T33_presets(api: Api) -> None:
    """A preset gives its values to the first build; the nil UUID is none; an unknown one is refused."""
    template = await api.template(toml=PRESETS)
    preset = str(await api.value("select id from template_version_presets"))
    plain = await api.task(template, template_version_preset_id=NIL)
    absent = await api.task(template)
    big = await api.task(template, template_version_preset_id=preset)
    assert await values(api, plain) == ({"size": "1", "mood": "calm"}, None)
    assert await values(api, absent) == await values(api, plain)
    assert await values(api, big) == ({"size": "9", "mood": "calm"}, preset)
    found = await create(api, template, template_version_preset_id=str(uuid4()))
    assert found == (400, "preset_not_found")


async def values(api: Api, task: dict[str, str]) -> tuple[dict[str, str], str | None]:
    """The parameter values and the preset of a task's newest build."""
    [build] = (await api.get(f"/api/v2/workspaces/{task['workspace_id']}/builds")).json()
    found = (await api.get(f"/api/v2/workspacebuilds/{build['id']}/parameters")).json()
    return {p["name"]: p["value"] for p in found}, build["template_version_preset_id"]


async def test_T34_the_version_is_checked_before_the_name(api: Api) -> None:
    """A bad name of an unknown version reports the version."""
    template = await api.template()
    found = await create(api, template, name="a_b", template_version_id=str(uuid4()))
    assert found == (400, "template_version_not_found")


async def test_T36_unknown_keys_and_what_follows_the_value_are_ignored(api: Api) -> None:
    """A body may hold more than is read, and keys in any case."""
    template = await api.template()
    raw = f'{{"Template_Version_ID": "{template.version_id}", "INPUT": "x", "more": [1]}} tail'
    response = await api.call("POST", "/api/v2/tasks/me", content=raw.encode())
    assert response.status_code == 201
    assert response.json()["initial_prompt"] == "x"


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"input": 1}', b'{"template_version_id": ""}'])
async def test_T37_bodies_that_are_no_request(api: Api, raw: bytes) -> None:
    """An empty body, no JSON, or JSON of another shape is refused with the reason in the detail."""
    response = await api.call("POST", "/api/v2/tasks/me", content=raw)
    assert reason(response) == (400, "invalid_json")
    assert response.json()["detail"]


async def test_a_body_with_a_nul_is_refused(api: Api) -> None:
    """The one character that cannot be stored is refused, not dropped."""
    template = await api.template()
    assert await create(api, template, input="a\0b") == (400, "invalid_json")


async def test_templates_that_make_nothing_new(api: Api) -> None:
    """Deleted, deprecated and archived ones, and versions without a template, each say why."""
    template = await api.template()
    loose = await api.version(None)
    assert await create(api, template, template_version_id=str(loose)) == (
        400,
        "template_version_unattached",
    )
    await api.execute("update template_versions set archived = true")
    assert await create(api, template) == (500, "template_version_archived")
    await api.execute("update templates set deprecation_message = 'use the other'")
    assert await create(api, template) == (400, "template_deprecated")
    await api.execute("update templates set deleted = true")
    assert await create(api, template) == (404, "template_deleted")


async def test_tasks_for_somebody_else(api: Api) -> None:
    """Owners make tasks for anybody, user admins see whom they may not make tasks for, members see nobody."""
    template = await api.template()
    member, admin = await api.person("ada"), await api.person("uma", "user-admin")
    body = {"template_version_id": str(template.version_id), "input": "x"}
    made = await api.post("/api/v2/tasks/ada", body)
    assert (made.status_code, made.json()["owner_id"]) == (201, str(member.id))
    refused = await api.post("/api/v2/tasks/ada", body, by=admin)
    assert reason(refused) == (403, "forbidden")
    unseen = await api.post("/api/v2/tasks/uma", body, by=member)
    assert reason(unseen) == (404, "not_found")


async def test_target_outside_the_templates_organization(api: Api) -> None:
    """Somebody seen only as a member of another organization gets no task of this one."""
    other = await api.organization("other")
    admin = await api.person("ann", organization_roles=("organization-admin",))
    await api.execute(
        "insert into organization_members values ($1, $2, '{organization-admin}', now(), now())",
        other,
        admin.id,
    )
    await api.person("bea", organization=other)
    template = await api.template()
    body = {"template_version_id": str(template.version_id), "input": "x"}
    assert reason(await api.post("/api/v2/tasks/bea", body, by=admin)) == (404, "not_found")


async def test_nothing_is_left_of_a_refused_request(api: Api) -> None:
    """Task, workspace and build are made together or not at all."""
    template = await api.template()
    await create(api, template, template_version_preset_id=str(uuid4()))
    for table in ("tasks", "workspaces", "workspace_builds"):
        assert await api.value(f"select count(*) from {table}") == 0
