"""Secrets as they are stored, and as workspaces get them."""

from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest

from taskyard.control import agents
from taskyard.control.vault import Place, Vault
from taskyard.db import secrets as db
from taskyard.errors import SecretKeyWrong, SecretUnreadable
from taskyard.lifecycle.secret_names import SecretOwner
from taskyard.lifecycle.template_model import Template
from tests.control.agent_kit import Seat, seat
from tests.control.world_kit import BRIDGED, World

pytestmark = pytest.mark.anyio

VALUE = "a value that nobody may see"


def template(requires: list[str], **workspace: object) -> Template:
    """The kit's template, which needs these."""
    changed = msgspec.structs.replace(BRIDGED.workspace, **workspace)
    return msgspec.structs.replace(BRIDGED, requires_env=requires, workspace=changed)


async def keep(world: World, owner: SecretOwner, name: str, value: str) -> None:
    """Stores a secret of the world's user, organization or template."""
    template_id = await world.value("select id from templates limit 1")
    assert isinstance(template_id, UUID)
    owners = {
        SecretOwner.USER: world.user_id,
        SecretOwner.ORGANIZATION: world.organization_id,
        SecretOwner.TEMPLATE: template_id,
    }
    sealed = world.services.vault.seal(Place(owner, owners[owner], name), value)
    async with world.services.db.transaction() as conn:
        await db.put_secret(conn, sealed, world.now)


async def given(seated: Seat) -> dict[str, str]:
    """The environment that the workspace is handed, without the parameter of the kit."""
    services = seated.world.services
    welcome = await agents.welcome(services, seated.actor, "v", seated.world.now)
    return {k: v for k, v in welcome.manifest.env.items() if k != "TASKYARD_PARAMETER_COLOUR"}


async def failed(world: World, made: Template) -> str:
    """Why a start of this template fails; it must."""
    place = await world.workspace({}, template=made)
    async with world.working():
        build = await world.settled(place)
    assert build.job_error is not None
    return build.job_error


@pytest.mark.attack(
    "Somebody has a copy of the database, and looks for secrets",
    wall="AES-256-GCM with a key that is not in the database",
)
async def test_nothing_of_a_value_is_stored(world: World) -> None:
    """The row holds nonce and ciphertext, never twice the same, and the name of the key."""
    await world.version({})
    for _ in range(2):
        await keep(world, SecretOwner.USER, "KEY", VALUE)
        await keep(world, SecretOwner.ORGANIZATION, "KEY", VALUE)
    async with world.services.db.connection() as conn:
        rows = await conn.fetch("select * from secrets")
    assert len({bytes(row["nonce"]) for row in rows}) == 2
    assert len({bytes(row["sealed"]) for row in rows}) == 2
    for row in rows:
        assert VALUE.encode() not in b"".join(v for v in row.values() if isinstance(v, bytes))
        assert row["key_id"] == world.services.vault.key_id
        assert row["scheme"] == 1


@pytest.mark.attack(
    "A row with a secret is copied to another owner or name",
    wall="owner, name and scheme are sealed in",
)
async def test_a_row_in_another_place_does_not_open(world: World) -> None:
    """Owner, name and scheme are sealed in: a row that was copied, renamed or changed is no secret any more."""
    vault = world.services.vault
    row = vault.seal(Place(SecretOwner.USER, world.user_id, "KEY"), VALUE)
    assert vault.open(row) == VALUE
    for moved in (
        {"name": "OTHER"},
        {"owner_id": uuid4()},
        {"owner": SecretOwner.TEMPLATE},
        {"nonce": bytes(12)},
        {"sealed": bytes([row.sealed[0] ^ 1]) + row.sealed[1:]},
        {"scheme": 2},
        {"key_id": "0" * 16},
    ):
        with pytest.raises(SecretUnreadable) as refused:
            vault.open(msgspec.structs.replace(row, **moved))
        assert VALUE not in str(refused.value)


def test_a_key_file_is_made_once_and_for_its_user_alone(tmp_path: Path) -> None:
    """The first start makes it, others leave it; who may not read it, or finds something else in it, is told the file."""
    path = tmp_path / "secrets.key"
    vault = Vault(path)
    with pytest.raises(SecretKeyWrong, match=str(path)):
        _ = vault.key_id
    vault.make()
    assert path.stat().st_mode & 0o777 == 0o600
    first = Vault(path).key_id
    vault.make()
    assert Vault(path).key_id == first
    assert list(tmp_path.iterdir()) == [path]
    for wrong in (b"", b"c2hvcnQ=", b"\xff\xfe"):
        path.write_bytes(wrong)
        with pytest.raises(SecretKeyWrong, match=str(path)):
            _ = Vault(path).key_id
    with pytest.raises(SecretKeyWrong):
        _ = Vault().key_id


