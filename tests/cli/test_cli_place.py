"""Which server is asked, and that no token ever goes to another one."""

import stat
from pathlib import Path

import pytest

from taskyard.cli.connection import (
    Place,
    find_place,
    forget,
    remember,
    remembered,
    session_file,
)
from taskyard.cli.failures import NO_SERVER, Failure

A, B = "http://a.example", "http://b.example"


def test_flags_then_variables_then_file(tmp_path: Path) -> None:
    """The first of flag, our variables, the other ones and the file that says something wins."""
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert find_place(Place(), environ) == Place()
    remember(Place(A, "file"), environ)
    assert find_place(Place(), environ) == Place(A, "file")
    environ |= {"CODER_URL": A, "CODER_SESSION_TOKEN": "coder"}
    assert find_place(Place(), environ) == Place(A, "coder")
    environ |= {"TASKYARD_URL": A, "TASKYARD_SESSION_TOKEN": "ours"}
    assert find_place(Place(), environ) == Place(A, "ours")
    assert find_place(Place(token="flag"), environ) == Place(A, "flag")
    assert find_place(Place(B, "flag"), environ) == Place(B, "flag")


@pytest.mark.parametrize(
    ("given", "environ", "token"),
    [
        (Place(B), {}, None),
        (Place(B), {"TASKYARD_URL": A, "TASKYARD_SESSION_TOKEN": "t"}, None),
        (Place(B), {"TASKYARD_SESSION_TOKEN": "t"}, "t"),
        (Place(), {"TASKYARD_URL": B, "CODER_URL": A, "CODER_SESSION_TOKEN": "t"}, None),
        (Place(), {"TASKYARD_URL": B, "CODER_SESSION_TOKEN": "t"}, "t"),
        (Place(f"{A}/"), {}, "file"),
    ],
)
def test_a_token_stays_with_its_server(
    tmp_path: Path, given: Place, environ: dict[str, str], token: str | None
) -> None:
    """A token that came with one address is not sent to another."""
    environ = {"XDG_CONFIG_HOME": str(tmp_path), **environ}
    remember(Place(A, "file"), environ)
    assert find_place(given, environ).token == token


def test_the_file_is_private(tmp_path: Path) -> None:
    """Only its owner reads the file, from the first byte on; forgetting takes it away."""
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    path = remember(Place(A, "t"), environ)
    assert path == session_file(environ)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    remember(Place(B, "u"), environ)
    assert remembered(environ) == Place(B, "u")
    assert [found.name for found in path.parent.iterdir()] == [path.name]
    forget(environ)
    forget(environ)
    assert remembered(environ) == Place()


def test_a_damaged_file(tmp_path: Path) -> None:
    """A file that cannot be read is named, with what to do about it."""
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    path = remember(Place(A, "t"), environ)
    path.write_text("{")
    with pytest.raises(Failure, match=str(path)) as caught:
        find_place(Place(), environ)
    assert caught.value.status == NO_SERVER
    assert "login" in caught.value.hint
