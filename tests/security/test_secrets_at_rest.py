"""Values that people entrust to the server: what lies on its disks, and what becomes of them in a shell."""

import stat
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from taskyard.wire.enums import JobStatus
from taskyard.wire.workspace_requests import CreateWorkspaceRequest
from taskyard.wire.workspaces import ParameterValue
from tests.security.hostile import HostileWorld, kept_files
from tests.system.kit import pushed
from tests.waiting import until

OWNERS = ("user", "organization", "template")


def files_of(hostile: HostileWorld) -> dict[Path, bytes]:
    """Every file of the data directory but those of homes, which belong to workspaces."""
    found = {}
    for path in kept_files(hostile.world.server.data_dir):
        with suppress(FileNotFoundError):
            found[path] = path.read_bytes()
    return found


@pytest.mark.attack(
    "Somebody reads the whole data directory, the database's files and its log of changes, but has not the key",
    wall="AES-256-GCM with a key in a file of its own; nothing is written before it is sealed",
)
def test_no_file_holds_a_secret(hostile_world: HostileWorld) -> None:
    """No secret of a person, an organization or a template is in any file; a prompt is, so the search finds what is there."""
    canary = hostile_world.canary
    files = files_of(hostile_world)
    values = {canary.of(f"{owner}-secret").encode() for owner in OWNERS}
    assert any(canary.of("prompt").encode() in data for data in files.values())
    assert not [path for path, data in files.items() for value in values if value in data]
    (key,) = (path for path in files if path.name == "secrets.key")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert not [path for path, data in files.items() if path != key and files[key].strip() in data]


@pytest.mark.attack(
    "Somebody has a dump of all tables, in text and in bytes",
    wall="rows of secrets hold nonce and ciphertext; tokens and passwords are hashes",
)
async def test_no_row_holds_a_secret(hostile_world: HostileWorld) -> None:
    """No row of any table holds a secret, a password or a token of a person."""
    query = hostile_world.world.query
    tables = await query(
        "select table_name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'"
    )
    canary = hostile_world.canary
    values = [canary.of(f"{owner}-secret") for owner in OWNERS]
    values += [c._token for c in (hostile_world.attacker, hostile_world.victim)]
    values += ["a throw-away password"]
    needles = [*values, *(value.encode().hex() for value in values)]
    held = set()
    for (table,) in tables:
        for (row,) in await query(f'select t::text from "{table}" t'):
            held |= {table for needle in needles if needle in row}
    assert len(tables) > 20
    assert not held


HOSTILE = (
    "$(touch pwned) `touch pwned`; touch pwned; ' \" \\ | touch pwned & ${HOME} %s --help > pwned #"
)
TEMPLATE = """
[workspace]
driver = "sandbox"

[[parameter]]
name = "word"
type = "string"

[scripts]
start = "start.sh"

[[app]]
slug = "web"
url = "http://localhost:8000"
command = 'printf %s "$TASKYARD_PARAMETER_WORD" > from-app; exec sleep 1000'
"""
START = 'printf %s "$TASKYARD_PARAMETER_WORD" > from-script\n'


@pytest.mark.attack(
    "A value of a template's parameter is written for a shell: quotes, $(…), backquotes, ; | & >",
    wall="values are entries of the environment and never text of a command",
)
def test_values_never_reach_a_shell_as_text(hostile_world: HostileWorld) -> None:
    """Script and app get the value as it was given, and nothing of it was run."""
    version = pushed(hostile_world.world, "words", {"taskyard.toml": TEMPLATE, "start.sh": START})
    assert version.job.status is JobStatus.SUCCEEDED, version.job.error
    value = ParameterValue(name="word", value=HOSTILE)
    workspace = hostile_world.attacker.create_workspace(
        "me",
        CreateWorkspaceRequest(
            template_version_id=version.id, name="words", rich_parameter_values=[value]
        ),
    )
    home = hostile_world.world.server.data_dir / "workspaces" / str(workspace.id) / "home"
    for name in ("from-script", "from-app"):
        assert until(f"the file {name}", partial(text_of, home / name)) == HOSTILE
    assert not (home / "pwned").exists()


def text_of(path: Path) -> str | None:
    """What is in a file, once there is something."""
    return (path.read_text() or None) if path.exists() else None
