"""Files, templates and their versions: U9 to U13, U25, and every key of S10 to S13."""

import pytest

from tests.api.seed import Api, reason
from tests.api.template_kit import (
    ASKING,
    PLAIN,
    TAR,
    TASK,
    imported,
    importing,
    push,
    template_of,
    version_of,
)
from tests.archives import tar_of
from tests.contract.shapes import check

pytestmark = pytest.mark.anyio

FILES = "/api/v2/files"
TEMPLATES = "/api/v2/organizations/default/templates"

SETTINGS = {
    "display_name": "Mine",
    "description": "What it is.",
    "icon": "/icon/x.svg",
    "default_ttl_ms": 1,
    "activity_bump_ms": 2,
    "allow_user_autostart": False,
    "allow_user_autostop": False,
    "allow_user_cancel_workspace_jobs": True,
    "failure_ttl_ms": 3,
    "require_active_version": True,
    "max_port_share_level": "public",
    "cors_behavior": "passthru",
}
"""Settings that have the same name in a request and in a template."""


async def names(api: Api, q: str) -> list[str]:
    """The names of the templates that a query finds, in their order."""
    response = await api.client.get(
        "/api/v2/templates", params={"q": q}, headers={"Coder-Session-Token": api.owner.token}
    )
    assert response.status_code == 200, response.text
    return [row["name"] for row in response.json()]


async def test_U9_the_same_bytes_are_stored_once_a_user(api: Api) -> None:
    """First 201, then 200 with the same id under `hash`; another user gets a file of their own."""
    data = tar_of({"taskyard.toml": TASK})
    other = await api.person("admin", "template-admin")
    first = await api.call("POST", FILES, content=data, headers=TAR)
    again = await api.call("POST", FILES, content=data, headers=TAR)
    theirs = await api.call("POST", FILES, content=data, headers=TAR, by=other)
    assert [first.status_code, again.status_code, theirs.status_code] == [201, 200, 201]
    assert first.json() == again.json() != theirs.json()
    assert list(first.json()) == ["hash"]


async def test_U10_a_version_becomes_the_active_one_of_its_template(api: Api) -> None:
    """Push, import, template: the names for people come from the archive, the readme too."""
    async with importing(api.services):
        pending = await push(
            api, {"taskyard.toml": TASK, "README.md": b"# Hello \xff\x00"}, message="first"
        )
        assert pending["job"]["status"] == "pending"
        assert pending["job"]["type"] == "template_version_import"
        assert pending["job"]["input"] == {"template_version_id": pending["id"]}
        assert pending["template_id"] == "00000000-0000-0000-0000-000000000000"
        version = await imported(api, pending)
    assert version["job"]["status"] == "succeeded", version["job"]
    assert version["readme"] == "# Hello \ufffd\ufffd"
    assert version["message"] == "first"
    assert version["created_by"]["username"] == "boss"
    template = await template_of(api, version)
    assert template["active_version_id"] == version["id"]
    assert (template["display_name"], template["description"]) == ("Shell", "Runs it.")
    assert (template["icon"], template["provisioner"]) == ("/icon.svg", "echo")
    attached = await version_of(api, version["id"])
    assert attached["template_id"] == template["id"]
    assert attached["job"]["metadata"]["template_name"] == "shell"


async def test_U11_presets_are_always_an_array(api: Api) -> None:
    """Empty before the import and where there are none; capitalised keys where there are."""
    plain, asking = await push(api), await push(api, ASKING)
    before = await api.get(f"/api/v2/templateversions/{asking['id']}/presets")
    assert (before.status_code, before.json()) == (200, [])
    async with importing(api.services):
        await imported(api, plain)
        assert (await imported(api, asking))["job"]["status"] == "succeeded"
    assert (await api.get(f"/api/v2/templateversions/{plain['id']}/presets")).json() == []
    presets = (await api.get(f"/api/v2/templateversions/{asking['id']}/presets")).json()
    assert [p["Name"] for p in presets] == ["Small", "Large"]
    assert [p["Default"] for p in presets] == [True, False]
    assert presets[0]["Parameters"] == [
        {"Name": "size", "Value": "1"},
        {"Name": "region", "Value": "n"},
    ]
    assert presets[0]["DesiredPrebuildInstances"] is None
    assert set(presets[0]) >= {"ID", "Description", "Icon"}


