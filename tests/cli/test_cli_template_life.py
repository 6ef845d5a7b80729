"""What becomes of a template once it is pushed: shown, changed, archived, fetched, deleted."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from taskyard.cli.archive import pack, unpack
from taskyard.cli.failures import Failure
from taskyard.sdk import Client
from tests.cli.conftest import Ended, Program

PRESET = """
[[parameter]]
name = "size"
type = "number"
default = 1

[[preset]]
name = "Large"
default = true
parameters = { size = 9 }
"""


def push(owner: Program, name: str, *versions: str, extra: str = "") -> None:
    """A template of the shell starter with these versions, the last one active."""
    owner.good("templates", "init", name)
    manifest = owner.home / name / "taskyard.toml"
    manifest.write_text(manifest.read_text().partition("[[preset]]")[0] + extra)
    for version in versions:
        owner.good("templates", "push", name, "--yes", "--version", version)


def test_a_template_is_shown_and_changed(owner: Program, client: Client) -> None:
    """Settings by name, presets as a table or as JSON with the keys of the wire."""
    push(owner, "large", "v1", extra=PRESET)
    assert "v1 (succeeded)" in owner.good("templates", "show", "large")
    owner.good(
        *("templates", "edit", "large", "--description", "Mine.", "--default-ttl", "8h"),
        *("--activity-bump", "0", "--allow-user-cancel"),
    )
    shown = json.loads(owner.good("templates", "show", "large", "-o", "json"))
    assert (shown["description"], shown["default_ttl_ms"]) == ("Mine.", 8 * 3_600_000)
    assert (shown["activity_bump_ms"], shown["allow_user_cancel_workspace_jobs"]) == (0, True)
    table = owner.good("templates", "presets", "large").splitlines()
    assert table[1].split()[:3] == ["Large", "yes", "size=9"]
    presets = json.loads(owner.good("templates", "presets", "large", "-o", "json"))
    assert presets[0]["Parameters"] == [{"Name": "size", "Value": "9"}]
    assert owner.good("templates", "edit", "large", "--name", "larger")
    assert client.get_organization_template("default", "larger").description == "Mine."


def test_versions_are_promoted_archived_and_taken_back(owner: Program, client: Client) -> None:
    """By name; the active one is refused, and lists leave archived ones out unless asked."""
    push(owner, "moving", "v1", "v2", "v3")
    owner.good("templates", "promote", "moving", "v1")
    template = client.get_organization_template("default", "moving")
    assert client.get_template_version(template.active_version_id).name == "v1"
    assert owner("templates", "archive", "moving", "v1").status == 1
    owner.good("templates", "archive", "moving", "v2")
    left = owner.good("templates", "versions", "moving", "-c", "name").splitlines()[1:]
    assert left == ["v1", "v3"]
    rows = owner.good("templates", "versions", "moving", "--archived", "-c", "name,archived")
    assert [row.split() for row in rows.splitlines()[1:]] == [["v1"], ["v2", "yes"], ["v3"]]
    owner.good("templates", "unarchive", "moving", "v2")
    assert "2 versions" in owner.good("templates", "archive", "moving", "--all", "--yes")


def test_a_template_is_fetched_as_it_was_pushed(owner: Program) -> None:
    """The same files with the same modes, into a new folder or as a tar on stdout; nothing is overwritten."""
    push(owner, "there", "v1")
    assert "there" in owner.good("templates", "pull", "there", "back")
    assert pack(owner.home / "back") == pack(owner.home / "there")
    taken = owner("templates", "pull", "there")
    assert (taken.status, taken.out) == (1, "")
    assert owner("templates", "pull", "there", "x", "--tar").status == 2


def test_a_template_is_deprecated_and_deleted(owner: Program) -> None:
    """Lists leave it out, a task of it is refused with the message; deleting asks first."""
    push(owner, "leaving", "v1")
    owner.good("templates", "deprecate", "leaving", "-m", "Use shell.")
    assert "leaving" not in owner.good("templates", "list", "--all")
    assert "leaving" in owner.good("templates", "list", "--all", "-q", "deprecated:true")
    refused = owner("task", "create", "--template", "leaving", "echo hello")
    assert refused.status == 1
    assert "Use shell." in refused.err
    owner.good("templates", "deprecate", "leaving", "--undo")
    assert owner("templates", "delete", "leaving").status == 2
    owner.good("templates", "rm", "leaving", "--yes")
    assert owner("templates", "show", "leaving").status == 1


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [
        (("show", "nope"), 1, "nope"),
        (("promote", "shell", "nope"), 1, "nope"),
        (("presets", "shell", "--version", "nope"), 1, "nope"),
        (("edit", "shell"), 2, "change"),
        (("edit", "shell", "--default-ttl", "soon"), 2, "soon"),
        (("edit", "shell", "--name", "a b"), 1, "name"),
        (("deprecate", "shell"), 2, "--message"),
        (("archive", "shell", "v1", "--all"), 2, "--all"),
        (("delete", "nope", "--yes"), 1, "nope"),
    ],
)
def test_what_cannot_be_done_with_a_template(
    quick: Callable[..., Ended], arguments: tuple[str, ...], status: int, word: str
) -> None:
    """Each refusal names the thing, goes to stderr alone, and has the right status."""
    ended = quick("templates", *arguments)
    assert (ended.status, ended.out) == (status, ""), ended
    assert word in ended.err


def test_an_archive_that_leads_out_writes_nothing(tmp_path: Path) -> None:
    """Links, absolute paths and steps upwards are refused before the first file is written."""
    for name, kind in (("../x", tarfile.REGTYPE), ("/x", tarfile.REGTYPE), ("x", tarfile.SYMTYPE)):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            archive.addfile(tarfile.TarInfo("good"))
            bad = tarfile.TarInfo(name)
            bad.type, bad.linkname = kind, "/etc/passwd"
            archive.addfile(bad)
        with pytest.raises(Failure):
            unpack(buffer.getvalue(), tmp_path / "out")
        assert not (tmp_path / "out").exists()
