"""Commands that go wrong say which name is meant, change nothing, and name the command to run next."""

import os
import pty
import ssl
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from taskyard.cli.failures import as_failure
from taskyard.sdk.errors import Unreachable
from tests.cli.conftest import Ended, Program
from tests.sdk.yard_kit import OWNER, Yard

ASKING = """
[[parameter]]
name = "region"

[[preset]]
name = "Near"
default = true
parameters = { region = "here" }
"""
"""A parameter without a default, and the preset that fills it in."""


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [
        (("tokens", "create", "--user", "nope"), 1, "'nope'"),
        (("tokens", "list", "--user", "nope"), 1, "'nope'"),
        (("task", "create", "--template", "shell", "--owner", "nope", "x"), 1, "'nope'"),
        (
            ("task", "create", "--template", "shell", "--template-version", "nope", "x"),
            1,
            "templates versions shell",
        ),
        (
            (
                *("users", "create", "-u", "r2", "-e", "r2@example.com"),
                *("--service-account", "--password", "never to be used"),
            ),
            2,
            "--password",
        ),
    ],
)
def test_the_name_in_question_is_said(
    quick: Callable[..., Ended], arguments: tuple[str, ...], status: int, word: str
) -> None:
    """Each refusal says which name it is about, or which command shows what there is."""
    ended = quick(*arguments)
    assert (ended.status, ended.out) == (status, ""), ended
    assert word in ended.err


def test_the_default_preset_is_taken(owner: Program) -> None:
    """A task of a template whose parameters ask takes the default preset; `none` takes none, and is told of presets.

    A value given for a parameter goes before the preset's.
    """
    owner.good("templates", "init", "asking")
    manifest = owner.home / "asking" / "taskyard.toml"
    manifest.write_text(manifest.read_text().partition("[[preset]]")[0] + ASKING)
    owner.good("templates", "push", "asking", "--yes")
    create = ("task", "create", "--template", "asking", "echo hello")
    refused = owner(*create, "--preset", "none")
    assert refused.status == 1
    assert "taskyard templates presets asking" in refused.err
    assert owner(*create, "--parameter", "region").status == 2
    unknown = owner(*create, "--parameter", "district=here")
    assert (unknown.status, "district" in unknown.err) == (1, True)
    there = owner.good(*create, "--parameter", "region=there", "--name", "there", "-q")
    owner.good("task", "delete", there.strip(), "--yes")
    made = owner.good(*create, "--name", "asked", "-q")
    owner.good("task", "status", made.strip(), "--watch")
    assert owner("users", "delete", OWNER, "--yes").status == 1
    owner.good("task", "pause", "asked", "--yes")
    # One more stop is no error: it is how what a frozen workspace has is freed.
    assert "was stopped at" in owner.good("stop", "asked", "--yes")
    owner.good("delete", "asked", "--yes")


def test_first_user_flags_on_a_server_with_users(stranger: Program, yard: Yard) -> None:
    """Whoever wanted to be the first user is told that there is one."""
    flags = ("--first-user-username", "eve", "--first-user-email", "eve@example.com")
    ended = stranger("login", yard.url, *flags, TASKYARD_FIRST_USER_PASSWORD="evening star 9")
    assert ended.status == 2
    assert "has users already" in ended.err


def test_a_mistyped_data_directory_is_left_alone(stranger: Program, tmp_path: Path) -> None:
    """reset-password makes no new server where there is none."""
    nowhere = tmp_path / "nowhere"
    ended = stranger("server", "reset-password", "ada", "--data-dir", str(nowhere))
    assert ended.status == 1
    assert str(nowhere) in ended.err
    assert not nowhere.exists()


def test_no_is_an_answer(quick: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever says no on a terminal is told that nothing was changed, and a script sees 1, not Ctrl-C."""
    ours, theirs = pty.openpty()
    os.write(ours, b"n\n")
    with os.fdopen(theirs) as typed:
        monkeypatch.setattr(sys, "stdin", typed)
        ended = quick("templates", "archive", "shell", "--all")
    os.close(ours)
    assert ended.status == 1
    assert "nothing was changed" in ended.err


def test_an_untrusted_certificate() -> None:
    """Whoever meets a certificate of a private authority is told how to trust it."""
    error = Unreachable("https://yard.test", "its certificate is not trusted")
    error.__cause__ = ssl.SSLCertVerificationError()
    assert "SSL_CERT_FILE" in as_failure(error).hint