async def test_U12_parameters_are_known_after_the_import(api: Api) -> None:
    """425 until then; in the order of the template afterwards."""
    version = await push(api, ASKING)
    path = f"/api/v2/templateversions/{version['id']}/rich-parameters"
    assert reason(await api.get(path)) == (425, "import_unfinished")
    async with importing(api.services):
        await imported(api, version)
    size, region = (await api.get(path)).json()
    assert size["name"] == "size"
    assert (size["type"], size["default_value"], size["mutable"]) == ("number", "2", True)
    assert (size["validation_min"], size["validation_max"]) == (0, 9)
    assert size["validation_monotonic"] == "increasing"
    assert not size["required"]
    assert region["required"]
    assert region["options"][0] == {
        "name": "North",
        "value": "n",
        "description": "cold",
        "icon": "",
    }


async def test_U13_only_templates_that_run_tasks_are_found(api: Api) -> None:
    """has-ai-task looks at the active version; before its import there is none."""
    task, plain, later = await push(api), await push(api, PLAIN), await push(api)
    async with importing(api.services):
        await imported(api, task)
        await imported(api, plain)
        await imported(api, later)
    await template_of(api, task, "runs")
    await template_of(api, plain, "plain")
    await template_of(api, await push(api), "unread")
    assert await names(api, "has-ai-task:true") == ["runs"]
    both = f'organization:"{api.organization_id}" has-ai-task:true'
    assert await names(api, both) == ["runs"]
    assert await names(api, "has-ai-task:false") == ["plain", "unread"]


async def test_U25_a_version_is_found_by_its_name(api: Api) -> None:
    """An object each way; the template unknown and the version unknown are both 404."""
    version = await push(api, name="v1")
    template = await template_of(api, version)
    paths = (f"/api/v2/templates/{template['id']}/versions", f"{TEMPLATES}/shell/versions")
    for path in paths:
        assert (await api.get(f"{path}/V1")).json()["id"] == version["id"]
        assert reason(await api.get(f"{path}/v2")) == (404, "template_version_not_found")
    assert reason(await api.get(f"{TEMPLATES}/other/versions/v1")) == (404, "not_found")
    assert reason(await api.get(f"{TEMPLATES}/a%00b/versions/v1")) == (404, "not_found")
    assert (await api.get(f"{TEMPLATES}/shell/versions/a%00b")).status_code == 404


async def test_S10_a_template_as_it_is_made(api: Api) -> None:
    """Every key with what clients take for the usual."""
    made = await template_of(api, await push(api), "shell")
    check(made, "Template")
    week = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
    expected = {
        "organization_id": str(api.organization_id),
        "organization_name": "default",
        "display_name": "",
        "provisioner": "echo",
        "active_user_count": 0,
        "build_time_stats": {
            verb: {"P50": None, "P95": None} for verb in ("start", "stop", "delete")
        },
        "deprecated": False,
        "deprecation_message": "",
        "deleted": False,
        "default_ttl_ms": 0,
        "activity_bump_ms": 3_600_000,
        "autostop_requirement": {"days_of_week": [], "weeks": 1},
        "autostart_requirement": {"days_of_week": week},
        "created_by_id": str(api.owner.id),
        "created_by_name": "boss",
        "allow_user_autostart": True,
        "allow_user_autostop": True,
        "allow_user_cancel_workspace_jobs": False,
        "failure_ttl_ms": 0,
        "time_til_dormant_ms": 0,
        "time_til_dormant_autodelete_ms": 0,
        "require_active_version": False,
        "max_port_share_level": "owner",
        "cors_behavior": "simple",
        "use_classic_parameter_flow": False,
        "disable_module_cache": False,
    }
    assert {key: made[key] for key in expected} == expected


