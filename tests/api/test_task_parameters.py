"""Values that a task's template asks for, given with the task."""

import pytest

from tests.api.build_kit import PARAMETERS
from tests.api.seed import Api, Json, SeededTemplate, fields, reason

pytestmark = pytest.mark.anyio

PRESET = """
[[preset]]
name = "Big"
parameters = { size = 9, mood = "wild" }
"""


async def create(api: Api, template: SeededTemplate, *given: Json, **body: object) -> Json:
    """The answer to a request for a task with these values."""
    version = str(template.version_id)
    request = {"template_version_id": version, "input": "x", "rich_parameter_values": list(given)}
    return await api.post("/api/v2/tasks/me", {**request, **body})


async def values(api: Api, task: Json) -> dict[str, str]:
    """The parameter values of the task's first build."""
    [build] = (await api.get(f"/api/v2/workspaces/{task['workspace_id']}/builds")).json()
    found = (await api.get(f"/api/v2/workspacebuilds/{build['id']}/parameters")).json()
    return {p["name"]: p["value"] for p in found}


async def test_given_values_go_before_a_preset_and_defaults(api: Api) -> None:
    """As for a workspace: what is given stands, what is not is of the preset, else of the template."""
    template = await api.template(toml=PARAMETERS + PRESET)
    preset = str(await api.value("select id from template_version_presets"))
    given = {"name": "mood", "value": "calm"}
    plain = await create(api, template, {"name": "size", "value": "3"})
    mixed = await create(api, template, given, template_version_preset_id=preset)
    assert (plain.status_code, mixed.status_code) == (201, 201)
    assert await values(api, plain.json()) == {"size": "3", "mood": "calm"}
    assert await values(api, mixed.json()) == {"size": "9", "mood": "calm"}


async def test_values_that_are_not_taken(api: Api) -> None:
    """Each is named by its parameter, and no task is made."""
    template = await api.template(toml=PARAMETERS)
    refused = await create(
        api, template, {"name": "size", "value": "much"}, {"name": "colour", "value": "red"}
    )
    assert reason(refused) == (400, "invalid_parameters")
    assert fields(refused) == {"size", "colour"}
    assert await api.value("select count(*) from tasks") == 0
