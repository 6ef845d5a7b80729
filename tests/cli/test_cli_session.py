"""Signing in and out, and what happens to who is not."""

import json
import socket

import pytest

from taskyard.sdk import ApiError, Client
from taskyard.wire.identity import CreateTokenRequest
from tests.cli.conftest import Program
from tests.sdk.peer import answer, peer
from tests.sdk.yard_kit import EMAIL, OWNER, PASSWORD, Yard


def kept(program: Program) -> dict[str, str]:
    path = program.home / "config" / "taskyard" / "session.json"
    found: dict[str, str] = json.loads(path.read_text())
    return found


def test_in_and_out_by_password(stranger: Program, yard: Yard) -> None:
    """Who signs in with a password is known afterwards, and after logout no more; the session is dead then."""
    said = stranger("login", yard.url, "--email", EMAIL, TASKYARD_PASSWORD=PASSWORD)
    assert (said.status, OWNER in said.out) == (0, True)
    token = kept(stranger)["token"]
    assert OWNER in stranger.good("whoami")
    assert yard.url in stranger.good("logout")
    ended = stranger("whoami")
    assert (ended.status, ended.out) == (3, "")
    assert "taskyard login URL" in ended.err
    with Client(yard.url, token) as client, pytest.raises(ApiError) as dead:
        client.get_user("me")
    assert dead.value.status == 401


def test_in_by_token(stranger: Program, yard: Yard, client: Client) -> None:
    """A token makes a session of its own, or is kept as it is for who asks for that."""
    token = client.create_token("me", CreateTokenRequest()).key
    assert stranger("login", yard.url, "--token", token).status == 0
    assert kept(stranger)["token"] not in ("", token)
    stranger.good("login", yard.url, "--token", token, "--use-token-as-session")
    assert kept(stranger) == {"url": yard.url, "token": token}
    assert json.loads(stranger.good("whoami", "-o", "json"))["username"] == OWNER


@pytest.mark.parametrize(
    ("flags", "status", "word"),
    [
        (("--token", "nonsense"), 3, "token"),
        (("--email", EMAIL, "--password", "wrong"), 3, "password"),
        ((), 2, "--email"),
    ],
)
def test_not_let_in(
    stranger: Program, yard: Yard, flags: tuple[str, ...], status: int, word: str
) -> None:
    """Wrong and missing answers are told apart by the status, and nothing is remembered."""
    ended = stranger("login", yard.url, *flags)
    assert (ended.status, ended.out) == (status, "")
    assert word in ended.err
    assert not (stranger.home / "config").exists()


def test_a_session_that_ended(stranger: Program, yard: Yard) -> None:
    """A token that is good no more is said to be, with the command that helps."""
    ended = stranger("--url", yard.url, "--token", "nonsense-token", "whoami")
    assert ended.status == 3
    assert f"taskyard login {yard.url}" in ended.err


def test_nobody_there(stranger: Program) -> None:
    """An address where nothing listens is named."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and so nobody else's meanwhile
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        ended = stranger("whoami", "--url", url, "--token", "t")
    assert (ended.status, ended.out) == (3, "")
    assert url in ended.err


def test_something_else_is_there(stranger: Program) -> None:
    """A web page is not taken for a new server."""
    with peer([answer(b"<html>", "404 Not Found")]) as server:
        ended = stranger("login", server.url, "--first-user-username", "x")
    assert ended.status == 3
    assert "Tasks API" in ended.err


def test_an_address_that_is_none(stranger: Program) -> None:
    """The sentence shows what an address looks like."""
    ended = stranger("login", "localhost:7080")
    assert ended.status == 2
    assert "http://127.0.0.1:7080" in ended.err


def test_the_first_user(stranger: Program) -> None:
    """On a new server login makes the owner, from flags alone, and stops at what the server refuses."""
    version = "X-Coder-Build-Version: v2.34.0\r\n"
    weak = b'{"message":"No.","validations":[{"field":"password","detail":"too short"}]}'
    answers = [
        answer(b'{"message":"new"}', "404 Not Found", version),
        answer(weak, "400 Bad Request", version),
    ]
    flags = ("--first-user-username", "ada", "--first-user-email", EMAIL)
    with peer(answers) as server:
        ended = stranger("login", server.url, *flags, TASKYARD_FIRST_USER_PASSWORD="x")
    assert (ended.status, ended.out) == (1, "")
    assert "password: too short" in ended.err
    assert server.lines == ["GET /api/v2/users/first HTTP/1.1", "POST /api/v2/users/first HTTP/1.1"]