async def test_S10_everything_that_is_set_is_shown(api: Api) -> None:
    """Each field of a request comes back under the key of the template."""
    body = {
        **SETTINGS,
        "dormant_ttl_ms": 4,
        "delete_ttl_ms": 5,
        "autostop_requirement": {"days_of_week": ["Sunday", "monday", "monday"], "weeks": 2},
        "autostart_requirement": {"days_of_week": ["friday"]},
        "template_use_classic_parameter_flow": True,
        "disable_everyone_group_access": True,
    }
    made = await template_of(api, await push(api), "shell", **body)
    assert {key: made[key] for key in SETTINGS} == SETTINGS
    assert made["time_til_dormant_ms"] == 4
    assert made["time_til_dormant_autodelete_ms"] == 5
    assert made["autostop_requirement"] == {"days_of_week": ["monday", "sunday"], "weeks": 2}
    assert made["autostart_requirement"] == {"days_of_week": ["friday"]}
    assert made["use_classic_parameter_flow"] is True
    assert (await api.get(f"{TEMPLATES}/shell")).json() == made


async def test_S10_build_times_are_measured(api: Api) -> None:
    """Median and 95th percentile in milliseconds, of the builds that succeeded, by transition."""
    template = await api.template()
    for _ in range(3):
        await api.succeed((await api.task(template))["workspace_id"])
    failed = await api.task(template)
    await api.finish(await api.claim(failed["workspace_id"]), "no")
    await api.execute(
        "update provisioner_jobs j set started_at = created_at, completed_at = created_at"
        " + n.place * interval '100 milliseconds'"
        " from (select b.job_id, row_number() over (order by b.created_at) as place"
        " from workspace_builds b) n where n.job_id = j.id"
    )
    stats = (await api.get(f"/api/v2/templates/{template.id}")).json()["build_time_stats"]
    assert stats["start"] == {"P50": 200, "P95": 300}
    assert stats["stop"] == stats["delete"] == {"P50": None, "P95": None}


async def test_S11_a_version(api: Api) -> None:
    """Every key; nil while it belongs to no template; tags and message come back."""
    version = await push(
        api,
        name="v1",
        message="first",
        tags={"zone": "eu"},
        user_variable_values=[{"name": "size"}],
    )
    check(version, "TemplateVersion")
    assert version["template_id"] == "00000000-0000-0000-0000-000000000000"
    assert version["organization_id"] == str(api.organization_id)
    assert (version["name"], version["message"], version["archived"]) == ("v1", "first", False)
    assert version["job"]["tags"] == {"zone": "eu"}
    assert version["has_external_agent"] is False
    assert "has_ai_task" not in version
    assert len(version["warnings"]) == 1
    async with importing(api.services):
        await imported(api, version)
    variables = (await api.get(f"/api/v2/templateversions/{version['id']}/variables")).json()
    assert [(each["name"], each["value"]) for each in variables] == [("size", "")]


async def test_S12_a_parameter(api: Api) -> None:
    """Every key of what a version asks; limits of 0 are shown, absent ones are not."""
    async with importing(api.services):
        version = await imported(api, await push(api, ASKING))
    path = f"/api/v2/templateversions/{version['id']}/rich-parameters"
    size, region = (await api.get(path)).json()
    check([size, region], "[TemplateVersionParameter]")
    assert size["display_name"] == "Size"
    assert size["description"] == size["description_plaintext"] == "How many."
    assert (size["form_type"], region["form_type"]) == ("input", "radio")
    assert (size["validation_min"], size["ephemeral"]) == (0, False)
    assert not {"validation_min", "validation_regex", "display_name"} & set(region)
