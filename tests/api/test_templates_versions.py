"""Template versions over the real edge, with a worker that imports them."""

from uuid import uuid4

import pytest

from tests.api.seed import Api, fields, reason
from tests.api.template_kit import (
    PLAIN,
    TASK,
    imported,
    importing,
    push,
    template_of,
    upload,
    version_of,
)

pytestmark = pytest.mark.anyio

VERSIONS = "/api/v2/organizations/default/templateversions"


async def test_a_template_made_before_the_import_gets_its_texts_after_it(api: Api) -> None:
    """What the request says stays, what it leaves empty comes from the archive."""
    version = await push(api)
    template = await template_of(api, version, description="mine")
    assert (template["display_name"], template["description"]) == ("", "mine")
    async with importing(api.services):
        await imported(api, version)
    now = (await api.get(f"/api/v2/templates/{template['id']}")).json()
    assert (now["display_name"], now["description"], now["icon"]) == ("Shell", "mine", "/icon.svg")


async def test_what_a_version_makes_and_asks_is_known_after_the_import(api: Api) -> None:
    """Resources 400 and variables 403 until then; empty arrays afterwards, as ours have none."""
    version = await push(api)
    path = f"/api/v2/templateversions/{version['id']}"
    assert reason(await api.get(f"{path}/resources")) == (400, "import_unfinished")
    assert reason(await api.get(f"{path}/variables")) == (403, "import_unfinished")
    assert (await api.get(f"{path}/external-auth")).json() == []
    async with importing(api.services):
        await imported(api, version)
    for part in ("resources", "variables", "external-auth"):
        response = await api.get(f"{path}/{part}")
        assert (response.status_code, response.json()) == (200, [])


async def test_a_template_that_is_wrong_fails_its_import_with_every_problem(api: Api) -> None:
    """The job's error names the first problem, the log has a line for each."""
    version = await push(api, b'[tsak]\napp = "a"\n\n[workspace]\nmemroy = "1GiB"\n')
    async with importing(api.services):
        failed = await imported(api, version)
    assert failed["job"]["status"] == "failed"
    assert "taskyard.toml:1" in failed["job"]["error"]
    assert "and 1 more" in failed["job"]["error"]
    assert (await api.get(f"/api/v2/templateversions/{version['id']}/rich-parameters")).json() == []


async def test_a_terraform_template_is_named_as_such(api: Api) -> None:
    """Only *.tf: the sentence says that this is not supported yet."""
    version = await push(api, {"main.tf": b"", "x.txt": b""}, provisioner="terraform")
    async with importing(api.services):
        failed = await imported(api, version)
    assert "Terraform" in failed["job"]["error"]


async def test_warnings_are_shown(api: Api) -> None:
    """What had better be done on purpose."""
    toml = TASK + b'\n[workspace.network]\negress = ["127.0.0.1:4020"]\n'
    async with importing(api.services):
        version = await imported(api, await push(api, toml))
    assert len(version["warnings"]) == 1


async def test_an_import_can_be_canceled_once(api: Api) -> None:
    """Pending: canceled at once; then 400."""
    version = await push(api)
    path = f"/api/v2/templateversions/{version['id']}/cancel"
    assert (await api.call("PATCH", path)).status_code == 200
    assert (await version_of(api, version["id"]))["job"]["status"] == "canceled"
    assert reason(await api.call("PATCH", path)) == (400, "job_completed")


async def test_a_name_is_made_up_or_must_be_free(api: Api) -> None:
    """Two versions of a template never share a name, whatever its case."""
    first = await push(api)
    template = await template_of(api, first)
    assert first["name"]
    await push(api, name="v1.0_rc-1", template_id=template["id"])
    file_id = await upload(api, {"taskyard.toml": TASK})
    body = {"storage_method": "file", "file_id": file_id, "template_id": template["id"]}
    taken = await api.post(VERSIONS, {**body, "name": "V1.0_RC-1"})
    assert reason(taken) == (409, "template_version_name_taken")
    assert fields(taken) == {"name"}


async def test_what_a_version_is_made_of_must_be_there(api: Api) -> None:
    """Unknown file and unknown template 404; both an example and a file 400; each wrong word 400."""
    file_id = await upload(api, {"taskyard.toml": TASK})
    body = {"storage_method": "file", "provisioner": "echo", "file_id": file_id}
    answers = [
        ({**body, "file_id": str(uuid4())}, (404, "file_not_found")),
        ({**body, "file_id": None}, (404, "file_not_found")),
        ({**body, "template_id": str(uuid4())}, (404, "template_not_found")),
        ({**body, "example_id": "docker"}, (400, "example_and_file")),
        ({**body, "storage_method": "git"}, (400, "invalid")),
        ({**body, "provisioner": "ansible"}, (400, "invalid")),
        ({**body, "name": "no blanks"}, (400, "invalid")),
        ({**body, "message": "x" * 1_048_577}, (400, "invalid")),
        ({"example_id": "docker", "storage_method": "file"}, (404, "example_not_found")),
        ({**body, "tags": {"": "x" * 257}}, (400, "invalid")),
        ({**body, "user_variable_values": [{"name": "", "value": "x"}]}, (400, "invalid")),
        ({**body, "user_variable_values": [{"name": "a"}, {"name": "a"}]}, (400, "invalid")),
    ]
    for request, expected in answers:
        assert reason(await api.post(VERSIONS, request)) == expected, request
    unknown = await api.post("/api/v2/organizations/none/templateversions", body)
    assert reason(unknown) == (404, "not_found")
    assert await api.value("select count(*) from provisioner_jobs") == 0


async def test_versions_of_others_are_not_seen(api: Api) -> None:
    """Somebody of another organization gets 404 everywhere; a member reads but pushes nothing."""
    elsewhere = await api.organization("elsewhere")
    stranger = await api.person("eve", organization=elsewhere)
    member = await api.person("ann")
    version = await push(api)
    path = f"/api/v2/templateversions/{version['id']}"
    for part in ("", "/presets", "/rich-parameters", "/resources", "/variables", "/external-auth"):
        assert reason(await api.get(path + part, by=stranger)) == (404, "not_found")
    assert (await api.get(path, by=member)).status_code == 200
    assert reason(await api.post(VERSIONS, {}, by=member)) == (403, "forbidden")
    assert reason(await api.call("PATCH", f"{path}/cancel", by=member)) == (403, "forbidden")


async def test_bad_ids_are_400_and_unknown_ones_404(api: Api) -> None:
    """The two answers to an id that leads nowhere."""
    assert reason(await api.get("/api/v2/templateversions/x")) == (400, "invalid_uuid")
    assert reason(await api.get(f"/api/v2/templateversions/{uuid4()}")) == (404, "not_found")


async def test_a_template_in_a_folder_is_taken_out_of_it(api: Api) -> None:
    """One folder around everything is left away, in what workspaces get as well."""
    version = await push(api, {"mine/taskyard.toml": PLAIN, "mine/words/a.txt": b"a"})
    before = version["job"]["file_id"]
    async with importing(api.services):
        after = await imported(api, version)
    assert after["job"]["status"] == "succeeded"
    assert after["job"]["file_id"] != before
    stored = await api.get(f"/api/v2/files/{after['job']['file_id']}")
    assert b"words/a.txt" in stored.content
    assert b"mine/" not in stored.content
