"""The CLI's other commands: login, templates push, tokens, list, show, start, stop, delete. Source: clients 2.1, 2.5, 2.6."""

import pytest

from tests.archives import tar_of
from tests.clients.go_cli import CLI, Refused
from tests.clients.go_sdk import SDK, SDKError
from tests.clients.served import FILES, FIRST, Served
from tests.clients.test_go_cli_tasks import WATCH, once

pytestmark = pytest.mark.client("CLI")


def test_login_on_a_new_server(served: Served) -> None:
    """The first user is made, signed in and read; this is how the server of these tests began."""
    assert served.first_login == [
        "GET /api/v2/users/first",
        "POST /api/v2/users/first",
        "POST /api/v2/users/login",
        "GET /api/v2/users/me",
    ]
    user = served.first_user
    assert (user["username"], user["email"]) == (FIRST.username, FIRST.email)
    assert [role["name"] for role in user["roles"]] == ["owner"]


def test_login_with_a_pasted_token(served: Served) -> None:
    """A pasted token makes a key of its own, which works after the pasted one is gone."""
    pasted = served.cli().token_create("pasted")
    fresh = CLI(served.url)
    assert fresh.login_token(pasted)["username"] == "ada"
    assert fresh.script == [
        "GET /api/v2/users/first",
        "POST /api/v2/users/me/keys",
        "GET /api/v2/users/me",
    ]
    served.cli().token_remove("pasted", delete=True)
    assert fresh.user("me")["username"] == "ada"
    with pytest.raises(SDKError):
        SDK(served.url, pasted).user("me")


def test_login_keeps_a_token_as_session(served: Served) -> None:
    """--use-token-as-session makes no key."""
    fresh = CLI(served.url)
    fresh.login_token(served.token, as_session=True)
    assert fresh.script == ["GET /api/v2/users/first", "GET /api/v2/users/me"]


def test_another_version_is_a_warning(cli: CLI) -> None:
    """A CLI of the same version asks nothing; another one reads the build info and goes on."""
    assert cli.warn_of_version("v2.34.0") is None
    assert cli.warn_of_version("v2.29.1") == "v2.34.0"
    assert cli.script[-1] == "GET /api/v2/buildinfo"


def test_organization_is_chosen(cli: CLI) -> None:
    """By name, by id, or the only one."""
    only = cli.organization()
    assert cli.organization(only["name"]) == cli.organization(only["id"]) == only
    assert set(cli.script) == {"GET /api/v2/users/me/organizations"}


def test_template_push_new_and_again(cli: CLI) -> None:
    """A new template is made around its imported version; a push to it promotes the next one."""
    made = cli.template_push("pushed", tar_of(FILES))
    begin = [
        "GET /api/v2/users/me/organizations",
        "GET /api/v2/organizations/<id>/templates/pushed",
        "POST /api/v2/files",
        "POST /api/v2/organizations/<id>/templateversions",
        "GET /api/v2/templateversions/<id>",
        "SOCKET /api/v2/templateversions/<id>/logs?follow&after=0",
        "GET /api/v2/templateversions/<id>",
    ]
    end = ["GET /api/v2/organizations/<id>/templates/pushed"]
    assert once(cli.script) == [*begin, "POST /api/v2/organizations/<id>/templates", *end]
    again = cli.template_push("pushed", tar_of({**FILES, "README.md": "changed"}))
    assert once(cli.script) == [*begin, "PATCH /api/v2/templates/<id>/versions", *end]
    assert made["id"] == again["id"]
    assert made["active_version_id"] != again["active_version_id"]


def test_tokens(served: Served, cli: CLI) -> None:
    """Created with a lifetime, listed without secrets, used, expired, deleted."""
    key = cli.token_create("ci", 3_600 * 10**9)
    assert cli.script == [
        "GET /api/v2/users/me/keys/tokens/tokenconfig",
        "POST /api/v2/users/me/keys/tokens",
    ]
    assert SDK(served.url, key).user("me")["username"] == "ada"
    listed = next(entry for entry in cli.token_list() if entry["token_name"] == "ci")
    assert (listed["id"], listed["username"]) == (key[:10], "ada")
    assert listed["lifetime_seconds"] == 3_600
    cli.sent.clear()
    cli.token_remove("ci", delete=True)
    assert cli.script == [
        "GET /api/v2/users/me/keys/tokens/ci",
        f"DELETE /api/v2/users/me/keys/{key[:10]}",
    ]
    with pytest.raises(SDKError) as dead:
        SDK(served.url, key).user("me")
    assert dead.value.status == 401


def test_tokens_expire(served: Served, cli: CLI) -> None:
    """A removed token that is not deleted is expired: 401 from then on."""
    key = cli.token_create("old")
    cli.token_remove("old")
    with pytest.raises(SDKError) as dead:
        SDK(served.url, key).user("me")
    assert dead.value.status == 401


def test_workspaces_of_tasks(cli: CLI, served: Served) -> None:
    """list and show find a task's workspace; stop, start and delete build it, and the task follows."""
    task = served.task("echo there", name="housed")
    served.idle(task["id"])
    assert [w["name"] for w in cli.workspaces()] == ["housed"]
    assert cli.named_workspace("ada/housed")["task_id"] == task["id"]
    cli.sent.clear()
    cli.workspace_stop("housed")
    begin = "GET /api/v2/users/me/workspace/housed"
    build = "POST /api/v2/workspaces/<id>/builds"
    assert once(cli.script) == [begin, build, *WATCH]
    assert cli.task_by_id(task["id"])["status"] == "paused"
    cli.sent.clear()
    cli.workspace_start("housed")
    assert once(cli.script) == [
        begin,
        "GET /api/v2/templates/<id>",
        "GET /api/v2/templateversions/<id>/rich-parameters",
        build,
        *WATCH,
    ]
    served.idle(task["id"])
    cli.workspace_delete("housed")
    assert cli.workspaces() == []


def test_a_watched_build_is_canceled(cli: CLI, served: Served) -> None:
    """Ctrl-C while a build is watched cancels it; the job ends as canceled."""
    task = served.task("echo there", template="sized", name="slow")
    served.idle(task["id"])
    build = served.pausing(task["id"])
    cli.cancel(build["id"])
    served.goes_on(task["id"])
    lines = cli.follow(f"/api/v2/workspacebuilds/{build['id']}/logs?follow")
    assert cli.build(build["id"])["job"]["status"] == "canceled"
    assert isinstance(lines, list)


def test_terraform_is_refused_by_its_import(cli: CLI) -> None:
    """An archive of Terraform files is taken, and its import fails with a reason."""
    archive = tar_of({"main.tf": 'resource "null_resource" "x" {}\n'})
    with pytest.raises(Refused, match=r"failed: ."):
        cli.template_push("terraform", archive)
    with pytest.raises(SDKError) as absent:
        cli.template("default", "terraform")
    assert absent.value.status == 404
