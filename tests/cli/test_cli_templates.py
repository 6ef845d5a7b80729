"""Writing, pushing and listing templates."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from taskyard.sdk import Client
from tests.cli.conftest import DEADLINE_S, Ended, Program
from tests.sdk.yard_kit import Yard


def test_init_push_push(owner: Program, client: Client) -> None:
    """A new folder becomes a template; pushed again it has a second version, which new tasks use or not."""
    assert "shell" in owner.good("templates", "init", "mine")
    assert (owner.home / "mine" / "taskyard.toml").is_file()
    first = owner("templates", "push", "mine", "--yes", "--version", "v1")
    assert first.out == "Template mine was made with version v1.\n"
    assert "importing mine (v1)" in first.err
    owner.good("templates", "push", "mine", "--yes", "--version", "v2", "-m", "Better.")
    owner.good("templates", "push", "mine", "--yes", "--version", "v3", "--no-activate")
    rows = owner.good("templates", "versions", "mine", "-c", "name,import,active,message")
    assert [row.split() for row in rows.splitlines()[1:]] == [
        ["v1", "succeeded"],
        ["v2", "succeeded", "yes", "Better."],
        ["v3", "succeeded"],
    ]
    found = json.loads(owner.good("templates", "list", "-o", "json"))
    assert "mine" in {template["name"] for template in found}
    template = client.get_organization_template("default", "mine")
    assert len(client.list_template_versions(template.id)) == 3


def test_init_overwrites_nothing(stranger: Program) -> None:
    """A folder that holds something is left as it is; no server is needed to find out."""
    taken = stranger.home / "taken"
    taken.mkdir()
    (taken / "notes").write_text("mine")
    ended = stranger("templates", "init", "taken")
    assert (ended.status, ended.out) == (1, "")
    assert [path.name for path in taken.iterdir()] == ["notes"]
    assert stranger("templates", "init", "not a name").status == 2
    assert "custom" in stranger.good("templates", "init", "other", "--from", "custom")


def test_a_template_that_is_wrong(owner: Program) -> None:
    """What the import found is shown with file and key, and no template is made."""
    owner.good("templates", "init", "broken")
    manifest = owner.home / "broken" / "taskyard.toml"
    manifest.write_text(manifest.read_text() + "\nbogus = 1\n")
    ended = owner("templates", "push", "broken", "-y")
    assert (ended.status, ended.out) == (1, "")
    assert "bogus" in ended.err
    assert "taskyard.toml" in ended.err
    assert owner("templates", "versions", "broken").status == 1


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [
        (("push", ".", "-y", "--name", "x"), 1, "taskyard.toml"),
        (("push", "nowhere", "-y"), 2, "nowhere"),
        (("versions", "nope"), 1, "nope"),
        (("list", "-c", "nope"), 2, "nope"),
    ],
)
def test_what_cannot_be_done(
    quick: Callable[..., Ended], arguments: tuple[str, ...], status: int, word: str
) -> None:
    """Each refusal names the thing, goes to stderr alone, and has the right status."""
    ended = quick("templates", *arguments)
    assert (ended.status, ended.out) == (status, ""), ended
    assert word in ended.err


def test_ctrl_c_cancels(tmp_path: Path, idle_yard: Yard) -> None:
    """Ctrl-C while an import waits in the queue cancels it, and says so; the status is that of Ctrl-C."""
    program = Program(tmp_path, TASKYARD_URL=idle_yard.url, TASKYARD_SESSION_TOKEN=idle_yard.token)
    program.good("templates", "init", "waiting")
    with program.started("templates", "push", "waiting", "-y", "--version", "v1") as pushing:
        assert pushing.stderr is not None
        assert (
            "importing waiting (v1): no worker runs that could take it" in pushing.stderr.readline()
        )
        pushing.send_signal(signal.SIGINT)
        out, err = pushing.communicate(timeout=DEADLINE_S)
    assert (pushing.returncode, out) == (130, "")
    assert "told the server to cancel it" in err
    with Client(idle_yard.url, idle_yard.token) as client:
        assert client.list_templates() == []