async def test_a_workspace_gets_what_its_template_names(world: World) -> None:
    """All of the template's, of user and organization only what is named, the user's first."""
    seated = await seat(world, template(["KEY", "SHARED"], env={"PLAIN": "1", "KEY2": "x"}))
    await keep(world, SecretOwner.USER, "KEY", "mine")
    await keep(world, SecretOwner.USER, "PRIVATE", "not for templates")
    await keep(world, SecretOwner.ORGANIZATION, "KEY", "ours")
    await keep(world, SecretOwner.ORGANIZATION, "SHARED", "shared")
    await keep(world, SecretOwner.TEMPLATE, "OWN", "own")
    assert await given(seated) == {
        "PLAIN": "1",
        "KEY2": "x",
        "KEY": "mine",
        "SHARED": "shared",
        "OWN": "own",
    }


async def test_a_secret_that_cannot_be_opened_is_told_of(world: World) -> None:
    """A workspace starts without it, and its agent's log says which secret to set again."""
    seated = await seat(world, template(["KEY"]))
    await keep(world, SecretOwner.USER, "KEY", VALUE)
    await world.execute(
        "update secrets set sealed = set_byte(sealed, 0, 255 - get_byte(sealed, 0))"
    )
    assert await given(seated) == {}
    told = str(await world.value("select output from workspace_agent_logs"))
    assert "KEY" in told
    assert "Set it again" in told


async def test_another_key_opens_nothing(world: World, tmp_path: Path) -> None:
    """With the wrong file the log of the agent names it, and the value stays shut."""
    seated = await seat(world, template(["KEY"]))
    await keep(world, SecretOwner.USER, "KEY", VALUE)
    vault = Vault(tmp_path / "other.key")
    vault.make()
    world.services = replace(world.services, vault=vault)
    assert await given(seated) == {}
    assert "other.key" in str(await world.value("select output from workspace_agent_logs"))


async def test_a_start_without_a_needed_secret_fails_at_once(world: World) -> None:
    """The build says which name is missing and which command sets it; no workspace is made."""
    told = await failed(world, template(["KEY|OTHER"]))
    assert "KEY or OTHER" in told
    assert "taskyard secrets set KEY" in told
    assert await world.value("select max(generation) from workspaces") == 0


async def test_a_repository_is_handed_over_with_its_token_apart(world: World) -> None:
    """The token is for git alone: it is in no environment, and only there when the template names it."""
    repo = "https://example.com/team/project.git"
    seated = await seat(world, template(["GIT_TOKEN|"], repo=repo, branch="main"))
    await keep(world, SecretOwner.USER, "GIT_TOKEN", f"{VALUE}\n")
    await keep(world, SecretOwner.USER, "GIT_USERNAME", "ada")
    welcome = await agents.welcome(world.services, seated.actor, "v", world.now)
    found = welcome.manifest.repository
    assert found is not None
    name = await world.value("select name from workspaces")
    assert (found.url, found.branch, found.folder) == (repo, "main", "project")
    assert found.work_branch == f"taskyard/{name}"
    assert found.credentials is not None
    assert (found.credentials.username, found.credentials.token) == ("ada", VALUE)
    assert VALUE not in str(welcome.manifest.env)
    assert VALUE not in repr(found)


@pytest.mark.attack(
    "A template clones from its own host to be given GIT_TOKEN",
    wall="a template is given what it names, and git's token goes to one host",
)
async def test_a_hostile_template_gets_no_token_by_its_address(world: World) -> None:
    """A template that does not name GIT_TOKEN gets none, wherever it wants to clone from."""
    seated = await seat(world, template([], repo="https://evil.example/x.git"))
    await keep(world, SecretOwner.USER, "GIT_TOKEN", VALUE)
    welcome = await agents.welcome(world.services, seated.actor, "v", world.now)
    assert welcome.manifest.repository is not None
    assert welcome.manifest.repository.credentials is None
    assert VALUE not in repr(msgspec.to_builtins(welcome))


async def test_an_address_that_cannot_be_cloned_fails_the_start(world: World) -> None:
    """What a parameter says is checked when it is known."""
    assert "https://" in await failed(world, template([], repo="ssh://host/x"))
