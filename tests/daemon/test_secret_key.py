"""The key for secrets at the start of a server: made once, and never another one unnoticed."""

from dataclasses import replace
from pathlib import Path

import pytest

from taskyard.config import load_settings
from taskyard.control.services import Services
from taskyard.control.vault import Vault
from taskyard.daemon.datadir import DataDir
from taskyard.daemon.secret_key import claim_key, vault_of
from taskyard.db.secrets import forget_secrets
from taskyard.errors import StartupError

pytestmark = pytest.mark.anyio


def on(services: Services, path: Path) -> Services:
    """A server with its key in this file."""
    return replace(services, vault=Vault(path))


async def test_the_first_start_makes_the_key_and_later_ones_keep_it(
    services: Services, tmp_path: Path
) -> None:
    """Two servers with one file are fine, whoever starts first."""
    path = tmp_path / "shared.key"
    await claim_key(on(services, path))
    kept = path.read_bytes()
    await claim_key(on(services, path))
    assert path.read_bytes() == kept
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.attack(
    "The key of secrets is taken away, broken or exchanged",
    wall="a server whose key is not that of its database does not start, and makes no new one",
)
async def test_a_server_with_another_key_does_not_start(services: Services, tmp_path: Path) -> None:
    """Missing, broken, another's: each is told with the file, and nothing takes its place."""
    await claim_key(on(services, tmp_path / "first.key"))
    for name, content in (("missing", None), ("broken", b"x"), ("other", b"A" * 43 + b"=")):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(StartupError, match=str(path)):
            await claim_key(on(services, path))
        assert path.exists() is (content is not None)
    async with services.db.transaction() as conn:
        await forget_secrets(conn)
    with pytest.raises(StartupError, match="no-such-folder"):
        await claim_key(on(services, tmp_path / "no-such-folder" / "key"))


async def test_a_lost_key_can_be_given_up(services: Services, tmp_path: Path) -> None:
    """Without the secrets of old, a new key is as good as the first."""
    await claim_key(on(services, tmp_path / "lost.key"))
    async with services.db.transaction() as conn:
        await forget_secrets(conn)
    await claim_key(on(services, tmp_path / "new.key"))


async def test_a_setting_names_another_file(tmp_path: Path) -> None:
    """The key lies in the data directory unless a setting says where else."""
    folder = str(tmp_path / "data")
    with DataDir(Path(folder)) as data:
        plain = load_settings({"data_dir": folder}, {}, None)
        assert vault_of(plain, data).path == data.path / "secrets.key"
        variable = {"TASKYARD_SECRETS_KEY_FILE": str(tmp_path / "k")}
        named = load_settings({"data_dir": folder}, variable, None)
        assert vault_of(named, data).path == tmp_path / "k"
