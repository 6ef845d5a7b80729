"""Tokens and users by commands."""

import json
from uuid import uuid4

import pytest

from taskyard.sdk import ApiError, Client
from tests.cli.conftest import Program
from tests.sdk.yard_kit import OWNER, Yard


def test_tokens(owner: Program, yard: Yard) -> None:
    """A token is printed alone and once, is listed, works, and is dead once removed."""
    key = owner.good("tokens", "create", "--name", "ci", "--lifetime", "2h").strip()
    with Client(yard.url, key) as client:
        assert client.get_user("me").username == OWNER
        rows = owner.good("tokens", "list", "-c", "id,name").splitlines()
        assert [key[:10], "ci"] in [row.split() for row in rows]
        assert key not in owner.good("tokens", "list", "-o", "json")
        twice = owner("tokens", "create", "--name", "ci")
        assert (twice.status, "ci" in twice.err) == (1, True)
        missing = owner("tokens", "remove", "ci", "nope")
        assert (missing.status, missing.out) == (1, "")
        assert client.get_user("me").username == OWNER
        assert owner.good("tokens", "remove", "ci") == "Removed the token ci.\n"
        with pytest.raises(ApiError):
            client.get_user("me")


def test_a_lifetime_that_is_none(owner: Program) -> None:
    """A time that cannot be read is shown how to write."""
    ended = owner("tokens", "create", "--lifetime", "soon")
    assert ended.status == 2
    assert "30d" in ended.err


def test_users(owner: Program) -> None:
    """A user is made with a password or without, is listed, and cannot be made twice."""
    word = uuid4().hex[:8]
    user = ("users", "create", "-u", f"bob-{word}", "-e", f"bob@{word}.example")
    unasked = owner(*user)
    assert (unasked.status, unasked.out) == (2, "")
    assert "TASKYARD_NEW_PASSWORD" in unasked.err
    weak = owner(*user, TASKYARD_NEW_PASSWORD="x")
    assert (weak.status, "password: " in weak.err) == (1, True)
    assert owner(*user, TASKYARD_NEW_PASSWORD="a long pass phrase").status == 0
    assert owner(*user, "--no-login").status == 1
    found = json.loads(owner.good("users", "list", word, "-o", "json"))
    assert [entry["username"] for entry in found] == [f"bob-{word}"]
    assert owner.good("users", "list", word, "-q").strip() == found[0]["id"]
    assert f"bob-{word}" in owner.good("users", "list", "-c", "username")


def test_a_member_sees_less(owner: Program, yard: Yard) -> None:
    """Another user's program works with its own eyes: it may not make users."""
    word = uuid4().hex[:8]
    name = f"eve-{word}"
    user = ("users", "create", "-u", name, "-e", f"eve@{word}.example")
    assert owner(*user, TASKYARD_NEW_PASSWORD="a long pass phrase").status == 0
    signed_in = owner(
        *("login", yard.url, "--email", f"eve@{word}.example"),
        TASKYARD_PASSWORD="a long pass phrase",
        TASKYARD_URL="",
        TASKYARD_SESSION_TOKEN="",
    )
    assert signed_in.out == f"Signed in to {yard.url} as {name}.\n"
    alone = Program(owner.home)
    assert name in alone.good("whoami")
    ended = alone("users", "create", "-u", "x", "-e", "x@example.com", "--no-login")
    assert (ended.status, ended.out) == (1, "")
