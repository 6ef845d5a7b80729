"""coder-api 0.1.14 of PyPI, as it is: its own tests, and each call of its classes."""

import io
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.archives import tar_of
from tests.clients.foreign import Foreign, running
from tests.clients.served import FILES, PASSWORD, Served
from tests.clients.strict import Json
from tests.clients.venvs import python_with
from tests.waiting import until

pytestmark = [pytest.mark.client("coder-api 0.1.14"), pytest.mark.all_tier]

NAME = "coder-api"

OWN_TESTS = {
    "test_activate_user",
    "test_create_delete_user",
    "test_get_organization",
    "test_get_template",
    "test_get_template_parameters",
    "test_get_user",
    "test_get_user_organizations",
    "test_get_user_ssh_key",
    "test_get_workspaces",
    "test_list_organizations",
    "test_list_template_examples",
    "test_list_templates",
    "test_list_user",
    "test_suspend_user",
    "test_template_version",
    "test_user_auth_methods",
    "test_user_create_session_key",
    "test_user_tokens",
}
"""All that its test file holds."""


@pytest.fixture
def place(served: Served) -> dict[str, str]:
    """Where it finds the server and its token."""
    return {"API_DOMAIN": f"{served.url}/api/v2/", "CODER_TOKEN": served.token}


@pytest.fixture
def coder(place: dict[str, str], tmp_path: Path) -> Iterator[Foreign]:
    """The package, ready to be called."""
    with running(NAME, "coder_api_calls.py", tmp_path, **place) as foreign:
        yield foreign


def test_its_own_tests_pass(place: dict[str, str], tmp_path: Path) -> None:
    """The file of tests that it is released with passes, each of them."""
    done = subprocess.run(
        [python_with(NAME), "-m", "unittest", "-v", "tests.test_core"],
        cwd=tmp_path,
        env={**place, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    passed = set(re.findall(r"^(test_\w+) .* ok$", done.stderr, re.MULTILINE))
    assert passed == OWN_TESTS, done.stderr
    assert done.returncode == 0


def call(coder: Foreign, name: str, wants: int | None = None, /, **arguments: Json) -> Json:
    """The body of an answer with the status that the call wants, or the value that the client made of it."""
    answer = coder.ask(call=name, arguments=arguments)
    assert answer.get("status") == wants, (name, answer)
    return answer["body"] if wants else answer["value"]


def test_templates(coder: Foreign, tmp_path: Path) -> None:
    """A file goes up and comes down, becomes a version and a template, and is read in every way."""
    archive = tmp_path / "template.tar"
    archive.write_bytes(tar_of(FILES))
    file_id = call(coder, "File.upload", zip_file_path=str(archive))
    call(coder, "File.download", file_id=file_id, output_path=str(tmp_path / "back.tar"))
    with tarfile.open(fileobj=io.BytesIO((tmp_path / "back.tar").read_bytes())) as tar:
        assert set(tar.getnames()) == set(FILES)
    organization = call(coder, "Organization.list", 200)[0]["id"]
    version = call(
        coder,
        "Template.create_version",
        201,
        organization_id=organization,
        name="one",
        file_id=file_id,
    )

    def parameters() -> Json:
        asked = {"template_version_id": version["id"]}
        answer = coder.ask(call="Template.get_parameters", arguments=asked)
        return answer["body"] if answer["status"] == 200 else None

    assert [p["name"] for p in until("the import", parameters)] == ["size"]
    made = call(
        coder,
        "Template.create",
        201,
        organization_id=organization,
        name="foreign",
        template_version_id=version["id"],
    )
    assert call(coder, "Template.get", 200, template_id=made["id"])["name"] == "foreign"
    assert len(call(coder, "Template.get_versions", 200, template_id=made["id"])) == 1
    named = {"template_id": made["id"], "template_version_name": "one"}
    assert call(coder, "Template.get_version", 200, **named)["id"] == version["id"]
    listed = call(coder, "Template.list", 200, organization_id=organization)
    assert made["id"] in {one["id"] for one in listed}
    assert call(coder, "Template.list_examples", 200, organization_id=organization)


def test_workspaces(coder: Foreign, served: Served) -> None:
    """A workspace is made in both places, found, read, started again and deleted."""
    version = served.sized["active_version_id"]
    organization = served.sized["organization_id"]
    asked = {"user": "me", "template_version_id": version}
    first = call(coder, "Workspace.create", 201, name="first", **asked)
    call(coder, "Workspace.create", 201, name="second", organization_id=organization, **asked)
    assert call(coder, "Workspace.list", 200)["count"] == 2

    def agent() -> Json:
        workspace = call(coder, "Workspace.get", 200, workspace_id=first["id"])
        agents = [a for r in workspace["latest_build"]["resources"] for a in r.get("agents", [])]
        return next((a for a in agents if a["lifecycle_state"] == "ready"), None)

    agent_id = until("a ready agent", agent)["id"]
    assert call(coder, "Workspace.status", 200, workspace_id=first["id"]) == {"status": "running"}
    named = {"user": "ada", "workspace_name": "first"}
    assert call(coder, "Workspace.get_user_workspace", 200, **named)["id"] == first["id"]
    assert call(coder, "Workspace.agents", 200, workspaceagent_id=agent_id)["id"] == agent_id
    ports = call(coder, "Workspace.get_listening_ports", 200, workspace_agent_id=agent_id)
    assert ports == {"ports": []}
    served.cli().workspace_stop("first")
    build = call(coder, "Workspace.start", 201, workspace=first["id"])
    served.cli().watch_build(build["id"])
    build = call(coder, "Workspace.delete", 201, workspace=first["id"])
    served.cli().watch_build(build["id"])
    call(coder, "Workspace.get", 410, workspace_id=first["id"])


def test_users_and_keys(coder: Foreign) -> None:
    """A user with a name that is taken is got instead; tokens are found by id; an organization is made."""
    person = {"email": "twice@example.com", "name": "Twice", "username": "twice"}
    made = call(coder, "User.get_or_create", 201, **person)
    assert (made["login_type"], len(made["organization_ids"])) == ("none", 1)
    assert call(coder, "User.get_or_create", 200, **person)["id"] == made["id"]
    assert call(coder, "User.create_session_key", 201, user="me")["key"]
    key = call(coder, "User.create_token", 201, user="twice", token_name="robot")["key"]
    listed = call(coder, "User.get_tokens", 200, user="twice")
    assert [entry["token_name"] for entry in listed] == ["robot"]
    asked = {"user": "twice", "token_id": key[:10]}
    assert call(coder, "User.get_token", 200, **asked)["token_name"] == "robot"
    call(coder, "User.delete_token", 204, **asked)
    call(coder, "User.delete", 200, user="twice")
    made = call(coder, "Organization.create", 201, name="second", display_name="Second")
    asked = {"organization_id": made["id"]}
    assert call(coder, "Organization.get", 200, **asked)["name"] == "second"


def test_an_organization_stays(coder: Foreign) -> None:
    """Deleting one is not served: 405, and it is still there."""
    asked = {"organization_id": "default"}
    call(coder, "Organization.delete", 405, **asked)
    assert call(coder, "Organization.get", 200, **asked)["name"] == "default"


def test_a_user_with_a_password(coder: Foreign, served: Served) -> None:
    """What it makes without a password cannot sign in; the answer does not tell why."""
    call(coder, "User.create", 201, email="mute@example.com", name="", username="mute")
    answer = served.cli().call(
        "POST", "/api/v2/users/login", {"email": "mute@example.com", "password": PASSWORD}
    )
    assert answer.status in (401, 403)
    call(coder, "User.delete", 200, user="mute")
