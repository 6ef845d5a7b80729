"""Users, organizations and tokens of others by commands."""

import json
from collections.abc import Callable
from uuid import uuid4

import pytest

from taskyard.sdk import ApiError, Client
from tests.cli.conftest import Ended, Program
from tests.sdk.yard_kit import OWNER, Yard

Quick = Callable[..., Ended]


@pytest.fixture
def robot(quick: Quick) -> str:
    """A service account."""
    name = f"robot-{uuid4().hex[:8]}"
    made = quick("users", "create", "-u", name, "-e", f"{name}@example.com", "--service-account")
    assert made.status == 0, made
    return name


def good(ended: Ended) -> str:
    """What a command that must succeed prints."""
    assert ended.status == 0, ended
    return ended.out


def test_a_service_account_and_its_tokens(quick: Quick, robot: str, yard: Yard) -> None:
    """An administrator makes its token, sees it, ends it, and removes it."""
    key = good(quick("tokens", "create", "--user", robot, "--name", "ci")).strip()
    with Client(yard.url, key) as client:
        assert client.get_user("me").username == robot
        assert good(quick("tokens", "list", "--user", robot, "-q")).split() == [key[:10]]
        assert "ended" in good(quick("tokens", "expire", "ci", "--user", robot))
        assert good(quick("tokens", "list", "--user", robot, "-q")) == ""
        listed = json.loads(
            good(quick("tokens", "list", "--user", robot, "--expired", "-o", "json"))
        )
        assert [token["id"] for token in listed] == [key[:10]]
        with pytest.raises(ApiError):
            client.get_user("me")
    assert quick("tokens", "remove", "ci", "--user", robot).status == 0


def test_a_user_is_shown_and_changed(quick: Quick, robot: str) -> None:
    """show says everything, edit changes what is given, roles shows and sets."""
    number = str(uuid4().int % 10**9)
    assert quick("users", "edit", robot).status == 2
    good(quick("users", "edit", robot, "--name", "A Robot", "--github-user-id", number))
    shown = good(quick("users", "show", robot))
    assert "A Robot" in shown
    assert "default" in shown
    assert json.loads(good(quick("users", "show", robot, "-o", "json")))["name"] == "A Robot"
    found = good(quick("users", "list", f"github_com_user_id:{number}", "-c", "username"))
    assert found.splitlines() == ["USERNAME", robot]
    assert good(quick("users", "roles", robot, "auditor")) == "auditor\n"
    assert json.loads(good(quick("users", "roles", robot, "-o", "json")))["roles"] == ["auditor"]
    assert good(quick("users", "roles", robot, "--none")) == ""
    unknown = quick("users", "roles", robot, "king")
    assert (unknown.status, "king" in unknown.err) == (1, True)
    assert quick("users", "roles", robot, "auditor", "--none").status == 2


def test_a_user_is_kept_out_and_deleted(quick: Quick, robot: str) -> None:
    """suspend, activate and delete say what they did; what cannot be is explained."""
    assert "suspended" in good(quick("users", "suspend", robot))
    assert robot in good(quick("users", "list", f"{robot} status:suspended"))
    assert "activated" in good(quick("users", "activate", robot))
    unasked = quick("users", "delete", robot)
    assert (unasked.status, "--yes" in unasked.err) == (2, True)
    assert "deleted" in good(quick("users", "delete", robot, "--yes"))
    gone = quick("users", "show", robot)
    assert (gone.status, "users list" in gone.err) == (1, True)
    own = quick("users", "suspend", OWNER)
    assert (own.status, own.out) == (1, "")
    assert quick("users", "show", "").status == 2


def test_a_password_by_command(owner: Program, robot: str) -> None:
    """Nobody there to ask is usage; an account without a password is told so."""
    unasked = owner("users", "password", robot)
    assert (unasked.status, "TASKYARD_NEW_PASSWORD" in unasked.err) == (2, True)
    none = owner("users", "password", robot, TASKYARD_NEW_PASSWORD="a long pass phrase")
    assert (none.status, robot in none.err) == (1, True)


def test_organizations_and_members(quick: Quick, robot: str) -> None:
    """An organization is made, shown and listed; members are added, made administrators, removed."""
    name = f"crew-{uuid4().hex[:8]}"
    made = good(quick("organizations", "create", name, "--description", "of a ship", "-q")).strip()
    assert good(quick("orgs", "show", name, "-q")).strip() == made
    assert "of a ship" in good(quick("organizations", "show", name))
    assert made in good(quick("organizations", "list", "-q")).split()
    assert json.loads(good(quick("organizations", "show", "-o", "json")))["is_default"]
    members = ("organizations", "members")
    assert robot in good(quick(*members, "add", name, robot))
    assert robot in good(quick(*members, "list", name, "robot"))
    assert (
        good(quick(*members, "roles", name, robot, "organization-admin")) == "organization-admin\n"
    )
    listed = json.loads(good(quick(*members, "list", name, "-o", "json")))
    roles = {member["username"]: [role["name"] for role in member["roles"]] for member in listed}
    assert roles == {robot: ["organization-admin"], OWNER: ["organization-admin"]}
    assert good(quick(*members, "remove", name, robot)).startswith(robot)
    outside = quick(*members, "remove", name, robot)
    assert (outside.status, "members list" in outside.err) == (1, True)
    assert quick(*members, "add", name, "no-such-user").status == 1
    missing = quick("organizations", "show", "no-such-organization")
    assert (missing.status, "organizations list" in missing.err) == (1, True)
